"""What the keeper knows of Jobs and their pods: from one watch each, and only of those whose log is not settled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from elt_operator.archive.manifest import JobName, Whose
from elt_operator.kube import foreign
from elt_operator.resources import names
from elt_operator.resources.phases import TERMINAL_PHASES

_LAST_WORDS: Final = timedelta(minutes=5)
"""How long a container may go on whose pod is over for the API server: deleted by force, or its node is not heard. The
reader there usually knows sooner, as its files go with it."""


class Tried(NamedTuple):
    """An attempt of a Job, as its status tells of it."""

    number: int
    pod: str
    """The pod's name."""
    started: datetime | None


@dataclass(frozen=True)
class JobFacts:
    """A Job, as far as it concerns its log."""

    name: JobName
    started: datetime | None
    ended: datetime | None
    """``None``: it has not ended."""
    attempts: Sequence[Tried]
    awaited: bool
    """Whether its status says that the log is being collected."""
    body: Mapping[str, Any]


@dataclass(frozen=True)
class PodFacts:
    """A pod of a Job."""

    uid: str
    name: str
    namespace: str
    job: str
    """The Job's UID."""
    node: str
    created: datetime | None
    started: datetime | None
    """When its container started, as far as it is known."""
    ended: bool
    """Whether its container was seen to have ended: then all that it wrote is in its log."""
    gone: bool = False
    """Whether the pod was deleted."""
    over_since: datetime | None = None
    """Since when nothing more is told of it; ``None``: something may be."""

    def has_ended(self, now: datetime) -> bool:
        """Return whether its container has ended, as far as anybody will ever know."""
        return self.ended or (self.over_since is not None and now - self.over_since >= _LAST_WORDS)

    def belongs_to(self, job: JobFacts) -> bool:
        """Return whether it is of this Job: whoever knows a UID can put it into a label, elsewhere too."""
        return self.job == job.name.uid and self.namespace == job.name.namespace

    @classmethod
    def of_gone(cls, uid: str, whose: Whose, now: datetime) -> "PodFacts":
        """Return a pod of which nothing else is known than its frames say."""
        return cls(
            uid=uid, name=whose.pod, namespace=whose.job.namespace, job=whose.job.uid, node=whose.node,
            created=whose.created, started=None, ended=False, gone=True, over_since=now,
        )  # fmt: skip


def job_facts(body: Mapping[str, Any]) -> JobFacts | None:
    """Return what a Job's body says; ``None``: it cannot be read."""
    whose = foreign.identity(body)
    status, spec = foreign.part(body, "status"), foreign.part(body, "spec")
    pipeline = foreign.text(spec.get("pipelineName"))
    if whose is None or not pipeline:
        return None
    attempts = [
        Tried(foreign.integer(one.get("number")), foreign.text(one.get("pod")), foreign.time(one.get("startTime")))
        for one in foreign.items(status.get("attempts"))
    ]
    ended = status.get("phase") in TERMINAL_PHASES
    return JobFacts(
        JobName(
            namespace=whose.namespace, name=whose.name, uid=whose.uid, pipeline=pipeline,
            run=foreign.text(status.get("taskName")),
        ),
        started=foreign.time(status.get("startTime")),
        ended=(foreign.time(status.get("endTime")) or foreign.created(body)) if ended else None,
        attempts=attempts,
        awaited=foreign.part(status, "log").get("state") == "Collecting",
        body=body,
    )  # fmt: skip


def pod_facts(body: Mapping[str, Any]) -> PodFacts | None:
    """Return what a pod's body says; ``None``: it cannot be read, or is of no Job."""
    whose, job = foreign.identity(body), foreign.label(body, names.JOB_UID_LABEL)
    if whose is None or not job:
        return None
    status, spec = foreign.part(body, "status"), foreign.part(body, "spec")
    ours = next(
        (one for one in foreign.items(status.get("containerStatuses")) if one.get("name") == names.CONTAINER), {}
    )
    state = foreign.part(ours, "state")
    began = foreign.part(state, "running") or foreign.part(state, "terminated")
    lost = foreign.created(body) if foreign.was_lost(ours) else None
    return PodFacts(
        uid=whose.uid, name=whose.name, namespace=whose.namespace, job=job, node=foreign.text(spec.get("nodeName")),
        created=foreign.created(body), started=foreign.time(began.get("startedAt")) or lost,
        ended="terminated" in state,
    )  # fmt: skip


def _is_over(body: Mapping[str, Any]) -> bool:
    """Return whether a pod's phase is final: perhaps nobody will tell how its container ended."""
    return foreign.part(body, "status").get("phase") in {"Succeeded", "Failed"}


@dataclass
class Watched:
    """Jobs whose log is not settled, and the pods of runs, by their UIDs."""

    now: Callable[[], datetime]
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    pods: dict[str, PodFacts] = field(default_factory=dict)
    gone: dict[str, JobFacts] = field(default_factory=dict)
    """Jobs that were deleted before their log was settled."""

    def take_job(self, body: Mapping[str, Any], *, deleted: bool = False) -> None:
        """Take what is told of a Job."""
        facts = job_facts(body)
        if facts is None:
            return
        uid = facts.name.uid
        before = self.jobs.pop(uid, None)
        if not deleted and (facts.ended is None or facts.awaited):
            self.jobs[uid] = facts
        elif before:  # it was deleted, or has ended and does not wait for its log: that is kept all the same
            self.gone[uid] = replace(facts, ended=facts.ended or self.now(), awaited=False)

    def take_pod(self, body: Mapping[str, Any], *, deleted: bool = False) -> None:
        """Take what is told of a pod."""
        facts = pod_facts(body)
        if facts is None:
            return
        before = self.pods.get(facts.uid)
        if _is_over(body):
            facts = replace(facts, over_since=(before and before.over_since) or self.now())
        if deleted:
            self._gone(facts)
        else:
            self.pods[facts.uid] = facts

    def _gone(self, pod: PodFacts) -> None:
        """Bear a pod in mind for as long as its Job's log is not settled."""
        known = self.of(pod.job)
        if known and pod.belongs_to(known):
            self.pods[pod.uid] = replace(pod, gone=True, over_since=pod.over_since or self.now())
        else:
            self.pods.pop(pod.uid, None)

    def forget_job(self, uid: str) -> None:
        """Take notice that a Job is gone, of which no watch has told."""
        if known := self.jobs.get(uid):
            self.take_job(known.body, deleted=True)

    def forget_pod(self, uid: str) -> None:
        """Take notice that a pod is gone, of which no watch has told."""
        if known := self.pods.get(uid):
            self._gone(known)

    def unsettled(self) -> list[JobFacts]:
        """Return all Jobs whose log is not settled."""
        return [*self.jobs.values(), *self.gone.values()]

    def of(self, job: str) -> JobFacts | None:
        """Return a Job whose log is not settled."""
        return self.jobs.get(job) or self.gone.get(job)

    def pods_of(self, job: str) -> list[PodFacts]:
        """Return the pods of a Job, those too that are gone."""
        known = self.of(job)
        return [pod for pod in self.pods.values() if known and pod.belongs_to(known)]

    def settled(self, job: str) -> None:
        """Forget a Job whose log is settled, and its pods."""
        self.jobs.pop(job, None)
        self.gone.pop(job, None)
        for uid in [uid for uid, pod in self.pods.items() if pod.job == job and pod.gone]:
            del self.pods[uid]
