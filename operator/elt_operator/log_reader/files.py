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
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NamedTuple

from elt_operator.archive import cri
from elt_operator.archive.frames import GapReason
from elt_operator.log_reader.changes import Changes

BLOCK_BYTES: Final = 256 * 1024
_OLD_FILE_SECONDS: Final = 0.5
"""How long a file is read on when there is a newer one: the runtime makes that before it lets go of the old one."""
_NAME: Final = re.compile(r"([0-9]{1,6})\.log(\.[0-9]{8}-[0-9]{6})?(\.gz)?")
"""The container's restarts, the time of the rotation, and whether it is compressed
(pkg/kubelet/logs/container_log_manager.go)."""
_FIRST_BYTES: Final = 40
_Listed = tuple[os.DirEntry[str], re.Match[str]]
_DAMAGES: Final = (EOFError, zlib.error, gzip.BadGzipFile)
_MOST_BLOCKS: Final = 32
"""Of a record that is longer than so many blocks, and no runtime's, nothing is read."""
_MOST_LISTINGS: Final = 5
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


Skip = tuple[int, int]
"""How many bytes of stdout and of stderr."""
NOTHING: Final[Skip] = (0, 0)


class Records(NamedTuple):
    """A part of a file: whole records."""

    key: Key
    offset: int
    """Where it begins."""
    data: bytes
    gap: GapReason | None
    """Why something before it is missing; ``None``: nothing is."""
    skip: Skip
    """How much of its beginning is known."""


class Begin(NamedTuple):
    """Behind what to begin."""

    key: Key
    offset: int
    skip: Skip
    """How much from there on is known."""
    reached: tuple[Key, int]
    """Up to where all was read; there if the file is gone."""


@dataclass(eq=False)
class _File:
    source: IO[bytes]
    restarts: int
    compressed: bool
    key: Key | None = None
    """``None`` while it has no line."""
    offset: int = 0
    """Up to where its records were read."""
    _rest: list[bytes] = field(default_factory=list)
    """The beginning of a record that is not all there."""
    _passes: bool = False
    """Whether the record is passed over."""
    gap: GapReason | None = None
    """Why something is missing before what is read next."""
    skip: Skip = NOTHING
    """How much of what is read next is known."""
    fresh: bool = True
    """Whether it was never taken up."""
    listed: bool = True
    """Whether it is in the folder."""
    damaged: bool = False
    """Whether it cannot be read to its end."""
    current: bool = False
    """Whether it has the name of the one that is written."""

    def learn_key(self) -> None:
        """Read its first line's time; of a compressed one, which does not grow, at the first look only."""
        if self.key is None and not self.source.closed:
            self.source.seek(0)
            if stamp := cri.stamped(self._read(_FIRST_BYTES)):
                self.key = Key(self.restarts, stamp[0])
            self.source.seek(0)

    def records(self) -> bytes:
        """Return the next records, whole ones; empty: there are none yet."""
        while block := self._read(BLOCK_BYTES):
            if self._passes and not (block := self._without_the_rest(block)):
                continue
            end = block.rfind(b"\n") + 1
            if end:
                records, self._rest = b"".join((*self._rest, block[:end])), [block[end:]] if block[end:] else []
                return records
            self._rest.append(block)
            if len(self._rest) > _MOST_BLOCKS:
                self.offset += sum(map(len, self._rest))
                self._rest, self._passes, self.gap = [], True, "Broken"
        if not self.compressed and self.size < self.offset + sum(map(len, self._rest)):  # somebody has emptied it
            self.source.seek(0)
            self.offset, self._rest, self.gap, self.skip = 0, [], "Broken", NOTHING
        return b""

    def _without_the_rest(self, block: bytes) -> bytes:
        """Return what follows a record that is longer than memory allows, and is passed over."""
        end = block.find(b"\n") + 1
        self.offset += end or len(block)
        self._passes = not end
        return block[end:] if end else b""

    def skip_to(self, offset: int, skip: Skip) -> None:
        """Go on at ``offset``, where a record ends; at the beginning where that is not so: it was written anew."""
        self.offset, self.skip = offset, skip
        if offset and self._byte_before(offset) != b"\n":
            self.source.seek(0)
            self.offset, self.gap, self.skip = 0, "Broken", NOTHING

    def _byte_before(self, offset: int) -> bytes:
        try:
            self.source.seek(offset - 1)
        except _DAMAGES:
            return b""
        return self._read(1)

    def _read(self, size: int) -> bytes:
        """Read; a compressed file that is cut off or broken has no more."""
        try:
            return self.source.read(size)
        except _DAMAGES:
            self.damaged = True
            return b""

    @property
    def size(self) -> int:
        """How many bytes it has, as it is on the disk."""
        return 0 if self.source.closed else os.fstat(self.source.fileno()).st_size

    @property
    def was_renamed(self) -> bool:
        """Whether it has another name than when it was written; also told of one that was removed since."""
        try:
            name = Path(f"/proc/self/fd/{self.source.fileno()}").readlink().name.removesuffix(" (deleted)")
        except (OSError, ValueError):  # it is closed; or not on Linux
            return False
        found = _NAME.fullmatch(name)
        return bool(found and found[2])

    @property
    def is_torn(self) -> bool:
        """Whether it ends within a record, or cannot be read to its end."""
        return bool(self._rest) or self._passes or self.damaged or self.gap == "Broken"


@dataclass
class ContainerFiles:
    """The files of one container. ``now`` is a clock's seconds that never go back."""

    folder: Path
    resume: Begin | None = None
    """Up to where the log is known already."""
    begun: bool = False
    """Whether that is known; until then files are only held."""
    gone: bool = False
    """Whether the folder was removed: its process has ended, and what it wrote is in the files that are open."""
    unreadable: str = ""
    """Why a file could not be opened at the last look; empty: none was refused."""
    lost_the_last: bool = False
    """Whether the folder was removed with a file that nobody has seen: there was a rotation before."""
    began_rotated: bool = False
    """Whether older files may have been removed before the first look."""
    _known: dict[str | int, _File] = field(default_factory=dict)
    """What is in the folder: by its name what is compressed, else by inode number, which is ours while it is open."""
    _held: list[_File] = field(default_factory=list)
    """What has left the folder before it was begun."""
    _unread: list[_File] = field(default_factory=list)
    """The first is being read."""
    _seen: set[Key] = field(default_factory=set)
    """Which files were taken up, or were known before."""
    _looked: bool = False
    _listed: set[Key] = field(default_factory=set)
    """Which files were ever in the folder."""
    _newest: Key | None = None
    """The newest of them."""
    _current: _File | None = None
    """The one that was being written at the last look."""
    _changes: Changes = field(default_factory=Changes)
    _newer_since: float | None = None
    """Since when there is a newer file than the one that is being read."""

    @property
    def holds_files(self) -> bool:
        """Whether there is something to read, even if the folder is gone."""
        return bool(self._known or self._held or self._unread)

    def look(self, now: float) -> None:
        """Take up the files that are new."""
        if self.gone or self._is_unchanged(now):
            return
        first, self.unreadable = not self._looked, ""
        before: dict[str | int, _File] = {}
        listed: list[_Listed] = []
        for _ in range(_MOST_LISTINGS):
            listed = self._list()
            before, self._known = before | self._known, {}
            as_listed = [self._look_at(entry, name, before) for entry, name in listed]
            if all(as_listed):
                break
        for file in before.values():  # it may have got its first line since the last look
            file.listed = file.current = False
            file.learn_key()
        self._notice_a_jump()
        self._held += before.values()
        if self.begun:
            self._take_up_all()
        else:
            self._let_go(self._held)
        if first and listed:
            self.began_rotated = len(self._known) > 1 or any(name[2] or name[1] != "0" for _, name in listed)
            self._looked = True

    def _list(self) -> list[_Listed]:
        try:
            with os.scandir(self.folder) as entries:
                return [(entry, name) for entry in entries if (name := _NAME.fullmatch(entry.name))]
        except (FileNotFoundError, NotADirectoryError):
            self.gone = True
            self.lost_the_last = self._current is not None and self._current.was_renamed
            return []

    def _notice_a_jump(self) -> None:
        """Say of the first new file that something is missing before it, if what was the newest one is removed.

        The oldest ones are removed first: while that is there, so is all that came after it.
        """
        listed = {file.key for file in self._known.values()}
        new = [(file.key, file) for file in self._known.values() if file.key and file.key not in self._listed]
        if self._newest and self._newest not in listed and new:
            min(new, key=lambda found: _order(*found))[1].gap = "Rotated"
        self._listed |= {key for key, _ in new}
        if new:
            self._newest, _ = max(new, key=lambda found: _order(*found))

    def _look_at(self, entry: os.DirEntry[str], name: re.Match[str], before: dict[str | int, _File]) -> bool:
        """Take notice of a file; return whether it is still what was listed: there may be a rotation meanwhile."""
        compressed = bool(name[3])
        place: str | int = entry.name if compressed else entry.inode()
        file = before.pop(place, None)
        if file is None and (file := self._opened(entry.path, int(name[1]), compressed=compressed)):
            # It may have got this name since the folder was listed, and be known by another one.
            place = place if compressed else os.fstat(file.source.fileno()).st_ino
            if known := before.pop(place, None) or self._known.get(place):
                file.source.close()
                file = known
        if file is None:
            return bool(self.unreadable)
        self._known[place] = file
        file.learn_key()
        file.current = not (name[2] or compressed)
        self._current = file if file.current else self._current
        return compressed or place == entry.inode()

    def _opened(self, path: str, restarts: int, *, compressed: bool) -> _File | None:
        """Return a file, open; ``None``: it is gone, or cannot be read."""
        try:
            return _opened(path, restarts, compressed=compressed)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unreadable = f"{path}: {error.strerror or error}"
            return None

    def begin(self, resume: Begin | None) -> None:
        """Begin to read behind ``resume``."""
        self.resume, self.begun = resume, True
        self._take_up_all()

    def _is_unchanged(self, now: float) -> bool:
        if self.unreadable or any(file.key is None and not file.compressed for file in self._known.values()):
            return False
        return self._changes.is_unchanged(self.folder, now)

    @property
    def drained(self) -> bool:
        """Whether the file that is being read is the newest one."""
        return len(self._unread) <= 1

    def _keys(self) -> set[Key]:
        return {file.key for file in (*self._held, *self._known.values()) if file.key}

    def _take_up_all(self) -> None:
        """Queue the files that are new, each once: for a while one is there both as it was and compressed."""
        follows = bool(self._seen) or self._find_the_beginning()
        files = [(file.key, file) for file in (*self._held, *self._known.values()) if file.key and file.fresh]
        first = not self._seen
        for key, file in sorted(files, key=lambda found: _order(*found)):
            file.fresh = False
            is_new = self._is_new(key, file, first=first)
            self._seen.add(key)
            if not is_new:
                continue
            if first and file.current and self._is_before_another(key):
                file.gap = "Broken"
            if self.resume and key == self.resume.key and first:
                file.skip_to(self.resume.offset, self.resume.skip)
            file.gap, follows = file.gap or (None if follows else "Rotated"), True
            self._unread.append(file)
        self._close_all_but_unread()
        self._let_go(self._unread)

    def _find_the_beginning(self) -> bool:
        """Return whether the file is there in which the log goes on; else it goes on where all was read, if it can."""
        keys = self._keys()
        if self.resume is None or self.resume.key in keys:
            return True
        if keys:
            self.resume = Begin(*self.resume.reached, NOTHING, self.resume.reached)
        return False

    def _is_new(self, key: Key, file: _File, *, first: bool) -> bool:
        """Return whether nothing of a file was taken up. A clock may go back, so only the first look goes by times."""
        if not first:
            return not file.compressed or key not in self._seen
        written_last = file.current and self.resume is not None and key.restarts >= self.resume.key.restarts
        return (self.resume is None or key >= self.resume.key or written_last) and key not in self._seen

    def _is_before_another(self, key: Key) -> bool:
        """Return whether the clock was set back: then nobody knows in which order the files before were written."""
        others = self._keys() | ({self.resume.key} if self.resume else set())
        return any(other.restarts == key.restarts and other > key for other in others)

    def _close_all_but_unread(self) -> None:
        unread = set(self._unread)
        for file in (*self._held, *(known for known in self._known.values() if known.compressed)):
            if file not in unread:
                file.source.close()
        self._held = []

    def _let_go(self, files: list[_File]) -> None:
        """Close files that the kubelet has removed, the oldest, if there are many: nobody counts their space."""
        removed = [file for file in files if not file.listed]
        for file in removed[:-_MOST_REMOVED_HELD]:
            file.source.close()
            place = files.index(file)
            del files[place]
            files[place].gap = "Rotated"  # there is one: it is newer

    def read(self, now: float) -> Records | None:
        """Return the next records; ``None``: there are none for now."""
        while self._unread:
            file = self._unread[0]
            data = file.records()
            begin = file.offset
            if data and file.key:
                file.offset += len(data)
                gap, skip, file.gap, file.skip = file.gap, file.skip, None, NOTHING
                self._newer_since = None
                return Records(file.key, begin, data, gap, skip)
            if len(self._unread) == 1:
                return None
            self._newer_since = now if self._newer_since is None else self._newer_since
            if now - self._newer_since < _OLD_FILE_SECONDS and not self.gone:
                return None
            self._newer_since = None
            self._close(self._unread.pop(0))
            if file.is_torn:
                self._unread[0].gap = self._unread[0].gap or "Broken"
        return None

    @property
    def torn(self) -> bool:
        """Whether a file ends within a record, or does not begin with one: what a node that fails may leave behind."""
        without_key = [file for file in self._known.values() if file.key is None]
        return any(file.is_torn for file in self._unread) or any(
            file.damaged or (file.size and not file.compressed) for file in without_key
        )

    @property
    def open_files(self) -> int:
        """How many files are held."""
        files = {*self._known.values(), *self._held, *self._unread}
        return sum(not file.source.closed for file in files)

    def _close(self, file: _File) -> None:
        """Let go of a file that was read; one that is in the folder is held for its inode number."""
        if file.compressed or not file.listed:
            file.source.close()

    def close(self) -> None:
        """Let go of all files."""
        for file in (*self._known.values(), *self._held, *self._unread):
            file.source.close()


def _order(key: Key, file: _File) -> tuple[int, bool, Key, bool]:
    """Return by what files are put in order: the one that is written is the last, whatever a clock says."""
    return key.restarts, file.current, key, file.compressed


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

    def read(self, size: int | None = -1) -> bytes:
        """Return what can be had, at most ``size`` bytes: of a file that is cut off, what is before the cut."""
        return self.read1(-1 if size is None else size)

    def close(self) -> None:
        super().close()
        self._source.close()
