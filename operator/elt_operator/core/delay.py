"""Why a run does not go on, in the words of who holds it up: API server, scheduler, kubelet, or a person."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from elt_operator.core import outcome
from elt_operator.core.findings import Answer, Finding, NotYet, first
from elt_operator.core.model import OtherContainer, Pod, Run
from elt_operator.core.situation import Situation
from elt_operator.core.words import without_values
from elt_operator.resources.reasons import Reason

PATIENCE: Final = timedelta(seconds=5)
"""How long a start, or an end, may take before the status says more than that it is on its way."""

SILENCE: Final = timedelta(seconds=30)
"""How long a start may take of which nobody says that anything is wrong; a busy cluster needs its time."""

LOOK_AGAIN: Final = timedelta(seconds=10)
"""How often the warnings of a run that does not start are read."""

_FIRST_PAUSE: Final = timedelta(seconds=10)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
# The pause of the batch Job controller before a further attempt, doubled each time
# (https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy).

_IMAGE_TROUBLE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
# Words of the kubelet while nothing is wrong (pkg/kubelet/kubelet_pods.go).
_NO_TROUBLE: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class Failure:
    """How the last attempt ended."""

    words: str
    time: datetime


@dataclass(frozen=True)
class Wait:
    """A run that is not over, as far as it may be held up."""

    run: Run
    pods: Sequence[Pod]
    now: datetime
    warning: str
    """What Kubernetes last warned of; empty when it did not, or was not asked."""

    @property
    def pod(self) -> Pod | None:
        """The attempt under way: the newest, or rather one that has begun; ``None`` while there is none."""
        alive = [pod for pod in self.pods if pod.alive]
        return next((pod for pod in reversed(alive) if pod.begun), alive[-1] if alive else None)

    @property
    def since(self) -> datetime | None:
        """Since when a container should have started; ``None`` while nobody has to wait for one."""
        if self.run.suspended or self.run.no_more_pods or self.run.gone or self.tried_all:
            return (
                None  # `no_more_pods`, and not suspended: the batch Job controller has yet to see that it was resumed
            )
        if self.pod and self.pod.begun:
            return None
        if self.pod:
            ends = [one.ended_at for one in self._preparations if one.ended_at]
            return None if self.preparing else max([self.pod.created, *ends])
        later = [moment for moment in (self.run.started, self._next_attempt) if moment]
        return max([self.run.created, *later])

    @property
    def preparing(self) -> str:
        """The Pipeline's own init container at work, which may take its time like the run itself; empty: none is."""
        running = (one.name for one in self._preparations if one.running)
        return next((name for name in running if name in self.run.preparations), "")

    @property
    def _preparations(self) -> list[OtherContainer]:
        """The containers that come before ours, and that end: no sidecars."""
        return [one for one in (self.pod.others if self.pod else ()) if one.prepares and not one.sidecar]

    @property
    def last_failure(self) -> Failure | None:
        """How the last attempt ended, where a container of it was seen to; ``None``: none was."""
        last = self.pods[-1] if self.pods else None
        if last and last.ended and last.ended.end_time:
            return Failure(f"Pod {last.name} ended with exit code {last.ended.exit_code}", last.ended.end_time)
        failed = last.failed_preparation if last else None
        if last and failed and failed.ended_at:
            words = f"Init container {failed.name} of pod {last.name} ended with exit code {failed.exit_code}"
            return Failure(words, failed.ended_at)
        return None

    @property
    def tried_all(self) -> bool:
        """Whether nobody has to wait for a further attempt."""
        return outcome.tried_all(self.run, self.pods)

    @property
    def _next_attempt(self) -> datetime | None:
        """When the next attempt may start after those that are over, seen to end or not."""
        ends = [pod.changed for pod in self.pods if not pod.alive]
        if not ends:
            return None
        return max(ends) + min(_FIRST_PAUSE * (1 << min(len(ends), 10) - 1), _LONGEST_PAUSE)

    @property
    def late(self) -> bool:
        """Whether the start takes longer than a start should."""
        return self.since is not None and self.now - self.since >= PATIENCE

    @property
    def again(self) -> datetime:
        """When a start that takes long is worth another look: warnings are not watched."""
        return self.now + LOOK_AGAIN


Rule = Callable[[Wait], Finding | NotYet | None]


def being_stopped(wait: Wait) -> Finding | None:
    """It was told to stop, and its process has its grace period."""
    if not wait.run.stop:
        return None
    return Finding(wait.run.stop.reason, f"{wait.run.stop.message.rstrip('.')}. This Job ends when its process ends.")


def deleted(wait: Wait) -> Finding | None:
    """Somebody deleted the batch Job, and its process has its grace period."""
    if not wait.run.gone:
        return None
    return Finding(
        Reason.RUN_DELETED, f"Somebody deleted batch Job {wait.run.name}. The Job ends when its process ends."
    )


def lost_node(wait: Wait) -> Finding | NotYet | None:
    """The kubelet does not answer: it says nothing of the pod, or does not end it when it should."""
    pod = wait.pod
    if not pod or not pod.started:
        return None
    late_from = pod.deletion_due + PATIENCE if pod.deletion_due else None
    if pod.answers and (late_from is None or wait.now < late_from):
        return NotYet(late_from) if late_from else None
    return Finding(
        Reason.NODE_LOST,
        f"Node {pod.node} is not responding, so it is unknown whether pod {pod.name} is still running. "
        f"The Job continues once the node recovers, is deleted (kubectl delete node {pod.node}), "
        "or is tainted out-of-service.",
    )


def kept_alive(wait: Wait) -> Finding | None:
    """Our container has ended, and one that others added goes on: the pod is being ended."""
    pod = wait.pod
    if not pod or not pod.lingering or not pod.ended:
        return None
    return Finding(
        Reason.RUNNING,
        f"The run's own container has ended with exit code {pod.ended.exit_code}. Container "
        f"{' and '.join(pod.lingering)} keeps pod {pod.name} alive and is being ended.",
    )


def queued(wait: Wait) -> Finding | None:
    """Kueue keeps it suspended until its queue has room for it."""
    if not (wait.run.suspended and wait.run.queue):
        return None
    return Finding(
        Reason.STARTING,
        f"Batch Job {wait.run.name} is waiting for Kueue queue {wait.run.queue} to admit it. "
        f"See: kubectl describe localqueue {wait.run.queue}",
    )


def suspended_by_somebody(wait: Wait) -> Finding | None:
    """Somebody else has suspended the batch Job, and has to resume it."""
    if not wait.run.suspended:
        return None
    resume = f'kubectl patch job {wait.run.name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''
    return Finding(Reason.STARTING, f"Somebody suspended batch Job {wait.run.name}. To resume it: {resume}")


def being_prepared(wait: Wait) -> Finding | None:
    """An init container of the Pipeline is at work."""
    if not wait.preparing:
        return None
    words = f"Init container {wait.preparing} is running; the run's own container starts once it has ended."
    return Finding(Reason.STARTING, words)


def next_attempt(wait: Wait) -> Finding | NotYet | None:
    """An attempt has failed, and Kubernetes pauses before the next one."""
    last = wait.last_failure
    if wait.pod or wait.late or wait.tried_all or not last:
        return None
    if wait.now - last.time < PATIENCE:
        return NotYet(
            last.time + PATIENCE
        )  # the batch Job controller may just be about to say that it was the last attempt
    overdue_from = wait.since + PATIENCE if wait.since else None
    return Finding(Reason.STARTING, f"{last.words}; the next attempt starts after a pause.", overdue_from)


def refused_pod(wait: Wait) -> Finding | None:
    """Admission or a quota refuses the pod; the batch Job controller tries again by itself."""
    if not wait.late or wait.pod or not wait.warning:
        return None
    return Finding(Reason.REJECTED, f"The run's pod cannot be created yet: {wait.warning}", wait.again)


def no_node(wait: Wait) -> Finding | None:
    """The scheduler finds no node, or a claim is missing."""
    if not (wait.late and wait.pod and wait.pod.unschedulable):
        return None
    words = f"No node can take pod {wait.pod.name} yet: {wait.pod.unschedulable}"
    return Finding(Reason.UNSCHEDULABLE, words, wait.again)


def no_image(wait: Wait) -> Finding | None:
    """The image cannot be pulled; the kubelet tries again by itself."""
    if not (wait.late and wait.pod and wait.pod.waiting_reason in _IMAGE_TROUBLE):
        return None
    # ImagePullBackOff repeats the words of the ErrImagePull before it; told alike, the status does not flap.
    words = wait.pod.waiting_message.partition("ErrImagePull: ")[2] or wait.pod.waiting_message
    said = f"The image cannot be pulled yet: {words or wait.pod.waiting_reason}"
    return Finding(Reason.IMAGE_PULL_FAILED, said, wait.again)


def no_container(wait: Wait) -> Finding | None:
    """The kubelet cannot make the container: a Secret or ConfigMap is missing, or the image wants to be root."""
    if not wait.late or not wait.pod or wait.pod.waiting_reason in _NO_TROUBLE:
        return None
    words = ": ".join(word for word in (wait.pod.waiting_reason, wait.pod.waiting_message) if word)
    return Finding(Reason.START_ERROR, f"The container cannot be started yet: {words}", wait.again)


def not_prepared(wait: Wait) -> Finding | None:
    """A container that comes before ours does not get ready: the Pipeline's own, or one that others added."""
    if not wait.late or not wait.pod:
        return None
    in_the_way = [other for other in wait.pod.others if other.prepares and other.exit_code != 0]
    stuck = next((other for other in in_the_way if other.reason not in _NO_TROUBLE), None)
    if not stuck:
        return _not_ready(wait, wait.pod)
    words = ": ".join(word for word in (stuck.reason, stuck.message) if word)
    kind, done = ("sidecar", "running") if stuck.sidecar else ("init container", "done")
    reason = Reason.IMAGE_PULL_FAILED if stuck.reason in _IMAGE_TROUBLE else Reason.START_ERROR
    message = f"The container cannot be started yet: {kind} {stuck.name} is not {done}: {words}"
    return Finding(reason, message, wait.again)


def _not_ready(wait: Wait, pod: Pod) -> Finding | None:
    """Return that the startup probe of a sidecar takes long; ``None``: there is none, or it may still take its time."""
    unready = next((other for other in pod.others if other.unready), None)
    if not unready or not wait.since or wait.now - wait.since < SILENCE:
        return None
    return Finding(
        Reason.START_ERROR,
        f"The container cannot be started yet: sidecar {unready.name} is running, but its startup probe has not "
        f"succeeded. See: kubectl logs {pod.name} -c {unready.name}",
        wait.again,
    )


def slow_start(wait: Wait) -> Finding | NotYet | None:
    """Nothing is known to be wrong but what Kubernetes warned of, a volume that cannot be mounted for example."""
    if not wait.since:
        return None
    if not wait.late:
        return NotYet(wait.since + PATIENCE)
    if not wait.warning and wait.now - wait.since < SILENCE:
        return NotYet(wait.again)
    if not wait.pod:
        return Finding(Reason.STARTING, "The run's pod has not been created yet.", wait.again)
    detail = f": {wait.warning}" if wait.warning else "."
    return Finding(Reason.STARTING, f"Pod {wait.pod.name} is being started on its node{detail}", wait.again)


RULES: Sequence[Rule] = (
    being_stopped,
    deleted,
    lost_node,
    kept_alive,
    queued,
    suspended_by_somebody,
    being_prepared,
    next_attempt,
    refused_pod,
    no_node,
    no_image,
    no_container,
    not_prepared,
    slow_start,
)


def _wait(situation: Situation, run: Run) -> Wait:
    pods = situation.pods_of(run)
    about = pods[-1].uid if pods and pods[-1].alive else run.uid
    return Wait(run, pods, situation.now, without_values(situation.warnings.get(about, "")))


def waiting_since(situation: Situation, run: Run) -> datetime | None:
    """Return since when a container of ``run`` should have started; ``None`` while nobody has to wait for one."""
    return _wait(situation, run).since


def unexplained(situation: Situation, run: Run) -> str | None:
    """Return the UID of what only the warnings of Kubernetes can explain: the run or its pod, which does not start."""
    wait = _wait(situation, run)
    if not wait.late or (wait.pod and (wait.pod.unschedulable or wait.pod.waiting_reason not in _NO_TROUBLE)):
        return None
    return wait.pod.uid if wait.pod else run.uid


def first_delay(situation: Situation, run: Run, rules: Sequence[Rule] = RULES) -> Answer[Finding]:
    """Return what holds up ``run``, which is not over; nothing is found while it may still take its time."""
    return first(rules, _wait(situation, run))
