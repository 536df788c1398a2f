"""The schedule: a CronJob keeps the time; what that CronJob has to say, and what keeps it from being in place."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from elt_operator.api import names
from elt_operator.api.fields import Json
from elt_operator.api.reasons import Reason
from elt_operator.core import cron, render
from elt_operator.core.cron import Cron, InvalidScheduleError
from elt_operator.core.render import time_text
from elt_operator.core.situation import CronJob, Pipeline, Situation, Timetable

_SUSPENDED: Final = " (suspended)"


def parsed(pipeline: Pipeline) -> Cron | None:
    """Return the schedule of ``pipeline``; ``None``: it has none. Raises ``InvalidScheduleError``."""
    spec = pipeline.spec
    return cron.parse(spec.schedule, spec.time_zone) if spec and spec.schedule else None


def readable(pipeline: Pipeline) -> Cron | None:
    """Return the schedule of ``pipeline``; ``None`` when there is none that can be carried out."""
    try:
        return parsed(pipeline)
    except InvalidScheduleError:
        return None


@dataclass(frozen=True)
class Trouble:
    """Why the schedule is not in place."""

    reason: Reason
    message: str
    passing: bool = False
    """Whether it goes by itself."""


def trouble(situation: Situation, pipeline: Pipeline) -> Trouble | None:
    """Return why the schedule of ``pipeline`` is not in place; ``None``: it is, or it has none."""
    try:
        wanted = parsed(pipeline)
    except InvalidScheduleError as error:
        return Trouble(Reason.INVALID_SCHEDULE, f"{error}. Nothing is started by schedule until this is mended.")
    if not wanted:
        return None
    found = situation.cron_job
    if found and not found.owner_uid:
        message = (
            f"There is a CronJob {found.key.pipeline} that is not the operator's. Rename or delete it, or the Pipeline."
        )
        return Trouble(Reason.NAME_CONFLICT, message)
    if found and found.owner_uid != pipeline.uid:
        message = f"CronJob {found.key.pipeline} of a deleted Pipeline of this name is being removed."
        return Trouble(Reason.NAME_CONFLICT, message, passing=True)
    for uid in (pipeline.uid, *(slot.uid for slot in situation.slots)):
        if refusal := situation.refusals.get(uid):
            return Trouble(Reason.REJECTED, f"Kubernetes refuses what the schedule needs: {refusal.message}")
    return None


def _since(found: CronJob | None, pipeline: Pipeline, agreed: str, deadline: int | None, now: datetime) -> datetime:
    """Return since when the schedule ``agreed`` is in force; earlier times are not made up for.

    After a suspension that is now, or as far back as ``startingDeadlineSeconds`` allows. Where our CronJob was deleted,
    it is before the time that was promised and has passed: so that time is told as skipped.
    """
    if found is None:
        promised = pipeline.status.next_schedule_time
        if not promised or pipeline.status.observed_generation != pipeline.generation:
            return now
        return min(now, promised - timedelta(seconds=1))
    before = found.timetable
    if before.since and before.agreed.removesuffix(_SUSPENDED) == agreed.removesuffix(_SUSPENDED):
        resumed = before.agreed.endswith(_SUSPENDED) and not agreed.endswith(_SUSPENDED)
        if not resumed:
            return before.since
        return max(before.since, now - timedelta(seconds=deadline)) if deadline else now
    return now


def _timetable(situation: Situation, pipeline: Pipeline, found: CronJob | None) -> Timetable | None:
    """Return what the CronJob has to say; ``None``: there has to be none."""
    spec = pipeline.spec
    if spec is None or not spec.schedule:
        return None
    wanted = readable(pipeline)
    if wanted is None:  # the schedule of before waits until what is written now can be read
        return replace(found.timetable, suspend=True, agreed=_suspended(found.timetable.agreed)) if found else None
    agreed = f"{wanted.expression} {wanted.zone.key}"
    agreed = _suspended(agreed) if spec.suspend else agreed
    return Timetable(
        schedule=wanted.expression,
        time_zone=wanted.zone.key,
        suspend=spec.suspend,
        starting_deadline_seconds=spec.starting_deadline_seconds,
        pipeline_generation=pipeline.generation,
        agreed=agreed,
        since=_since(found, pipeline, agreed, spec.starting_deadline_seconds, situation.now),
    )


def _suspended(agreed: str) -> str:
    return agreed.removesuffix(_SUSPENDED) + _SUSPENDED


@dataclass(frozen=True)
class CronJobChange:
    """What to do about the CronJob: without ``found`` make it, without ``manifest`` delete it, else patch it."""

    found: CronJob | None
    manifest: Json | None


def cron_job_change(situation: Situation) -> CronJobChange | None:
    """Return what to do about the Pipeline's CronJob; ``None``: it is as it has to be, or nothing can be done now."""
    pipeline, found = situation.pipeline, situation.cron_job
    if pipeline is None or pipeline.spec is None:
        return None
    if found and (found.deleting or found.owner_uid != pipeline.uid):
        return None
    refusal = situation.refusals.get(pipeline.uid)
    if refusal and refusal.ask_again > situation.now:
        return None
    wanted = _timetable(situation, pipeline, found)
    if wanted is None:
        return CronJobChange(found, None) if found and not pipeline.spec.schedule else None
    if found and found.timetable == wanted:
        return None
    return CronJobChange(found, _manifest(pipeline, wanted))


def _manifest(pipeline: Pipeline, wanted: Timetable) -> Json:
    """Return the CronJob; what has to be absent is ``None``. Its pods would never be scheduled: slots do not run."""
    since = time_text(wanted.since) if wanted.since else None
    generation = None if wanted.pipeline_generation is None else str(wanted.pipeline_generation)
    labels = {names.MANAGED_BY_LABEL: names.MANAGER, names.PIPELINE_LABEL: pipeline.key.pipeline}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": pipeline.key.pipeline,
            "namespace": pipeline.key.namespace,
            "labels": labels,
            "annotations": {
                names.PIPELINE_GENERATION_ANNOTATION: generation,
                names.SCHEDULE_ANNOTATION: wanted.agreed,
                names.SINCE_ANNOTATION: since,
            },
            "ownerReferences": [owned_by(pipeline)],
        },
        "spec": {
            "schedule": wanted.schedule,
            "timeZone": wanted.time_zone,
            "suspend": wanted.suspend,
            "startingDeadlineSeconds": wanted.starting_deadline_seconds,
            "concurrencyPolicy": wanted.concurrency_policy,
            "jobTemplate": {
                "metadata": {"labels": labels, "annotations": {names.SINCE_ANNOTATION: since}},
                "spec": {"suspend": wanted.slots_suspended, "template": {"spec": render.idle_pod(pipeline)}},
            },
        },
    }


def owned_by(pipeline: Pipeline) -> Json:
    """Return the owner reference of what the schedule of ``pipeline`` makes; it goes with the Pipeline."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Pipeline",
        "name": pipeline.key.pipeline,
        "uid": pipeline.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def next_time(situation: Situation, pipeline: Pipeline) -> datetime | None:
    """Return when the schedule fires next; ``None``: it does not."""
    wanted = readable(pipeline)
    if not wanted or not pipeline.spec or pipeline.spec.suspend or trouble(situation, pipeline):
        return None
    return wanted.next_after(situation.now)
