"""Cutting a log into frames, each of which says where a reader goes on that knows nothing else."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from elt_operator.archive.cri import Piece, Resume
from elt_operator.archive.frames import MOST_LINES, TEXT_BYTES, Envelope, Frame, Gap, GapReason, Position
from elt_operator.archive.masking import Masker


@dataclass
class _Missing:
    """Something that is missing in what waits."""

    line: int
    """Behind how many ends of lines."""
    after: int | None
    reason: GapReason
    before: int | None = None


@dataclass
class Cutter:
    """Makes frames of the pieces of one pod's log."""

    pod: str
    masker: Masker
    number: int = 0
    """Of the last frame."""
    position: Position | None = None
    """Behind the last frame."""
    last_time: int | None = None
    """When the last line that is in a frame was written."""
    _text: bytearray = field(default_factory=bytearray)
    """What waits."""
    _times: "array[int]" = field(default_factory=lambda: array("q"))
    """When each line of it was begun."""
    _next: Resume | None = None
    """Behind it."""
    _missing: list[_Missing] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether something is there that could be cut off."""
        return bool(self._text or self._missing)

    @property
    def size(self) -> int:
        """How many bytes of text wait."""
        return len(self._text)

    def take(self, piece: Piece) -> Iterator[Frame]:
        """Take a piece; yield the frame that is full by it."""
        if not self._text or self._text.endswith(b"\n"):
            self._times.append(piece.time)
        for missing in self._missing:
            missing.before = piece.time if missing.before is None else missing.before
        self._text += piece.text
        self._next = piece.resume
        if len(self._text) >= TEXT_BYTES or len(self._times) >= MOST_LINES - 1:
            yield from self.cut()

    def miss(self, reason: GapReason) -> None:
        """Say that something is missing before the next piece."""
        after = self._times[-1] if self._times else self.last_time
        self._missing.append(_Missing(self._text.count(b"\n"), after, reason))

    def cut(self, *, closed: bool = False) -> Iterator[Frame]:
        """Yield a frame of all that waits; with ``closed``, even if that is nothing."""
        if not (self.waits or closed):
            return
        before = self.masker.hidden
        text, times = self.masker.mask(bytes(self._text)), self._times
        gaps = [_gap(missing) for missing in self._missing]
        self._text, self._times, self._missing = bytearray(), array("q"), []
        self.number += 1
        self.last_time = times[-1] if times else self.last_time
        self.position = self._position()
        yield Frame(text, times, Envelope(
            pod=self.pod, number=self.number, position=self.position, last_time=self.last_time,
            gaps=gaps, hidden=self.masker.hidden - before, closed=closed,
        ))  # fmt: skip

    def _position(self) -> Position | None:
        if self._next:
            return Position(**self._next._asdict(), in_key=self.masker.in_key)
        return self.position and self.position.model_copy(update={"in_key": self.masker.in_key})


def _gap(missing: _Missing) -> Gap:
    return Gap(line=missing.line, after=missing.after, before=missing.before, reason=missing.reason)
