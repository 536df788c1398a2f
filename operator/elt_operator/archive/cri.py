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
_MICROSECONDS: Final = 1_000_000
_REMEMBERED: Final = 64


class Resume(NamedTuple):
    """Where a reader goes on that has nothing but the files."""

    file: str
    offset: int
    """Where no line was unfinished."""
    skip: int
    """How many pieces from there on are handed on already: lines that ended while another one had not."""
    reached_file: str
    """Up to where all was read; from there on if ``file`` is gone."""
    reached_offset: int


class Piece(NamedTuple):
    """What a process wrote: a line, or a part of one that is too long."""

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

    unfinished: dict[bytes, Unfinished] = field(default_factory=dict)
    """By stream."""
    _time: int = 0
    """Of the last record."""
    _seconds: dict[bytes, int] = field(default_factory=dict)
    _clean: tuple[str, int] = ("", 0)
    """File and offset at which last no line was unfinished."""
    _since: int = 0
    """How many pieces were yielded since then."""

    def begin(self, file: str, offset: int) -> None:
        """Begin at a place where no line is unfinished."""
        self._clean, self._since = (file, offset), 0

    @property
    def size(self) -> int:
        """How many bytes of unfinished lines are held."""
        return sum(line.size for line in self.unfinished.values())

    def feed(self, records: bytes, file: str, offset: int) -> Iterator[Piece]:
        """Yield the pieces that end in ``records``, whole ones, of which the first begins at ``offset`` of ``file``."""
        position = 0
        while position < len(records):
            found = _RECORD.match(records, position)
            piece: tuple[int, bytes] | None
            if found:
                second, fraction, zone, stream, tag, content = found.groups()
                position = found.end()
                self._time = self._moment(second + zone) + int((fraction or b"").ljust(6, b"0")[:6])
                piece = self._joined(stream, content, ends=tag == b"F")
            else:  # nothing that a runtime writes: it is kept as it is
                end = records.index(b"\n", position) + 1
                piece = self._time, records[position:end]
                position = end
            self._since += piece is not None
            if not self.unfinished:
                self._clean, self._since = (file, offset + position), 0
            if piece is not None:
                yield Piece(*piece, Resume(*self._clean, self._since, file, offset + position))

    def _joined(self, stream: bytes, content: bytes, *, ends: bool) -> tuple[int, bytes] | None:
        """Return time and text of the piece that a record ends; ``None``: it goes on."""
        line = self.unfinished.pop(stream, None)
        if line is None and ends:
            return self._time, content + b"\n"
        line = line or Unfinished(self._time)
        line.parts.append(content)
        line.size += len(content)
        if ends:
            return line.time, b"".join([*line.parts, b"\n"])
        self.unfinished[stream] = line
        if line.size < LONGEST_LINE:
            return None
        text = b"".join(line.parts)
        place = masking.place_to_cut(text)
        line.parts, line.size = [text[place:]], len(text) - place
        return line.time, text[:place]

    def rest(self, file: str, offset: int) -> list[Piece]:
        """Return the unfinished lines, the oldest first, and forget them; ``offset`` of ``file`` follows."""
        lines = sorted(self.unfinished.values(), key=lambda line: line.time)
        self.unfinished = {}
        self.begin(file, offset)
        return [
            Piece(line.time, b"".join(line.parts), Resume(file, offset, 0, file, offset)) for line in lines if line.size
        ]

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
