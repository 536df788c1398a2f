"""The files in which a kubelet keeps the log of a container, read once, from the first to the last.

A file is known by the time of its first line: its name is given anew at each rotation, and its inode number may be used
again at once. Each is opened as soon as it is seen and held, since an open file outlives its compression and removal.
"""

import errno
import gzip
import os
import re
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Final, NamedTuple

BLOCK_BYTES: Final = 256 * 1024
_OLD_FILE_SECONDS: Final = 0.5
"""How long a file is read on when there is a newer one: the runtime makes that before it lets go of the old one."""
_NAME: Final = re.compile(r"([0-9]{1,6})\.log(\.[0-9]{8}-[0-9]{6})?(\.gz)?")
"""The container's restarts, the time of the rotation, and whether it is compressed
(pkg/kubelet/logs/container_log_manager.go)."""
_FIRST_TIME: Final = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2}) "
)
_FIRST_BYTES: Final = 40
_LOOKS_AT_THE_SAME: Final = 2
_MOST_REMOVED_HELD: Final = 8
"""How many files are held that the kubelet has removed, before they are read."""


class Key(NamedTuple):
    """Which file it is; a greater one was begun later."""

    restarts: int
    nanoseconds: int
    """When its first line was written, since 1970."""

    def __str__(self) -> str:
        return f"{self.restarts}-{self.nanoseconds}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Return what ``str`` made; raises ``ValueError``."""
        restarts, _, nanoseconds = text.partition("-")
        return cls(int(restarts), int(nanoseconds))


class Records(NamedTuple):
    """A part of a file: whole records."""

    key: Key
    offset: int
    """Where it begins."""
    data: bytes
    after_a_gap: bool
    """Whether something before it was removed unseen."""


@dataclass
class _File:
    source: IO[bytes]
    restarts: int
    compressed: bool
    key: Key | None = None
    """``None`` while it has no line."""
    offset: int = 0
    """Up to where its records were read."""
    rest: bytes = b""
    """The beginning of a record that is not all there."""
    after_a_gap: bool = False
    listed: bool = True
    """Whether it is in the folder."""

    def learn_key(self) -> None:
        if self.key is None:
            self.source.seek(0)
            if found := _FIRST_TIME.match(_read(self.source, _FIRST_BYTES)):
                self.key = Key(self.restarts, _nanoseconds(found))
            self.source.seek(0)

    def records(self) -> bytes:
        """Return the next records, whole ones; empty: there are none yet."""
        while block := _read(self.source, BLOCK_BYTES):
            records, newline, self.rest = (self.rest + block).rpartition(b"\n")
            if newline:
                return records + newline
        return b""

    def skip_to(self, offset: int) -> bool:
        """Go on at ``offset``; return whether a record ends there."""
        if offset:
            self.source.seek(offset - 1)
            if _read(self.source, 1) != b"\n":
                return False
        self.offset = offset
        return True


@dataclass
class ContainerFiles:
    """The files of one container."""

    folder: Path
    resume: tuple[Key, int] | None = None
    """The file, and the offset in it, up to which the log is known already."""
    begun: bool = False
    """Whether that is known; until then files are only held."""
    gone: bool = False
    """Whether the folder was removed: its process has ended, and what it wrote is in the files that are open."""
    unreadable: str = ""
    """Why a file could not be opened; empty: none was refused."""
    began_rotated: bool = False
    """Whether older files may have been removed before the first look."""
    _known: dict[str | int, _File] = field(default_factory=dict)
    """What is in the folder: by its name what is compressed, else by inode number, which is ours while it is open."""
    _held: list[_File] = field(default_factory=list)
    """What has left the folder before it was begun."""
    _unread: list[_File] = field(default_factory=list)
    """The first is being read."""
    _newest: Key | None = None
    _looked: bool = False
    _changed: tuple[int, int] = (0, 0)
    """When the folder was last changed, and how many looks have found it so."""
    _newer_since: float | None = None
    """Since when there is a newer file than the one that is being read."""

    def look(self) -> None:
        """Take up the files that are new."""
        if self.gone or self._unchanged():
            return
        try:
            listed = [(entry, name) for entry in os.scandir(self.folder) if (name := _NAME.fullmatch(entry.name))]
        except (FileNotFoundError, NotADirectoryError):
            self.gone = True
            listed = []
        before, self._known = self._known, {}
        for entry, name in listed:
            compressed = bool(name[3])
            place = entry.name if compressed else entry.inode()
            file = before.pop(place, None) or self._opened(entry.path, int(name[1]), compressed=compressed)
            if file:
                self._known[place] = file
                file.learn_key()
        for file in before.values():
            file.listed = False
        self._held += before.values()
        if self.begun:
            self._take_up_all()
        if not self._looked and listed:
            self.began_rotated = len(self._keys()) > 1 or any(name[2] or name[1] != "0" for _, name in listed)
            self._looked = True

    def _opened(self, path: str, restarts: int, *, compressed: bool) -> _File | None:
        """Return a file, open; ``None``: it is gone, or cannot be read."""
        try:
            return _opened(path, restarts, compressed=compressed)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unreadable = f"{path}: {error.strerror or error}"
            return None

    def begin(self, resume: tuple[Key, int] | None) -> None:
        """Begin to read behind ``resume``."""
        self.resume, self.begun = resume, True
        self._take_up_all()

    def _take_up_all(self) -> None:
        self._take_up([file for file in (*self._held, *self._known.values()) if file.key])
        unread = {id(file) for file in self._unread}
        for file in self._held:
            if id(file) not in unread:
                file.source.close()
        self._held = []

    def _unchanged(self) -> bool:
        """Return whether nothing was made, moved or removed since the look before the last; a clock has its ticks."""
        if self.unreadable or any(file.key is None for file in self._known.values()):
            return False
        try:
            changed = self.folder.stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return False
        before, looks = self._changed
        self._changed = (changed, looks + 1 if changed == before else 0)
        return self._changed[1] >= _LOOKS_AT_THE_SAME

    @property
    def drained(self) -> bool:
        """Whether the file that is being read is the newest one."""
        return len(self._unread) <= 1

    def _keys(self) -> set[Key]:
        return {file.key for file in self._known.values() if file.key}

    def _take_up(self, files: Sequence[_File]) -> None:
        """Queue the files that are new, each once: for a while one is there both as it was and compressed."""
        last = self._newest or (self.resume[0] if self.resume else None)
        follows = last is None or last in self._keys()
        new = {file.key: file for file in files if file.key and (self._newest is None or file.key > self._newest)}
        for key in sorted(new):
            file = new[key]
            if self._newest is None and self.resume and key <= self.resume[0]:
                if key < self.resume[0]:
                    continue
                follows = file.skip_to(self.resume[1])
                if not follows:
                    continue
            file.after_a_gap, follows = not follows, True
            self._unread.append(file)
        self._let_go()
        queued = {id(file) for file in self._unread}
        for file in files:
            if file.compressed and id(file) not in queued:
                file.source.close()
        self._newest = max([*new, *([self._newest] if self._newest else [])], default=None)

    def _let_go(self) -> None:
        """Close unread files that the kubelet has removed, the oldest, if there are many: nobody counts their space."""
        removed = [file for file in self._unread if not file.listed]
        for file in removed[:-_MOST_REMOVED_HELD]:
            file.source.close()
            place = self._unread.index(file)
            del self._unread[place]
            self._unread[place].after_a_gap = True  # there is one: it is newer

    def read(self, now: float) -> Records | None:
        """Return the next records; ``None``: there are none for now. ``now``: a clock's seconds that never go back."""
        while self._unread:
            file = self._unread[0]
            begin, data = file.offset, file.records()
            if data and file.key:
                file.offset += len(data)
                after_a_gap, file.after_a_gap = file.after_a_gap, False
                self._newer_since = None
                return Records(file.key, begin, data, after_a_gap)
            if len(self._unread) == 1:
                return None
            self._newer_since = now if self._newer_since is None else self._newer_since
            if now - self._newer_since < _OLD_FILE_SECONDS and not self.gone:
                return None
            self._newer_since = None
            self._close(self._unread.pop(0))
        return None

    @property
    def torn(self) -> bool:
        """Whether a file ends within a record, or does not begin with one: what a node that fails may leave behind."""
        without_key = [file for file in self._known.values() if file.key is None and not file.compressed]
        return any(file.rest for file in self._unread) or any(_size(file.source) for file in without_key)

    @property
    def open_files(self) -> int:
        """How many files are held."""
        return len({id(file) for file in (*self._known.values(), *self._unread) if not file.source.closed})

    def _close(self, file: _File) -> None:
        """Let go of a file that was read; one that is in the folder is held for its inode number."""
        if file.compressed or not file.listed:
            file.source.close()

    def close(self) -> None:
        """Let go of all files."""
        for file in (*self._known.values(), *self._held, *self._unread):
            file.source.close()


def _opened(path: str, restarts: int, *, compressed: bool) -> _File:
    """Return a file, open; raises ``OSError``, also for what is no regular file: a link could lead anywhere."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    plain = os.fdopen(descriptor, "rb", buffering=0)
    source: IO[bytes] = _Gzip(plain) if compressed else plain  # type: ignore[assignment]  # it reads like one
    return _File(source, restarts, compressed)


class _Gzip(gzip.GzipFile):
    """A compressed file that closes what it reads from."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__(fileobj=source, mode="rb")
        self._source = source

    def close(self) -> None:
        super().close()
        self._source.close()


def _read(source: IO[bytes], size: int) -> bytes:
    """Read; a compressed file that is cut off or broken has no more."""
    try:
        return source.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


def _size(source: IO[bytes]) -> int:
    return 0 if source.closed else os.fstat(source.fileno()).st_size


def _nanoseconds(found: re.Match[bytes]) -> int:
    """Return the time of a record; 0 for one that no calendar has."""
    try:
        seconds = int(datetime.fromisoformat((found[1] + found[3]).decode()).timestamp())
    except (ValueError, OverflowError):
        return 0
    return seconds * 10**9 + int((found[2] or b"").ljust(9, b"0"))
