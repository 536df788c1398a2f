"""The log files of one container, written, rotated and removed as containerd and a kubelet do it."""

import gzip
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

MOST_FILES = 5
ROTATION_MILLISECONDS = 10_000
"""A kubelet looks no sooner again."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def time_of(milliseconds: int) -> str:
    """Return a time as containerd writes it."""
    moment = _BEGIN + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"


@dataclass
class ContainerLog:
    """What a process has written, and the files that it is in."""

    folder: Path
    text: bytes = b""
    """What the process wrote, in the order of its records."""
    records: int = 0
    _writer: Path = field(init=False)
    _rotations: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self._writer = self.folder / "0.log"
        self._writer.touch()

    def write(self, content: bytes, *, stream: str = "stdout", tag: str = "F") -> None:
        """Write a record."""
        with self._writer.open("ab") as file:
            moment = time_of(self.records + self._rotations * ROTATION_MILLISECONDS)
            file.write(f"{moment} {stream} {tag} ".encode() + content + b"\n")
        self.records += 1

    def line(self, content: bytes) -> None:
        """Write a whole line in one record."""
        self.write(content)
        self.text += content + b"\n"

    def rotate(self, late: Sequence[bytes] = ()) -> None:
        """Begin a new file, after which ``late`` still goes to the old one; compress older ones, remove the oldest."""
        self._rotations += 1
        old = self.folder / f"0.log.{_BEGIN + timedelta(seconds=self._rotations):%Y%m%d-%H%M%S}"
        current = self.folder / "0.log"
        current.rename(old)
        current.touch()
        self._writer = old
        for content in late:
            self.line(content)
        self._writer = current
        rotated = sorted(path for path in self.folder.iterdir() if path != current)
        for path in rotated[:-1]:
            if path.suffix != ".gz":
                with path.open("rb") as source, gzip.open(f"{path}.gz", "wb") as target:
                    shutil.copyfileobj(source, target)
                path.unlink()
        rotated = sorted(path for path in self.folder.iterdir() if path != current)
        for path in rotated[: -(MOST_FILES - 1)]:
            path.unlink()

    def remove(self) -> None:
        """Remove all, as with a pod that was deleted."""
        shutil.rmtree(self.folder)
