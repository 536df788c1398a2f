"""Why a run has not started yet, in the words of who holds it up: API server, scheduler or kubelet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from elt_operator.api.reasons import Reason
from elt_operator.core.situation import Pod, Run, Situation

PATIENCE: Final = timedelta(seconds=5)
"""How long a start may take before its status says more than that it is on its way."""

LOOK_AGAIN: Final = timedelta(seconds=10)
"""How often the warnings of a run that does not start are read."""

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
class Delay:
    """What holds up the start of a run."""

    reason: Reason
    message: str


Check = Callable[[Run, Pod | None, str], Delay | None]


def refused_pod(_run: Run, pod: Pod | None, warning: str) -> Delay | None:
    """Admission or a quota refuses the pod; the batch Job controller tries again by itself."""
    if pod or not warning:
        return None
    return Delay(Reason.REJECTED, f"The run's pod cannot be created yet: {warning}")


def no_node(_run: Run, pod: Pod | None, _warning: str) -> Delay | None:
    """The scheduler finds no node, or a claim is missing."""
    if not (pod and pod.unschedulable):
        return None
    return Delay(Reason.UNSCHEDULABLE, f"No node can take pod {pod.name} yet: {pod.unschedulable}")


def no_image(_run: Run, pod: Pod | None, _warning: str) -> Delay | None:
    """The image cannot be pulled; the kubelet tries again by itself."""
    if not (pod and pod.waiting_reason in _IMAGE_TROUBLE):
        return None
    # ImagePullBackOff repeats the words of the ErrImagePull before it; told alike, the status does not flap.
    words = pod.waiting_message.partition("ErrImagePull: ")[2] or pod.waiting_message
    return Delay(Reason.IMAGE_PULL_FAILED, f"The image cannot be pulled yet: {words or pod.waiting_reason}")


def no_container(_run: Run, pod: Pod | None, _warning: str) -> Delay | None:
    """The kubelet cannot make the container: a Secret or ConfigMap is missing, or the image wants to be root."""
    if not pod or pod.waiting_reason in _NO_TROUBLE:
        return None
    words = ": ".join(word for word in (pod.waiting_reason, pod.waiting_message) if word)
    return Delay(Reason.START_ERROR, f"The container cannot be started yet: {words}")


def slow_start(_run: Run, pod: Pod | None, warning: str) -> Delay | None:
    """Nothing is known to be wrong but what Kubernetes warned of, a volume that cannot be mounted for example."""
    if not pod:
        return Delay(Reason.STARTING, "The run's pod is not there yet.")
    detail = f": {warning}" if warning else "."
    return Delay(Reason.STARTING, f"Pod {pod.name} is being started on its node{detail}")


CHECKS: Sequence[Check] = (refused_pod, no_node, no_image, no_container, slow_start)


def _waits(run: Run, pods: Sequence[Pod]) -> bool:
    """Whether the run's current attempt has not started."""
    return run.finish is None and not any(pod.started or pod.ended for pod in pods[-1:])


def is_late(situation: Situation, run: Run) -> bool:
    """Return whether the start of ``run`` takes longer than a start should."""
    pods = situation.pods_of(run)
    since = pods[-1].created if pods else run.created
    return _waits(run, pods) and situation.now - since >= PATIENCE


def needs_warnings(situation: Situation, run: Run) -> bool:
    """Return whether only the warnings of Kubernetes can say why ``run`` does not start."""
    pods = situation.pods_of(run)
    silent = not pods or (not pods[-1].unschedulable and pods[-1].waiting_reason in _NO_TROUBLE)
    return silent and is_late(situation, run)


def delay(situation: Situation, run: Run, checks: Sequence[Check] = CHECKS) -> Delay | None:
    """Return what holds up ``run``; ``None`` when it has started, or may still take its time."""
    if not is_late(situation, run):
        return None
    pods = situation.pods_of(run)
    pod = pods[-1] if pods else None
    answer = situation.warnings.get(pod.uid if pod else run.uid)
    for check in checks:
        if found := check(run, pod, answer.message if answer else ""):
            return found
    return None


def next_look(situation: Situation, run: Run) -> timedelta | None:
    """Return when a run that has not started is worth another look, though nothing may have been reported."""
    pods = situation.pods_of(run)
    if not _waits(run, pods):
        return None
    since = pods[-1].created if pods else run.created
    return max(PATIENCE - (situation.now - since), timedelta()) or LOOK_AGAIN
