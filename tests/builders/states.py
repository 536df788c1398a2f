"""Pipelines and Jobs in each of their states, as other tools see them, in the operator's own words."""

from typing import Any

from builders import (
    a_cron_job,
    a_job,
    a_pipeline,
    a_pod,
    a_run,
    a_situation,
    a_stopped_run,
    an_end,
    at,
    failed,
    succeeded,
)
from elt_operator.core import outcome, status
from elt_operator.core.findings import Finding
from elt_operator.core.model import Job, Pipeline, Pod, Run
from elt_operator.core.outcome import Evidence
from elt_operator.resources import crd
from elt_operator.resources.job import JobStatus
from elt_operator.resources.reasons import Reason

State = dict[str, Any]


def _body(kind: crd.Kind, described: Job | Pipeline, name: str, stored: State, generation: int | None = None) -> State:
    assert described.spec
    return {
        "apiVersion": "elt-operator.io/v1alpha1",
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": described.key.namespace,
            "uid": described.uid,
            "generation": generation or described.generation,
        },
        "spec": described.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "status": stored,
    }


def _job(told: JobStatus | None = None, *, generation: int | None = None, **spec: Any) -> State:
    job = a_job("weather-1", **spec)
    return _body(crd.JOB, job, job.name, told.as_json() if told else dict(crd.JOB.initial_status), generation)


def _ended(run: Run, pod: Pod | None = None) -> JobStatus:
    pods = [pod] if pod else []
    job = a_job("weather-1")
    situation = a_situation(job, runs=[run], pods=pods, now=21)
    return status.ended(situation, job, run, outcome.outcome_of(Evidence(run, pods)))


def _running() -> JobStatus:
    job, run = a_job("weather-1"), a_run(job="weather-1")
    situation = a_situation(job, runs=[run], pods=[a_pod()])
    return status.running(situation, job, run, Finding(Reason.RUNNING, f"Batch Job {run.name} is running this Job."))


def jobs() -> dict[str, State]:
    """Return a Job in each state by the state's name."""
    queued = status.queued(a_job("weather-1"), Finding(Reason.PIPELINE_BUSY, "Job weather-0 is active."), at(1))
    refusal = Finding(Reason.INVALID_CONFIGURATION, "spec.properties overrides target.host.")
    complete = _ended(a_run(job="weather-1", finish=succeeded()), a_pod(ended=an_end(0)))
    error = _ended(a_run(job="weather-1", finish=failed()), a_pod(ended=an_end(1, message="source went away")))
    stopped = _ended(a_stopped_run(job="weather-1"), a_pod(ended=an_end(143)))
    return {
        "new": _job(),
        "queued": _job(queued),
        "running": _job(_running()),
        "to-be-stopped": _job(_running(), generation=2, stop=True),
        "complete": _job(complete),
        "complete-and-told-to-stop-later": _job(complete, generation=2, stop=True),
        "error": _job(error),
        "stopped": _job(stopped, stop=True),
        "refused": _job(status.refused(a_job("weather-1"), refusal, at(1))),
        "unknown": _job(status.lost(a_situation(now=60), a_job("weather-1", status=_running()))),
    }


def _pipeline(spec: State | None = None, *, generation: int | None = None, **known: Any) -> State:
    pipeline = a_pipeline(**(spec or {}))
    told = status.pipeline(a_situation(pipeline=pipeline, **known), pipeline, [])
    return _body(crd.PIPELINE, pipeline, pipeline.key.pipeline, told.as_json(), generation)


def _unseen_pipeline() -> State:
    pipeline = a_pipeline()
    return _body(crd.PIPELINE, pipeline, pipeline.key.pipeline, dict(crd.PIPELINE.initial_status))


def _pipeline_after(job: State) -> State:
    """Return a Pipeline whose last Job ended as ``job``."""
    ended = a_job("weather-1", status=JobStatus.model_validate(job["status"]))
    return _pipeline(runs=[a_run(job="weather-1", finish=failed())], former_jobs={ended.uid: ended})


def pipelines() -> dict[str, State]:
    """Return a Pipeline in each state by the state's name."""
    every_ten: State = {"schedule": "*/10 * * * *"}
    return {
        "new": _unseen_pipeline(),
        "ready": _pipeline(),
        "scheduled": _pipeline(every_ten, cron_job=a_cron_job()),
        "changed": _pipeline(generation=2),
        "suspended": _pipeline({**every_ten, "suspend": True}, cron_job=a_cron_job(suspend=True)),
        "last-job-complete": _pipeline_after(jobs()["complete"]),
        "last-job-failed": _pipeline_after(jobs()["error"]),
        "schedule-that-never-comes": _pipeline({"schedule": "0 0 30 2 *"}),
        "name-taken": _pipeline(every_ten, cron_job=a_cron_job(owner_uid="")),
        "name-not-free-yet": _pipeline(every_ten, cron_job=a_cron_job(owner_uid="older-pipeline-uid")),
    }
