"""The schedule: a CronJob keeps the time; what that CronJob has to say, and what keeps it from being in place.

Times that stand in annotations, or in a status, are others' to write: one that has not come yet counts as none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from elt_operator.core import cron, render
from elt_operator.core.cron import Cron, InvalidScheduleError
from elt_operator.core.findings import Answer, Finding, NotYet, first
from elt_operator.core.model import CronJob, Pipeline, Slot, Timetable
from elt_operator.core.situation import Situation
from elt_operator.resources import names
from elt_operator.resources.fields import Json
from elt_operator.resources.reasons import Reason
from elt_operator.resources.texts import time_text

_SUSPENDED: Final = " (suspended)"

LARGEST_CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""How far other clocks may be ahead of ours. What is said to be of a later time is not believed."""

_OVERDUE_AFTER: Final = timedelta(seconds=30)
"""How long the CronJob controller may take, which looks every ten seconds and at a thousand CronJobs in twenty."""

_OVERDUE_AGAIN: Final = timedelta(seconds=20)
_OVERDUE_AT_LEAST: Final = timedelta(minutes=5)
"""How often Kubernetes' warnings are looked at while a time is overdue: less and less, but that often at least."""

GOES_ON: Final = " The schedule resumes by itself once this is fixed."
"""What is said besides, as long as it is so."""

_BESIDE_THE_POINT: Final = ("Saw a job that the controller did not create",)
"""How warnings about a CronJob begin that do not say why a Job is missing (pkg/controller/cronjob: UnexpectedJob)."""


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


def ours(situation: Situation) -> CronJob | None:
    """Return the CronJob that was made for this very Pipeline; ``None``: there is none."""
    found, pipeline = situation.cron_job, situation.pipeline
    return found if found and pipeline and found.owner_uid == pipeline.uid else None


def slots(situation: Situation) -> list[Slot]:
    """Return the slots that are ours to deal with, the oldest first: made by our CronJob, or by hand from its template.

    A name proves nothing: another CronJob, or one of a Pipeline that was deleted, may have had the same. One of a day
    that does not count, for the CronJob names all that may be the last of a month, stands for the last time that does:
    that was dealt with, or Kubernetes has passed it over for this one.
    """
    cron_job, pipeline = ours(situation), situation.pipeline
    if not cron_job or not pipeline or not pipeline.spec:
        return []
    wanted = readable(pipeline)
    found = [slot for slot in situation.slots if not slot.deleting and slot.cron_job_uid in {"", cron_job.uid}]
    return [
        replace(slot, time=wanted.last_until(slot.time) or slot.time) if wanted and slot.time else slot
        for slot in found
    ]


def to_come(situation: Situation, moment: datetime) -> bool:
    """Return whether ``moment`` is further ahead than clocks differ."""
    return moment - situation.now > LARGEST_CLOCK_DIFFERENCE


def dealt_with_until(situation: Situation) -> datetime | None:
    """Return the last time of the schedule that was dealt with; ``None``: none was.

    Where the status names a time to come, it is not known. Then it was the time before the newest one: so the newest
    is not lost, and no earlier one is counted again.
    """
    pipeline = situation.pipeline
    told = pipeline.status.last_schedule_time if pipeline else None
    if pipeline is None or told is None or not to_come(situation, told):
        return told
    wanted = readable(pipeline)
    newest = wanted.last_before(situation.now) if wanted else None
    return wanted.last_before(newest) if wanted and newest else None


@dataclass(frozen=True)
class Overdue:
    """A time of the schedule that has passed, and for which Kubernetes has made no slot."""

    time: datetime
    cron_job_uid: str


def _next_slot(situation: Situation) -> Overdue | None:
    """Return the time for which Kubernetes has to make a slot next, past or to come; ``None``: nobody waits for one."""
    pipeline, found = situation.pipeline, ours(situation)
    wanted = readable(pipeline) if pipeline else None
    if not pipeline or not pipeline.spec or not found or found.deleting or not wanted:
        return None
    said, since = found.timetable, found.timetable.since
    in_place = (said.schedule, said.time_zone, said.suspend) == (wanted.expression, wanted.zone.key, False)
    if pipeline.spec.suspend or not in_place or since is None or to_come(situation, since):
        return None
    if any(slot.time for slot in slots(situation)):
        return None
    after = [since, dealt_with_until(situation) or since]
    if said.starting_deadline_seconds is not None:
        after.append(situation.now - timedelta(seconds=said.starting_deadline_seconds))
    first = wanted.next_after(max(after))
    return Overdue(first, found.uid) if first else None


def overdue(situation: Situation) -> Overdue | None:
    """Return the first time for which there should have been a slot by now; ``None``: there is none."""
    expected = _next_slot(situation)
    return expected if expected and situation.now - expected.time > _OVERDUE_AFTER else None


@dataclass(frozen=True)
class Trouble(Finding):
    """Why the schedule is not in place."""

    passing: bool = False
    """Whether it goes by itself."""


Rule = Callable[[Situation, Pipeline], Trouble | NotYet | None]


def unreadable(_situation: Situation, pipeline: Pipeline) -> Trouble | None:
    """No CronJob can say what is written there."""
    try:
        parsed(pipeline)
    except InvalidScheduleError as error:
        end = "" if f"{error}".endswith("?") else "."
        return Trouble(Reason.INVALID_SCHEDULE, f"{error}{end} No scheduled Job will start until this is fixed.")
    return None


def name_taken(situation: Situation, _pipeline: Pipeline) -> Trouble | None:
    """Somebody else's CronJob has the name that ours needs."""
    found = situation.cron_job
    if not found or found.owner_uid or found.left_behind:
        return None
    message = (
        f"CronJob {found.key.pipeline} already exists and does not belong to the operator. "
        "Delete it, or give the Pipeline another name."
    )
    return Trouble(Reason.NAME_CONFLICT, message)


def name_not_free_yet(situation: Situation, pipeline: Pipeline) -> Trouble | None:
    """The CronJob of a Pipeline that was deleted, and that had the same name, is still there."""
    found = situation.cron_job
    if not found or not found.owner_uid or found.owner_uid == pipeline.uid:
        return None
    message = f"CronJob {found.key.pipeline} belongs to a deleted Pipeline of the same name and is being removed."
    return Trouble(Reason.NAME_CONFLICT, message, passing=True)


def refused(situation: Situation, pipeline: Pipeline) -> Trouble | None:
    """The API server refuses the CronJob, or the Job of a slot."""
    for uid in (pipeline.uid, *(slot.uid for slot in situation.slots)):
        if refusal := situation.refusals.get(uid):
            message = f"Kubernetes rejects an object that the schedule needs: {refusal.message}"
            return Trouble(Reason.REJECTED, message, refusal.ask_again)
    return None


def slot_not_made(situation: Situation, _pipeline: Pipeline) -> Trouble | NotYet | None:
    """Kubernetes makes no slot for a time that has come, and says why."""
    expected = _next_slot(situation)
    if expected is None:
        return None
    late = situation.now - expected.time
    if late <= _OVERDUE_AFTER:
        return NotYet(expected.time + _OVERDUE_AFTER + timedelta(seconds=1))
    again = situation.now + min(max(late / 5, _OVERDUE_AGAIN), _OVERDUE_AT_LEAST)
    warning = situation.warnings.get(expected.cron_job_uid, "")
    if not warning or warning.startswith(_BESIDE_THE_POINT):
        return NotYet(again)
    words = warning.removeprefix("Error creating job: ").rstrip(".")
    message = f"Kubernetes cannot create the Job scheduled for {time_text(expected.time)}: {words}.{GOES_ON}"
    return Trouble(Reason.REJECTED, message, again, passing=True)


RULES: Sequence[Rule] = (unreadable, name_taken, name_not_free_yet, refused, slot_not_made)


def first_trouble(situation: Situation, pipeline: Pipeline, rules: Sequence[Rule] = RULES) -> Answer[Trouble]:
    """Return why the schedule of ``pipeline`` is not in place; nothing is found where it is, or where it has none."""
    if not pipeline.spec or not pipeline.spec.schedule:
        return Answer()
    return first(rules, situation, pipeline)


def _since(found: CronJob | None, pipeline: Pipeline, in_force: str, deadline: int | None, now: datetime) -> datetime:
    """Return since when the schedule ``in_force`` is in force; earlier times are not made up for.

    After a suspension that is now, or as far back as ``startingDeadlineSeconds`` allows. Where our CronJob was deleted,
    it is before the time that was promised and has passed: so that time is told as skipped.
    """
    if found is None:
        promised = pipeline.status.next_schedule_time
        if not promised or promised <= cron.EARLIEST or pipeline.status.observed_generation != pipeline.generation:
            return now
        return min(now, promised - timedelta(seconds=1))
    before = found.timetable
    known = before.since
    if known and (known < cron.EARLIEST or known - now > LARGEST_CLOCK_DIFFERENCE):
        known = None
    if known and before.in_force.removesuffix(_SUSPENDED) == in_force.removesuffix(_SUSPENDED):
        resumed = before.in_force.endswith(_SUSPENDED) and not in_force.endswith(_SUSPENDED)
        if not resumed:
            return known
        return max(known, now - timedelta(seconds=deadline)) if deadline else now
    return now


def _timetable(situation: Situation, pipeline: Pipeline, found: CronJob | None) -> Timetable | None:
    """Return what the CronJob has to say; ``None``: there has to be none."""
    spec = pipeline.spec
    if spec is None or not spec.schedule:
        return None
    wanted = readable(pipeline)
    if wanted is None:  # the schedule of before waits until what is written now can be read
        return replace(found.timetable, suspend=True, in_force=_suspended(found.timetable.in_force)) if found else None
    in_force = _in_words(wanted)
    in_force = _suspended(in_force) if spec.suspend else in_force
    return Timetable(
        schedule=wanted.expression,
        time_zone=wanted.zone.key,
        suspend=spec.suspend,
        starting_deadline_seconds=spec.starting_deadline_seconds,
        pipeline_generation=pipeline.generation,
        in_force=in_force,
        since=_since(ours(situation), pipeline, in_force, spec.starting_deadline_seconds, situation.now),
    )


def in_force_since(situation: Situation, wanted: cron.Cron) -> datetime | None:
    """Return since when the schedule ``wanted`` is in force; ``None``: it is not yet, or nobody knows."""
    found = ours(situation)
    return found.timetable.since if found and found.timetable.in_force == _in_words(wanted) else None


def _in_words(wanted: cron.Cron) -> str:
    return f"{wanted.fields} {wanted.zone.key}"


def _suspended(in_force: str) -> str:
    return in_force.removesuffix(_SUSPENDED) + _SUSPENDED


@dataclass(frozen=True)
class CronJobChange:
    """What to do about the CronJob: without ``found`` make it, without ``manifest`` delete it, else patch it."""

    found: CronJob | None
    manifest: Json | None

    @property
    def deletes(self) -> bool:
        """Whether the CronJob has to go."""
        return self.manifest is None


def cron_job_change(situation: Situation) -> CronJobChange | None:
    """Return what to do about the Pipeline's CronJob; ``None``: it is as it has to be, or nothing can be done now.

    One that the operator made and that nobody owns is taken over: without a Pipeline it would never be of use again.
    """
    pipeline, found = situation.pipeline, situation.cron_job
    if pipeline is None or pipeline.spec is None or pipeline.deleting:
        return None
    if found and (found.deleting or not (found.left_behind or ours(situation))):
        return None
    if situation.refused_lately(pipeline.uid):
        return None
    wanted = _timetable(situation, pipeline, found)
    if wanted is None:
        return CronJobChange(found, None) if found and not pipeline.spec.schedule else None
    if ours(situation) and found and found.timetable == wanted:
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
                names.SCHEDULE_ANNOTATION: wanted.in_force,
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
                # The API server gives a batch Job without labels those of its pods: not every dashboard copies its own.
                "spec": {
                    "suspend": wanted.slots_suspended,
                    "managedBy": names.SLOT_CONTROLLER,
                    "template": {"metadata": {"labels": labels}, "spec": render.idle_pod(pipeline)},
                },
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
    if not wanted or not pipeline.spec or pipeline.spec.suspend or first_trouble(situation, pipeline).finding:
        return None
    return wanted.next_after(situation.now)
