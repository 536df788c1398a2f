"""Reading a log: the same code for one that is stored as a whole and for one that still grows."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elt_operator.archive import frames
from elt_operator.archive.manifest import State, StoredFrame, frames_from
from elt_operator.logs.store import Store


class Line(NamedTuple):
    """A line of a log."""

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
    state: State

    async def from_line(self, first: int) -> AsyncIterator[Line]:
        """Yield the lines from number ``first`` on; a line that goes on in the next frame comes as one."""
        held: Line | None = None
        for place in frames_from(self.frames, first):
            data = await self.store.get(place.key or self.key, place.offset, place.size)
            frame = frames.decoded(data)
            for number, (time, text) in enumerate(zip(frame.times, _lines(frame.text), strict=True), place.line):
                line = Line(number, time, place.attempt, text)
                if held and held.sequence == number:
                    line = held._replace(text=held.text + text)
                    held = None
                elif held:
                    yield held
                    held = None
                if not text.endswith(b"\n"):
                    held = line
                elif number >= first:
                    yield line
        if held and held.sequence >= first and self.state != "Collecting":
            yield held


def _lines(text: bytes) -> list[bytes]:
    """Return the lines of a text with their ends; only a newline ends one."""
    *whole, rest = text.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]
