"""The plan: what to do about one Pipeline, given all that is known of it; the same for an event, a retry, a restart."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from elt_operator.api.job import JobStatus
from elt_operator.api.pipeline import PipelineStatus
from elt_operator.api.reasons import Reason
from elt_operator.core import admission, outcome, render, start, status
from elt_operator.core.situation import Job, Pipeline, Run, Situation


@dataclass(frozen=True)
class CreateRun:
    """Make the run of ``job``. Its name is the lock: the API server accepts one batch Job of a name."""

    job: Job
    number: int
    manifest: dict[str, Any]


@dataclass(frozen=True)
class WriteJobStatus:
    """Replace what ``job`` says of itself, unless it has changed since we read it."""

    job: Job
    status: JobStatus


@dataclass(frozen=True)
class WritePipelineStatus:
    """Replace what ``pipeline`` says of itself, unless it has changed since we read it."""

    pipeline: Pipeline
    status: PipelineStatus


Action = CreateRun | WriteJobStatus | WritePipelineStatus


@dataclass(frozen=True)
class Plan:
    """What to do, in order."""

    actions: list[Action] = field(default_factory=list)
    when_idle: list[Action] = field(default_factory=list)
    """Writes that only people wait for; they must not hold up a Job."""
    look_again: timedelta | None = None
    """When to look again, should nothing be reported until then; ``None``: no need."""


def _about_run(situation: Situation, job: Job, run: Run) -> JobStatus:
    """Return the status of a Job that has a run."""
    pods = situation.pods_of(run)
    if outcome.is_over(run, pods):
        evidence = outcome.Evidence(run=run, pods=pods)
        log = situation.logs.get(evidence.last.uid) if evidence.last else None
        return status.ended(situation, job, run, outcome.outcome(outcome.Evidence(run, pods, log)))
    if late := start.delay(situation, run):
        return status.running(situation, job, run, late.reason, late.message)
    return status.running(situation, job, run, Reason.RUNNING, f"Batch Job {run.name} carries the Job out.")


def _about_waiting(situation: Situation, job: Job) -> Action:
    """Return what to do about a Job that has no run."""
    if job.status.task_name:
        return WriteJobStatus(job, status.lost(job, situation.now))
    if refusal := admission.first_refusal(situation, job):
        return WriteJobStatus(job, status.refused(job, refusal.reason, refusal.message, situation.now))
    if hold := admission.first_hold(situation, job):
        return WriteJobStatus(job, status.queued(job, hold.reason, hold.message, situation.now))
    return _start(situation, job)


def _start(situation: Situation, job: Job) -> CreateRun:
    """Return the creation of the run of ``job``, which nothing holds up."""
    if situation.pipeline is None:
        raise ValueError(f"Job {job.name} was admitted without a Pipeline")
    number = admission.next_run_number(situation)
    return CreateRun(job, number, render.run(situation.pipeline, job, number, situation.default_timeout_seconds))


def _changes_nothing(action: Action) -> bool:
    """Whether the status to be written is there already."""
    match action:
        case WriteJobStatus(job, wanted):
            return job.status == wanted
        case WritePipelineStatus(pipeline, seen):
            return pipeline.status == seen
        case CreateRun():
            return False


def _looks(situation: Situation) -> Iterator[timedelta]:
    """Yield when something may have to be done though nothing is reported."""
    for job in situation.jobs:
        run = situation.run_of(job)
        if run and (wait := start.next_look(situation, run)):
            yield wait
        refusal = situation.refusals.get(job.uid)
        if refusal and refusal.ask_again > situation.now:
            yield refusal.ask_again - situation.now


def plan(situation: Situation) -> Plan:
    """Return what to do about a Pipeline and its Jobs.

    A Job that is being deleted is left alone: its owner reference takes the run along, and the run, as long as it is
    known, holds up the others.
    """
    actions: list[Action] = []
    for job in situation.jobs:
        if job.deleting:
            continue
        run = situation.run_of(job)
        actions.append(WriteJobStatus(job, _about_run(situation, job, run)) if run else _about_waiting(situation, job))
    when_idle: list[Action] = []
    if situation.pipeline:
        when_idle.append(WritePipelineStatus(situation.pipeline, status.pipeline(situation, situation.pipeline)))
    return Plan(
        actions=[action for action in actions if not _changes_nothing(action)],
        when_idle=[action for action in when_idle if not _changes_nothing(action)],
        look_again=min(_looks(situation), default=None),
    )
