"""What the keeper knows of the readers: who they are, what each has, and what it may bring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from elt_operator.archive.exchange import PodName
from elt_operator.archive.frames import Uid
from elt_operator.archive.manifest import Whose
from elt_operator.errors import OperatorError
from elt_operator.logs.jobs import JobFacts, PodFacts, Watched
from elt_operator.logs.settling import Heard

_ASLEEP: Final = timedelta(seconds=30)
"""Nobody asks so seldom: we were suspended, or the clock was set."""
_CUT_OFF: Final = timedelta(minutes=1)
"""A reader that is there is heard every ten seconds."""
_GIVEN_UP: Final = timedelta(hours=1)
"""Perhaps there are no readers any more."""


class Unknown(OperatorError):
    """Nobody knows the pod, or not yet."""


class NotTheirs(OperatorError):
    """The pod is, or was, on another node than the reader."""


@dataclass
class Readers:
    """The readers of all nodes."""

    watched: Watched
    now: Callable[[], datetime]
    since: datetime
    """Since when readers are waited for."""
    _last: datetime | None = None
    """When any of them was last heard."""
    _asked: datetime | None = None
    """When it was last asked who was heard."""
    _heard: dict[str, datetime] = field(default_factory=dict)
    """By node."""
    _pods: dict[str, frozenset[Uid]] = field(default_factory=dict)
    """By node: the pods of which it last had something."""

    def hear(self, node: str, pods: Mapping[Uid, PodName]) -> None:
        """Take notice of what the reader of ``node`` has."""
        self._last = self._heard[node] = self.now()
        self._pods[node] = frozenset(pods)
        known = {(pod.namespace, pod.name) for pod in self.watched.pods.values()}
        for uid, name in pods.items():
            unseen = uid not in self.watched.pods and (name.namespace, name.name) not in known
            if unseen and (job := self._job_of(name)):
                self.watched.pods[uid] = PodFacts.of_gone(
                    uid, Whose(job=job.name, pod=name.name, node=node), self.now()
                )

    def _job_of(self, pod: PodName) -> JobFacts | None:
        """Return the Job that tells of a pod which was gone before it was seen, or went with it."""
        told = (job for job in self.watched.jobs.values() if any(tried.pod == pod.name for tried in job.attempts))
        run = pod.name.rpartition("-")[0]
        gone = (job for job in self.watched.gone.values() if run and job.name.run == run)
        return next((job for job in (*told, *gone) if job.name.namespace == pod.namespace), None)

    def pod(self, node: str, uid: str) -> PodFacts:
        """Return a pod of which the reader of ``node`` may bring the log; raises ``Unknown`` and ``NotTheirs``."""
        pod = self.watched.pods.get(uid)
        if pod is None:
            raise Unknown(f"pod {uid} is unknown")
        if pod.node != node:
            raise NotTheirs(f"pod {uid} is not on node {node}")
        return pod

    def heard_of(self, job: JobFacts) -> dict[str, Heard]:
        """Return what was last heard of the readers of a Job's pods, by UID, and by name of pods that nobody knows."""
        self._forgive()
        pods = self.watched.pods_of(job.name.uid)
        known = {pod.name for pod in pods}
        silent = Heard(max(self.since, job.ended or self.since))
        found = {tried.pod: silent for tried in job.attempts if tried.pod not in known}
        for pod in pods:
            heard = self._heard.get(pod.node)
            found[pod.uid] = Heard(heard, pod.uid in self._pods[pod.node]) if heard else silent
        return found

    def _forgive(self) -> None:
        """Wait for all readers anew if it is our own fault that they were not heard: we slept, or were cut off."""
        now, before = self.now(), self._asked
        self._asked = now
        silent = now - (self._last or self.since)
        self._last = self._last or self.since
        if (before and abs(now - before) > _ASLEEP) or _CUT_OFF < silent < _GIVEN_UP:
            self.since, self._heard = max(now, self.since), {}
