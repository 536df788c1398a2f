"""Image archives: what is in them, and one of our own making."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")  # the first one wins
HOW_TO_NAME = "write it with a name, as in: buildah push IMAGE oci-archive:FILE.tar:localhost/weather-elt:1.4.0"


@dataclass(frozen=True)
class Image:
    """One name that an archive gives to an image."""

    written: str
    """As the archive has it: perhaps ``weather-elt``."""
    config: str
    """Digest of the image's configuration; equal digests are equal images, however they are packed."""

    @property
    def reference(self) -> str:
        """The name in full: ``docker.io/library/weather-elt:latest``."""
        return full_reference(self.written)


def images_in(archive: Path) -> list[Image]:
    """Return the images of an OCI or docker archive; raise ``ClusterError`` when it has none with a name."""
    try:
        with tarfile.open(archive) as tar:
            images = _oci_images(tar) or _docker_images(tar)
    except FileNotFoundError:
        raise ClusterError(f"{archive}: no such file") from None
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise ClusterError(f"{archive} is not an OCI or docker image archive: {error}") from None
    if not images:
        raise ClusterError(f"{archive} names no image; {HOW_TO_NAME}")
    return images


def _oci_images(tar: tarfile.TarFile) -> list[Image]:
    index = _json_or_none(tar, "index.json")
    return [
        Image(name, _config_digest(tar, entry))
        for entry in (index or {}).get("manifests", ())
        if (name := _name_of(entry.get("annotations") or {}))
    ]


def _docker_images(tar: tarfile.TarFile) -> list[Image]:
    entries = _json_or_none(tar, "manifest.json") or ()
    return [
        # The configuration's file name is its digest, alone or below blobs/sha256.
        Image(tag, "sha256:" + entry["Config"].rsplit("/", 1)[-1].removesuffix(".json"))
        for entry in entries
        for tag in entry.get("RepoTags") or ()
    ]


def _name_of(annotations: Mapping[str, str]) -> str | None:
    """Return the name an index entry carries; a bare tag is none."""
    names = (annotations.get(key, "") for key in NAME_ANNOTATIONS)
    return next((name for name in names if "/" in name or ":" in name), None)


def _config_digest(tar: tarfile.TarFile, entry: Mapping[str, Any]) -> str:
    document = _json(tar, blob_path(entry["digest"]))
    if "manifests" in document:
        return _config_digest(tar, for_this_machine(document["manifests"]))
    return str(document["config"]["digest"])


def for_this_machine(manifests: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the one of an image's ``manifests`` that this machine can run; the first when none says so."""
    fitting = (one for one in manifests if (one.get("platform") or {}).get("architecture") == ARCHITECTURE)
    return next(fitting, manifests[0])


def _json(tar: tarfile.TarFile, path: str) -> Any:
    file = tar.extractfile(path)
    if file is None:
        raise KeyError(path)
    return json.load(file)


def _json_or_none(tar: tarfile.TarFile, path: str) -> Any:
    try:
        return _json(tar, path)
    except KeyError:
        return None


def blob_path(digest: str) -> str:
    """Return where an OCI archive keeps what has ``digest``."""
    return "blobs/" + digest.replace(":", "/")


def full_reference(name: str) -> str:
    """Return ``name`` with the registry, the path and the tag that it stands for, as the kubelet reads it."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def write_single_file_image(archive: Path, reference: str, executable: Path) -> None:
    """Write an OCI archive of an image that holds ``executable`` alone and runs it; the same bytes every time."""
    path = executable.name
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo(path)
        entry.mode = 0o755
        entry.size = executable.stat().st_size
        with executable.open("rb") as source:
            tar.addfile(entry, source)
    blobs: dict[str, bytes] = {}

    def put(media_type: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    packed = put("application/vnd.oci.image.layer.v1.tar", layer.getvalue())
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {"Entrypoint": [f"/{path}"]},
        "rootfs": {"type": "layers", "diff_ids": [packed["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": put("application/vnd.oci.image.config.v1+json", json.dumps(config).encode()),
        "layers": [packed],
    }
    named = put(MANIFEST, json.dumps(manifest).encode()) | {"annotations": dict.fromkeys(NAME_ANNOTATIONS, reference)}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
    files |= {blob_path(digest): content for digest, content in blobs.items()}
    with tarfile.open(archive, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
