"""The plan: what to ask and to do about one Pipeline, given all that is known of it.

It is one tree of small generators. Each yields steps: a question that must be answered before anything is done, an
action, or a moment to look again. It is the same for an event, a retry, a restart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from elt_operator.core import (
    admission,
    delay,
    events,
    faults,
    health,
    history,
    outcome,
    render,
    retention,
    run_names,
    schedule,
    slots,
    status,
    stop,
)
from elt_operator.core.actions import (
    Action,
    ChangeCronJob,
    CreateJob,
    CreateRun,
    DeleteJob,
    DeleteRun,
    DeleteSlot,
    EndPod,
    StopRun,
    WriteJobStatus,
    WritePipelineStatus,
)
from elt_operator.core.faults import Fault
from elt_operator.core.findings import Answer, Finding
from elt_operator.core.model import Job, Pod, Run
from elt_operator.core.questions import (
    LiveJob,
    LivePods,
    LiveRun,
    LogOf,
    LogToItsEnd,
    Question,
    RunOf,
    StillThere,
    StillWaits,
    WarningsAbout,
)
from elt_operator.core.situation import Situation
from elt_operator.resources.job import JobStatus
from elt_operator.resources.reasons import Reason


@dataclass(frozen=True)
class Ask:
    """Something has to be read live before more is decided."""

    question: Question


@dataclass(frozen=True)
class LookAgain:
    """Something may have to be done at ``moment`` though nothing is reported."""

    moment: datetime


Step = Ask | LookAgain | Action


@dataclass(frozen=True)
class Plan:
    """What to do, in order. Where there is anything to ask, that comes first, and nothing else is known yet."""

    questions: list[Question] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    when_idle: list[Action] = field(default_factory=list)
    """Writes that no Job waits for; empty where there is anything else to do."""
    look_again: timedelta | None = None
    """When to look again, should nothing be reported until then; ``None``: no need, or ``actions`` come first."""


def plan(situation: Situation) -> Plan:
    """Return what to do about a Pipeline and its Jobs; where that is anything, it is looked at again afterwards."""
    urgent = _Steps(situation, _urgent(situation))
    if urgent.questions or urgent.actions:
        return Plan(urgent.questions, [] if urgent.questions else urgent.actions)
    idle = _Steps(situation, _when_idle(situation))
    if idle.questions:
        return Plan(idle.questions)
    moments = [moment - situation.now for moment in (*urgent.moments, *idle.moments)]
    return Plan(when_idle=idle.actions, look_again=min(moments, default=None))


class _Steps:
    """The steps of a plan by their kind, without what is done or past."""

    def __init__(self, situation: Situation, steps: Iterator[Step]) -> None:
        self.questions: list[Question] = []
        self.actions: list[Action] = []
        self.moments: list[datetime] = []
        for step in steps:
            match step:
                case Ask(question):
                    self.questions.append(question)
                case LookAgain(moment):
                    if moment > situation.now:
                        self.moments.append(moment)
                case action:
                    if not _changes_nothing(action):
                        self.actions.append(action)


def _ask(situation: Situation, *questions: Question) -> list[Step]:
    """Return those of ``questions`` that have not been answered."""
    return [Ask(question) for question in questions if question not in situation.asked]


def _changes_nothing(action: Action) -> bool:
    """Whether the status to be written is there already."""
    match action:
        case WriteJobStatus(job, wanted):
            return job.status == wanted
        case WritePipelineStatus(pipeline, seen):
            return pipeline.status == seen
        case _:
            return False


def _urgent(situation: Situation) -> Iterator[Step]:
    """Yield what Jobs wait for."""
    # Labels that were taken away hide a pod from the watch, which then says that it was deleted.
    hidden = [pod for pod in situation.pods if pod.gone and pod.phase not in {"Succeeded", "Failed"}]
    yield from _ask(situation, *(StillThere(pod.name, pod.uid) for pod in hidden))
    if any(run.unwatched for run in situation.runs) or any(pod.unwatched for pod in situation.pods):
        yield LookAgain(situation.now + delay.LOOK_AGAIN)
    with faults.about(situation.pipeline):
        yield from _schedule(situation)
    for job in situation.jobs:
        with faults.about(job):
            yield from _job(situation, job)
    with faults.about(situation.pipeline):
        yield from _strays(situation)


def _when_idle(situation: Situation) -> Iterator[Step]:
    """Yield what no Job waits for."""
    with faults.about(situation.pipeline):
        yield from _pipeline_status(situation)
        yield from _retention(situation)


# -- Jobs --------------------------------------------------------------------------------------------------------------


def _job(situation: Situation, job: Job) -> Iterator[Step]:
    """Yield what to do about a Job that has not ended, also one that is deleted and that somebody's finalizer keeps."""
    if fault := situation.fault_of(job):
        yield from _faulty(situation, job, fault)
    elif run := situation.run_of(job):
        yield from _with_run(situation, job, run)
    elif job.status.task_name:
        yield from _ask(situation, LiveRun(job.status.task_name)) or _lost(situation, job)
    else:
        yield from _waiting(situation, job)


def _with_run(situation: Situation, job: Job, run: Run) -> Iterator[Step]:
    """Yield what to do about a Job that has a run."""
    if run.gone and (asks := _ask(situation, LiveRun(run.name))):
        yield from asks  # who takes its label away hides it from the watch, too
        return
    run = stop.with_its_job(job, run)
    if outcome.is_over(run, situation.pods_of(run)):
        yield from _over(situation, job, run)
    else:
        yield from _under_way(situation, job, run)


def _over(situation: Situation, job: Job, run: Run) -> Iterator[Step]:
    """Yield how a run ended, once all is known that can be."""
    pods = situation.pods_of(run)
    evidence = outcome.Evidence(run, pods, None, job.status.attempts or [], _rows_may_differ(situation))
    last = evidence.last
    asks = _ask(situation, LivePods(run.name, run.uid)) if not pods or run.gone else []
    asks += _ask(situation, LogOf(last.name, last.uid)) if last and not asks else []
    if asks:
        yield from asks
        return
    log = situation.log_of(last) if last else None
    yield _write(job, status.ended(situation, job, run, outcome.outcome_of(replace(evidence, log=log))))


def _rows_may_differ(situation: Situation) -> bool:
    expected = situation.spec.expect if situation.spec else None
    return expected is not None and expected.rows_differ == "Ignore"


def _under_way(situation: Situation, job: Job, run: Run) -> Iterator[Step]:
    """Yield what to do about a run that is not over: end it, help it on, or say what it does."""
    pods = situation.pods_of(run)
    if unexplained := delay.unexplained(situation, run):
        yield from _ask(situation, WarningsAbout(unexplained))
    stopped = stop.first_stop(situation, run, job)
    yield from _ask(situation, *_leaving_logs(pods, ends=stopped.finding is not None))
    yield from _look_again(stopped)
    if stopped.finding:
        yield from _stop(situation, job, run, stopped.finding)
    elif lingering := outcome.attempt_to_end(run, pods, situation.pods_told_to_end):
        yield EndPod(job, lingering)
    else:
        delayed = delay.first_delay(situation, run)
        yield from _look_again(delayed)
        found = delayed.finding or Finding(Reason.RUNNING, f"Batch Job {run.name} is running this Job.")
        yield _write(job, status.running(situation, job, run, found))


def _leaving_logs(pods: Sequence[Pod], *, ends: bool) -> list[Question]:
    """Return the questions for logs that will go with their pods, before the run is over: the kubelet is quick."""
    at_work = [pod for pod in pods if pod.alive and pod.started and not pod.ended and (ends or pod.deletion_due)]
    leaving = [pod for pod in pods if pod.ended and not pod.gone and (pod.deletion_due or pod.lingering)]
    last_lines = [LogToItsEnd(pod.name, pod.uid) for pod in at_work]
    return [*last_lines, *(LogOf(pod.name, pod.uid) for pod in leaving)]


def _stop(situation: Situation, job: Job, run: Run, why: Finding) -> Iterator[Step]:
    """Yield how to end a run, or, where that was refused lately, what its Job says meanwhile."""
    refusal = situation.refused_lately(run.uid)
    if not refusal:
        yield StopRun(run, why)
        return
    yield LookAgain(refusal.ask_again)
    words = f"{why.message.rstrip('.')}, but Kubernetes refuses to stop batch Job {run.name}: {refusal.message}"
    yield _write(job, status.running(situation, job, run, Finding(Reason.REJECTED, words)))


def _lost(situation: Situation, job: Job) -> Iterator[Step]:
    """Yield what to do about a Job whose run is gone: nothing before the last process of it is."""
    of_run = (pod for pod in situation.pods if pod.run_name == job.status.task_name)
    if not any(pod.alive for pod in of_run):
        yield _write(job, status.lost(situation, job))


def _waiting(situation: Situation, job: Job) -> Iterator[Step]:
    """Yield what to do about a Job that was never started."""
    denied = admission.first_denial(situation, job)
    held = Answer[Finding]() if denied.finding else admission.first_hold(situation, job)
    yield from (*_look_again(denied), *_look_again(held))
    if denied.finding:
        refused = _write(job, status.refused(job, denied.finding, situation.now))
        yield from _ask(situation, RunOf(job.name, job.uid)) or [refused]
    elif not held.finding:
        yield from _start(situation, job)
    elif not status.says(job, held.finding):  # a thousand may wait: most have said why
        yield _write(job, status.queued(job, held.finding, situation.now))


def _start(situation: Situation, job: Job) -> Iterator[Step]:
    """Yield the creation of the run of ``job``, which nothing holds up, once that is proven."""
    if situation.pipeline is None:
        raise ValueError(f"Job {job.name} was admitted without a Pipeline")
    unproven = [LivePods(run.name, run.uid) for run in _ends_unproven(situation)]
    if asks := _ask(situation, StillWaits(job.name, job.uid), *unproven, *_newest_run(situation)):
        yield from asks
        return
    number = admission.next_run_number(situation)
    yield CreateRun(job, number, render.run(situation.pipeline, job, number, situation.limits))


def _newest_run(situation: Situation) -> list[Question]:
    """Return the question for a run that was recorded, and is not in the cache: its number could be given twice."""
    recorded = situation.pipeline.status.last_run_number if situation.pipeline else None
    if not recorded or any(run.number >= recorded for run in situation.runs):
        return []
    return [LiveRun(run_names.run_name(situation.key.pipeline, recorded))]


def _ends_unproven(situation: Situation) -> list[Run]:
    """Return the runs that count as over only since no pod at work is known: the watch may not have told of one yet."""
    ended = [run for run in situation.runs if not situation.job_of(run)]
    unproven = [run for run in ended if not outcome.is_proven_over(run, situation.pods_of(run))]
    return [run for run in (*unproven, *situation.left_runs) if run.uid not in situation.pods_over]


def _faulty(situation: Situation, job: Job, fault: Fault) -> Iterator[Step]:
    """Yield what to do about a Job on which all else fails: it ends by the plainest facts, or never starts."""
    run = situation.run_of(job)
    pods = situation.pods_of(run) if run else []
    if run is None and job.status.task_name:
        yield from _lost(situation, job)
    elif run is None:
        refused = _write(job, status.refused(job, admission.faulty(fault), situation.now))
        yield from _ask(situation, RunOf(job.name, job.uid)) or [refused]
    elif outcome.is_over(run, pods):
        yield _write(job, status.ended_plainly(situation, job, run, pods, fault))
    elif wanted := stop.asked_for(situation, run, job):
        yield StopRun(run, wanted)


def _write(job: Job, wanted: JobStatus) -> WriteJobStatus:
    return WriteJobStatus(job, wanted, events.about(job, wanted))


def _look_again(answer: Answer[Any]) -> Iterator[LookAgain]:
    if answer.until:
        yield LookAgain(answer.until)


def _strays(situation: Situation) -> Iterator[Step]:
    """Yield what to do about runs at work without a Job that waits for them."""
    for run in stop.strays(situation):
        yield from _ask(situation, LiveJob(run.job_name, run.job_uid))
        stopped = stop.first_stop(situation, run, None)
        yield from _look_again(stopped)
        if refusal := situation.refused_lately(run.uid):
            yield LookAgain(refusal.ask_again)
        elif stopped.finding:
            yield StopRun(run, stopped.finding)


# -- The schedule, the Pipeline's status, and what is kept -------------------------------------------------------------


def _schedule(situation: Situation) -> Iterator[Step]:
    """Yield what to do so that the schedule is kept.

    A CronJob takes its slots along when it is deleted: so it stays until all is told of them.
    """
    pipeline = situation.pipeline
    if not pipeline or situation.fault_of(pipeline):
        return
    for uid in (pipeline.uid, *(slot.uid for slot in situation.slots)):
        if refusal := situation.refused_lately(uid):
            yield LookAgain(refusal.ask_again)
    due = slots.due(situation)
    for slot in due:
        yield CreateJob(situation.key, slot.uid, slots.job_manifest(situation, slot))
    change = schedule.cron_job_change(situation)
    if change and not (change.deletes and (due or slots.settled(situation))):
        yield ChangeCronJob(pipeline, change)


def _pipeline_status(situation: Situation) -> Iterator[Step]:
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
    yield from _ask(situation, *(LiveJob(run.job_name, run.job_uid) for run in history.unreported_runs(situation)))
    if late := schedule.overdue(situation):
        yield from _ask(situation, WarningsAbout(late.cron_job_uid))
    yield from _look_again(schedule.first_trouble(situation, pipeline))
    yield from _look_again(health.first_trouble(situation, pipeline) or Answer[Any]())
    settled = slots.settled(situation)
    written = status.pipeline(situation, slots.believable(situation, pipeline), settled)
    yield WritePipelineStatus(pipeline, written, events.about_pipeline(pipeline, written))
    for one in settled:
        yield DeleteSlot(pipeline, one.slot, one.events)
    change = schedule.cron_job_change(situation) if settled else None
    if change and change.deletes:
        yield ChangeCronJob(pipeline, change)


def _retention(situation: Situation) -> Iterator[Step]:
    """Yield the deletion of what is kept no longer: a run only where its Job tells how it ended."""
    for moment, run in retention.runs_by_due_time(situation):
        if moment > situation.now:
            yield LookAgain(moment)
            continue
        yield from _ask(situation, LiveJob(run.job_name, run.job_uid))
        if (job := situation.former_jobs.get(run.job_uid)) and job.ended:
            yield _delete_run(situation, run, job)
    yield from (DeleteJob(job) for job in retention.surplus_jobs(situation))


def _delete_run(situation: Situation, run: Run, job: Job) -> Step:
    """Return the deletion of a run whose time is over; while its log is awaited, when to look again."""
    until = retention.log_awaited_until(situation, run, job)
    if until is None:
        return DeleteRun(run)
    if situation.now < until:
        return LookAgain(min(situation.now + retention.LOG_LOOKS, until))
    return DeleteRun(run, job, [events.log_not_kept()])
