"""From what the API server says of a run's pod to the few fields that decisions need; see `snapshots`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from elt_operator.core import run_names
from elt_operator.core.model import (
    NOT_STARTED,
    Ended,
    OtherContainer,
    PipelineKey,
    Pod,
)
from elt_operator.core.words import by_a_runtime, without_values
from elt_operator.kube import foreign
from elt_operator.kube.foreign import Body, time
from elt_operator.resources import names

_WORDS: Final = 64


def pod(body: Body, of: PipelineKey | None = None) -> Pod | None:
    """Return the snapshot of a run's pod; ``None`` for a pod that was not made for a run, whatever its labels say.

    ``of`` is the Pipeline that it was looked up for; without one its label says whose it is.
    """
    whose, metadata, status = foreign.identity(body), foreign.part(body, "metadata"), foreign.part(body, "status")
    pipeline_name = of.pipeline if of else foreign.label(body, names.PIPELINE_LABEL)
    owner = foreign.controller(body, "Job", "batch") or _lost_owner(body)
    if whose is None or owner is None or run_names.number_of(pipeline_name, owner.name) is None:
        return None
    ours = _ours(status)
    state = foreign.part(ours, "state")
    waiting, terminated = foreign.part(state, "waiting"), foreign.part(state, "terminated")
    conditions = foreign.conditions_of(status)
    deletion_due = time(metadata.get("deletionTimestamp"))
    interrupted_at = _interrupted_at(body, conditions, deletion_due)
    return Pod(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        run_name=owner.name,
        run_uid=owner.uid,
        created=foreign.created(body),
        phase=foreign.text(status.get("phase")) or "Pending",
        reason=foreign.said(status, "reason"),
        message=_quoted(foreign.said(status, "message"), body),
        started=_started(body, ours),
        begun="running" in state or "terminated" in state,
        waiting_reason=foreign.said(waiting, "reason"),
        waiting_message=_quoted(
            foreign.said(waiting, "message"), body, of_a_runtime=foreign.said(waiting, "reason") in _BY_A_RUNTIME
        ),
        unschedulable=_unschedulable(conditions.get("PodScheduled", {})),
        ended=_ended(terminated, body),
        disruption=foreign.said(conditions.get("DisruptionTarget", {}), "reason"),
        node=foreign.text(foreign.part(body, "spec").get("nodeName")),
        answers=_answers(conditions.get("Ready", {})),
        deletion_due=deletion_due,
        others=tuple(_others(status, body)),
        interrupted_at=interrupted_at,
        last_change=_last_change(status, conditions, interrupted_at),
    )


def _lost_owner(body: Body) -> foreign.Owner | None:
    """Return the run of a pod without a controller: whoever deletes a run and keeps its pods takes that away.

    The batch Job controller has labelled each pod with name and UID of its batch Job.
    """
    if any(owner.get("controller") for owner in foreign.items(foreign.part(body, "metadata").get("ownerReferences"))):
        return None
    name, uid = (
        foreign.label(body, "batch.kubernetes.io/job-name"),
        foreign.label(body, "batch.kubernetes.io/controller-uid"),
    )
    return (
        foreign.Owner(name, uid, controls=False)
        if name and uid and foreign.label(body, names.RUN_NUMBER_LABEL)
        else None
    )


_BY_A_RUNTIME: Final = NOT_STARTED | {
    "CreateContainerConfigError",
    "CreateContainerError",
    "PostStartHookError",
    "PreCreateHookError",
    "PreStartHookError",
    "RunContainerError",
}
"""Why a container waits, where the container runtime has said so, or the kubelet about what it gives to the runtime
(pkg/kubelet/kuberuntime/kuberuntime_container.go)."""


def _quoted(message: str, body: Body, *, of_a_runtime: bool = False) -> str:
    """Return what is said about a pod's container, without what only a Secret holds."""
    return without_values(message, _written(body), of_a_runtime=of_a_runtime) if message else ""


def _written(body: Body) -> frozenset[str]:
    """Return what stands in a pod's own manifest, without the values of its variables."""
    whose, spec = foreign.identity(body), foreign.part(body, "spec")
    found = {*(whose or ()), foreign.text(spec.get("nodeName"))}
    for container in (*foreign.items(spec.get("initContainers")), *foreign.items(spec.get("containers"))):
        found |= {foreign.text(container.get(name)).rstrip("/") for name in ("name", "image", "workingDir")}
        for said in (container.get("command"), container.get("args")):
            words = said[:_WORDS] if isinstance(said, list) else []
            # `$(NAME)` becomes the variable's value.
            found |= {word for word in words if isinstance(word, str) and "$(" not in word}
        found |= {foreign.text(variable.get("name")) for variable in foreign.items(container.get("env"))}
    return frozenset(found - {""})


def _container_statuses(status: Body, name: str = "containerStatuses") -> Sequence[Body]:
    return foreign.items(status.get(name))


_NEVER_SEEN: Final = NOT_STARTED | {foreign.LOST}


def _ours(status: Body) -> Body:
    """Return the status of the container that is ours; empty where nothing is known of it."""
    return next((one for one in _container_statuses(status) if one.get("name") == names.CONTAINER), {})


def _started(body: Body, ours: Body) -> datetime | None:
    """Return when our container started. One that has ended had, whatever the kubelet still knows of it."""
    state = foreign.part(ours, "state")
    terminated = foreign.part(state, "terminated")
    never_seen = "terminated" not in state or foreign.said(terminated, "reason") in _NEVER_SEEN
    if "running" not in state and never_seen and not foreign.was_lost(ours):
        return None
    began = foreign.part(state, "running") or terminated
    return time(began.get("startedAt")) or foreign.created(body)


def init_containers(pod_spec: Body) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the init containers that come to an end, and of those that go on: native sidecars."""
    found = foreign.items(pod_spec.get("initContainers"))
    sidecars = frozenset(foreign.text(one.get("name")) for one in found if one.get("restartPolicy") == "Always")
    return frozenset(foreign.text(one.get("name")) for one in found) - sidecars, sidecars


def _others(status: Body, body: Body) -> Iterator[OtherContainer]:
    """Yield the containers beside the run's own: the Pipeline names them, or an admission webhook has added them."""
    _, sidecars = init_containers(foreign.part(body, "spec"))
    for kind, prepares in (("initContainerStatuses", True), ("containerStatuses", False)):
        for container in _container_statuses(status, kind):
            name, state = foreign.text(container.get("name")), foreign.part(container, "state")
            if name and (prepares or name != names.CONTAINER):
                terminated, waiting = foreign.part(state, "terminated"), foreign.part(state, "waiting")
                said = terminated or waiting
                reason, message = foreign.said(said, "reason"), foreign.text(said.get("message"))
                if waiting or reason in NOT_STARTED or by_a_runtime(message):  # else it is the end of its own log
                    message = _quoted(message, body, of_a_runtime=reason in _BY_A_RUNTIME)
                yield OtherContainer(
                    name=name,
                    prepares=prepares,
                    running="running" in state,
                    exit_code=foreign.integer(terminated.get("exitCode")) if terminated else None,
                    reason=reason,
                    message=message,
                    ended_at=time(terminated.get("finishedAt")),
                    sidecar=prepares and name in sidecars,
                    unready=name in sidecars and "running" in state and container.get("started") is False,
                )


_KUBELETS_OWN: Final = frozenset(
    {"ContainersNotReady", "ContainersNotInitialized", "PodCompleted", "PodFailed", "ReadinessGatesNotReady",
     "UnknownContainerStatuses"}
)  # fmt: skip
"""Why the kubelet itself says that a pod is not ready (pkg/kubelet/status/generate.go). Who gives up a node gives no
reason (pkg/controller/util/node/controller_utils.go)."""


def _answers(ready: Body) -> bool:
    """Return whether the kubelet answers, as far as the pod says so."""
    return ready.get("status") != "False" or foreign.text(ready.get("reason")) in _KUBELETS_OWN


def _interrupted_at(body: Body, conditions: Mapping[str, Body], deletion_due: datetime | None) -> datetime | None:
    """Return since when somebody ends the pod: its time was up, it was deleted, or the cluster takes it away."""
    metadata, spec, status = (foreign.part(body, name) for name in ("metadata", "spec", "status"))
    moments = [time(conditions.get("DisruptionTarget", {}).get("lastTransitionTime"))]
    if deletion_due:
        grace = foreign.seconds(metadata.get("deletionGracePeriodSeconds")) or 0
        moments.append(deletion_due - timedelta(seconds=grace))
    if status.get("reason") == "DeadlineExceeded":
        started, limit = time(status.get("startTime")), foreign.seconds(spec.get("activeDeadlineSeconds"))
        moments += [started + timedelta(seconds=limit)] if started and limit else []
    return min((moment for moment in moments if moment), default=None)


def _last_change(status: Body, conditions: Mapping[str, Body], interrupted_at: datetime | None) -> datetime | None:
    """Return when something last became of a pod that is over, or is being ended."""
    over = foreign.text(status.get("phase")) in {"Succeeded", "Failed"}
    moments = [time(condition.get("lastTransitionTime")) for condition in conditions.values()] if over else []
    return max((moment for moment in (*moments, interrupted_at) if moment), default=None)


def _unschedulable(condition: Body) -> str:
    if condition.get("status") != "False":
        return ""
    return foreign.said(condition, "message") or foreign.said(condition, "reason") or "no reason given"


def _ended(terminated: Body, body: Body) -> Ended | None:
    if not terminated or terminated.get("reason") == foreign.LOST:
        return None
    reason = foreign.said(terminated, "reason")
    message = foreign.text(terminated.get("message"))
    if reason in NOT_STARTED or by_a_runtime(message):
        message = _quoted(message, body, of_a_runtime=True)
    return Ended(
        exit_code=_int32(terminated.get("exitCode")) or 0,
        reason=reason,
        message=message,
        start_time=time(terminated.get("startedAt")),
        end_time=time(terminated.get("finishedAt")),
        signal=_int32(terminated.get("signal")),
    )


def _int32(value: Any) -> int | None:
    found = foreign.integer(value, 2**31)
    return found if -(2**31) <= found < 2**31 else None
