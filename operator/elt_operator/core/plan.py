"""The plan: what to do about one Pipeline, given all that is known of it; the same for an event, a retry, a restart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from elt_operator.core import (
    admission,
    delay,
    events,
    faults,
    outcome,
    render,
    retention,
    schedule,
    slots,
    status,
    stop,
)
from elt_operator.core.events import Event
from elt_operator.core.faults import Fault
from elt_operator.core.schedule import CronJobChange
from elt_operator.core.situation import FinishedJob, Job, Pipeline, Pod, Run, Situation, Slot, Stop
from elt_operator.resources.job import JobStatus
from elt_operator.resources.pipeline import PipelineStatus
from elt_operator.resources.reasons import Reason


@dataclass(frozen=True)
class CreateRun:
    """Make the run of ``job``. Its name is the lock: the API server accepts one batch Job of a name."""

    job: Job
    number: int
    manifest: dict[str, Any]


@dataclass(frozen=True)
class StopRun:
    """Have the process of ``run`` ended, and write down why on the run itself, where it outlives us."""

    run: Run
    stop: Stop


@dataclass(frozen=True)
class EndPod:
    """Have a pod of ``job`` ended: our container has failed, others go on, and the next attempt waits for that."""

    job: Job
    pod: Pod


@dataclass(frozen=True)
class DeleteRun:
    """Remove ``run`` and its pods, unless it is another one by now."""

    run: Run


@dataclass(frozen=True)
class DeleteJob:
    """Remove a Job that has ended, unless it is another one by now."""

    job: FinishedJob


@dataclass(frozen=True)
class ChangeCronJob:
    """Make, patch or delete the CronJob of ``pipeline``."""

    pipeline: Pipeline
    change: CronJobChange


@dataclass(frozen=True)
class CreateJob:
    """Make the Job of ``slot``. It has the slot's name, so there is one at most."""

    slot: Slot
    manifest: dict[str, Any]


@dataclass(frozen=True)
class DeleteSlot:
    """Remove ``slot``, which is done with, unless it is another one by now."""

    pipeline: Pipeline
    slot: Slot
    events: Sequence[Event] = ()
    """What to tell about the Pipeline besides, once it is removed."""


@dataclass(frozen=True)
class WriteJobStatus:
    """Replace what ``job`` says of itself, unless it has changed since we read it."""

    job: Job
    status: JobStatus
    events: Sequence[Event] = ()
    """What to tell about it besides, once it is written."""


@dataclass(frozen=True)
class WritePipelineStatus:
    """Replace what ``pipeline`` says of itself, unless it has changed since we read it."""

    pipeline: Pipeline
    status: PipelineStatus
    events: Sequence[Event] = ()
    """What to tell about it besides, once it is written."""


Action = (
    CreateRun
    | StopRun
    | EndPod
    | DeleteRun
    | DeleteJob
    | ChangeCronJob
    | CreateJob
    | DeleteSlot
    | WriteJobStatus
    | WritePipelineStatus
)


@dataclass(frozen=True)
class Plan:
    """What to do, in order."""

    actions: list[Action] = field(default_factory=list)
    when_idle: list[Action] = field(default_factory=list)
    """Writes that no Job waits for; empty where there is anything else to do."""
    look_again: timedelta | None = None
    """When to look again, should nothing be reported until then; ``None``: no need, or ``actions`` come first."""


def _write(job: Job, wanted: JobStatus) -> WriteJobStatus:
    return WriteJobStatus(job, wanted, events.about(job, wanted))


def _about_run(situation: Situation, job: Job, run: Run) -> Action:
    """Return what to do about a Job that has a run."""
    run, pods = stop.with_its_job(job, run), situation.pods_of(run)
    if outcome.is_over(run, pods):
        last = outcome.Evidence(run, pods).last
        log = situation.log_of(last) if last else None
        result = outcome.outcome(outcome.Evidence(run, pods, log, job.status.attempts or []))
        return _write(job, status.ended(situation, job, run, result))
    if wanted := stop.stop(situation, run, job):
        refusal = situation.refused_lately(run.uid)
        if not refusal:
            return StopRun(run, wanted)
        words = f"{wanted.message.rstrip('.')}, but Kubernetes refuses to stop batch Job {run.name}: {refusal.message}"
        return _write(job, status.running(situation, job, run, Reason.REJECTED, words))
    if lingering := outcome.attempt_to_end(run, pods, situation.pods_told_to_end):
        return EndPod(job, lingering)
    if held_up := delay.delay(situation, run):
        return _write(job, status.running(situation, job, run, held_up.reason, held_up.message))
    under_way = f"Batch Job {run.name} is running this Job."
    return _write(job, status.running(situation, job, run, Reason.RUNNING, under_way))


def _about_lost(situation: Situation, job: Job) -> Iterator[Action]:
    """Yield what to do about a Job whose run is gone: nothing before the last process of it is."""
    of_run = (pod for pod in situation.pods if pod.run_name == job.status.task_name)
    if not any(pod.alive for pod in of_run):
        yield _write(job, status.lost(job, situation.now))


def _about_waiting(situation: Situation, job: Job) -> Iterator[Action]:
    """Yield what to do about a Job that was never started."""
    if refusal := admission.first_refusal(situation, job):
        yield _write(job, status.refused(job, refusal, situation.now))
    elif not (hold := admission.first_hold(situation, job)):
        yield _start(situation, job)
    elif not status.says(job, hold.reason, hold.message):  # a thousand may wait: most have said why
        yield _write(job, status.queued(job, hold.reason, hold.message, situation.now))


def _about(situation: Situation, job: Job) -> Iterator[Action]:
    """Yield what to do about a Job that has not ended, also one that is deleted and that somebody's finalizer keeps."""
    if fault := situation.fault_of(job):
        yield from _about_faulty(situation, job, fault)
    elif run := situation.run_of(job):
        yield _about_run(situation, job, run)
    elif job.status.task_name:
        yield from _about_lost(situation, job)
    else:
        yield from _about_waiting(situation, job)


def _about_faulty(situation: Situation, job: Job, fault: Fault) -> Iterator[Action]:
    """Yield what to do about a Job on which all else fails: it ends by the plainest facts, or never starts."""
    run = situation.run_of(job)
    pods = situation.pods_of(run) if run else []
    if run is None and job.status.task_name:
        yield from _about_lost(situation, job)
    elif run is None:
        yield _write(job, status.refused(job, admission.faulty(fault), situation.now))
    elif outcome.is_over(run, pods):
        yield _write(job, status.ended_plainly(job, run, pods, fault, situation.now))
    elif wanted := stop.asked_for(situation, run, job):
        yield StopRun(run, wanted)


def _about_strays(situation: Situation) -> Iterator[Action]:
    """Yield what to do about runs at work without a Job that waits for them."""
    for run in stop.strays(situation):
        if (wanted := stop.stop(situation, run, None)) and not situation.refused_lately(run.uid):
            yield StopRun(run, wanted)


def _about_schedule(situation: Situation) -> Iterator[Action]:
    """Yield what to do so that the schedule is kept.

    A CronJob takes its slots along when it is deleted: so it stays until all is told of them.
    """
    if situation.fault_of(situation.pipeline):
        return
    due = slots.due(situation)
    for slot in due:
        yield CreateJob(slot, slots.job_manifest(situation, slot))
    change = schedule.cron_job_change(situation)
    if situation.pipeline and change and not (change.deletes and (due or slots.settled(situation))):
        yield ChangeCronJob(situation.pipeline, change)


def _account(situation: Situation) -> Iterator[Action]:
    """Yield the Pipeline's status, and only then the deletion of the slots of which it tells what became of them.

    A CronJob that is to go goes right after the last of its slots.
    """
    pipeline = situation.pipeline
    if pipeline is None:
        return
    if fault := situation.fault_of(pipeline):
        if fault.left_out:
            return
        told = status.faulty_pipeline(pipeline, fault, situation.now)
        yield WritePipelineStatus(pipeline, told, events.about_pipeline(pipeline, told))
        return
    done = slots.settled(situation)
    written = status.pipeline(situation, slots.believable(situation, pipeline), done)
    yield WritePipelineStatus(pipeline, written, events.about_pipeline(pipeline, written))
    for one in done:
        yield DeleteSlot(pipeline, one.slot, one.events)
    change = schedule.cron_job_change(situation) if done else None
    if change and change.deletes:
        yield ChangeCronJob(pipeline, change)


def _start(situation: Situation, job: Job) -> CreateRun:
    """Return the creation of the run of ``job``, which nothing holds up."""
    if situation.pipeline is None:
        raise ValueError(f"Job {job.name} was admitted without a Pipeline")
    number = admission.next_run_number(situation)
    return CreateRun(job, number, render.run(situation.pipeline, job, number, situation.limits))


def _changes_nothing(action: Action) -> bool:
    """Whether the status to be written is there already."""
    match action:
        case WriteJobStatus(job, wanted):
            return job.status == wanted
        case WritePipelineStatus(pipeline, seen):
            return pipeline.status == seen
        case _:
            return False


def _looks(situation: Situation) -> Iterator[timedelta]:
    """Yield when something may have to be done though nothing is reported."""
    for job in (job for job in situation.jobs if not situation.fault_of(job)):
        run = situation.run_of(job)
        if run and not outcome.is_over(run, situation.pods_of(run)) and (wait := delay.next_look(situation, run)):
            yield wait
        gives_up = admission.pipeline_gives_up_at(situation, job)
        if gives_up and gives_up > situation.now:
            yield gives_up - situation.now
        for uid in (job.uid, *([run.uid] if run else [])):
            if refusal := situation.refused_lately(uid):
                yield refusal.ask_again - situation.now
    if any(run.unwatched for run in situation.runs) or any(pod.unwatched for pod in situation.pods):
        yield delay.LOOK_AGAIN
    for next_look in (retention.next_look, schedule.next_look, slots.next_look):
        with faults.about(situation.pipeline):
            if wait := next_look(situation):
                yield wait


def plan(situation: Situation) -> Plan:
    """Return what to do about a Pipeline and its Jobs; where that is anything, it is looked at again afterwards."""
    actions = [action for action in _actions(situation) if not _changes_nothing(action)]
    if actions:
        return Plan(actions)
    when_idle = [action for action in _when_idle(situation) if not _changes_nothing(action)]
    return Plan([], when_idle, min(_looks(situation), default=None))


def _actions(situation: Situation) -> Iterator[Action]:
    with faults.about(situation.pipeline):
        yield from _about_schedule(situation)
    for job in situation.jobs:
        with faults.about(job):
            yield from _about(situation, job)
    yield from _about_strays(situation)


def _when_idle(situation: Situation) -> Iterator[Action]:
    with faults.about(situation.pipeline):
        yield from _account(situation)
    yield from (DeleteRun(run) for run in retention.surplus_runs(situation))
    yield from (DeleteJob(job) for job in retention.surplus_jobs(situation))
