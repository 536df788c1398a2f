"""How two images are compared: what differs is named."""

import tarfile
from pathlib import Path

import pytest
from images.reproducible import PACKING, SHOWN, Archive, differences, differing, told

from cluster.images import write_single_file_image


def an_archive(folder: Path, content: str = "sunny", mtime: int = 0) -> Archive:
    """An image of one file; ``mtime`` is that of the archive's parts, which no image knows."""
    folder.mkdir()
    program = folder / "weather"
    program.write_text(content)
    write_single_file_image(folder / "written.tar", "localhost/weather:dev", program)
    with tarfile.open(folder / "written.tar") as written, tarfile.open(folder / "archive.tar", "w") as archive:
        for part in written:
            part.mtime = mtime
            archive.addfile(part, written.extractfile(part))
    return Archive(folder / "archive.tar")


def test_the_same_is_no_difference(tmp_path: Path) -> None:
    assert differences(an_archive(tmp_path / "first"), an_archive(tmp_path / "second")) == []


def test_a_file_that_differs_is_named(tmp_path: Path) -> None:
    first, second = an_archive(tmp_path / "first"), an_archive(tmp_path / "second", content="rainy")

    assert differences(first, second) == ["layer 1: weather", "the configuration"]
    assert first.digest() != second.digest()


def test_the_same_image_in_another_archive_is_a_difference(tmp_path: Path) -> None:
    first, second = an_archive(tmp_path / "first"), an_archive(tmp_path / "second", mtime=1)

    assert differences(first, second) == [PACKING]
    assert first.digest() == second.digest()


@pytest.mark.parametrize(
    ("second", "names"),
    [
        pytest.param({"a": "1", "b": "2"}, [], id="nothing"),
        pytest.param({"a": "1"}, ["b"], id="a file less"),
        pytest.param({"a": "1", "b": "2", "c": "3"}, ["c"], id="a file more"),
        pytest.param({"a": "2", "b": "1"}, ["a", "b"], id="other files, in order"),
    ],
)
def test_what_differs(second: dict[str, str], names: list[str]) -> None:
    assert differing({"a": "1", "b": "2"}, second) == names


def test_not_all_is_told_where_all_differs() -> None:
    lines = told([f"file {number}" for number in range(SHOWN + 3)]).splitlines()

    assert lines[0] == "  file 0"
    assert lines[-2:] == [f"  file {SHOWN - 1}", "  and 3 more"]
