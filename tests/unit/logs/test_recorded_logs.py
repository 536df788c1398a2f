"""Folders that a real kubelet wrote are read as what the process wrote."""

import shutil
import tarfile
from pathlib import Path

import pytest

from fakes.kubelet_logs import ContainerLog
from unit.logs.recorded import writer
from unit.logs.test_tail import Reading

RECORDED = Path(__file__).parent / "recorded"


def put(name: str, folder: Path) -> None:
    """Make a folder what it was when it was recorded."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(RECORDED / f"{name}.tar.xz") as archive:
        archive.extractall(folder.parent, filter="data")
    (folder.parent / name).rename(folder)


@pytest.fixture(scope="module")
def written() -> list[tuple[int, bytes]]:
    """Return stream and text of each line, by its number."""
    return writer.lines()


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return Reading(ContainerLog(tmp_path / "elt"))


def assert_is(text: bytes, written: list[tuple[int, bytes]]) -> None:
    """Each line is there once, and those of a stream are in order."""
    lines = text.split(b"\n")
    numbers = [int(line[:7]) for line in lines]
    assert sorted(numbers) == list(range(len(written)))
    assert all(line == written[number][1] for number, line in zip(numbers, lines, strict=True))
    for stream in (1, 2):
        of_it = [number for number in numbers if written[number][0] == stream]
        assert of_it == sorted(of_it)


def test_a_log_with_rotated_and_compressed_files_is_what_was_written(
    reading: Reading, written: list[tuple[int, bytes]]
) -> None:
    put("after", reading.log.folder)
    reading.finish()

    assert_is(reading.text, written)
    assert set(reading.gaps) == {"LateStart"}  # so far as anybody can tell from the files


def test_a_reader_that_was_away_for_two_rotations_goes_on(reading: Reading, written: list[tuple[int, bytes]]) -> None:
    put("during", reading.log.folder)
    for _ in range(100):
        reading.step()
    reading.step(60)
    reading.kill()
    put("after", reading.log.folder)
    reading.finish()

    assert_is(reading.text, written)
    assert reading.gaps == ["LateStart"]
