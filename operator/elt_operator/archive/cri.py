"""Log files of a kubelet, read as what the process wrote.

A record is a line ``<time> <stream> <tag> <content>``: tag F ends a line of the process, and P says that it goes on in
the stream's next record, which a rotation may put into the next file (CRI logging:
https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from elt_operator.archive import masking

LONGEST_LINE: Final = 1024 * 1024
"""Of a longer line this much is handed on at a time; what another stream says meanwhile may come in between."""
_TIME: Final = rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2}) "
_TIMED: Final = re.compile(_TIME)
_RECORD: Final = re.compile(_TIME + rb"(stdout|stderr) ([FP])[^ \n]{0,64} ?([^\n]*)\n")
STREAMS: Final = (b"stdout", b"stderr")
"""What no runtime writes is counted with the first."""
_MICROSECONDS: Final = 1_000_000
_REMEMBERED: Final = 64
_KEPT: Final = 16 * 1024
"""How much of an unfinished line is not handed on before it has to be: a secret may go on."""


class Resume(NamedTuple):
    """Where a reader goes on that has nothing but the files."""

    file: str
    offset: int
    """Where no line was unfinished."""
    skip: tuple[int, int]
    """How many bytes of each of ``STREAMS`` are handed on already from there on, while a line had no end."""
    reached_file: str
    """Up to where all was read; from there on if ``file`` is gone."""
    reached_offset: int


class Piece(NamedTuple):
    """What a process wrote: a line, or a part of one that is too long."""

    stream: int
    """Of ``STREAMS``."""
    time: int
    """When its first record was written, in microseconds since 1970."""
    text: bytes
    """With a newline at the end if the process wrote one."""
    resume: Resume
    """Behind it."""


@dataclass
class Unfinished:
    """A line of which the end is still to come."""

    time: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


@dataclass
class Joiner:
    """Joins the records of one container to pieces, across its files."""

    unfinished: dict[int, Unfinished] = field(default_factory=dict)
    """By stream."""
    _time: int = 0
    """Of the last record."""
    _seconds: dict[bytes, int] = field(default_factory=dict)
    _clean: tuple[str, int] = ("", 0)
    """File and offset at which last no line was unfinished."""
    _since: list[int] = field(default_factory=lambda: [0, 0])
    """How many bytes of each stream were yielded since then."""

    def begin(self, file: str, offset: int) -> None:
        """Begin at a place where no line is unfinished."""
        self._clean, self._since = (file, offset), [0, 0]

    @property
    def size(self) -> int:
        """How many bytes of unfinished lines are held."""
        return sum(line.size for line in self.unfinished.values())

    def feed(self, records: bytes, file: str, offset: int) -> Iterator[Piece]:
        """Yield the pieces that end in ``records``, whole ones, of which the first begins at ``offset`` of ``file``."""
        position = 0
        while position < len(records):
            found = _RECORD.match(records, position)
            if found:
                second, fraction, zone, name, tag, content = found.groups()
                position = found.end()
                stream, ends = STREAMS.index(name), tag == b"F"
                self._time = self._moment(second + zone) + int((fraction or b"").ljust(6, b"0")[:6])
            else:  # nothing that a runtime writes: it is kept as it is
                end = records.index(b"\n", position)
                stream, ends, content = 0, True, records[position:end]
                position = end + 1
            pieces = self._joined(stream, content, ends=ends)
            yield from self._placed(stream, pieces, file, offset + position)

    def _placed(self, stream: int, pieces: list[tuple[int, bytes]], file: str, offset: int) -> Iterator[Piece]:
        """Yield pieces with the place where a reader goes on behind each; ``offset`` of ``file`` follows the last."""
        for index, (time, text) in enumerate(pieces):
            self._since[stream] += len(text)
            if not self.unfinished and index == len(pieces) - 1:
                self.begin(file, offset)
            yield Piece(stream, time, text, Resume(*self._clean, (self._since[0], self._since[1]), file, offset))
        if not (pieces or self.unfinished):
            self.begin(file, offset)

    def _joined(self, stream: int, content: bytes, *, ends: bool) -> list[tuple[int, bytes]]:
        """Return times and texts of the pieces that are there with a record."""
        line = self.unfinished.pop(stream, None)
        if line is None and ends and len(content) < LONGEST_LINE:
            return [(self._time, content + b"\n")]
        line = line or Unfinished(self._time)
        line.parts.append(content)
        line.size += len(content)
        found = []
        while line.size >= LONGEST_LINE:
            found.append((line.time, self._cut(line)))
        if ends:
            return [*found, (line.time, b"".join([*line.parts, b"\n"]))]
        self.unfinished[stream] = line
        return found

    def _cut(self, line: Unfinished) -> bytes:
        """Take the beginning of a line that is too long, and return it."""
        text = b"".join(line.parts)
        place = masking.place_to_cut(text[:LONGEST_LINE])
        line.parts, line.size = [text[place:]], len(text) - place
        return text[:place]

    def hand_on(self, file: str, offset: int) -> list[Piece]:
        """Return the beginnings of the unfinished lines, and keep as little of them as can be."""
        found: list[Piece] = []
        for stream, line in self.unfinished.items():
            if line.size > _KEPT:
                found += self._placed(stream, [(line.time, self._cut(line))], file, offset)
        return found

    def rest(self, file: str, offset: int) -> list[Piece]:
        """Return the unfinished lines, the oldest first, and forget them; ``offset`` of ``file`` follows."""
        lines = sorted(self.unfinished.items(), key=lambda item: item[1].time)
        self.unfinished = {}
        self.begin(file, offset)
        behind = Resume(file, offset, (0, 0), file, offset)
        return [Piece(stream, line.time, b"".join(line.parts), behind) for stream, line in lines if line.size]

    def _moment(self, second: bytes) -> int:
        """Return a time without its fraction in microseconds; a time that no calendar has is the one before."""
        known = self._seconds.get(second)
        if known is None:
            if len(self._seconds) >= _REMEMBERED:
                self._seconds.clear()
            seconds = _seconds(second)
            known = self._time // _MICROSECONDS if seconds is None else seconds
            known *= _MICROSECONDS
            self._seconds[second] = known
        return known


class NotOfTheRun(ValueError):
    """A line of an answer is not the run's: the kubelet speaks itself, with code 200."""


def timed_line(line: bytes) -> tuple[int, bytes]:
    """Return time, in microseconds since 1970, and text of a line of pods/log with ``timestamps=true``.

    Raises ``NotOfTheRun`` for one without a time.
    """
    stamp = stamped(line)
    if stamp is None:
        raise NotOfTheRun(line[:200].decode(errors="replace").strip())
    nanoseconds, end = stamp
    return nanoseconds // 1000, line[end:]


def stamped(line: bytes) -> tuple[int, int] | None:
    """Return the time with which a line begins, in nanoseconds since 1970, and where its content does.

    ``None``: it begins with none, or with one that no calendar has.
    """
    found = _TIMED.match(line)
    if found is None:
        return None
    second, fraction, zone = found.groups()
    seconds = _seconds(second + zone)
    if seconds is None:
        return None
    return seconds * 10**9 + int((fraction or b"").ljust(9, b"0")), found.end()


def _seconds(text: bytes) -> int | None:
    """Return a time in seconds since 1970, of which there is none before; ``None``: no calendar has it."""
    try:
        return max(0, int(datetime.fromisoformat(text.decode()).timestamp()))
    except (ValueError, OverflowError):
        return None
