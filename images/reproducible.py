"""Builds the operator's image twice from nothing, its base too, and compares the two; fails when they differ.

Nothing of an earlier build is used, and nothing stays. It is buildah that builds, also where a Docker engine answers.
"""

import filecmp
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from images.build import OPERATOR, Buildah, BuildError, Host, build

PACKING = "how it is packed"
SHOWN = 50


@dataclass(frozen=True)
class Archive:
    """An image in an OCI archive."""

    path: Path

    def digest(self) -> str:
        """Return the digest of the image, under which a registry knows it."""
        with tarfile.open(self.path) as tar:
            return _digest(tar)

    def parts(self) -> dict[str, str]:
        """Return a fingerprint of the configuration and of each file: of its content, rights, owner and date."""
        with tarfile.open(self.path) as tar:
            manifest = json.load(_blob(tar, _digest(tar)))
            files = {
                f"layer {number}: {name}": fingerprint
                for number, layer in enumerate(manifest["layers"], 1)
                for name, fingerprint in _files(_blob(tar, layer["digest"]))
            }
            return {"the configuration": manifest["config"]["digest"], **files}


def _digest(tar: tarfile.TarFile) -> str:
    return str(json.load(_file(tar, "index.json"))["manifests"][0]["digest"])


def _blob(tar: tarfile.TarFile, digest: str) -> IO[bytes]:
    return _file(tar, f"blobs/{digest.replace(':', '/')}")


def _file(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found


def _files(packed: IO[bytes]) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=packed) as layer:
        for member in layer:
            file = layer.extractfile(member) if member.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else ""
            yield member.name, f"{member.get_info()} {member.pax_headers} {content}"


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Return the names of what is in one of the two only, or differs."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def differences(first: Archive, second: Archive) -> list[str]:
    """Return what differs between two archives, nothing when they are the same to the last byte."""
    if filecmp.cmp(first.path, second.path, shallow=False):
        return []
    return differing(first.parts(), second.parts()) or [PACKING]


def built_from_nothing(folder: Path) -> Archive:
    """Return the operator's image, built in a new ``folder``, of which only the archive stays."""
    folder.mkdir()
    builder = Buildah(folder / "buildah", Host.read(os.environ))
    builder.prepare(folder / "builder.log")
    archive = build(OPERATOR, builder, folder)
    shutil.rmtree(builder.folder)
    return Archive(archive)


def told(names: list[str]) -> str:
    """Return ``names`` for a person, one on each line and not too many of them."""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "\n".join(f"  {line}" for line in [*names[:SHOWN], *more])


def main() -> None:
    """Build twice, print both digests, and fail with the names of what differs."""
    with tempfile.TemporaryDirectory(prefix="elt-operator-") as folder:
        first, second = (built_from_nothing(Path(folder, name)) for name in ("first", "second"))
        print(f"first:  {first.digest()}\nsecond: {second.digest()}")
        if found := differences(first, second):
            sys.exit(f"The two images differ in:\n{told(found)}")
    print("The two images are identical, to the last byte of their archives.")


if __name__ == "__main__":
    try:
        main()
    except BuildError as error:
        sys.exit(f"reproducible: {error}")
    except KeyboardInterrupt:
        sys.exit("reproducible: interrupted")
