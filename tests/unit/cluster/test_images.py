"""What image archives contain, and how they get into the cluster."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.containerd import ImageStore
from cluster.errors import ClusterError
from cluster.images import ARCHITECTURE, Image, for_this_machine, full_reference, images_in, write_single_file_image


def an_archive(path: Path, files: dict[str, Any]) -> Path:
    """Write a tar file with ``files``, each a JSON document."""
    with tarfile.open(path, "w") as tar:
        for name, document in files.items():
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def an_oci_archive(path: Path, annotations: dict[str, str]) -> Path:
    entry = {"digest": "sha256:aa", "annotations": annotations}
    manifest = {"config": {"digest": "sha256:cc"}}
    return an_archive(path, {"index.json": {"manifests": [entry]}, "blobs/sha256/aa": manifest})


@dataclass
class FakeCtr:
    """containerd's client, with ``imports`` as what the next import brings: reference to configuration digest."""

    imports: dict[str, str]
    images: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __call__(self, *words: str) -> str:
        self.calls.append(" ".join(words[:2]))
        match words:
            case ["images", "import", _]:
                self.images |= self.imports
            case ["images", "list"]:
                rows = [
                    f"{name} type digest-of-{name} 1 MiB linux/amd64 io.cri-containerd.image=managed"
                    for name in self.images
                ]
                return "\n".join(["REF TYPE DIGEST SIZE PLATFORMS LABELS", *rows])
            case ["images", "tag", "--force", old, new]:
                self.images[new] = self.images[old]
            case ["images", "remove", name]:
                del self.images[name]
            case ["content", "get", digest]:
                return json.dumps({"config": {"digest": self.images[digest.removeprefix("digest-of-")]}})
        return ""


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        pytest.param("weather", "docker.io/library/weather:latest", id="a word"),
        pytest.param("weather:1", "docker.io/library/weather:1", id="a word and a tag"),
        pytest.param("ada/weather:1", "docker.io/ada/weather:1", id="a path"),
        pytest.param("localhost/weather:1", "localhost/weather:1", id="localhost is a registry"),
        pytest.param("localhost:5000/weather", "localhost:5000/weather:latest", id="a port is no tag"),
        pytest.param("ghcr.io/ada/weather:1", "ghcr.io/ada/weather:1", id="a host"),
        pytest.param("ghcr.io/weather@sha256:aa", "ghcr.io/weather@sha256:aa", id="a digest"),
    ],
)
def test_a_short_name_stands_for_a_full_one(name: str, reference: str) -> None:
    assert full_reference(name) == reference


@pytest.mark.parametrize("key", ["io.containerd.image.name", "org.opencontainers.image.ref.name"])
def test_an_oci_archive_names_its_image_in_an_annotation(key: str, tmp_path: Path) -> None:
    archive = an_oci_archive(tmp_path / "x.tar", {key: "localhost/weather:1"})

    assert images_in(archive) == [Image("localhost/weather:1", "sha256:cc")]


def test_a_docker_archive_names_its_image_in_its_manifest(tmp_path: Path) -> None:
    manifest = [
        {"Config": "blobs/sha256/cc", "RepoTags": ["weather:1", "weather:2"]},
        {"Config": "dd.json", "RepoTags": None},
    ]
    archive = an_archive(tmp_path / "x.tar", {"manifest.json": manifest})

    assert images_in(archive) == [Image("weather:1", "sha256:cc"), Image("weather:2", "sha256:cc")]


@pytest.mark.parametrize(
    "annotations", [{}, {"org.opencontainers.image.ref.name": "latest"}], ids=["none", "a bare tag"]
)
def test_an_archive_without_a_name_is_refused_with_advice(annotations: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="names no image; write it with a name"):
        images_in(an_oci_archive(tmp_path / "x.tar", annotations))


@pytest.mark.parametrize("content", [b"", b"no archive at all"], ids=["empty", "text"])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)

    with pytest.raises(ClusterError, match="is not an OCI or docker image archive"):
        images_in(tmp_path / "x.tar")


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"x\.tar: no such file"):
        images_in(tmp_path / "x.tar")


def test_of_an_image_for_many_machines_ours_is_taken() -> None:
    manifests = [
        {"digest": "a", "platform": {"architecture": "s390x"}},
        {"digest": "b", "platform": {"architecture": ARCHITECTURE}},
    ]

    assert for_this_machine(manifests)["digest"] == "b"
    assert for_this_machine(manifests[:1])["digest"] == "a"


def test_our_own_archive_is_complete_and_always_the_same(tmp_path: Path) -> None:
    (tmp_path / "pause").write_bytes(b"\x7fELF")
    one, two = tmp_path / "1.tar", tmp_path / "2.tar"

    write_single_file_image(one, "localhost/pause:1", tmp_path / "pause")
    write_single_file_image(two, "localhost/pause:1", tmp_path / "pause")

    assert one.read_bytes() == two.read_bytes()
    assert [image.reference for image in images_in(one)] == ["localhost/pause:1"]
    with tarfile.open(one) as tar:
        blobs = [name for name in tar.getnames() if name.startswith("blobs/")]
        for name in blobs:
            content = tar.extractfile(name)
            assert content is not None
            assert hashlib.sha256(content.read()).hexdigest() == Path(name).name
    assert len(blobs) == 3


def test_an_image_is_loaded_once(tmp_path: Path) -> None:
    archive = an_oci_archive(tmp_path / "x.tar", {"io.containerd.image.name": "localhost/weather:1"})
    ctr = FakeCtr(imports={"localhost/weather:1": "sha256:cc"})

    assert [image.reference for image in ImageStore(ctr).load(archive)] == ["localhost/weather:1"]
    assert ImageStore(ctr).load(archive) == []
    assert ctr.calls.count("images import") == 1


def test_another_image_under_a_known_name_is_loaded(tmp_path: Path) -> None:
    archive = an_oci_archive(tmp_path / "x.tar", {"io.containerd.image.name": "localhost/weather:1"})
    ctr = FakeCtr(imports={"localhost/weather:1": "sha256:cc"}, images={"localhost/weather:1": "sha256:old"})

    assert len(ImageStore(ctr).load(archive)) == 1


def test_a_short_name_is_replaced_by_the_one_the_kubelet_asks_for(tmp_path: Path) -> None:
    archive = an_oci_archive(tmp_path / "x.tar", {"org.opencontainers.image.ref.name": "weather:1"})
    ctr = FakeCtr(imports={"weather:1": "sha256:cc"})

    ImageStore(ctr).load(archive)

    assert ctr.images == {"docker.io/library/weather:1": "sha256:cc"}


def test_an_import_that_brings_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.containerd.ARRIVAL_SECONDS", 0)
    archive = an_oci_archive(tmp_path / "x.tar", {"io.containerd.image.name": "localhost/weather:1"})
    ctr = FakeCtr(imports={}, images={"localhost/pause:1": "sha256:pp"})

    with pytest.raises(
        ClusterError, match=r"localhost/weather:1 .* in the cluster\nimages that are there:\n  localhost/pause:1"
    ):
        ImageStore(ctr).load(archive)
