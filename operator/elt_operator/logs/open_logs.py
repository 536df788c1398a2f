"""Logs that are still being written: frames are taken one after the other, each stored before it is acknowledged."""

import asyncio
import hashlib
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from elt_operator.archive import frames, manifest
from elt_operator.archive.frames import Frame, Gap, Position
from elt_operator.archive.manifest import StoredFrame, Whose
from elt_operator.errors import OperatorError
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.store import Store

logger = logging.getLogger(__name__)

MOST_GAPS: Final = 1_000


class OutOfOrder(OperatorError):
    """A frame is not the one that comes next: its reader has to ask where to go on."""


@dataclass
class OpenAttempt:
    """The log of one pod, as far as it is stored."""

    pod: str
    """The pod's UID."""
    number: int = 0
    """Of the last frame."""
    position: Position | None = None
    last_time: int | None = None
    closed: bool = False
    hidden: int = 0
    lines: int = 0
    """How many lines have an end."""
    unfinished: bool = False
    """Whether the last line has none."""
    gaps: list[Gap] = field(default_factory=list)
    """Lines are counted within the attempt."""
    frames: list[StoredFrame] = field(default_factory=list)
    """The same."""
    digest: Any = field(default_factory=hashlib.sha256)
    """Of the text."""
    _placed: list[StoredFrame] = field(default_factory=list)
    """Its frames as they were last asked for."""
    _placed_as: tuple[int, int] = (0, 0)
    _broken: bool = False
    """Whether the last frame cannot be read in the store."""

    @property
    def lines_begun(self) -> int:
        """How many lines it has, the last one too if that has no end."""
        return self.lines + self.unfinished

    def take(self, key: str, frame: Frame, data: bytes) -> None:
        """Add a frame that is stored as ``data``."""
        stored = memoryview(data)[: frame.stored_size]
        envelope = frame.envelope
        if envelope is None:
            raise frames.FrameError("it does not say whose it is")
        gaps = [gap.model_copy(update={"line": self.lines + gap.line}) for gap in envelope.gaps]
        if self._broken or envelope.number != self.number + 1:  # the store has lost something
            before = frame.times[0] if frame.times else None
            gaps.insert(0, Gap(line=self.lines, after=self.last_time, before=before, reason="Broken"))
        self.number, self.closed, self._broken = envelope.number, envelope.closed, False
        self.position, self.last_time = envelope.position, envelope.last_time
        self.hidden += envelope.hidden
        self.gaps = [*self.gaps, *gaps][:MOST_GAPS]
        if frame.text:
            self.frames.append(
                StoredFrame(
                    key=key, offset=0, size=frame.stored_size, bytes=len(frame.text), crc=zlib.crc32(stored),
                    line=self.lines, lines=frame.lines, unfinished=not frame.text.endswith(b"\n"), attempt=0,
                    start=frame.times[0], end=frame.times[-1],
                )
            )  # fmt: skip
        self.lines += frame.lines
        self.unfinished = not frame.text.endswith(b"\n") if frame.text else self.unfinished
        self.digest.update(frame.text)

    def placed(self, number: int, line: int) -> list[StoredFrame]:
        """Return its frames as those of a log in which it has a ``number``, and begins with ``line``."""
        if self._placed_as != (number, line):
            self._placed_as, self._placed = (number, line), []
        for frame in self.frames[len(self._placed) :]:
            self._placed.append(frame.model_copy(update={"line": line + frame.line, "attempt": number}))
        return self._placed

    def pass_over(self, number: int) -> None:
        """Take notice of a frame that is stored, but cannot be read; the next one says so."""
        self.number, self._broken = number, True


@dataclass
class OpenLog:
    """The log of a Job of which not all is there."""

    job: str
    """The Job's UID."""
    attempts: dict[str, OpenAttempt] = field(default_factory=dict)
    """By the pod's UID."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    version: int = 0
    """Grows with it."""


def in_order(attempts: Sequence[tuple[int, OpenAttempt]]) -> list[StoredFrame]:
    """Return the frames of all attempts, each with its number, as those of one log."""
    found: list[StoredFrame] = []
    line = 0
    for number, attempt in attempts:
        found += attempt.placed(number, line)
        line += attempt.lines_begun
    return found


@dataclass
class OpenLogs:
    """All open logs. What is in the store is read again when it is first asked for."""

    store: Store
    metrics: Metrics
    _by_job: dict[str, OpenLog] = field(default_factory=dict)
    _changed: dict[str, asyncio.Event] = field(default_factory=dict)
    """Of logs that somebody follows."""
    _loading: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def of(self, job: str) -> OpenLog:
        """Return the open log of a Job; raises ``StoreError``."""
        async with self._loading.setdefault(job, asyncio.Lock()):
            if job not in self._by_job:
                self._by_job[job] = await self._loaded(job)
        return self._by_job[job]

    def forget(self, job: str) -> None:
        """Forget a log that is open no more, and wake who waits for more of it."""
        self._loading.pop(job, None)
        self._by_job.pop(job, None)
        self._tell(job)

    def read_anew(self, job: str) -> None:
        """Believe the store, not what is in memory: something that should be there is not."""
        self._by_job.pop(job, None)

    def changed(self, job: str) -> asyncio.Event:
        """Return what is set when the log of a Job has grown, or is settled."""
        return self._changed.setdefault(job, asyncio.Event())

    def _tell(self, job: str) -> None:
        if event := self._changed.pop(job, None):
            event.set()

    async def in_store(self) -> dict[tuple[str, str], Whose]:
        """Return whose frames the store has, by the UIDs of Job and pod; raises ``StoreError``."""
        found: dict[tuple[str, str], Whose] = {}
        for key, _ in await self.store.keys(manifest.OPEN):
            where = manifest.parsed_whose_key(key)
            if where:
                try:
                    found[where] = Whose.model_validate_json(await self.store.get(key))
                except ValidationError as error:
                    logger.error("the store has %s, which cannot be read: %s", key, error)  # noqa: TRY400
        return found

    async def _loaded(self, job: str) -> OpenLog:
        log = OpenLog(job)
        for key, _ in await self.store.keys(f"{manifest.OPEN}/{job}"):
            if where := manifest.parsed_frame_key(key):
                attempt = log.attempts.setdefault(where[1], OpenAttempt(where[1]))
                try:
                    data = await self.store.get(key)
                    attempt.take(key, await asyncio.to_thread(frames.decoded, data), data)
                except frames.FrameError as error:
                    logger.error("the store has %s, which is broken; its lines are lost: %s", key, error)  # noqa: TRY400
                    attempt.pass_over(where[2])
        return log

    async def take(self, whose: Whose, pod: str, data: bytes) -> OpenAttempt:
        """Store a frame of the log of ``pod``, a UID; one that is stored already is taken for stored.

        Raises ``FrameError``, ``OutOfOrder`` and ``StoreError``.
        """
        frame = await asyncio.to_thread(frames.decoded, data)
        envelope = frame.envelope
        if envelope is None or envelope.pod != pod:
            raise frames.FrameError("it does not say whose it is")
        job = whose.job.uid
        log = await self.of(job)
        async with log.lock:
            attempt = log.attempts.setdefault(envelope.pod, OpenAttempt(envelope.pod))
            key = manifest.frame_key(job, envelope.pod, envelope.number)
            if envelope.number <= attempt.number:
                if _digest(await self.store.get(key)) != _digest(data):
                    raise OutOfOrder(f"frame {envelope.number} is stored already, with another content")
                return attempt
            if attempt.closed or envelope.number != attempt.number + 1:
                raise OutOfOrder(f"frame {attempt.number + 1} comes next, not {envelope.number}")
            if envelope.number == 1:
                await self.store.put(manifest.whose_key(job, pod), whose.model_dump_json().encode())
            if not await self.store.put(key, data, new=True) and _digest(await self.store.get(key)) != _digest(data):
                self.read_anew(job)  # the store has more than we know
                raise OutOfOrder(f"frame {envelope.number} is stored already, with another content")
            attempt.take(key, frame, data)
            log.version += 1
            self.metrics.frames.inc()
            self.metrics.bytes.inc(len(frame.text))
            self._tell(job)
            return attempt


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
