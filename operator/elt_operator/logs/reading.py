"""Reading a log: the same code for one that is stored as a whole and for one that still grows."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elt_operator.archive import frames
from elt_operator.archive.manifest import State, StoredFrame, frames_from
from elt_operator.logs.store import Missing, Store


class Line(NamedTuple):
    """A line of a log, or a part of one that goes on in the next frame."""

    sequence: int
    """Its number, from 0."""
    time: int
    """When it was begun, in microseconds since 1970."""
    attempt: int
    text: bytes
    """With its end, if it has one."""


@dataclass(frozen=True)
class View:
    """A log at one moment."""

    store: Store
    key: str
    """The object of frames that name none."""
    frames: Sequence[StoredFrame]
    lines: int
    """How many can be read: while it grows, a last one without an end cannot."""
    state: State
    starts: Mapping[int, int]
    """The number of the first line of each attempt."""

    def goes_on_as(self, later: "View") -> bool:
        """Return whether the lines that are here have the same numbers in ``later``."""
        return later.lines >= self.lines and self.starts.items() <= later.starts.items()

    async def from_line(self, first: int) -> AsyncIterator[Line]:
        """Yield the lines from number ``first`` on; raises ``StoreError``, and ``FrameError`` for what is broken."""
        for place in frames_from(self.frames, first):
            data = await self.store.get(place.key or self.key, place.offset, place.size)
            if len(data) < place.size:
                raise Missing(f"{place.key or self.key} is shorter than it was")
            frame = frames.decoded(data)
            for number, (time, text) in enumerate(zip(frame.times, _lines(frame.text), strict=True), place.line):
                if number >= self.lines:
                    return
                if number >= first:
                    yield Line(number, time, place.attempt, text)


def _lines(text: bytes) -> Iterator[bytes]:
    """Yield the lines of a text with their ends; only a newline ends one."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end
