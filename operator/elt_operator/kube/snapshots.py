"""From what the API server says to the few fields that decisions need.

Stored objects are hostile bytes: one that cannot be read becomes a snapshot that says so, or none; nothing is raised.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from elt_operator.api import names
from elt_operator.api.job import JobSpec, JobStatus
from elt_operator.api.pipeline import PipelineSpec, PipelineStatus
from elt_operator.api.reasons import Reason
from elt_operator.core import render
from elt_operator.core.situation import (
    CronJob,
    Ended,
    Finish,
    FinishedJob,
    Job,
    Key,
    Pipeline,
    Pod,
    Run,
    Slot,
    Stop,
    Timetable,
)

Body = Mapping[str, Any]
StatusT = TypeVar("StatusT", PipelineStatus, JobStatus)


def time(text: str | None) -> datetime | None:
    """Return a Kubernetes time (RFC 3339) as an aware UTC ``datetime``; ``None`` for none or nonsense."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _created(body: Body) -> datetime:
    return time(body["metadata"].get("creationTimestamp")) or datetime.fromtimestamp(0, UTC)


def _problem(error: ValidationError) -> str:
    """Return what is wrong with a spec, without the values: one of them may be a secret put in the wrong place."""
    return "; ".join(f"spec.{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()[:5])


def pipeline(body: Body) -> Pipeline:
    """Return the snapshot of a Pipeline."""
    metadata = body["metadata"]
    problem, spec = "", None
    try:
        spec = PipelineSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        problem = _problem(error)
    return Pipeline(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        resource_version=metadata["resourceVersion"],
        spec=spec,
        status=_status(PipelineStatus, body),
        problem=problem,
    )


def _status(model: type[StatusT], body: Body) -> StatusT:
    """Return a stored status; an unreadable one counts as none and is written anew."""
    try:
        return model.model_validate(body.get("status") or {})
    except ValidationError:
        return model()


def job(body: Body) -> Job | None:
    """Return the snapshot of a Job; ``None`` when it does not even name a Pipeline."""
    metadata = body["metadata"]
    stored = body.get("spec") or {}
    pipeline_name = stored.get("pipelineName")
    if not isinstance(pipeline_name, str) or not pipeline_name:
        return None
    problem, spec = "", None
    try:
        spec = JobSpec.model_validate(stored)
    except ValidationError as error:
        problem = _problem(error)
    return Job(
        key=Key(metadata["namespace"], pipeline_name),
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        resource_version=metadata["resourceVersion"],
        created=_created(body),
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        status=_status(JobStatus, body),
        problem=problem,
        slot_uid=(metadata.get("annotations") or {}).get(names.SLOT_ANNOTATION, ""),
    )


def _controller(body: Body, kind: str, api_group: str) -> Mapping[str, Any] | None:
    """Return the owner reference of the object's controller, if that is of ``kind``."""
    for owner in body["metadata"].get("ownerReferences") or []:
        group = owner.get("apiVersion", "").partition("/")[0]
        if owner.get("controller") and owner.get("kind") == kind and group == api_group:
            return owner  # type: ignore[no-any-return]  # JSON
    return None


def finished_job(body: Body, *, succeeded: bool) -> FinishedJob | None:
    """Return the snapshot of a Job that has ended, from its metadata; ``None`` when the operator did not create it."""
    metadata = body["metadata"]
    labels, owner = metadata.get("labels") or {}, _controller(body, "Pipeline", names.GROUP)
    if labels.get(names.MANAGED_BY_LABEL) != names.MANAGER or owner is None:
        return None
    key = Key(metadata["namespace"], owner["name"])
    return FinishedJob(key, metadata["name"], metadata["uid"], _created(body), succeeded)


def cron_job(body: Body) -> CronJob:
    """Return the snapshot of a CronJob; of anybody's, for it may have a name that we need."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    owner, annotations = _controller(body, "Pipeline", names.GROUP), metadata.get("annotations") or {}
    return CronJob(
        key=Key(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        owner_uid=owner["uid"] if owner else "",
        deleting="deletionTimestamp" in metadata,
        timetable=Timetable(
            schedule=spec.get("schedule", ""),
            time_zone=spec.get("timeZone"),
            suspend=bool(spec.get("suspend")),
            starting_deadline_seconds=spec.get("startingDeadlineSeconds"),
            pipeline_generation=_number(annotations.get(names.PIPELINE_GENERATION_ANNOTATION)),
            agreed=annotations.get(names.SCHEDULE_ANNOTATION, ""),
            since=time(annotations.get(names.SINCE_ANNOTATION)),
            concurrency_policy=spec.get("concurrencyPolicy", ""),
            slots_suspended=bool(((spec.get("jobTemplate") or {}).get("spec") or {}).get("suspend")),
        ),
    )


def slot(body: Body) -> Slot | None:
    """Return the snapshot of a slot; ``None`` for a batch Job that no CronJob of ours made."""
    metadata = body["metadata"]
    pipeline_name = (metadata.get("labels") or {}).get(names.PIPELINE_LABEL, "")
    owner, annotations = _controller(body, "CronJob", "batch"), metadata.get("annotations") or {}
    if owner is None or owner["name"] != pipeline_name:
        return None
    created = _created(body)
    by_hand = annotations.get("cronjob.kubernetes.io/instantiate") == "manual"
    return Slot(
        key=Key(metadata["namespace"], pipeline_name),
        name=metadata["name"],
        uid=metadata["uid"],
        created=created,
        deleting="deletionTimestamp" in metadata,
        time=None if by_hand else time(annotations.get("batch.kubernetes.io/cronjob-scheduled-timestamp")),
        since=time(annotations.get(names.SINCE_ANNOTATION)) or created,
    )


def run(body: Body) -> Run | None:
    """Return the snapshot of a run; ``None`` for a batch Job that is not one of ours."""
    metadata = body["metadata"]
    pipeline_name = (metadata.get("labels") or {}).get(names.PIPELINE_LABEL, "")
    number = render.number_of(pipeline_name, metadata["name"]) if pipeline_name else None
    owner = _controller(body, "Job", names.GROUP)
    if number is None or owner is None:
        return None
    annotations, status = metadata.get("annotations") or {}, body.get("status") or {}
    pending_timeout = _number(annotations.get(names.PENDING_TIMEOUT_ANNOTATION))
    return Run(
        key=Key(metadata["namespace"], pipeline_name),
        name=metadata["name"],
        uid=metadata["uid"],
        number=number,
        job_name=owner["name"],
        job_uid=owner["uid"],
        created=_created(body),
        pipeline_generation=_number(annotations.get(names.PIPELINE_GENERATION_ANNOTATION)),
        pending_timeout_seconds=pending_timeout or Run.pending_timeout_seconds,
        finish=_finish(status),
        stop=_stop(annotations),
        suspended=bool((body.get("spec") or {}).get("suspend")),
        stopped=_holds(status, "Suspended"),
        started=time(status.get("startTime")),
    )


def _number(text: str | None) -> int | None:
    """Return an annotation's number; users can write there, so nonsense counts as none."""
    return int(text) if text and text.isascii() and text.isdigit() else None


def _stop(annotations: Mapping[str, str]) -> Stop | None:
    """Return why we told a run to stop."""
    word = annotations.get(names.STOP_REASON_ANNOTATION)
    reason = next((reason for reason in Reason if reason.value == word), None)
    return Stop(reason, annotations.get(names.STOP_MESSAGE_ANNOTATION, "")) if reason else None


def _condition(status: Body, kind: str) -> Mapping[str, Any]:
    """Return a condition; empty when there is none of that kind."""
    return next((found for found in status.get("conditions") or [] if found.get("type") == kind), {})


def _holds(status: Body, kind: str) -> bool:
    return _condition(status, kind).get("status") == "True"


def _finish(status: Body) -> Finish | None:
    """Return the batch Job controller's verdict: conditions Complete and Failed come when all pods have ended."""
    for kind in ("Complete", "Failed"):
        if _holds(status, kind):
            condition = _condition(status, kind)
            return Finish(
                succeeded=kind == "Complete",
                reason=condition.get("reason", ""),
                message=condition.get("message", ""),
                time=time(condition.get("lastTransitionTime")),
            )
    return None


def pod(body: Body) -> Pod | None:
    """Return the snapshot of a run's pod; ``None`` for a pod that no batch Job controls, whatever its labels say."""
    metadata, status = body["metadata"], body.get("status") or {}
    pipeline_name = (metadata.get("labels") or {}).get(names.PIPELINE_LABEL, "")
    owner = _controller(body, "Job", "batch")
    if owner is None or render.number_of(pipeline_name, owner["name"]) is None:
        return None
    state = _container_state(status)
    waiting = state.get("waiting") or {}
    return Pod(
        key=Key(metadata["namespace"], pipeline_name),
        name=metadata["name"],
        uid=metadata["uid"],
        run_name=owner["name"],
        created=_created(body),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        started=time((state.get("running") or {}).get("startedAt")),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        unschedulable=_unschedulable(status),
        ended=_ended(state),
        disruption=_condition(status, "DisruptionTarget").get("reason", ""),
        node=(body.get("spec") or {}).get("nodeName", ""),
        ready=_condition(status, "Ready").get("status") != "False",
        deletion_due=time(metadata.get("deletionTimestamp")),
    )


def _container_state(status: Body) -> Mapping[str, Any]:
    """Return the state of the one container that is ours."""
    for container in status.get("containerStatuses") or []:
        if container.get("name") == names.CONTAINER:
            return container.get("state") or {}
    return {}


def _unschedulable(status: Body) -> str:
    condition = _condition(status, "PodScheduled")
    if condition.get("status") != "False":
        return ""
    return condition.get("message") or condition.get("reason") or "no reason given"


def _ended(state: Body) -> Ended | None:
    terminated = state.get("terminated")
    # The kubelet makes up this one, exit code and all, for a container that it does not find any more, or never made.
    if not terminated or terminated.get("reason") == "ContainerStatusUnknown":
        return None
    return Ended(
        exit_code=terminated.get("exitCode", 0),
        reason=terminated.get("reason", ""),
        message=terminated.get("message", ""),
        start_time=time(terminated.get("startedAt")),
        end_time=time(terminated.get("finishedAt")),
        signal=terminated.get("signal"),
    )
