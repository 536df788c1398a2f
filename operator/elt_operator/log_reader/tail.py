"""The log of one pod, from the kubelet's files to frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.archive.cri import Joiner, Piece
from elt_operator.archive.cutting import Cutter
from elt_operator.archive.exchange import Known
from elt_operator.archive.frames import Frame, Position
from elt_operator.archive.masking import Masker
from elt_operator.log_reader.files import NOTHING, Begin, ContainerFiles, Key, Records

FOLLOWED_SECONDS: Final = 0.5
"""How long a line waits for its frame while somebody follows the log."""
YOUNG_SECONDS: Final = 10.0
OLD_SECONDS: Final = 60.0
"""How long it waits else: in the first minutes of a run, and later."""
_YOUNG_FOR_SECONDS: Final = 300.0
_QUIET_SECONDS: Final = 0.5
"""How long nothing more must have come of a container that has ended."""


@dataclass
class Tail:
    """Reads on where the keeper's frames end; ``now`` is a clock's seconds that never go back."""

    pod: str
    """The pod's UID."""
    files: ContainerFiles
    since: float
    """When it was taken up."""
    cutter: Cutter
    ended: bool = False
    """Whether the container is known to have ended: all that it wrote is in its files."""
    followed: bool = False
    closed: bool = False
    bytes_read: int = 0
    held_back: bool = False
    """Whether reading had to wait: then that is why something is missing, if it is."""
    _skip: list[int] = field(default_factory=lambda: [*NOTHING])
    """How many of the next bytes of each stream are known."""
    _at: tuple[str, int] = ("", 0)
    """File and offset up to which was read."""
    _restarts: int = 0
    """How often the container had been restarted when it wrote what was read last."""
    _begun: bool = False
    """Whether something was read."""
    _quiet_since: float | None = None
    _joiner: Joiner = field(default_factory=Joiner)
    _waits_since: float | None = None
    """Since when a line waits for its frame."""

    @classmethod
    def of(cls, pod: str, files: ContainerFiles, now: float, known: Known, patterns: Sequence[Any] = ()) -> "Tail":
        """Return the tail of a pod of which the keeper knows ``known``; raises ``ValueError`` for nonsense."""
        position = known.position
        files.begin(_begin(position) if position else None)
        masker = Masker(patterns, in_key=position.in_key if position else 0)
        cutter = Cutter(pod, masker, known.number, position, known.last_time)
        return cls(pod, files, now, cutter)

    def step(self, now: float) -> Iterator[Frame]:
        """Read a block of the log; yield the frames that are full, or due, by it."""
        if records := self.files.read(now):
            self._quiet_since = None
            self.bytes_read += len(records.data)
            yield from self._take(records)
        elif (self.ended or self.files.gone) and self._is_quiet(now):
            yield from self._close()
            return
        if not self.cutter.waits:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        elif now - self._waits_since >= self._patience(now):
            self._waits_since = None
            yield from self.cutter.cut()

    def _is_quiet(self, now: float) -> bool:
        """Return whether all files are read, and nothing came for a moment."""
        self._quiet_since = now if self._quiet_since is None else self._quiet_since
        return self.files.drained and (self.files.gone or now - self._quiet_since >= _QUIET_SECONDS)

    def _take(self, records: Records) -> Iterator[Frame]:
        file = str(records.key)
        if not self._begun:
            self._joiner.begin(file, records.offset)
        if records.gap or records.key.restarts != self._restarts:
            yield from self._take_unfinished(file, records.offset)
        self._tell_of_a_late_start()
        if records.gap:
            self.cutter.miss("SpoolFull" if self.held_back else records.gap)
        self._restarts = records.key.restarts
        self._skip = [known + more for known, more in zip(self._skip, records.skip, strict=True)]
        self._begun, self.held_back = True, False
        self._at = (file, records.offset + len(records.data))
        for piece in self._joiner.feed(records.data, file, records.offset):
            yield from self._take_piece(piece)

    def _take_piece(self, piece: Piece) -> Iterator[Frame]:
        known = min(self._skip[piece.stream], len(piece.text))
        self._skip[piece.stream] -= known
        if known < len(piece.text):
            yield from self.cutter.take(piece._replace(text=piece.text[known:]) if known else piece)

    def _take_unfinished(self, file: str, offset: int) -> Iterator[Frame]:
        for piece in self._joiner.rest(file, offset):
            yield from self._take_piece(piece)

    @property
    def unfinished(self) -> int:
        """How many bytes of lines are in memory that have no end yet."""
        return self._joiner.size

    def hand_on(self) -> Iterator[Frame]:
        """Make frames of what is there of unfinished lines."""
        for piece in self._joiner.hand_on(*self._at):
            yield from self._take_piece(piece)
        yield from self.cutter.cut()

    def close(self) -> None:
        """Let go of the files."""
        self.closed = True
        self.files.close()

    def _close(self) -> Iterator[Frame]:
        yield from self._take_unfinished(*self._at)
        self._tell_of_a_late_start()
        if self.files.torn or self.files.unreadable:
            self.cutter.miss("Broken")
        elif self.files.lost_the_last:
            self.cutter.miss("Rotated")
        yield from self.cutter.cut(closed=True)
        self.close()

    def _tell_of_a_late_start(self) -> None:
        if self.files.began_rotated and self.cutter.number == 0 and not self._begun:
            self.cutter.miss("LateStart")

    def _patience(self, now: float) -> float:
        if self.followed:
            return FOLLOWED_SECONDS
        return YOUNG_SECONDS if now - self.since < _YOUNG_FOR_SECONDS else OLD_SECONDS


def _begin(position: Position) -> Begin:
    """Return where to begin; raises ``ValueError`` for nonsense."""
    key = Key.parse(position.file)
    reached = (
        (Key.parse(position.reached_file), position.reached_offset) if position.reached_file else (key, position.offset)
    )
    return Begin(key, position.offset, position.skip, reached)
