"""What must be read live before a decision: a cache may make us look, it never proves that something is gone."""

from dataclasses import dataclass

from elt_operator.core import outcome, render, start, status
from elt_operator.core.situation import Job, Run, Situation


@dataclass(frozen=True)
class LiveRun:
    """Is there a run of this name?"""

    name: str


@dataclass(frozen=True)
class LivePods:
    """Which pods has this run?"""

    run: Run


@dataclass(frozen=True)
class LogOf:
    """How does the log of this pod end?"""

    pod_name: str
    pod_uid: str


@dataclass(frozen=True)
class WarningsAbout:
    """What did Kubernetes last warn of about this object?"""

    uid: str


@dataclass(frozen=True)
class EndedJob:
    """How did the Job of this run end?"""

    name: str
    uid: str


Question = LiveRun | LivePods | LogOf | WarningsAbout | EndedJob


def _about_run(situation: Situation, run: Run) -> list[Question]:
    """Return what must be known of a run whose Job has not ended."""
    pods = situation.pods_of(run)
    if not outcome.is_over(run, pods):
        if start.needs_warnings(situation, run):
            return [WarningsAbout(pods[-1].uid if pods else run.uid)]
        return []
    if not pods and run.name not in situation.live_pods:
        return [LivePods(run)]
    last = outcome.Evidence(run, pods).last
    return [LogOf(last.name, last.uid)] if last else []


def _about_lost_run(job: Job) -> list[Question]:
    """Return what must be known of a Job that was started and has no run in the cache."""
    return [LiveRun(job.status.task_name)] if job.status.task_name else []


def _about_next_number(situation: Situation) -> list[Question]:
    """Return what must be known before a number is given: a run that was recorded may not have reached the cache."""
    recorded = situation.pipeline.status.last_run_number if situation.pipeline else None
    waiting = any(not situation.run_of(job) for job in situation.jobs)
    if not recorded or not waiting or any(run.number >= recorded for run in situation.runs):
        return []
    return [LiveRun(render.run_name(situation.key.pipeline, recorded))]


def open_questions(situation: Situation) -> list[Question]:
    """Return the questions whose answers the situation lacks."""
    questions: list[Question] = []
    for job in situation.jobs:
        run = situation.run_of(job)
        questions += _about_run(situation, run) if run else _about_lost_run(job)
    questions += _about_next_number(situation)
    if unreported := status.unreported_run(situation):
        questions.append(EndedJob(unreported.job_name, unreported.job_uid))
    return [question for question in questions if not _answered(situation, question)]


def _answered(situation: Situation, question: Question) -> bool:
    match question:
        case LiveRun(name):
            return name in situation.live_runs
        case LivePods(run):
            return run.name in situation.live_pods
        case LogOf(_, pod_uid):
            return pod_uid in situation.logs
        case WarningsAbout(uid):
            return uid in situation.warnings
        case EndedJob(_, uid):
            return uid in situation.ended_jobs
