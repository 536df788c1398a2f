"""Slots: each time of the schedule becomes a Job, or is skipped and said so; a list of reasons to skip, in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

from elt_operator.core import cron, run_names, schedule
from elt_operator.core.events import Event
from elt_operator.core.findings import Finding, first
from elt_operator.core.model import Pipeline, Slot
from elt_operator.core.situation import Situation
from elt_operator.resources import conditions, names
from elt_operator.resources.job import Trigger
from elt_operator.resources.reasons import Reason
from elt_operator.resources.texts import time_text

MOST_COUNTED: Final = 1_000
"""How many missed times are counted at once; a schedule of each minute makes as many in a day."""

_TOLD_WITHIN: Final = timedelta(minutes=2)
"""How long after a time has passed at most the status has told why there is no slot for it."""

Rule = Callable[[Situation, Slot, datetime], Finding | None]
"""Return why the slot of a time of the schedule becomes no Job; ``None``: it may."""

_skipped = partial(Finding, Reason.SLOT_SKIPPED)


def still_to_come(situation: Situation, slot: Slot, time: datetime) -> Finding | None:
    """Its time has not come: its own annotation was forged, or the clock that it was made by is wrong."""
    if not schedule.to_come(situation, time):
        return None
    return _skipped(f"batch Job {slot.name} was created before that time; check the clocks of the control plane")


def suspended(situation: Situation, _slot: Slot, _time: datetime) -> Finding | None:
    """The schedule was suspended before the slot was seen."""
    spec = situation.spec
    return _skipped("the schedule is suspended (spec.suspend)") if spec and spec.suspend else None


def unreadable(situation: Situation, _slot: Slot, _time: datetime) -> Finding | None:
    """The schedule was changed to one that cannot be carried out, before the slot was seen."""
    pipeline = situation.pipeline
    if not pipeline or not pipeline.spec or not pipeline.spec.schedule or schedule.readable(pipeline):
        return None
    return _skipped("spec.schedule is no longer valid")


def too_late(situation: Situation, _slot: Slot, time: datetime) -> Finding | None:
    """Its startingDeadlineSeconds are over."""
    spec = situation.spec
    if not spec or spec.starting_deadline_seconds is None:
        return None
    late = (situation.now - time).total_seconds()
    if late <= spec.starting_deadline_seconds:
        return None
    return _skipped(
        f"it would have started {late:.0f} s late (startingDeadlineSeconds: {spec.starting_deadline_seconds})"
    )


def superseded(situation: Situation, _slot: Slot, time: datetime) -> Finding | None:
    """A later time has come meanwhile; the CronJob makes its slot as soon as this one is gone."""
    wanted = schedule.readable(situation.pipeline) if situation.pipeline else None
    later = wanted.next_after(time) if wanted else None
    if later is None or later > situation.now:
        return None
    return _skipped(f"a later one ({time_text(later)}) was already due, and only the latest is run")


def busy(situation: Situation, _slot: Slot, _time: datetime) -> Finding | None:
    """Another scheduled Job waits already (Queue), or any other is active (Forbid)."""
    policy = situation.concurrency_policy
    for job in situation.jobs:
        if job.deleting:
            continue
        if policy == "Forbid":
            return _skipped(f"Job {job.name} is active (concurrencyPolicy: Forbid)")
        if policy == "Queue" and job.scheduled and not situation.run_of(job) and not job.status.task_name:
            return _skipped(
                f"scheduled Job {job.name} is already queued; at most one may wait (concurrencyPolicy: Queue)"
            )
    return None


def name_taken(situation: Situation, slot: Slot, _time: datetime) -> Finding | None:
    """A Job of the name that its Job would have is there, and was not made for it."""
    taken = situation.caused_jobs.get(slot.uid) is False
    return _skipped(f"another Job is already named {slot.name}") if taken else None


RULES: Sequence[Rule] = (still_to_come, name_taken, suspended, unreadable, too_late, superseded, busy)


def _outdated(situation: Situation, slot: Slot) -> bool:
    """Whether the slot's time is before its schedule came into force, or was resumed: the past is not made up for."""
    since = cron.EARLIEST if schedule.to_come(situation, slot.since) else max(slot.since, cron.EARLIEST)
    return slot.time is not None and slot.time < since


def made(situation: Situation, slot: Slot) -> bool:
    """Whether the Job of ``slot`` was made."""
    return situation.caused_jobs.get(slot.uid) is True or any(
        job.slot_uid == slot.uid and job.name == slot.name for job in situation.jobs
    )


def _dealt_with(situation: Situation, slot: Slot) -> bool:
    """Whether the Pipeline's status tells already what became of the slot."""
    last = schedule.dealt_with_until(situation)
    return slot.time is not None and last is not None and slot.time <= last


def _refused_by_hand(situation: Situation, slot: Slot) -> str | None:
    """Return why a slot that was made by hand becomes no Job, and what to do."""
    if not run_names.may_name_a_job(slot.name):
        return "a Job cannot have this name; choose at most 63 lower-case letters, digits and `-`"
    taken = situation.caused_jobs.get(slot.uid) is False
    return f"another Job is already named {slot.name}; choose another name" if taken else None


def skipped_because(situation: Situation, slot: Slot, rules: Sequence[Rule] = RULES) -> str | None:
    """Return why ``slot`` becomes no Job; ``None``: it may."""
    if slot.time is None:
        return _refused_by_hand(situation, slot)
    found = first(rules, situation, slot, slot.time).finding
    return found.message if found else None


def due(situation: Situation) -> list[Slot]:
    """Return the slots that become a Job now."""
    return [
        slot
        for slot in schedule.slots(situation)
        if not _outdated(situation, slot)
        and not _dealt_with(situation, slot)
        and not made(situation, slot)
        and not skipped_because(situation, slot)
        and not situation.refused_lately(slot.uid)
    ]


def job_manifest(situation: Situation, slot: Slot) -> dict[str, Any]:
    """Return the Job of ``slot``: its name is the slot's, so there is one at most."""
    pipeline = situation.pipeline
    if pipeline is None:
        raise ValueError(f"slot {slot.name} became due without a Pipeline")
    wanted = schedule.readable(pipeline)
    trigger = Trigger()
    if slot.time:
        start = wanted.last_before(slot.time) if wanted else None
        trigger = Trigger(
            type="Schedule",
            scheduled_time=slot.time,
            interval_start=start,
            interval_end=slot.time if start else None,
        )
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Job",
        "metadata": {
            "name": slot.name,
            "namespace": slot.key.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGER},
            "annotations": {names.SLOT_ANNOTATION: slot.uid, names.SLOT_NAME_ANNOTATION: slot.name},
            "ownerReferences": [schedule.owned_by(pipeline)],
        },
        "spec": {"pipelineName": slot.key.pipeline, "trigger": trigger.as_json()},
    }


@dataclass(frozen=True)
class Settled:
    """A slot that is done with: it became a Job, was skipped, or is of the past."""

    slot: Slot
    time: datetime | None = None
    """The time of the schedule that is dealt with together with it; ``None``: none is."""
    skipped: int = 0
    """How many times of the schedule are skipped with it: itself, and those before it that had no slot."""
    events: Sequence[Event] = ()


def settled(situation: Situation) -> list[Settled]:
    """Return the slots that are done with; the Pipeline's status has to tell so before they are deleted."""
    last = schedule.dealt_with_until(situation)
    result = []
    for slot in schedule.slots(situation):
        if _dealt_with(situation, slot) or _outdated(situation, slot):
            result.append(Settled(slot))
            continue
        because = None if made(situation, slot) else skipped_because(situation, slot)
        if not because and not made(situation, slot):
            continue
        one = _settle(situation, slot, because, last)
        result.append(one)
        last = one.time or last
    return result


def _settle(situation: Situation, slot: Slot, because: str | None, last: datetime | None) -> Settled:
    if slot.time is None:
        told = [_event(f"Batch Job {slot.name} did not start a Job and was deleted: {because}.")] if because else []
        return Settled(slot, events=told)
    scheduled = time_text(slot.time if cron.within_bounds(slot.time) else cron.LATEST)
    skipped = [_event(f"Skipped the run scheduled for {scheduled}: {because}.")] if because else []
    if schedule.to_come(situation, slot.time):  # it is no time that has passed, and others will come before it
        return Settled(slot, events=skipped)
    missed = _missed(situation, slot, slot.time, last)
    told = [_event(_about_missed(situation, missed))] if missed else []
    return Settled(slot, slot.time, len(missed) + bool(because), [*told, *skipped])


_event = partial(Event, "Warning", Reason.SLOT_SKIPPED)


def _missed(situation: Situation, slot: Slot, time: datetime, last: datetime | None) -> list[datetime]:
    """Return the times between the last slot and this one: there was none for them."""
    wanted = schedule.readable(situation.pipeline) if situation.pipeline else None
    cron_job = schedule.ours(situation)
    in_force = [slot.since, cron_job.timetable.since if cron_job else None, last]
    after = max(moment for moment in in_force if moment)
    return list(islice(wanted.between(after, time), MOST_COUNTED)) if wanted else []


def _about_missed(situation: Situation, missed: Sequence[datetime]) -> str:
    """Return what to tell of times that had no slot: the cause only where it was known when they passed."""
    count = f"at least {len(missed)}" if len(missed) == MOST_COUNTED else str(len(missed))
    which = f"{time_text(missed[0])} to {time_text(missed[-1])}" if len(missed) > 1 else time_text(missed[0])
    cause = _known_then(situation, missed[0])
    return f"Skipped {count} scheduled time{'s' * (len(missed) > 1)} ({which}){f': {cause}' if cause else '.'}"


def _known_then(situation: Situation, first: datetime) -> str:
    """Return why the Pipeline has not been ready since ``first``, as its status says; empty: it may have been."""
    told = situation.pipeline.status.conditions if situation.pipeline else None
    ready = conditions.of_type(told, conditions.READY)
    if ready is None or conditions.ConditionStatus(ready.status) is not conditions.ConditionStatus.FALSE:
        return ""
    return ready.message.removesuffix(schedule.GOES_ON) if ready.last_transition_time - first <= _TOLD_WITHIN else ""


def believable(situation: Situation, pipeline: Pipeline) -> Pipeline:
    """Return ``pipeline`` without what its status cannot know: the time dealt with last, where that is to come."""
    last = schedule.dealt_with_until(situation)
    if pipeline.status.last_schedule_time == last:
        return pipeline
    return replace(pipeline, status=pipeline.status.model_copy(update={"last_schedule_time": last}))


def last_time(pipeline: Pipeline, done: Sequence[Settled]) -> datetime | None:
    """Return the last time of the schedule that was dealt with, once the slots in ``done`` are."""
    times: Iterator[datetime | None] = (one.time for one in done)
    return max([time for time in (pipeline.status.last_schedule_time, *times) if time], default=None)


def skipped(pipeline: Pipeline, done: Sequence[Settled]) -> int:
    """Return how many times of the schedule have passed without a Job, ever, with those in ``done``."""
    return (pipeline.status.skipped_slots or 0) + sum(one.skipped for one in done)
