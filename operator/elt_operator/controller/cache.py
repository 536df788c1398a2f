"""The cache: snapshots of what the watches last told, by Pipeline. It may make us look; it never proves an absence."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from elt_operator.controller import pod_snapshots, snapshots
from elt_operator.core.faults import Fault
from elt_operator.core.model import CronJob, EndedJob, Job, Pipeline, PipelineKey, Pod, PodLog, Refusal, Run, Slot
from elt_operator.kube import foreign
from elt_operator.kube.foreign import Body
from elt_operator.resources import names
from elt_operator.resources.pipeline import MOST_RECENT_JOBS

Unreadable = Callable[[Body, str], None]
"""Is told of a body that cannot be read, and why."""


def ignored(_body: Body, _why: str) -> None:
    """Do nothing about a body that cannot be read."""


class Snapshot(Protocol):
    """What all snapshots have."""

    @property
    def key(self) -> PipelineKey:
        """The Pipeline that it belongs to, or is named after."""

    @property
    def uid(self) -> str:
        """Its UID."""


S = TypeVar("S", bound=Snapshot)


def latest(_known: S, told: S) -> S:
    """Return what was told last: it says all."""
    return told


def ended_since(known: Pod, told: Pod) -> Pod:
    """Return what was told last of a pod, with the first moment at which somebody is known to have begun to end it.

    The kubelet removes a pod by a deletion of its own, without a grace period, whose time takes the place of that of
    the deletion by which the process was ended.
    """
    if known.interrupted_at is None or told.interrupted_at is None:
        return told
    return replace(told, interrupted_at=min(known.interrupted_at, told.interrupted_at))


_LONGEST_VERSION: Final = 20

_MOST_TOMBSTONES: Final = 20_000


def version_of(text: Any) -> int:
    """Return a resourceVersion as a number, 0 where it is none.

    They compare as numbers within one kind (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
    """
    if not isinstance(text, str) or len(text) > _LONGEST_VERSION or not (text.isascii() and text.isdigit()):
        return 0
    return int(text)


def _version(body: Body) -> int:
    return version_of(foreign.part(body, "metadata").get("resourceVersion"))


class Store(Generic[S]):
    """The snapshots of one kind, by their UID and by each Pipeline that they concern."""

    def __init__(
        self,
        read: Callable[[Body], S | None],
        unreadable: Unreadable = ignored,
        merge: Callable[[S, S], S] = latest,
        concerned: Callable[[S], Collection[PipelineKey]] = lambda snapshot: (snapshot.key,),
    ) -> None:
        """``merge`` makes of what is known of an object, and of what is told of it now, what is remembered.

        ``concerned`` names the Pipelines that have to be looked at when a snapshot changes, and that see it.
        """
        self._read = read
        self._unreadable = unreadable
        self._merge = merge
        self._concerned = concerned
        self._by_key: dict[PipelineKey, dict[str, S]] = {}
        self._keys: dict[str, frozenset[PipelineKey]] = {}
        self._versions: dict[str, int] = {}
        self._namespaces: dict[str, str] = {}
        self._tombstones: dict[str, int] = {}
        """Of what is gone, the version up to which everything that is said of it is older than its end."""

    def of(self, key: PipelineKey) -> list[S]:
        """Return what concerns the Pipeline ``key``."""
        return list(self._by_key.get(key, {}).values())

    def get(self, uid: str) -> S | None:
        """Return what is known of the object ``uid``."""
        return next((self._by_key[key][uid] for key in self._keys.get(uid, ())), None)

    def all(self) -> Iterator[S]:
        """Yield everything."""
        for uid, keys in self._keys.items():
            yield self._by_key[next(iter(keys))][uid]

    def keys(self) -> set[PipelineKey]:
        """Return the Pipelines that anything here concerns."""
        return set(self._by_key)

    def take(self, body: Body) -> frozenset[PipelineKey]:
        """Remember ``body`` unless it, or something newer, is known; return the Pipelines for which it is news.

        What we wrote ourselves comes back as an event, and most of what happens to a pod changes nothing that decisions
        look at: neither is news. A body that cannot be read is skipped, and what was known before stays.
        """
        whose, version = foreign.identity(body), _version(body)
        if whose is None:
            self._unreadable(body, "its namespace, name or UID is missing")
            return frozenset()
        uid = whose.uid
        if version and version <= max(self._versions.get(uid, 0), self._tombstones.get(uid, 0)):
            return frozenset()
        try:
            snapshot = self._read(body)
        except Exception as error:  # noqa: BLE001 - one object that cannot be read must not hide the others
            self._unreadable(body, type(error).__name__)
            return frozenset()
        # The version is kept for what is not, too: else an older event that comes late would bring it back.
        self._versions[uid] = version
        self._namespaces[uid] = whose.namespace
        self._tombstones.pop(uid, None)
        known = self.get(uid)
        snapshot = self._merge(known, snapshot) if snapshot and known else snapshot
        keys = frozenset(self._concerned(snapshot)) if snapshot else frozenset()
        if snapshot and keys == self._keys.get(uid) and known == snapshot:
            self._put(uid, keys, snapshot)  # it may differ in what is no news, its version for example
            return frozenset()
        before = self._drop(uid)
        if snapshot:
            self._put(uid, keys, snapshot)
        return before | keys

    def _put(self, uid: str, keys: frozenset[PipelineKey], snapshot: S) -> None:
        self._keys[uid] = keys
        for key in keys:
            self._by_key.setdefault(key, {})[uid] = snapshot

    def forget(self, uid: str, version: int = 0) -> frozenset[PipelineKey]:
        """Forget the object ``uid``, which was gone at ``version``; return the Pipelines that it concerned.

        An answer or an event that comes late does not bring it back.
        """
        self._tombstones[uid] = max(version, self._versions.pop(uid, 0))
        while len(self._tombstones) > _MOST_TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]
        self._namespaces.pop(uid, None)
        return self._drop(uid)

    def _drop(self, uid: str) -> frozenset[PipelineKey]:
        keys = self._keys.pop(uid, frozenset())
        for key in keys:
            del self._by_key[key][uid]
            if not self._by_key[key]:
                del self._by_key[key]
        return keys

    def take_event(self, event: Body) -> frozenset[PipelineKey]:
        """Remember what a watch event says; return the Pipelines that it is about."""
        body = foreign.part(event, "object")
        if event.get("type") != "DELETED":
            return self.take(body)
        whose = foreign.identity(body)
        return self.forget(whose.uid, _version(body)) if whose else frozenset()

    def uids(self, namespace: str | None) -> set[str]:
        """Return the UIDs of all that is known in ``namespace``; ``None``: in all of them."""
        return {uid for uid, its in self._namespaces.items() if namespace in {None, its}}


class Departed(Generic[S]):
    """What objects were when they were deleted, by the Pipeline they belonged to."""

    def __init__(self) -> None:
        self._by_key: dict[PipelineKey, list[S]] = {}

    def add(self, snapshot: S) -> None:
        """Remember ``snapshot``."""
        self._by_key.setdefault(snapshot.key, []).append(snapshot)

    def of(self, key: PipelineKey) -> list[S]:
        """Return what belonged to the Pipeline ``key``."""
        return list(self._by_key.get(key, []))

    def keep(self, key: PipelineKey, wanted: Callable[[S], bool]) -> None:
        """Forget all that belonged to ``key`` but what is ``wanted``."""
        kept = [snapshot for snapshot in self._by_key.pop(key, []) if wanted(snapshot)]
        if kept:
            self._by_key[key] = kept

    def keep_only(self, keys: set[PipelineKey]) -> None:
        """Forget what belonged to any other Pipeline."""
        self._by_key = {key: snapshots for key, snapshots in self._by_key.items() if key in keys}


class Cache:
    """All that is known without asking."""

    def __init__(self, unreadable: Callable[[str, Body, str], None] = lambda _plural, _body, _why: None) -> None:
        def told(plural: str) -> Unreadable:
            return lambda body, why: unreadable(plural, body, why)

        self.pipelines: Store[Pipeline] = Store(snapshots.pipeline, told(names.PIPELINES))
        self.jobs: Store[Job] = Store(_active_job, told(names.JOBS))
        self.runs: Store[Run] = Store(snapshots.run, told("jobs"))
        self.pods: Store[Pod] = Store(pod_snapshots.pod, told("pods"), ended_since)
        self.cron_jobs: Store[CronJob] = Store(snapshots.cron_job, told("cronjobs"))
        """All of them: one that is not ours may have a name that we need."""
        self.slots: Store[Slot] = Store(snapshots.slot, told("jobs"))
        self.caused_jobs: dict[PipelineKey, dict[str, bool]] = {}
        """By the UID of a cause, a slot for example, whether the Job of its name was made for it, or for another."""
        self.departed_runs: Departed[Run] = Departed()
        """What runs were when they were deleted, for as long as their Job has not told its end."""
        self.departed_pods: Departed[Pod] = Departed()
        """The same of pods."""
        self.left_runs: dict[PipelineKey, tuple[Run, ...]] = {}
        """The run of each Pipeline that was deleted last, under way and without its Job, until a newer one is there."""
        self.pods_over: set[str] = set()
        """UIDs of the runs of which a live read has said that no pod is at work, and that will have none any more."""
        self.last_logs: dict[PipelineKey, dict[str, PodLog]] = {}
        """Ends of logs as they were read last, by the pod's UID; kept as long."""
        self.history: dict[PipelineKey, dict[str, EndedJob]] = {}
        """Ended Jobs that the operator made itself, by UID, as of the last resync."""
        self.pipelines_missed: dict[PipelineKey, datetime] = {}
        """When we first looked for a Pipeline that is not there."""
        self.refusals: dict[str, Refusal] = {}
        """What the API server refused lately, by the UID of what was to be made, or of what it was to be made for."""
        self.taken_numbers: dict[PipelineKey, set[int]] = {}
        """Numbers of runs whose name belongs to a stranger."""
        self.faults: dict[str, Fault] = {}
        """What keeps going wrong, by the UID of the Job or Pipeline on which it does."""
        self.pods_told_to_end: set[str] = set()
        """UIDs of pods that we had ended."""
        self.ended_jobs: dict[PipelineKey, dict[str, Job]] = {}
        """The Jobs that we saw end, by UID, until the status of their Pipeline tells of them; the last one stays."""

    def stores(self, plural: str) -> Sequence[Store[Any]]:
        """Return the stores that are filled with the objects of this resource."""
        by_plural: Mapping[str, Sequence[Store[Any]]] = {
            names.PIPELINES: (self.pipelines,),
            names.JOBS: (self.jobs,),
            "cronjobs": (self.cron_jobs,),
            "jobs": (self.runs, self.slots),
            "pods": (self.pods,),
        }
        return by_plural[plural]

    def take_event(self, plural: str, event: Body) -> set[PipelineKey]:
        """Remember what a watch says of an object, also what it was when it went; return whom it is about."""
        if event.get("type") == "DELETED":
            self._remember_departed(plural, foreign.part(event, "object"))
        return set().union(*(store.take_event(event) for store in self.stores(plural)))

    def forget(self, plural: str, uid: str, version: int = 0) -> set[PipelineKey]:
        """Forget an object that was gone at ``version``, and of which nobody says what it was; return whose it was."""
        if plural == "jobs" and (run := self.runs.get(uid)):
            self._keep_left(run.key, [replace(run, gone=True)])
        return set().union(*(store.forget(uid, version) for store in self.stores(plural)))

    def _remember_departed(self, plural: str, body: Body) -> None:
        """Remember what an object was at last; as it was known before, where its label was taken away with it."""
        whose = foreign.identity(body)
        if whose is None:
            return
        if plural == "jobs" and (run := self.runs.get(whose.uid) or snapshots.run(body)):
            last = snapshots.run(body, run.key) or run
            self.departed_runs.add(replace(last, gone=True))
        if plural == "pods" and (pod := self.pods.get(whose.uid) or pod_snapshots.pod(body)):
            last_pod = pod_snapshots.pod(body, pod.key) or pod
            self.departed_pods.add(replace(ended_since(pod, last_pod), gone=True))

    def tidy(self, key: PipelineKey, now: datetime) -> None:
        """Drop what was kept for Jobs that have ended since, and for slots that are gone; note a missing Pipeline."""
        if self.pipelines.of(key):
            self.pipelines_missed.pop(key, None)
        elif self.jobs.of(key):
            self.pipelines_missed.setdefault(key, now)
        active = {job.uid for job in self.jobs.of(key)}
        at_work = {run.uid for run in (*self.departed_runs.of(key), *self.runs.of(key)) if run.job_uid in active}
        self._keep_left(key, [run for run in self.departed_runs.of(key) if run.uid not in at_work])
        self.departed_runs.keep(key, lambda run: run.uid in at_work)
        self.departed_pods.keep(key, lambda pod: pod.run_uid in at_work)
        pods = {pod.uid for pod in (*self.departed_pods.of(key), *self.pods.of(key)) if pod.run_uid in at_work}
        slots = {slot.uid for slot in self.slots.of(key)}
        caused_jobs = {uid: ours for uid, ours in self.caused_jobs.pop(key, {}).items() if uid in slots}
        if caused_jobs:
            self.caused_jobs[key] = caused_jobs
        self._keep_untold(key)
        logs = {uid: log for uid, log in self.last_logs.pop(key, {}).items() if uid in pods}
        if logs:
            self.last_logs[key] = logs

    def _keep_untold(self, key: PipelineKey) -> None:
        """Forget Jobs that have ended once their Pipeline tells of them, all but the last one."""
        ended = self.ended_jobs.get(key)
        if not ended:
            return
        told = {
            (entry.name, entry.end_time)
            for pipeline in self.pipelines.of(key)
            for entry in pipeline.status.recent_jobs or []
        }
        *others, last = ended.values()
        untold = [job for job in others if (job.name, job.status.end_time) not in told][-MOST_RECENT_JOBS:]
        self.ended_jobs[key] = {job.uid: job for job in (*untold, last)}

    def _keep_left(self, key: PipelineKey, departed: Sequence[Run]) -> None:
        """Keep the newest of the runs that went without a Job that waits for it, as long as its pods are in doubt."""
        left = [run for run in (*self.left_runs.pop(key, ()), *departed) if not run.finish]
        newest = max(left, key=lambda run: run.created, default=None)
        doubted = newest is not None and newest.uid not in self.pods_over
        if newest and doubted and not any(run.created > newest.created for run in self.runs.of(key)):
            self.left_runs[key] = (newest,)

    def forget_passing_faults(self, key: PipelineKey) -> None:
        """Forget what went wrong with objects of ``key`` less often than it takes to go by plainer facts."""
        found = {known.uid for store in (self.jobs, self.pipelines) for known in store.of(key)} if self.faults else ()
        for uid in found:
            if (fault := self.faults.get(uid)) and not fault.plain:
                del self.faults[uid]

    def forget_gone(self) -> None:
        """Drop what was kept for Pipelines, Jobs and slots that are not there any more."""
        keys = self.all_keys()
        tables: tuple[dict[PipelineKey, Any], ...] = (
            self.caused_jobs,
            self.last_logs,
            self.pipelines_missed,
            self.taken_numbers,
            self.ended_jobs,
            self.left_runs,
        )
        for table in tables:
            for key in table.keys() - keys:
                del table[key]
        for departed in (self.departed_runs, self.departed_pods):
            departed.keep_only(keys)
        refusable = {known.uid for store in (self.pipelines, self.jobs, self.slots, self.runs) for known in store.all()}
        for uid in self.refusals.keys() - refusable:
            del self.refusals[uid]
        self.faults.clear()  # what was refused may be accepted by now: everything gets another chance now and then
        left = {run.uid for runs in self.left_runs.values() for run in runs}
        self.pods_over &= {run.uid for run in self.runs.all()} | left
        self.pods_told_to_end.clear()  # the same: one that has been told to end says so itself

    def all_keys(self) -> set[PipelineKey]:
        """Return all Pipelines that anything is known of."""
        stores: list[Store[Any]] = [self.pipelines, self.jobs, self.slots, self.runs, self.pods]
        return set(self.history).union(*(store.keys() for store in stores))


def _active_job(body: Body) -> Job | None:
    """Return the snapshot of a Job that has not ended: ended ones stay out of memory."""
    job = snapshots.job(body)
    return None if job is None or job.ended else job
