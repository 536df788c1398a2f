"""Reading a log: the same code for one that is stored as a whole and for one that still grows."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from elt_operator.archive import frames
from elt_operator.archive.frames import Frame
from elt_operator.archive.manifest import State, StoredFrame, frame_of
from elt_operator.logs.store import Missing, Store
from elt_operator.text import whole_characters

_MOST_DECODED: Final = 8


class Line(NamedTuple):
    """A line of a log, or a part of one that is too long."""

    sequence: int
    """Its number, from 0."""
    time: int
    """When it was begun, in microseconds since 1970."""
    attempt: int
    text: bytes
    """With its end, if it has one."""


class Part(NamedTuple):
    """Some lines that follow one another; of the first and the last one perhaps a part."""

    text: bytes
    line: int
    """The number of the first."""
    times: Sequence[int]
    """When each was begun."""
    attempt: int

    def lines(self) -> Iterator[Line]:
        """Yield them one by one."""
        for number, (time, text) in enumerate(zip(self.times, _lines(self.text), strict=True), self.line):
            yield Line(number, time, self.attempt, text)


class Place(NamedTuple):
    """Where in a log somebody reads on."""

    line: int
    frame: int = -1
    """In which frame; -1: it is to be found."""
    byte: int = 0
    """Where in its text."""
    within: bool = False
    """Whether a part of the line was read."""


@dataclass
class Decoded:
    """Frames that were read lately: who follow a log all read the same ones."""

    store: Store
    _known: "OrderedDict[tuple[str, int], asyncio.Future[Frame]]" = field(default_factory=OrderedDict)

    async def get(self, key: str, place: StoredFrame) -> Frame:
        """Return a frame; raises ``StoreError``, and ``FrameError`` for one that is broken."""
        which = (key, place.offset)
        known = self._known.get(which)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = self._known[which] = asyncio.ensure_future(self._read(key, place))
            if len(self._known) > _MOST_DECODED:
                self._known.popitem(last=False)
        return await asyncio.shield(known)

    async def _read(self, key: str, place: StoredFrame) -> Frame:
        data = await self.store.get(key, place.offset, place.size)
        if len(data) < place.size:
            raise Missing(f"{key} is shorter than it was")
        return await asyncio.to_thread(frames.decoded, data)


@dataclass(frozen=True)
class View:
    """A log at one moment."""

    decoded: Decoded
    key: str
    """The object of frames that name none."""
    frames: Sequence[StoredFrame]
    lines: int
    """How many can be read: while it grows, a last one without an end cannot."""
    state: State
    starts: Mapping[int, int]
    """The number of the first line of each attempt."""
    gaps: int
    """In how many places something is missing."""

    def goes_on_as(self, later: "View") -> bool:
        """Return whether the lines that are here have the same numbers in ``later``."""
        return later.lines >= self.lines and self.starts.items() <= later.starts.items()

    async def read(self, at: Place, *, end: int, size: int) -> tuple[Part | None, Place]:
        """Return lines from ``at`` on, up to number ``end``, of ``size`` bytes at most; and where to go on.

        ``None``: there are no more. Raises ``StoreError``, and ``FrameError`` for what is broken.
        """
        index = frame_of(self.frames, at.line) if at.frame < 0 else at.frame
        end = min(end, self.lines)
        if at.line >= end or index >= len(self.frames):
            return None, at
        stored = self.frames[index]
        frame = await self.decoded.get(stored.key or self.key, stored)
        begin = at.byte if at.frame >= 0 else _offset(frame.text, at.line - stored.line)
        stop = _stop(frame.text, begin, begin + size, end - at.line)
        text = frame.text[begin:stop]
        whole = text.endswith(b"\n") or (
            stop == len(frame.text) and not self._goes_on(index, at.line + text.count(b"\n"))
        )
        first = at.line - stored.line
        count = text.count(b"\n") + (not text.endswith(b"\n"))
        place = Place(at.line + count - (not whole), index, stop, within=not whole)
        if stop == len(frame.text):
            place = place._replace(frame=index + 1, byte=0)
        return Part(text, at.line, frame.times[first : first + count], stored.attempt), place

    def _goes_on(self, frame: int, line: int) -> bool:
        """Return whether a line without an end goes on in the next frame."""
        return frame + 1 < len(self.frames) and self.frames[frame + 1].line == line


def _stop(text: bytes, begin: int, stop: int, lines: int) -> int:
    """Return where to stop: behind so many lines at most, at the end of one if there is any, else of a character."""
    if text.count(b"\n", begin, stop) >= lines:
        return begin + _offset(text[begin:stop], lines)
    if stop >= len(text):
        return len(text)
    return text.rfind(b"\n", begin, stop) + 1 or whole_characters(text, begin, stop)


def _offset(text: bytes, lines: int) -> int:
    """Return where in a text the line begins before which there are so many; its end: there are less."""
    place = 0
    for _ in range(lines):
        place = text.find(b"\n", place) + 1
        if not place:
            return len(text)
    return place


def _lines(text: bytes) -> Iterator[bytes]:
    """Yield the lines of a text with their ends; only a newline ends one."""
    *whole, rest = text.split(b"\n")
    yield from (line + b"\n" for line in whole)
    if rest:
        yield rest
