"""Keeping: once nothing more of a log will come, it becomes one object, and its Job says so."""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from elt_operator.archive import frames as archive_frames
from elt_operator.archive import manifest, masking
from elt_operator.archive.manifest import Manifest, StoredFrame
from elt_operator.errors import OperatorError
from elt_operator.kube import foreign
from elt_operator.kube.client import MERGE_PATCH, Client
from elt_operator.kube.errors import Conflict, Invalid, NotFound
from elt_operator.kube.troubles import OUTAGES
from elt_operator.logs import settling
from elt_operator.logs.jobs import JobFacts, PodFacts, Watched
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.open_logs import OpenLogs
from elt_operator.logs.settling import Heard, Settled
from elt_operator.logs.store import Missing, Store, StoreError
from elt_operator.logs.views import Views
from elt_operator.objects import JOBS
from elt_operator.resources.texts import time_text

logger = logging.getLogger(__name__)

_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_TURN_SECONDS: Final = 0.5
_SIDE_BY_SIDE: Final = 4
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
_RETRY_SECONDS: Final = 5.0


@dataclass
class Keeper:
    """Settles logs, again and again."""

    store: Store
    open_logs: OpenLogs
    views: Views
    watched: Watched
    client: Client
    heard_of: Callable[[JobFacts], Mapping[str, Heard]]
    """Return what was last heard of the readers of a Job's pods, by the pod's UID, or by its name where that is all."""
    now: Callable[[], datetime]
    metrics: Metrics
    patterns: Sequence[Any] = ()
    """What else is hidden."""
    _again: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)
    """When to try again what failed, by the Job's UID, and how long to wait after that."""

    async def keep(self) -> None:
        """Settle what can be settled, for ever."""
        turns = asyncio.Semaphore(_SIDE_BY_SIDE)
        while True:
            ended = [job for job in self.watched.unsettled() if job.ended is not None]
            await asyncio.gather(*(self._try(job, turns) for job in ended))
            await asyncio.sleep(_TURN_SECONDS)

    async def take_up(self) -> None:
        """Know of which Jobs the store has frames."""
        while True:
            try:
                await self.adopt()
            except OperatorError as error:
                self.metrics.store_errors.inc()
                logger.warning("the store cannot be listed; trying again: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _try(self, job: JobFacts, turns: asyncio.Semaphore) -> None:
        uid = job.name.uid
        due, pause = self._again.get(uid, (self.now(), _FIRST_PAUSE))
        if self.now() < due:
            return
        try:
            async with turns:
                await self.settle(job)
        except (*OUTAGES, OperatorError) as error:
            if isinstance(error, StoreError):
                self.metrics.store_errors.inc()
            logger.warning("the log of Job %s/%s: trying again: %s", job.name.namespace, job.name.name, error)
        except Exception:
            logger.exception("the log of Job %s/%s: this is a bug; trying again", job.name.namespace, job.name.name)
        else:
            self._again.pop(uid, None)
            return
        self._again[uid] = (self.now() + pause, min(2 * pause, _LONGEST_PAUSE))

    async def settle(self, job: JobFacts) -> bool:
        """Store the log of a Job that has ended as a whole, and tell; return whether nothing is left to be done.

        Each step can be done again; the pointer below ``ids`` says that the log is whole, and only then frames go.
        """
        uid = job.name.uid
        whole = await self.views.whole(uid)
        stored = whole[1] if whole else None
        if stored is None:
            pods = self.watched.pods_of(uid)
            log = await self.open_logs.of(uid)
            found = settling.settled(job, log.attempts, pods, self.heard_of(job), self.now())
            if found is None:
                return False
            if not (found.attempts or job.awaited):  # it was deleted before anything of it started
                await self._forget(uid)
                return True
            try:
                stored = await self._store(job, found)
            except Missing:
                self.open_logs.read_anew(uid)
                raise
        if job.awaited:
            await self._tell(job, stored)
        await self._forget(uid)
        return True

    async def _forget(self, job: str) -> None:
        self.views.forget(job)
        for key, _ in await self.store.keys(f"{manifest.OPEN}/{job}"):
            await self.store.delete(key)
        self.watched.settled(job)
        self.open_logs.forget(job)

    async def adopt(self) -> None:
        """Take up the logs of Jobs and pods that were deleted while nobody looked; raises ``StoreError``."""
        for (job, pod), whose in (await self.open_logs.in_store()).items():
            if self.watched.jobs.get(job) is None:
                ended = self.now()
                self.watched.gone.setdefault(job, JobFacts(whose.job, None, ended, (), awaited=False, body={}))
            self.watched.pods.setdefault(pod, PodFacts.of_gone(pod, whose, self.now()))

    async def _store(self, job: JobFacts, found: Settled) -> Manifest:
        frames = whole_frames(found)
        folder = manifest.folder(job.name, _start(job, frames))
        written = self._manifest(job, found, [frame for _, frame in frames])
        await self.store.put_all(f"{folder}/{manifest.LOG}", _parts(self.store, frames, written))
        await self.store.put(f"{folder}/{manifest.MANIFEST}", written.model_dump_json().encode())
        await self.store.put(f"{folder}/{manifest.JOB}", orjson.dumps(self._as_stored(job, written)))
        await self.store.put(f"{manifest.IDS}/{job.name.uid}", folder.encode())
        self.views.forget(job.name.uid)
        self.metrics.count_kept(written, (self.now() - job.ended).total_seconds() if job.ended else 0.0)
        logger.info(
            "the log of Job %s/%s: %s, %d lines, %d gaps",
            job.name.namespace, job.name.name, written.state, written.lines, len(written.gaps),
        )  # fmt: skip
        return written

    def _as_stored(self, job: JobFacts, written: Manifest) -> Any:
        """Return the Job as it ended, without what looks like a secret: its status repeats lines of the log."""
        metadata = {
            name: value for name, value in foreign.part(job.body, "metadata").items() if name != "managedFields"
        }
        annotations = foreign.part(metadata, "annotations")
        if annotations:  # one says once more, as text, what was applied
            metadata["annotations"] = {name: text for name, text in annotations.items() if name != _APPLIED}
        told = {**foreign.part(job.body, "status"), "log": _told(written)}
        return masking.masked_object({**job.body, "metadata": metadata, "status": told}, self.patterns)

    def _manifest(self, job: JobFacts, found: Settled, frames: list[StoredFrame]) -> Manifest:
        return Manifest(
            job=job.name,
            state="Incomplete" if found.gaps else "Kept",
            reason=found.reason or "",
            attempts=[stored for stored, _ in found.attempts],
            lines=sum(attempt.lines_begun for _, attempt in found.attempts if attempt),
            bytes=sum(frame.bytes for frame in frames),
            hidden=sum(attempt.hidden for _, attempt in found.attempts if attempt),
            gaps=list(found.gaps),
            frames=frames,
            ended=time_text(job.ended or self.now()),
        )

    async def _tell(self, job: JobFacts, stored: Manifest) -> None:
        """Write what became of the log into the Job's status; one that is gone, or has been told, needs no more."""
        path = JOBS.object(job.name.namespace, job.name.name, "status")
        body = {"metadata": {"uid": job.name.uid}, "status": {"log": _told(stored)}}
        try:
            await self.client.request("PATCH", path, body, content_type=MERGE_PATCH)
        except (NotFound, Conflict):
            logger.debug("Job %s/%s is gone", job.name.namespace, job.name.name)
        except Invalid as error:
            logger.warning("Job %s/%s: its status.log cannot be written: %s", job.name.namespace, job.name.name, error)


def whole_frames(found: Settled) -> list[tuple[str, StoredFrame]]:
    """Return where each frame of a log lies now, and where it will be in the one object."""
    frames: list[tuple[str, StoredFrame]] = []
    offset = 0
    for stored, attempt in found.attempts:
        for frame in attempt.frames if attempt else ():
            place = {"key": "", "offset": offset, "line": stored.line + frame.line, "attempt": stored.number}
            frames.append((frame.key, frame.model_copy(update=place)))
            offset += frame.size
    return frames


async def _parts(store: Store, frames: Sequence[tuple[str, StoredFrame]], written: Manifest) -> AsyncIterator[bytes]:
    """Yield the one object, part by part."""
    for key, frame in frames:
        part = await store.get(key, 0, frame.size)
        if len(part) < frame.size or zlib.crc32(part) != frame.crc:
            raise Missing(f"{key} is not what was stored")
        yield part
    yield archive_frames.closing(written)


def _start(job: JobFacts, frames: Sequence[tuple[str, StoredFrame]]) -> datetime:
    """Return when a Job began; the same each time, so that its log gets one folder."""
    written = datetime.fromtimestamp(frames[0][1].start / 1_000_000, UTC) if frames else None
    return job.started or written or job.ended or foreign.created(job.body)


def _told(stored: Manifest) -> dict[str, Any]:
    """Return what the Job's status says of its log."""
    told: dict[str, Any] = {"state": stored.state, "lines": stored.lines, "bytes": stored.bytes}
    return told | ({"gaps": len(stored.gaps), "reason": stored.reason} if stored.gaps else {})
