"""Logs without a reader on the node: followed through the API server, where host paths are not allowed.

Following loses lines in silence once a log is rotated (kubernetes/kubernetes, pkg/kubelet/kuberuntime/logs). So a log
counts as complete only if, after its end, one plain read begins with the same line and has as many lines.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from elt_operator.archive import cri, frames, masking
from elt_operator.archive.cri import NotOfTheRun, Piece, Resume
from elt_operator.archive.cutting import Cutter
from elt_operator.archive.frames import Frame
from elt_operator.archive.manifest import Whose
from elt_operator.archive.masking import Masker
from elt_operator.errors import OperatorError
from elt_operator.kube.client import Client
from elt_operator.kube.errors import NotFound
from elt_operator.kube.troubles import OUTAGES
from elt_operator.logs.followers import Followers
from elt_operator.logs.jobs import JobFacts, PodFacts, Watched
from elt_operator.logs.open_logs import OpenAttempt, OpenLogs
from elt_operator.logs.settling import Heard
from elt_operator.resources import names

logger = logging.getLogger(__name__)

MOST_OF_A_NODE: Final = 64
"""How many logs of one node are followed at a time: each takes one of the 128 inotify instances of its kubelet, which
all that follows logs there has to share."""
_NOWHERE: Final = Resume("", 0, (0, 0), "", 0)
"""There are no files to go on in."""
_LONGEST_REST: Final = 64 * 1024
"""Of a line that is longer, this much is handed on at a time."""
_MOST_WAITING: Final = 32 * 1024 * 1024
"""How many bytes of text are in memory at most before they become frames."""
_LOOK_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 2.0
_PROOF_SECONDS: Final = 120.0
_YOUNG_FOR_SECONDS: Final = 300.0

Stream = Callable[..., AsyncIterator[bytes]]


@dataclass
class Followed:
    """The log of one pod, as far as it was followed."""

    cutter: Cutter
    store: Callable[[Frame], Awaitable[object]]
    lines: int = 0
    first: int | None = None
    """When the first line was written."""
    last: int | None = None
    """When the last one was."""
    at_last: int = 0
    """How many lines were written at that time."""
    plain: tuple[int | None, int] = (None, 0)
    """When the first line of the answer that is being read was written, and how many lines it has."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _skips: bool = False
    """Whether the answer has not come to what is new in it."""
    _to_skip: int = 0
    """How many lines of the last time are known."""
    is_too_much: Callable[[], bool] = lambda: False
    """Returns whether so much text waits for its frames that it has to be cut at once."""
    torn: bool = False
    """Whether an answer has ended within a line of which a part was taken: nothing gives the rest of it."""
    _being_stored: int = 0
    _within: bool = False
    """Whether what comes next goes on with a line."""
    _goes_on: bool = True
    """Whether the answer was seen to go on where the one before it ended."""

    async def take(self, chunks: AsyncIterator[bytes], *, whole: bool = False) -> None:
        """Take the lines of an answer that are new; ``whole``: all are there, the last one needs no end.

        Raises ``NotOfTheRun`` at a line that the kubelet has said itself.
        """
        self.torn |= self._within
        self.plain = (None, 0)
        self._skips, self._to_skip, self._goes_on = self.last is not None, self.at_last, self.last is None
        rest = b""
        self._within = False
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            async with self._lock:
                for line in lines:
                    await self._line(line + b"\n")
                if len(rest) >= _LONGEST_REST:
                    place = masking.place_to_cut(rest)
                    await self._line(rest[:place])
                    rest = rest[place:]
                if self.is_too_much():
                    await self._cut()
        if rest and (whole or self._within):
            async with self._lock:
                await self._line(rest)
        if whole:
            self._within = False

    async def _line(self, line: bytes) -> None:
        """Take a line; of one that is too long, a part: only the first begins with a time."""
        within, self._within = self._within, not line.endswith(b"\n")
        if within:
            await self._more(line)
            return
        time, text = cri.timed_line(line)
        first, count = self.plain
        self.plain = (time if first is None else first, count + 1)
        if self._skips and self._is_known(time):
            return
        self._skips = False
        if not self._goes_on:
            self.cutter.miss("Rotated")
            self._goes_on = True
        self.first = time if self.first is None else self.first
        self.at_last = self.at_last + 1 if time == self.last else 1
        self.last, self.lines = time, self.lines + 1
        await self._piece(time, text)

    async def _more(self, text: bytes) -> None:
        if self.last is not None and not self._skips:
            await self._piece(self.last, text)

    async def _piece(self, time: int, text: bytes) -> None:
        for frame in self.cutter.take(Piece(0, time, text, _NOWHERE)):
            await self._store(frame)

    def _is_known(self, time: int) -> bool:
        """Return whether a line of an answer that begins with known ones is known."""
        if self.last is None or time > self.last:
            return False
        if time < self.last:
            return True
        self._goes_on = True
        self._to_skip -= 1
        return self._to_skip >= 0

    async def cut(self) -> None:
        """Store what is there."""
        async with self._lock:
            await self._cut()

    async def _store(self, frame: Frame) -> None:
        self._being_stored += len(frame.text)
        try:
            await self.store(frame)
        finally:
            self._being_stored -= len(frame.text)

    @property
    def waiting(self) -> int:
        """How many bytes of text are in memory."""
        return self.cutter.size + self._being_stored

    async def _cut(self) -> None:
        for frame in self.cutter.cut():
            await self._store(frame)

    async def close(self, *, proven: bool) -> None:
        """Store the rest; unless all is ``proven`` to be there, say that something may be missing."""
        async with self._lock:
            if not proven:
                self.cutter.miss("Rotated")
            for frame in self.cutter.cut(closed=True):
                await self._store(frame)

    @property
    def is_proven(self) -> bool:
        """Whether the answer that was read last, a plain one, has all that was followed, and no more."""
        return self.plain == (self.first, self.lines) and not self.torn


@dataclass
class Following:
    """Follows the logs of all runs."""

    client: Client
    open_logs: OpenLogs
    watched: Watched
    patterns: Sequence[Any]
    followers: Followers
    now: Callable[[], datetime]
    _idle: set[str] = field(default_factory=set)
    """UIDs of pods of whose log there was nothing to follow at the last look."""
    _followed: dict[str, Followed] = field(default_factory=dict)
    """By the pod's UID."""
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """By the pod's UID."""

    async def repeat(self) -> None:
        """Follow what there is to follow, for ever."""
        try:
            while True:
                self._tasks = {uid: task for uid, task in self._tasks.items() if not task.done()}
                at_work = Counter(pod.node for uid, pod in self.watched.pods.items() if uid in self._tasks)
                due = [pod for pod in list(self.watched.pods.values()) if await self._is_due(pod)]
                self._idle = set(self.watched.pods) - {pod.uid for pod in due}
                for pod in due:
                    if pod.uid not in self._tasks and at_work[pod.node] < MOST_OF_A_NODE:
                        self._tasks[pod.uid] = asyncio.create_task(self._quietly(pod), name=f"log of pod {pod.name}")
                        at_work[pod.node] += 1
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()

    async def _is_due(self, pod: PodFacts) -> bool:
        """Return whether a log is wanted, and there is something of it."""
        if self.watched.of(pod.job) is None:
            return False
        try:
            known = (await self.open_logs.of(pod.job)).attempts.get(pod.uid)
        except OperatorError:
            return True  # the store does not say
        return not (known and known.closed) and (
            known is not None or ((pod.started is not None or pod.ended) and not pod.gone)
        )

    async def _quietly(self, pod: PodFacts) -> None:
        try:
            await self._follow(pod)
        except (*OUTAGES, OperatorError) as error:
            logger.warning("the log of pod %s/%s: trying again: %s", pod.namespace, pod.name, error)
        except Exception:
            logger.exception("the log of pod %s/%s: this is a bug; trying again", pod.namespace, pod.name)

    async def _follow(self, pod: PodFacts) -> None:
        followed = await self._begin(pod)
        flushing = asyncio.create_task(self._flush(pod, followed))
        self._followed[pod.uid] = followed
        try:
            while await self._take(pod, followed, follow="true", **_since(followed)):
                if self._has_ended(pod):
                    break
                await asyncio.sleep(_PAUSE_SECONDS)
            proven = await self._take(pod, followed) and followed.is_proven
            await followed.close(proven=proven)
        finally:
            flushing.cancel()
            del self._followed[pod.uid]

    async def _begin(self, pod: PodFacts) -> Followed:
        """Return what is known of a log, which an earlier process may have followed."""
        job = self.watched.of(pod.job)
        if job is None:
            raise OperatorError("its Job is gone")
        whose = Whose(job=job.name, pod=pod.name, node=pod.node, created=pod.created)
        log = await self.open_logs.of(pod.job)
        known = log.attempts.get(pod.uid) or OpenAttempt(pod.uid)
        masker = Masker(self.patterns, in_key=known.position.in_key if known.position else 0)
        cutter = Cutter(pod.uid, masker, known.number, None, known.last_time)

        async def store(frame: Frame) -> None:
            await self.open_logs.take(whose, pod.uid, frames.encoded(frame))

        at_last = 0
        if known.frames:
            last = frames.decoded(await self.open_logs.store.get(known.frames[-1].key))
            at_last = sum(time == last.times[-1] for time in last.times)
        first = known.frames[0].start if known.frames else None
        return Followed(
            cutter,
            store,
            known.lines_begun,
            first,
            known.last_time,
            at_last,
            is_too_much=self._is_too_much,
            torn=known.unfinished,
        )

    async def _take(self, pod: PodFacts, followed: Followed, **query: str) -> bool:
        """Take one answer; return whether there is a log."""
        stream = self.client.log_stream(pod.namespace, pod.name, names.CONTAINER, **query)
        try:
            async with asyncio.timeout(None if "follow" in query else _PROOF_SECONDS):
                await followed.take(stream, whole="follow" not in query)
        except NotFound:
            return False
        except NotOfTheRun as error:
            logger.info("the log of pod %s/%s: the kubelet says: %s", pod.namespace, pod.name, error)
            return "follow" in query
        except OUTAGES as error:
            logger.info("the log of pod %s/%s: broken off: %s", pod.namespace, pod.name, error)
            return "follow" in query
        return True

    async def _flush(self, pod: PodFacts, followed: Followed) -> None:
        """Store lines before their frame is full: soon while somebody waits for them."""
        since = self.now()
        waited = 0.0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
            young = (self.now() - since).total_seconds() < _YOUNG_FOR_SECONDS
            if waited >= (_LOOK_SECONDS if self.followers.has(pod.job) else 10.0 if young else 60.0):
                waited = 0.0
                try:
                    await followed.cut()
                except OperatorError as error:
                    logger.warning("the log of pod %s/%s cannot be stored: %s", pod.namespace, pod.name, error)

    def _is_too_much(self) -> bool:
        """Return whether so much text waits for its frames that it has to be cut at once."""
        return sum(one.waiting for one in self._followed.values()) >= _MOST_WAITING

    def _has_ended(self, pod: PodFacts) -> bool:
        known = self.watched.pods.get(pod.uid)
        return known is None or known.has_ended(self.now())

    def heard_of(self, job: JobFacts) -> dict[str, Heard]:
        """Return which logs of a Job's pods are being followed, as if their readers had said so."""
        pods = self.watched.pods_of(job.name.uid)
        known = {pod.name for pod in pods}
        found = {tried.pod: Heard(self.now(), has_it=False) for tried in job.attempts if tried.pod not in known}
        return found | {pod.uid: Heard(self.now(), has_it=pod.uid not in self._idle) for pod in pods}


def _since(followed: Followed) -> dict[str, str]:
    """Return from when on to read: in whole seconds, as the kubelet takes it; so some lines come twice."""
    if followed.last is None:
        return {}
    moment = datetime.fromtimestamp(followed.last // 1_000_000, UTC)
    return {"sinceTime": moment.isoformat(timespec="seconds").replace("+00:00", "Z")}
