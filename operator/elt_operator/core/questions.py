"""What must be read live before a decision: a cache may make us look, it never proves that something is gone."""

from collections.abc import Sequence
from dataclasses import dataclass

from elt_operator.core import admission, delay, faults, outcome, render, retention, schedule, status, stop
from elt_operator.core.situation import Job, Pod, Run, Situation


@dataclass(frozen=True)
class LiveRun:
    """Is there a run of this name?"""

    name: str


@dataclass(frozen=True)
class LivePods:
    """Which pods has this run?"""

    run: Run


@dataclass(frozen=True)
class StillThere:
    """Is this pod, whose watch said that it was deleted under way, still there?"""

    pod: Pod


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
class LiveJob:
    """What does this Job, which is in the cache no more, say of itself?"""

    name: str
    uid: str


@dataclass(frozen=True)
class RunOf:
    """Is there a run of this Job, under whatever name?"""

    job: Job


@dataclass(frozen=True)
class StillWaits:
    """Does this Job, which nothing holds up, still wait to be started?"""

    job: Job


Question = LiveRun | LivePods | StillThere | LogOf | WarningsAbout | LiveJob | RunOf | StillWaits


def _about_run(situation: Situation, run: Run) -> list[Question]:
    """Return what must be known of a run whose Job has not ended."""
    pods = situation.pods_of(run)
    if run.gone and run.name not in situation.live_runs:
        return [LiveRun(run.name)]  # who takes its label away hides it from the watch, too
    if not outcome.is_over(run, pods):
        unexplained = delay.unexplained(situation, run)
        ends = stop.stop(situation, run, situation.job_of(run)) is not None
        return [*([WarningsAbout(unexplained)] if unexplained else []), *_last_words(pods, ends=ends)]
    if (not pods or run.gone) and run.uid not in situation.live_pods:
        return [LivePods(run)]
    last = outcome.Evidence(run, pods).last
    return [LogOf(last.name, last.uid)] if last and not last.gone else []


def _last_words(pods: Sequence[Pod], *, ends: bool) -> list[Question]:
    """Return the questions for logs that will go with their pods, before the run is over: the kubelet is quick."""
    at_work = [pod for pod in pods if pod.alive and pod.started] if ends else []
    leaving = [pod for pod in pods if pod.ended and not pod.gone and (pod.deletion_due or pod.lingering)]
    return [LogOf(pod.name, pod.uid) for pod in (*at_work, *leaving)]


def _about_job_without_run(situation: Situation, job: Job) -> list[Question]:
    """Return what must be known of a Job that has no run in the cache, before it ends, or starts, because of that."""
    if job.status.task_name:
        return [LiveRun(job.status.task_name)]
    if admission.first_refusal(situation, job):
        return [RunOf(job)]
    if admission.first_hold(situation, job):
        return []
    return [StillWaits(job), *(LivePods(run) for run in _ends_unproven(situation))]


def _ends_unproven(situation: Situation) -> list[Run]:
    """Return the runs that count as over only since no pod at work is known: the watch may not have told of one yet."""
    over = (run for run in situation.runs if not situation.job_of(run) and not _proven_over(situation, run))
    return [run for run in (*over, *situation.left_runs) if run.uid not in situation.pods_over]


def _proven_over(situation: Situation, run: Run) -> bool:
    return outcome.is_proven_over(run, situation.pods_of(run))


def _about_next_number(situation: Situation) -> list[Question]:
    """Return what must be known before a number is given: a run that was recorded may not have reached the cache."""
    recorded = situation.pipeline.status.last_run_number if situation.pipeline else None
    waiting = any(not situation.run_of(job) for job in situation.jobs)
    if not recorded or not waiting or any(run.number >= recorded for run in situation.runs):
        return []
    return [LiveRun(render.run_name(situation.key.pipeline, recorded))]


def _hidden(situation: Situation) -> list[Pod]:
    """Return the pods that the watch says were deleted before they were over: labels that were taken away hide them."""
    return [pod for pod in situation.pods if pod.gone and pod.phase not in {"Succeeded", "Failed"}]


def open_questions(situation: Situation) -> list[Question]:
    """Return the questions whose answers the situation lacks."""
    questions: list[Question] = [StillThere(pod) for pod in _hidden(situation)]
    for job in situation.jobs:
        run = situation.run_of(job)
        if situation.fault_of(job):
            questions += [] if run or job.status.task_name else [RunOf(job)]
            continue
        with faults.about(job):
            questions += _about_run(situation, run) if run else _about_job_without_run(situation, job)
    questions += _about_next_number(situation)
    with faults.about(situation.pipeline):
        if unreported := status.unreported_run(situation):
            questions.append(LiveJob(unreported.job_name, unreported.job_uid))
        if late := schedule.overdue(situation):
            questions.append(WarningsAbout(late.cron_job_uid))
        without_job = [*stop.strays(situation), *retention.due_runs(situation)]
    questions += [LiveJob(run.job_name, run.job_uid) for run in without_job]
    return [question for question in questions if not _answered(situation, question)]


def _answered(situation: Situation, question: Question) -> bool:  # noqa: PLR0911 - one for each kind of question
    match question:
        case LiveRun(name):
            return name in situation.live_runs
        case LivePods(run):
            return run.uid in situation.live_pods
        case StillThere(pod):
            return pod.uid in situation.looked_for
        case LogOf(_, pod_uid):
            return pod_uid in situation.logs
        case WarningsAbout(uid):
            return uid in situation.warnings
        case LiveJob(_, uid):
            return uid in situation.live_jobs
        case RunOf(job):
            return job.uid in situation.searched_jobs
        case StillWaits(job):
            return job.uid in situation.confirmed_jobs
