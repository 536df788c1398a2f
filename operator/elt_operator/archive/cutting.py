"""Cutting a log into frames, each of which says where a reader goes on that knows nothing else."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from elt_operator.archive.cri import Piece
from elt_operator.archive.frames import MOST_LINES, TEXT_BYTES, Envelope, Frame, Gap, GapReason, Position
from elt_operator.archive.masking import Masker

_MOST_KEPT_BACK = 4 * TEXT_BYTES
"""How much is kept back at most because a line of another stream is unfinished."""


@dataclass
class _Missing:
    """Something that is missing in what waits."""

    where: int
    """Behind how many bytes of text."""
    line: int
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
    _whole: tuple[int, int] = (0, 0)
    """How much of text and times can be cut off: behind that no line is unfinished."""
    _next: tuple[str, int] | None = None
    """File and offset behind what can be cut off."""
    _missing: list[_Missing] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether something is there that could be cut off."""
        return bool(self._whole[0] or self._missing)

    @property
    def size(self) -> int:
        """How many bytes of text wait."""
        return len(self._text)

    def take(self, piece: Piece, file: str) -> Iterator[Frame]:
        """Take a piece that ends in ``file``; yield the frame that is full by it."""
        if not self._text or self._text.endswith(b"\n"):
            self._times.append(piece.time)
        for missing in self._missing:
            missing.before = piece.time if missing.before is None else missing.before
        self._text += piece.text
        if piece.resume is not None:
            self._whole = (len(self._text), len(self._times))
            self._next = (file, piece.resume)
        if len(self._text) >= TEXT_BYTES or len(self._times) >= MOST_LINES - 1:
            yield from self.cut()

    def miss(self, reason: GapReason) -> None:
        """Say that something is missing before the next piece."""
        after = self._times[-1] if self._times else self.last_time
        self._missing.append(_Missing(len(self._text), self._text.count(b"\n"), after, reason))

    @property
    def overdue(self) -> bool:
        """Whether an unfinished line keeps back too much: it has to be taken as it is."""
        return len(self._text) >= _MOST_KEPT_BACK or len(self._times) >= 2 * MOST_LINES

    def cut(self, *, closed: bool = False) -> Iterator[Frame]:
        """Yield a frame of all that can be cut off; with ``closed``, of all there is, even if that is nothing."""
        size, lines = (len(self._text), len(self._times)) if closed else self._whole
        if not (size or closed or self._missing):
            return
        before = self.masker.hidden
        text, times = self.masker.mask(bytes(self._text[:size])), self._times[:lines]
        gaps = [_gap(missing) for missing in self._missing if missing.where <= size]
        self._drop(size, lines)
        self.number += 1
        self.last_time = times[-1] if times else self.last_time
        self.position = self._position()
        yield Frame(text, times, Envelope(
            pod=self.pod, number=self.number, position=self.position, last_time=self.last_time,
            gaps=gaps, hidden=self.masker.hidden - before, closed=closed,
        ))  # fmt: skip

    def _position(self) -> Position | None:
        if self._next:
            return Position(file=self._next[0], offset=self._next[1], in_key=self.masker.in_key)
        return self.position and self.position.model_copy(update={"in_key": self.masker.in_key})

    def _drop(self, size: int, lines: int) -> None:
        """Forget what was cut off; a line that goes on behind it keeps its time."""
        cut_off = self._text.count(b"\n", 0, size)
        goes_on = 0 < size < len(self._text) and not self._text.endswith(b"\n", 0, size)
        self._times = self._times[lines - goes_on :]
        del self._text[:size]
        self._whole = (0, 0)
        self._missing = [missing for missing in self._missing if missing.where > size]
        for missing in self._missing:
            missing.where, missing.line = missing.where - size, missing.line - cut_off


def _gap(missing: _Missing) -> Gap:
    return Gap(line=missing.line, after=missing.after, before=missing.before, reason=missing.reason)
