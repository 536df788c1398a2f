"""What a Job's and a Pipeline's status say. Nothing in them changes by the passing of time alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from elt_operator.core import commands, health, history, outcome, schedule, slots
from elt_operator.core.faults import Fault
from elt_operator.core.findings import Finding
from elt_operator.core.model import Job, Pipeline, Pod, Run
from elt_operator.core.situation import Situation
from elt_operator.core.slots import Settled
from elt_operator.core.words import shortened
from elt_operator.resources import conditions
from elt_operator.resources.conditions import Condition, ConditionStatus, transitioned
from elt_operator.resources.job import JobLog, JobStatus
from elt_operator.resources.phases import TERMINAL_PHASES, Phase
from elt_operator.resources.pipeline import ActiveJob, LastJob, PipelineStatus
from elt_operator.resources.reasons import Reason


def _conditions_of(described: Job | Pipeline, now: datetime) -> Callable[[str, ConditionStatus, str, str], Condition]:
    """Return what makes a condition of ``described`` out of its type, status, reason and message."""

    def condition(kind: str, status: ConditionStatus, reason: str, message: str) -> Condition:
        return Condition(
            type=kind,
            status=status.value,
            reason=reason,
            message=shortened(message),
            last_transition_time=now,
            observed_generation=described.generation,
        )

    return condition


def _job_conditions(job: Job, phase: Phase, found: Finding, now: datetime) -> list[Condition]:
    """Return the conditions of a Job: in progress until it ends, then succeeded or stalled (kstatus)."""
    make = _conditions_of(job, now)

    def condition(kind: str, status: ConditionStatus) -> Condition:
        return make(kind, status, found.reason, found.message)

    if phase not in TERMINAL_PHASES:
        current = [
            condition(conditions.SUCCEEDED, ConditionStatus.UNKNOWN),
            condition(conditions.RECONCILING, ConditionStatus.TRUE),
        ]
    elif phase is Phase.COMPLETE:
        current = [condition(conditions.SUCCEEDED, ConditionStatus.TRUE)]
    else:
        current = [
            condition(conditions.SUCCEEDED, ConditionStatus.FALSE),
            condition(conditions.STALLED, ConditionStatus.TRUE),
        ]
    return transitioned(job.status.conditions or [], current)


def says(job: Job, hold: Finding) -> bool:
    """Return whether the status of ``job`` says that it waits, and why, already."""
    told = job.status
    return (
        told.phase is Phase.QUEUED
        and told.reason == hold.reason
        and told.observed_generation == job.generation
        and [condition.message for condition in (told.conditions or [])[:1]] == [shortened(hold.message)]
    )


def queued(job: Job, hold: Finding, now: datetime) -> JobStatus:
    """Return the status of a Job that waits."""
    return JobStatus(
        phase=Phase.QUEUED,
        reason=hold.reason,
        observed_generation=job.generation,
        conditions=_job_conditions(job, Phase.QUEUED, hold, now),
    )


def running(situation: Situation, job: Job, run: Run, found: Finding) -> JobStatus:
    """Return the status of a Job whose run is under way."""
    return JobStatus(
        phase=Phase.RUNNING,
        reason=found.reason,
        observed_generation=job.generation,
        pipeline_generation=run.pipeline_generation,
        conditions=_job_conditions(job, Phase.RUNNING, found, situation.now),
        start_time=run.created,
        task_name=run.name,
        arguments=_arguments(situation, job, run),
        attempts=outcome.past_attempts(run, situation.pods_of(run), job.status.attempts or []) or None,
    )


def _arguments(situation: Situation, job: Job, run: Run) -> list[str] | None:
    """Return what was started; only from the Pipeline's spec of that moment, for later ones may say otherwise."""
    if job.status.arguments is not None:
        return job.status.arguments
    pipeline = situation.pipeline
    if not pipeline or not pipeline.spec or not job.spec or pipeline.generation != run.pipeline_generation:
        return None
    return [argument[:8192] for argument in commands.started_arguments(pipeline.spec, job.spec)]


def ended(situation: Situation, job: Job, run: Run, result: outcome.Outcome) -> JobStatus:
    """Return the last status of a Job whose run is over."""
    ending = result.ending
    return JobStatus(
        phase=ending.reason.phase,
        reason=ending.reason,
        observed_generation=job.generation,
        pipeline_generation=run.pipeline_generation,
        conditions=_job_conditions(job, ending.reason.phase, ending, situation.now),
        start_time=run.created,
        end_time=result.end_time or situation.now,
        exit_code=result.exit_code,
        task_name=run.name,
        arguments=_arguments(situation, job, run),
        exit_message=result.exit_message,
        error_message=result.error_message,
        attempts=result.attempts or None,
        log_tail=result.log_tail,
        result=result.result,
        warnings=result.warnings or None,
        warning_count=len(result.warnings) or None,
        log=_log(situation, started=any(attempt.start_time for attempt in result.attempts)),
    )


def _log(situation: Situation, *, started: bool) -> JobLog | None:
    """Return what is said of the log until its keeper says more; ``None``: there is none, or nobody keeps it."""
    return JobLog(state="Collecting") if situation.limits.keeps_logs and started else None


def ended_plainly(situation: Situation, job: Job, run: Run, pods: Sequence[Pod], fault: Fault) -> JobStatus:
    """Return the last status of a Job whose run is over, from plain facts alone: all else that was said is left out."""
    plain = [replace(pod, ended=pod.ended and replace(pod.ended, message=""), message="", others=()) for pod in pods]
    finish = run.finish and replace(run.finish, message="")
    evidence = outcome.Evidence(replace(run, finish=finish), plain)
    ending, last = outcome.ending_of(evidence), evidence.last
    end = outcome.process_end(last) if last else None
    message = f"{ending.message} The operator could not read anything else about the run ({fault.words})."
    return JobStatus(
        phase=ending.reason.phase,
        reason=ending.reason,
        observed_generation=job.generation,
        conditions=_job_conditions(job, ending.reason.phase, replace(ending, message=message), situation.now),
        start_time=run.created,
        end_time=(end.end_time if end else None) or situation.now,
        exit_code=end.exit_code if end else None,
        task_name=run.name,
        error_message=outcome.error_message(ending, None),
        log=_log(situation, started=any(pod.started for pod in pods)),
    )


def refused(job: Job, denial: Finding, now: datetime) -> JobStatus:
    """Return the last status of a Job that never started."""
    return JobStatus(
        phase=denial.reason.phase,
        reason=denial.reason,
        observed_generation=job.generation,
        conditions=_job_conditions(job, denial.reason.phase, denial, now),
        end_time=now,
        error_message=shortened(denial.message) if denial.reason.phase is Phase.ERROR else None,
    )


def lost(situation: Situation, job: Job) -> JobStatus:
    """Return the last status of a Job whose run is gone, and with it the truth about its end."""
    message = (
        f"Run {job.status.task_name} is gone, and how it ended is unknown. Check the destination, "
        "then create a new Job to run it again."
    )
    return job.status.model_copy(
        update={
            "phase": Phase.UNKNOWN,
            "reason": Reason.RESULT_LOST.value,
            "observed_generation": job.generation,
            "conditions": _job_conditions(job, Phase.UNKNOWN, Finding(Reason.RESULT_LOST, message), situation.now),
            "end_time": situation.now,
            "error_message": message,
            "log": _log(situation, started=True),
        }
    )


def _pipeline_conditions(situation: Situation, pipeline: Pipeline, last: LastJob | None) -> list[Condition]:
    condition = _conditions_of(pipeline, situation.now)
    if pipeline.spec is None:
        message = f"The spec cannot be read: {pipeline.problem}"
        current = [
            condition(conditions.READY, ConditionStatus.FALSE, Reason.INVALID_CONFIGURATION, message),
            condition(conditions.STALLED, ConditionStatus.TRUE, Reason.INVALID_CONFIGURATION, message),
        ]
    elif trouble := schedule.first_trouble(situation, pipeline).finding:
        abnormal = conditions.RECONCILING if trouble.passing else conditions.STALLED
        current = [
            condition(conditions.READY, ConditionStatus.FALSE, trouble.reason, trouble.message),
            condition(abnormal, ConditionStatus.TRUE, trouble.reason, trouble.message),
        ]
    else:
        reason = Reason.SUSPENDED if pipeline.spec.schedule and pipeline.spec.suspend else Reason.ACCEPTED
        current = [condition(conditions.READY, ConditionStatus.TRUE, reason, reason.sentence)]
    if last:
        succeeded = ConditionStatus.TRUE if last.phase == Phase.COMPLETE else ConditionStatus.FALSE
        said = f"Job {last.name} ended as {last.phase}."
        current.append(condition(conditions.LAST_JOB_SUCCEEDED, succeeded, last.phase.capitalize(), said))
    if data := _health(situation, pipeline):
        current.append(condition(conditions.DATA_HEALTHY, *data))
    return transitioned(pipeline.status.conditions or [], current)


def _health(situation: Situation, pipeline: Pipeline) -> tuple[ConditionStatus, Reason, str] | None:
    """Return whether the data is as expected, and why; ``None``: nothing is expected."""
    answer = health.first_trouble(situation, pipeline)
    if answer is None:
        return None
    if found := answer.finding:
        known = found.reason is not Reason.SUSPENDED
        return ConditionStatus.FALSE if known else ConditionStatus.UNKNOWN, found.reason, found.message
    succeeded = history.last_success(history.recent_jobs(situation, pipeline), pipeline)
    reason = Reason.FRESH if succeeded else Reason.NO_SUCCESS_YET
    return ConditionStatus.TRUE if succeeded else ConditionStatus.UNKNOWN, reason, reason.sentence


def faulty_pipeline(pipeline: Pipeline, fault: Fault, now: datetime) -> PipelineStatus:
    """Return the status of a Pipeline on which the operator fails: its schedule stands still, its Jobs go on."""
    condition = _conditions_of(pipeline, now)
    message = (
        f"The operator cannot handle this Pipeline ({fault.words}). Its schedule is paused; Jobs created by hand still "
        "run. This is a bug in the operator; please report it. To try again, change the Pipeline."
    )
    current = [
        condition(conditions.READY, ConditionStatus.FALSE, Reason.OPERATOR_ERROR, message),
        condition(conditions.STALLED, ConditionStatus.TRUE, Reason.OPERATOR_ERROR, message),
    ]
    told = transitioned(pipeline.status.conditions or [], current)
    return pipeline.status.model_copy(update={"observed_generation": pipeline.generation, "conditions": told})


def _last_job(job: Job) -> LastJob:
    return LastJob.model_validate(
        {
            "name": job.name,
            "phase": job.status.phase.value,
            "exitCode": job.status.exit_code,
            "startTime": job.status.start_time,
            "endTime": job.status.end_time,
            "rows": job.status.result.rows if job.status.result else None,
            "warnings": job.status.warning_count,
        }
    )


def pipeline(situation: Situation, described: Pipeline, done: Sequence[Settled]) -> PipelineStatus:
    """Return the status of a Pipeline: its conditions, its Jobs as people want to see them, and the slots ``done``."""
    stored = described.status
    running_job = next((job for job in situation.jobs if situation.run_of(job)), None)
    run = situation.run_of(running_job) if running_job else None
    numbers = [known.number for known in situation.runs]
    newest = newest_ended_job(situation)
    last = _last_job(newest) if newest else stored.last_job
    recent = history.recent_jobs(situation, described)
    return PipelineStatus(
        observed_generation=described.generation,
        conditions=_pipeline_conditions(situation, described, last),
        active_job=(
            ActiveJob(name=running_job.name, uid=running_job.uid, start_time=run.created)
            if running_job and run
            else None
        ),
        queued_jobs=sum(1 for job in situation.jobs if not situation.run_of(job)),
        last_run_number=max([*numbers, stored.last_run_number or 0]) or None,
        last_job=last,
        recent_jobs=recent or None,
        last_successful_time=history.last_success(recent, described),
        last_schedule_time=slots.last_time(described, done),
        next_schedule_time=schedule.next_time(situation, described),
        skipped_slots=slots.skipped(described, done) or None,
    )


def newest_ended_job(situation: Situation) -> Job | None:
    """Return the Job that ended last, of those that had a run and of which the status does not tell yet."""
    told = situation.pipeline.status.last_job if situation.pipeline else None
    since = told.start_time if told else None
    ended = [
        job
        for job in situation.former_jobs.values()
        if job.ended and job.status.start_time and (since is None or job.status.start_time >= since)
    ]
    return max(ended, key=lambda job: (job.status.start_time, job.status.end_time), default=None)
