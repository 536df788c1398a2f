"""Which Job may start, and what holds up the others."""

from dataclasses import replace

import pytest

from builders import a_job, a_pipeline, a_pod, a_run, a_situation, an_end, at, failed, succeeded
from elt_operator.core.admission import first_denial, first_hold, next_run_number
from elt_operator.core.model import Job, Refusal
from elt_operator.core.situation import Situation
from elt_operator.resources.pipeline import PipelineStatus

JOB = a_job("job-2", created=10)
EARLIER = a_job("job-1", created=0)


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        pytest.param(a_situation(JOB), None, id="nothing in the way"),
        pytest.param(
            replace(a_situation(JOB), pipeline=None), "There is no Pipeline weather", id="no Pipeline of that name"
        ),
        pytest.param(
            a_situation(JOB, pipeline=replace(a_pipeline(), spec=None, problem="spec.image: missing")),
            "spec.image: missing",
            id="a Pipeline that cannot be read",
        ),
        pytest.param(a_situation(EARLIER, JOB), "waiting for Job job-1", id="an older Job comes first"),
        pytest.param(
            a_situation(EARLIER, a_job("job-x", created=5), JOB),
            "waiting for Job job-x",
            id="only the one before is named",
        ),
        pytest.param(a_situation(JOB, a_job("job-3", created=20)), None, id="a younger Job is no hindrance"),
        pytest.param(a_situation(JOB, runs=[a_run()]), "waiting for run weather-r1 of Job job-1", id="left-over run"),
        pytest.param(a_situation(JOB, runs=[a_run(finish=succeeded())]), None, id="run closed as complete"),
        pytest.param(a_situation(JOB, runs=[a_run(finish=failed())]), None, id="run closed as failed"),
        pytest.param(
            a_situation(JOB, runs=[a_run()], pods=[a_pod(ended=an_end(0))]), None, id="run whose pod succeeded"
        ),
        pytest.param(
            a_situation(JOB, runs=[a_run()], pods=[a_pod(ended=an_end(1))]),
            "waiting for run",
            id="run that may be retried",
        ),
        pytest.param(a_situation(JOB, pods=[a_pod()]), "waiting for pod weather-r1-1", id="pod that outlives its run"),
        pytest.param(a_situation(JOB, pods=[a_pod(phase="Unknown")]), "waiting for pod", id="pod on a silent node"),
        pytest.param(
            a_situation(JOB, refusals={JOB.uid: Refusal("exceeded quota", at(40))}),
            "exceeded quota",
            id="refused a moment ago",
        ),
        pytest.param(
            a_situation(JOB, refusals={JOB.uid: Refusal("exceeded quota", at(30))}), None, id="time to ask again"
        ),
    ],
)
def test_a_job_is_held_up_by(situation: Situation, words: str | None) -> None:
    hold = first_hold(situation, JOB).finding

    assert (hold is None) if words is None else (hold is not None and words in hold.message)


@pytest.mark.parametrize(
    ("protected", "overrides", "named"),
    [
        pytest.param(["target-postgres.host"], {"tap-weather.end_date": "x"}, None, id="an open property"),
        pytest.param(
            ["target-postgres.host"], {"target-postgres.host": "x"}, "target-postgres.host", id="the same name"
        ),
        pytest.param(["target-postgres.host"], {"target_postgres-host": "x"}, "target_postgres-host", id="respelt"),
    ],
)
def test_a_protected_property_cannot_be_overridden(
    protected: list[str], overrides: dict[str, str], named: str | None
) -> None:
    job = a_job(properties=overrides)

    refusal = first_denial(a_situation(job, pipeline=a_pipeline(protectedProperties=protected)), job).finding

    assert (refusal is None) if named is None else (refusal is not None and named in refusal.message)


def test_a_job_that_cannot_be_read_is_refused_with_what_is_wrong() -> None:
    job = replace(a_job(), spec=None, problem="spec.arguments: must be a list")

    refusal = first_denial(a_situation(job), job).finding

    assert refusal is not None
    assert "must be a list" in refusal.message


@pytest.mark.parametrize(
    ("situation", "number"),
    [
        pytest.param(a_situation(), 1, id="the first"),
        pytest.param(a_situation(runs=[a_run(3), a_run(7)]), 8, id="after the highest known run"),
        pytest.param(
            a_situation(runs=[a_run(3)], pipeline=a_pipeline(status=PipelineStatus(last_run_number=9))),
            10,
            id="after the highest recorded run",
        ),
        pytest.param(a_situation(runs=[a_run(3)], taken_numbers=frozenset({4, 5})), 6, id="strangers' names skipped"),
    ],
)
def test_runs_are_numbered(situation: Situation, number: int) -> None:
    assert next_run_number(situation) == number


QUEUE, FORBID, REPLACE = (a_pipeline(concurrencyPolicy=policy) for policy in ("Queue", "Forbid", "Replace"))
LATER = a_job("job-3", created=20)
MISSING = replace(a_situation(JOB), pipeline=None, pipeline_missed=at(5))


@pytest.mark.parametrize(
    ("situation", "job", "ending", "words"),
    [
        pytest.param(a_situation(EARLIER, JOB, pipeline=QUEUE), JOB, None, "", id="Queue lets it wait"),
        pytest.param(
            a_situation(EARLIER, JOB, pipeline=FORBID), JOB, ("ERROR", "PipelineBusy"), "Job job-1", id="Forbid"
        ),
        pytest.param(a_situation(JOB, LATER, pipeline=FORBID), JOB, None, "", id="Forbid spares the first"),
        pytest.param(
            a_situation(replace(EARLIER, deleting=True), JOB, pipeline=FORBID), JOB, None, "",
            id="Forbid lets it wait for what is being deleted",
        ),
        pytest.param(
            a_situation(EARLIER, JOB, LATER, pipeline=REPLACE), JOB, ("STOPPED", "Replaced"), "Job job-3", id="Replace"
        ),
        pytest.param(a_situation(EARLIER, JOB, pipeline=REPLACE), JOB, None, "", id="Replace spares the newest"),
        pytest.param(
            a_situation(JOB, replace(LATER, deleting=True), pipeline=REPLACE), JOB, None, "",
            id="a Job that is being deleted replaces none",
        ),
        pytest.param(
            a_situation(EARLIER, STOP := a_job("job-2", created=10, stop=True)), STOP, ("STOPPED", "Stopped"),
            "before it started", id="stopped while it waits",
        ),
        pytest.param(replace(MISSING, now=at(609)), JOB, None, "", id="its Pipeline may still come"),
        pytest.param(
            replace(MISSING, now=at(610)), JOB, ("ERROR", "PipelineNotFound"), "within 600 seconds",
            id="its Pipeline never came",
        ),
        pytest.param(
            replace(MISSING, now=at(610), pipeline_missed=at(300)), JOB, None, "", id="its Pipeline went lately"
        ),
    ],
)  # fmt: skip
def test_a_job_is_never_started(situation: Situation, job: Job, ending: tuple[str, str] | None, words: str) -> None:
    refusal = first_denial(situation, job).finding

    assert (refusal and (refusal.reason.phase, refusal.reason)) == ending
    assert words in (refusal.message if refusal else "")


def test_a_job_waits_for_its_pipeline_from_its_own_creation_on() -> None:
    young = a_job(created=100)
    situation = replace(a_situation(young), pipeline=None, pipeline_missed=at(0))

    assert first_denial(situation, young).until == at(700)
