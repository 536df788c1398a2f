"""From what the API server says to the few fields that decisions need.

Stored objects are hostile bytes: one that cannot be read becomes a snapshot that says so, or none; nothing is raised.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from elt_operator.core import log, render, run_names, stop
from elt_operator.core.findings import Finding
from elt_operator.core.model import (
    NOT_STARTED,
    CronJob,
    Ended,
    EndedJob,
    Finish,
    Job,
    OtherContainer,
    Pipeline,
    PipelineKey,
    Pod,
    Run,
    Slot,
    Timetable,
)
from elt_operator.core.words import by_a_runtime, without_values
from elt_operator.kube import foreign
from elt_operator.kube.foreign import Body, time
from elt_operator.resources import names
from elt_operator.resources.job import JobSpec, JobStatus
from elt_operator.resources.pipeline import PipelineSpec, PipelineStatus

StatusT = TypeVar("StatusT", PipelineStatus, JobStatus)


_WORDS: Final = 64
_PROBLEM_CHARACTERS: Final = 1_000
_LONGEST_PENDING_TIMEOUT: Final = 31_536_000
_STOP_MESSAGE_CHARACTERS: Final = 2_048


def _created(body: Body) -> datetime:
    return time(foreign.part(body, "metadata").get("creationTimestamp")) or foreign.EARLIEST


def _problem(error: ValidationError) -> str:
    """Return what is wrong with a spec, without the values: one of them may be a secret put in the wrong place."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:5]
    words = "; ".join(f"spec.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
    return log.clean(words)[:_PROBLEM_CHARACTERS]


def pipeline(body: Body) -> Pipeline | None:
    """Return the snapshot of a Pipeline; ``None`` for a body that does not say whose it is."""
    whose, metadata = foreign.identity(body), foreign.part(body, "metadata")
    if whose is None:
        return None
    problem, spec = "", None
    try:
        spec = PipelineSpec.model_validate(foreign.part(body, "spec"))
    except ValidationError as error:
        problem = _problem(error)
    return Pipeline(
        key=PipelineKey(whose.namespace, whose.name),
        uid=whose.uid,
        generation=max(0, foreign.integer(metadata.get("generation"))),
        resource_version=foreign.text(metadata.get("resourceVersion")),
        spec=spec,
        status=_status(PipelineStatus, body),
        problem=problem,
        deleting="deletionTimestamp" in metadata,
    )


def _status(model: type[StatusT], body: Body) -> StatusT:
    """Return a stored status; a field of it that cannot be read counts as absent, and is written anew."""
    stored = foreign.part(body, "status")
    try:
        return model.model_validate(stored)
    except ValidationError as error:
        unreadable = {found["loc"][0] for found in error.errors(include_url=False, include_input=False) if found["loc"]}
    try:
        return model.model_validate({name: value for name, value in stored.items() if name not in unreadable})
    except ValidationError:
        return model()


def job(body: Body) -> Job | None:
    """Return the snapshot of a Job; ``None`` when it does not even name a Pipeline."""
    whose, metadata, stored = foreign.identity(body), foreign.part(body, "metadata"), foreign.part(body, "spec")
    pipeline_name = foreign.text(stored.get("pipelineName"))
    if whose is None or not pipeline_name:
        return None
    problem, spec = "", None
    try:
        spec = JobSpec.model_validate(stored)
    except ValidationError as error:
        problem = _problem(error)
    return Job(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        generation=max(0, foreign.integer(metadata.get("generation"))),
        resource_version=foreign.text(metadata.get("resourceVersion")),
        created=_created(body),
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        status=_status(JobStatus, body),
        problem=problem,
        slot_uid=_annotation(body, names.SLOT_ANNOTATION),
    )


def _annotation(body: Body, name: str) -> str:
    return foreign.text(foreign.part(body, "metadata", "annotations").get(name))


def _label(body: Body, name: str) -> str:
    return foreign.text(foreign.part(body, "metadata", "labels").get(name))


class _Owner(NamedTuple):
    name: str
    uid: str
    controls: bool


def _owners(body: Body, kind: str, api_group: str) -> Iterator[_Owner]:
    """Yield the object's owners of ``kind``."""
    for owner in foreign.items(foreign.part(body, "metadata").get("ownerReferences")):
        group = foreign.text(owner.get("apiVersion")).partition("/")[0]
        if owner.get("kind") == kind and group == api_group:
            yield _Owner(
                foreign.text(owner.get("name")), foreign.text(owner.get("uid")), owner.get("controller") is True
            )


def _controller(body: Body, kind: str, api_group: str) -> _Owner | None:
    """Return the object's controller, if that is of ``kind``."""
    return next((owner for owner in _owners(body, kind, api_group) if owner.controls), None)


def ended_job(body: Body, *, succeeded: bool) -> EndedJob | None:
    """Return the snapshot of a Job that has ended, from its metadata; ``None`` when the operator did not create it."""
    whose, owner = foreign.identity(body), _controller(body, "Pipeline", names.GROUP)
    if whose is None or owner is None or _label(body, names.MANAGED_BY_LABEL) != names.MANAGER:
        return None
    if not _made_for_slot(body, whose.name, owner.name):
        return None
    return EndedJob(PipelineKey(whose.namespace, owner.name), whose.name, whose.uid, _created(body), succeeded)


def _made_for_slot(body: Body, name: str, pipeline_name: str) -> bool:
    """Return whether a Job is the one that was made for a slot, and no copy of it: labels and owners are copied, too.

    Older releases wrote no name down; what is named for a time of the schedule is theirs.
    """
    if _annotation(body, _APPLIED):
        return False
    slot_name = _annotation(body, names.SLOT_NAME_ANNOTATION)
    if slot_name or not _annotation(body, names.SLOT_ANNOTATION):
        return slot_name == name
    digits = name.removeprefix(f"{pipeline_name}-")
    return digits != name and digits.isascii() and digits.isdigit()


_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""What ``kubectl apply`` leaves on an object: somebody keeps it."""


def cron_job(body: Body) -> CronJob | None:
    """Return the snapshot of a CronJob; of anybody's, for it may have a name that we need."""
    whose, spec = foreign.identity(body), foreign.part(body, "spec")
    if whose is None:
        return None
    owner, template = _controller(body, "Pipeline", names.GROUP), foreign.part(spec, "jobTemplate")
    since = _annotation(body, names.SINCE_ANNOTATION)
    labelled = (_label(part, names.PIPELINE_LABEL) for part in (template, foreign.part(template, "spec", "template")))
    named, slots_suspended = all(label == whose.name for label in labelled), _suspended(template)
    return CronJob(
        key=PipelineKey(whose.namespace, whose.name),
        uid=whose.uid,
        owner_uid=owner.uid if owner else "",
        deleting="deletionTimestamp" in foreign.part(body, "metadata"),
        timetable=Timetable(
            schedule=foreign.text(spec.get("schedule")),
            time_zone=foreign.text(spec.get("timeZone")) or None,
            suspend=spec.get("suspend") is True,
            starting_deadline_seconds=_seconds(spec.get("startingDeadlineSeconds")),
            pipeline_generation=foreign.number(_annotation(body, names.PIPELINE_GENERATION_ANNOTATION)),
            in_force=_annotation(body, names.SCHEDULE_ANNOTATION),
            since=time(since),
            concurrency_policy=foreign.text(spec.get("concurrencyPolicy")),
            slots_suspended=slots_suspended,
            slots_marked=named and _gated(template) and _annotation(template, names.SINCE_ANNOTATION) == since,
        ),
        left_behind=(
            not foreign.part(body, "metadata").get("ownerReferences")
            and _label(body, names.MANAGED_BY_LABEL) == names.MANAGER
            and _label(body, names.PIPELINE_LABEL) == whose.name
            and slots_suspended
            and _gated(template)
        ),
    )


def _suspended(job: Body) -> bool:
    """Return whether a batch Job, or the template of one, is suspended."""
    return foreign.part(job, "spec").get("suspend") is True


def _gated(job: Body) -> bool:
    """Return whether the pods of a batch Job, or of the template of one, wait at the gate of slots for ever."""
    gates = foreign.items(foreign.part(job, "spec", "template", "spec").get("schedulingGates"))
    return any(gate.get("name") == names.SLOT_GATE for gate in gates)


def _seconds(value: Any) -> int | None:
    found = foreign.integer(value, -1)
    return found if 0 <= found < 2**31 else None


def slot(body: Body) -> Slot | None:
    """Return the snapshot of a slot; ``None`` for a batch Job that was not made from the template of a CronJob of ours.

    The CronJob controller, and kubectl, make the CronJob its controller. Dashboards that "run now" make it an owner at
    most: then the label and the gate of the template tell where it comes from.
    """
    whose, pipeline_name = foreign.identity(body), _label(body, names.PIPELINE_LABEL)
    if whose is None or not pipeline_name:
        return None
    owners = foreign.items(foreign.part(body, "metadata").get("ownerReferences"))
    of_cron_jobs = [owner for owner in _owners(body, "CronJob", "batch") if owner.name == pipeline_name]
    owner = next((owner for owner in of_cron_jobs if owner.controls), None)
    if owner is None:
        if not _gated(body) or any(one.get("controller") is True for one in owners):
            return None
        owner = next(iter(of_cron_jobs), None)
    if owners and (owner is None or not owner.uid):
        return None
    created, moment = _created(body), _slot_time(body)
    return Slot(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        created=created,
        deleting="deletionTimestamp" in foreign.part(body, "metadata"),
        time=moment,
        since=time(_annotation(body, names.SINCE_ANNOTATION)) or moment or created,
        cron_job_uid=owner.uid if owner else "",
    )


def _slot_time(body: Body) -> datetime | None:
    """Return the time of the schedule that a slot names, brought within bounds; ``None``: it was made by hand."""
    if _annotation(body, "cronjob.kubernetes.io/instantiate") == "manual":
        return None
    text = _annotation(body, "batch.kubernetes.io/cronjob-scheduled-timestamp")
    found = time(text)
    if found:
        return found
    try:
        return foreign.LATEST if datetime.fromisoformat(text).year > foreign.EARLIEST.year else foreign.EARLIEST
    except ValueError:
        return None


def run(body: Body, of: PipelineKey | None = None) -> Run | None:
    """Return the snapshot of a run; ``None`` for a batch Job that is not one of ours.

    ``of`` is the Pipeline that it was looked up for; without one its label says whose it is.
    """
    whose = foreign.identity(body)
    pipeline_name = of.pipeline if of else _label(body, names.PIPELINE_LABEL)
    owner = _controller(body, "Job", names.GROUP)
    number = run_names.number_of(pipeline_name, whose.name) if whose and pipeline_name else None
    # An owner whose name no Job can have is none: it was written by hand, to be looked up by us.
    if whose is None or number is None or owner is None or not owner.uid or not run_names.may_name_a_job(owner.name):
        return None
    spec, status = foreign.part(body, "spec"), foreign.part(body, "status")
    conditions, suspended = _conditions(status), spec.get("suspend") is True
    return Run(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        number=number,
        job_name=owner.name,
        job_uid=owner.uid,
        created=_created(body),
        pipeline_generation=foreign.number(_annotation(body, names.PIPELINE_GENERATION_ANNOTATION)),
        pending_timeout_seconds=foreign.number(
            _annotation(body, names.PENDING_TIMEOUT_ANNOTATION), _LONGEST_PENDING_TIMEOUT
        )
        or Run.pending_timeout_seconds,
        finish=_finish(conditions),
        # Anybody who may write annotations can write down a reason; it counts where the run was really told to stop.
        stop=_stop(body) if suspended or spec.get("activeDeadlineSeconds") == render.STOPPED_AFTER else None,
        suspended=suspended,
        no_more_pods=any(_holds(conditions, kind) for kind in ("Suspended", "FailureTarget")),
        started=time(status.get("startTime")),
        retries=foreign.integer(spec.get("backoffLimit")),
        preparations=_init_containers(foreign.part(spec, "template", "spec"))[0],
        queue=_label(body, names.QUEUE_LABEL),
        resource_version=foreign.text(foreign.part(body, "metadata").get("resourceVersion")),
        final_exit_codes=_final_exit_codes(spec),
    )


def _final_exit_codes(spec: Body) -> frozenset[int]:
    """Return the exit codes of our container that fail a batch Job at once, whatever its retries are."""
    final = [
        foreign.mapping(rule.get("onExitCodes"))
        for rule in foreign.items(foreign.part(spec, "podFailurePolicy").get("rules"))
        if rule.get("action") == "FailJob"
    ]
    return frozenset(
        code
        for codes in final
        if codes.get("containerName") == names.CONTAINER and codes.get("operator") == "In"
        for code in foreign.integers(codes.get("values"))
    )


def _stop(body: Body) -> Finding | None:
    """Return why we told a run to stop."""
    word = _annotation(body, names.STOP_REASON_ANNOTATION)
    reason = next((reason for reason in stop.REASONS if reason.value == word), None)
    message = log.clean(_annotation(body, names.STOP_MESSAGE_ANNOTATION))[:_STOP_MESSAGE_CHARACTERS]
    return Finding(reason, message or reason.sentence) if reason else None


def _conditions(status: Body) -> Mapping[str, Body]:
    """Return the conditions by their type."""
    return {foreign.text(found.get("type")): found for found in foreign.items(status.get("conditions"))}


def _holds(conditions: Mapping[str, Body], kind: str) -> bool:
    return conditions.get(kind, {}).get("status") == "True"


def _said(part: Body, name: str) -> str:
    """Return words of Kubernetes for a person."""
    words = foreign.text(part.get(name))
    return words if words.isprintable() else log.clean(words)


def _finish(conditions: Mapping[str, Body]) -> Finish | None:
    """Return the batch Job controller's verdict: conditions Complete and Failed come when all pods have ended."""
    for kind in ("Complete", "Failed"):
        if _holds(conditions, kind):
            condition = conditions[kind]
            return Finish(
                succeeded=kind == "Complete",
                reason=_said(condition, "reason"),
                message=_said(condition, "message"),
                time=time(condition.get("lastTransitionTime")),
            )
    return None


def pod(body: Body, of: PipelineKey | None = None) -> Pod | None:
    """Return the snapshot of a run's pod; ``None`` for a pod that was not made for a run, whatever its labels say.

    ``of`` is the Pipeline that it was looked up for; without one its label says whose it is.
    """
    whose, metadata, status = foreign.identity(body), foreign.part(body, "metadata"), foreign.part(body, "status")
    pipeline_name = of.pipeline if of else _label(body, names.PIPELINE_LABEL)
    owner = _controller(body, "Job", "batch") or _lost_owner(body)
    if whose is None or owner is None or run_names.number_of(pipeline_name, owner.name) is None:
        return None
    state = _state(status)
    waiting, terminated = foreign.part(state, "waiting"), foreign.part(state, "terminated")
    conditions = _conditions(status)
    deletion_due = time(metadata.get("deletionTimestamp"))
    interrupted_at = _interrupted_at(body, conditions, deletion_due)
    return Pod(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        run_name=owner.name,
        run_uid=owner.uid,
        created=_created(body),
        phase=foreign.text(status.get("phase")) or "Pending",
        reason=_said(status, "reason"),
        message=_quoted(_said(status, "message"), body),
        started=_started(body, state),
        begun="running" in state or "terminated" in state,
        waiting_reason=_said(waiting, "reason"),
        waiting_message=_quoted(
            _said(waiting, "message"), body, of_a_runtime=_said(waiting, "reason") in _BY_A_RUNTIME
        ),
        unschedulable=_unschedulable(conditions.get("PodScheduled", {})),
        ended=_ended(terminated, body),
        disruption=_said(conditions.get("DisruptionTarget", {}), "reason"),
        node=foreign.text(foreign.part(body, "spec").get("nodeName")),
        answers=_answers(conditions.get("Ready", {})),
        deletion_due=deletion_due,
        others=tuple(_others(status, body)),
        interrupted_at=interrupted_at,
        last_change=_last_change(status, conditions, interrupted_at),
    )


def _lost_owner(body: Body) -> _Owner | None:
    """Return the run of a pod without a controller: whoever deletes a run and keeps its pods takes that away.

    The batch Job controller has labelled each pod with name and UID of its batch Job.
    """
    if any(owner.get("controller") for owner in foreign.items(foreign.part(body, "metadata").get("ownerReferences"))):
        return None
    name, uid = _label(body, "batch.kubernetes.io/job-name"), _label(body, "batch.kubernetes.io/controller-uid")
    return _Owner(name, uid, controls=False) if name and uid and _label(body, names.RUN_NUMBER_LABEL) else None


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


_UNKNOWN: Final = "ContainerStatusUnknown"
"""The kubelet makes up this end, exit code and all, for a container that it does not find any more, or never made."""

_NEVER_SEEN: Final = NOT_STARTED | {_UNKNOWN}


def _state(status: Body) -> Body:
    """Return the state of the container that is ours; empty where nothing is known of it."""
    ours = next((one for one in _container_statuses(status) if one.get("name") == names.CONTAINER), {})
    return foreign.part(ours, "state")


def _started(body: Body, state: Body) -> datetime | None:
    """Return when our container started. One that has ended had, whatever the kubelet still knows of it."""
    terminated = foreign.part(state, "terminated")
    if "running" not in state and ("terminated" not in state or _said(terminated, "reason") in _NEVER_SEEN):
        return None
    began = foreign.part(state, "running") or terminated
    return time(began.get("startedAt")) or _created(body)


def _init_containers(pod_spec: Body) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the init containers that come to an end, and of those that go on: native sidecars."""
    found = foreign.items(pod_spec.get("initContainers"))
    sidecars = frozenset(foreign.text(one.get("name")) for one in found if one.get("restartPolicy") == "Always")
    return frozenset(foreign.text(one.get("name")) for one in found) - sidecars, sidecars


def _others(status: Body, body: Body) -> Iterator[OtherContainer]:
    """Yield the containers beside the run's own: the Pipeline names them, or an admission webhook has added them."""
    _, sidecars = _init_containers(foreign.part(body, "spec"))
    for kind, prepares in (("initContainerStatuses", True), ("containerStatuses", False)):
        for container in _container_statuses(status, kind):
            name, state = foreign.text(container.get("name")), foreign.part(container, "state")
            if name and (prepares or name != names.CONTAINER):
                terminated, waiting = foreign.part(state, "terminated"), foreign.part(state, "waiting")
                said = terminated or waiting
                reason, message = _said(said, "reason"), foreign.text(said.get("message"))
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
        grace = _seconds(metadata.get("deletionGracePeriodSeconds")) or 0
        moments.append(deletion_due - timedelta(seconds=grace))
    if status.get("reason") == "DeadlineExceeded":
        started, limit = time(status.get("startTime")), _seconds(spec.get("activeDeadlineSeconds"))
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
    return _said(condition, "message") or _said(condition, "reason") or "no reason given"


def _ended(terminated: Body, body: Body) -> Ended | None:
    if not terminated or terminated.get("reason") == _UNKNOWN:
        return None
    reason = _said(terminated, "reason")
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
