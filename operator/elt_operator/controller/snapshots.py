"""From what the API server says to the few fields that decisions need.

Stored objects are hostile bytes: one that cannot be read becomes a snapshot that says so, or none; nothing is raised.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

from pydantic import ValidationError

from elt_operator.controller import pod_snapshots
from elt_operator.core import log, render, run_names, stop
from elt_operator.core.findings import Finding
from elt_operator.core.model import (
    CronJob,
    EndedJob,
    Finish,
    Job,
    Pipeline,
    PipelineKey,
    Run,
    Slot,
    Timetable,
)
from elt_operator.kube import foreign
from elt_operator.kube.foreign import Body, time
from elt_operator.resources import names
from elt_operator.resources.job import JobSpec, JobStatus
from elt_operator.resources.pipeline import PipelineSpec, PipelineStatus

StatusT = TypeVar("StatusT", PipelineStatus, JobStatus)


_PROBLEM_CHARACTERS: Final = 1_000
_LONGEST_PENDING_TIMEOUT: Final = 31_536_000
_STOP_MESSAGE_CHARACTERS: Final = 2_048


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
        created=foreign.created(body),
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
        created=foreign.created(body),
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        status=_status(JobStatus, body),
        problem=problem,
        slot_uid=foreign.annotation(body, names.SLOT_ANNOTATION),
    )


def ended_job(body: Body, *, succeeded: bool) -> EndedJob | None:
    """Return the snapshot of a Job that has ended, from its metadata; ``None`` when the operator did not create it."""
    whose, owner = foreign.identity(body), foreign.controller(body, "Pipeline", names.GROUP)
    if whose is None or owner is None or foreign.label(body, names.MANAGED_BY_LABEL) != names.MANAGER:
        return None
    if not _made_for_slot(body, whose.name, owner.name):
        return None
    return EndedJob(PipelineKey(whose.namespace, owner.name), whose.name, whose.uid, foreign.created(body), succeeded)


def _made_for_slot(body: Body, name: str, pipeline_name: str) -> bool:
    """Return whether a Job is the one that was made for a slot, and no copy of it: labels and owners are copied, too.

    Older releases wrote no name down; what is named for a time of the schedule is theirs.
    """
    if foreign.annotation(body, _APPLIED):
        return False
    slot_name = foreign.annotation(body, names.SLOT_NAME_ANNOTATION)
    if slot_name or not foreign.annotation(body, names.SLOT_ANNOTATION):
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
    owner, template = foreign.controller(body, "Pipeline", names.GROUP), foreign.part(spec, "jobTemplate")
    since = foreign.annotation(body, names.SINCE_ANNOTATION)
    labelled = (
        foreign.label(part, names.PIPELINE_LABEL) for part in (template, foreign.part(template, "spec", "template"))
    )
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
            starting_deadline_seconds=foreign.seconds(spec.get("startingDeadlineSeconds")),
            pipeline_generation=foreign.number(foreign.annotation(body, names.PIPELINE_GENERATION_ANNOTATION)),
            in_force=foreign.annotation(body, names.SCHEDULE_ANNOTATION),
            since=time(since),
            concurrency_policy=foreign.text(spec.get("concurrencyPolicy")),
            slots_suspended=slots_suspended,
            slots_marked=named and _gated(template) and foreign.annotation(template, names.SINCE_ANNOTATION) == since,
        ),
        left_behind=(
            not foreign.part(body, "metadata").get("ownerReferences")
            and foreign.label(body, names.MANAGED_BY_LABEL) == names.MANAGER
            and foreign.label(body, names.PIPELINE_LABEL) == whose.name
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


def slot(body: Body) -> Slot | None:
    """Return the snapshot of a slot; ``None`` for a batch Job that was not made from the template of a CronJob of ours.

    The CronJob controller, and kubectl, make the CronJob its controller. Dashboards that "run now" make it an owner at
    most: then the label and the gate of the template tell where it comes from.
    """
    whose, pipeline_name = foreign.identity(body), foreign.label(body, names.PIPELINE_LABEL)
    if whose is None or not pipeline_name:
        return None
    owners = foreign.items(foreign.part(body, "metadata").get("ownerReferences"))
    of_cron_jobs = [owner for owner in foreign.owners(body, "CronJob", "batch") if owner.name == pipeline_name]
    owner = next((owner for owner in of_cron_jobs if owner.controls), None)
    if owner is None:
        if not _gated(body) or any(one.get("controller") is True for one in owners):
            return None
        owner = next(iter(of_cron_jobs), None)
    if owners and (owner is None or not owner.uid):
        return None
    created, moment = foreign.created(body), _slot_time(body)
    return Slot(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        created=created,
        deleting="deletionTimestamp" in foreign.part(body, "metadata"),
        time=moment,
        since=time(foreign.annotation(body, names.SINCE_ANNOTATION)) or moment or created,
        cron_job_uid=owner.uid if owner else "",
    )


def _slot_time(body: Body) -> datetime | None:
    """Return the time of the schedule that a slot names, brought within bounds; ``None``: it was made by hand."""
    if foreign.annotation(body, "cronjob.kubernetes.io/instantiate") == "manual":
        return None
    text = foreign.annotation(body, "batch.kubernetes.io/cronjob-scheduled-timestamp")
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
    pipeline_name = of.pipeline if of else foreign.label(body, names.PIPELINE_LABEL)
    owner = foreign.controller(body, "Job", names.GROUP)
    number = run_names.number_of(pipeline_name, whose.name) if whose and pipeline_name else None
    # An owner whose name no Job can have is none: it was written by hand, to be looked up by us.
    if whose is None or number is None or owner is None or not owner.uid or not run_names.may_name_a_job(owner.name):
        return None
    spec, status = foreign.part(body, "spec"), foreign.part(body, "status")
    conditions, suspended = foreign.conditions_of(status), spec.get("suspend") is True
    return Run(
        key=PipelineKey(whose.namespace, pipeline_name),
        name=whose.name,
        uid=whose.uid,
        number=number,
        job_name=owner.name,
        job_uid=owner.uid,
        created=foreign.created(body),
        pipeline_generation=foreign.number(foreign.annotation(body, names.PIPELINE_GENERATION_ANNOTATION)),
        pending_timeout_seconds=foreign.number(
            foreign.annotation(body, names.PENDING_TIMEOUT_ANNOTATION), _LONGEST_PENDING_TIMEOUT
        )
        or Run.pending_timeout_seconds,
        finish=_finish(conditions),
        # Anybody who may write annotations can write down a reason; it counts where the run was really told to stop.
        stop=_stop(body) if suspended or spec.get("activeDeadlineSeconds") == render.STOPPED_AFTER else None,
        suspended=suspended,
        no_more_pods=any(foreign.holds(conditions, kind) for kind in ("Suspended", "FailureTarget")),
        started=time(status.get("startTime")),
        retries=foreign.integer(spec.get("backoffLimit")),
        preparations=pod_snapshots.init_containers(foreign.part(spec, "template", "spec"))[0],
        queue=foreign.label(body, names.QUEUE_LABEL),
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
    word = foreign.annotation(body, names.STOP_REASON_ANNOTATION)
    reason = next((reason for reason in stop.REASONS if reason.value == word), None)
    message = log.clean(foreign.annotation(body, names.STOP_MESSAGE_ANNOTATION))[:_STOP_MESSAGE_CHARACTERS]
    return Finding(reason, message or reason.sentence) if reason else None


def _finish(conditions: Mapping[str, Body]) -> Finish | None:
    """Return the batch Job controller's verdict: conditions Complete and Failed come when all pods have ended."""
    for kind in ("Complete", "Failed"):
        if foreign.holds(conditions, kind):
            condition = conditions[kind]
            return Finish(
                succeeded=kind == "Complete",
                reason=foreign.said(condition, "reason"),
                message=foreign.said(condition, "message"),
                time=time(condition.get("lastTransitionTime")),
            )
    return None
