"""One-line builders of snapshots and manifests, each over one boring default."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from elt_operator.core.findings import Finding
from elt_operator.core.model import (
    CronJob,
    Ended,
    Finish,
    Job,
    OtherContainer,
    Pipeline,
    PipelineKey,
    Pod,
    Run,
    Slot,
    Timetable,
)
from elt_operator.core.plan import Plan, plan
from elt_operator.core.questions import Question
from elt_operator.core.situation import Situation
from elt_operator.resources.job import JobSpec, JobStatus
from elt_operator.resources.pipeline import PipelineSpec, PipelineStatus
from elt_operator.resources.reasons import Reason

KEY = PipelineKey("default", "weather")
START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_pipeline(*, status: PipelineStatus | None = None, generation: int = 1, **spec: Any) -> Pipeline:
    what = {} if spec.keys() & {"actions", "script", "command"} else {"actions": ["run tap-weather target-postgres"]}
    return Pipeline(
        key=KEY,
        uid="pipeline-uid",
        generation=generation,
        resource_version="1",
        spec=PipelineSpec.model_validate({"image": "elt:1", **what, **spec}),
        status=status or PipelineStatus(),
        created=START,
    )


def a_job(name: str = "job-1", *, created: float = 0, status: JobStatus | None = None, **spec: Any) -> Job:
    return Job(
        key=KEY,
        name=name,
        uid=f"{name}-uid",
        generation=1,
        resource_version="1",
        created=at(created),
        deleting=False,
        spec=JobSpec.model_validate({"pipelineName": KEY.pipeline, **spec}),
        status=status or JobStatus(),
    )


def a_run(
    number: int = 1, *, job: str = "job-1", created: float = 0, finish: Finish | None = None, **fields: Any
) -> Run:
    return Run(
        key=KEY,
        name=f"{KEY.pipeline}-r{number}",
        uid=f"run-{number}-uid",
        number=number,
        job_name=job,
        job_uid=f"{job}-uid",
        created=at(created),
        pipeline_generation=1,
        finish=finish,
        **fields,
    )


def a_stopped_run(reason: Reason = Reason.STOPPED, *, no_more_pods: bool = True, **fields: Any) -> Run:
    stop = Finding(reason, f"because of {reason}")
    return a_run(stop=stop, no_more_pods=no_more_pods, **fields)


def succeeded() -> Finish:
    return Finish(succeeded=True, reason="CompletionsReached", message="Reached expected number of pods", time=at(20))


def failed(reason: str = "BackoffLimitExceeded") -> Finish:
    message = "Job has reached the specified backoff limit"
    return Finish(succeeded=False, reason=reason, message=message, time=at(20))


def an_end(exit_code: int = 0, *, reason: str = "", message: str = "") -> Ended:
    reason = reason or ("Completed" if exit_code == 0 else "Error")
    return Ended(exit_code=exit_code, reason=reason, message=message, start_time=at(2), end_time=at(19))


def a_pod(run: int = 1, *, ended: Ended | None = None, phase: str = "", number: int = 1, **fields: Any) -> Pod:
    if not phase and ended:
        phase = "Succeeded" if ended.exit_code == 0 else "Failed"
    defaults = {
        "created": at(number),
        "started": at(number + 1) if phase in {"", "Running"} or ended else None,
        "run_uid": f"run-{run}-uid",
        "begun": phase in {"", "Running"} or ended is not None,
    }
    return Pod(
        key=KEY,
        name=f"{KEY.pipeline}-r{run}-{number}",
        uid=f"pod-{run}-{number}-uid",
        run_name=f"{KEY.pipeline}-r{run}",
        phase=phase or "Running",
        ended=ended,
        **{**defaults, **fields},
    )


def another(name: str = "proxy", *, running: bool = True, exit_code: int | None = None, **said: Any) -> OtherContainer:
    """A container that a webhook has added to a pod."""
    return OtherContainer(name, said.pop("prepares", False), running and exit_code is None, exit_code, **said)


def a_cron_job(
    *, owner_uid: str = "pipeline-uid", deleting: bool = False, left_behind: bool = False, **said: Any
) -> CronJob:
    """The CronJob of a Pipeline whose schedule is ``*/10 * * * *``, in force since the start."""
    timetable: dict[str, Any] = {
        "schedule": "*/10 * * * *",
        "time_zone": "UTC",
        "suspend": False,
        "starting_deadline_seconds": None,
        "pipeline_generation": 1,
        "in_force": "*/10 * * * * UTC",
        "since": at(0),
    }
    return CronJob(KEY, "cron-job-uid", owner_uid, deleting, Timetable(**{**timetable, **said}), left_behind)


def a_slot(time: float | None = 600, *, name: str = "weather-1", since: float = 0, **fields: Any) -> Slot:
    """A slot of the time ``at(time)``; of none when it was made by hand. The CronJob of ``a_cron_job`` owns it."""
    moment = None if time is None else at(time)
    defaults = {"deleting": False, "cron_job_uid": "cron-job-uid"}
    named = {"key": KEY, "name": name, "uid": f"{name}-uid", "created": at((time or 0) + 1)}
    return Slot(**{**named, **defaults, **fields}, time=moment, since=at(since))


def a_situation(*jobs: Job, now: float = 30, pipeline: Pipeline | None = None, **known: Any) -> Situation:
    """A situation with a Pipeline; pass ``pipeline=None`` through ``without_pipeline`` for one without."""
    return Situation(
        key=KEY,
        now=at(now),
        pipeline=pipeline or a_pipeline(),
        jobs=jobs,
        **known,
    )


def decided(situation: Situation) -> Plan:
    """Return the plan once its questions are answered, each with nothing new."""
    return _decided(situation)[0]


def asked(situation: Situation) -> set[Question]:
    """Return the questions that the plan asks on its way, where each is answered with nothing new."""
    return _decided(situation)[1]


def _decided(situation: Situation) -> tuple[Plan, set[Question]]:
    questions = set[Question]()
    while (wanted := plan(situation)).questions:
        questions.update(wanted.questions)
        situation = replace(situation, asked={*situation.asked, *questions})
    return wanted, questions
