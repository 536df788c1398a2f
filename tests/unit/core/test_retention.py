"""What is kept of the past."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from builders import KEY, a_job, a_pipeline, a_pod, a_run, a_situation, a_stopped_run, an_end, at, decided, succeeded
from elt_operator.core import retention
from elt_operator.core.actions import Action, DeleteRun
from elt_operator.core.model import EndedJob
from elt_operator.core.situation import Limits, Situation
from elt_operator.resources.job import JobLog, JobStatus
from elt_operator.resources.phases import Phase
from elt_operator.resources.pipeline import PipelineStatus

JOB = a_job()
TOLD = {JOB.uid: replace(JOB, status=JobStatus(phase=Phase.COMPLETE))}
RECORDED = a_pipeline(status=PipelineStatus(last_run_number=1))
PAST = a_situation(runs=[a_run(finish=succeeded())], pods=[a_pod(ended=an_end())], pipeline=RECORDED, former_jobs=TOLD)


RESUMED = a_stopped_run(no_more_pods=False, started=at(25), queue="nightly")


def deletions(situation: Situation) -> list[Action]:
    return [action for action in decided(situation).when_idle if isinstance(action, DeleteRun)]


@pytest.mark.parametrize(
    ("situation", "deleted"),
    [
        pytest.param(replace(PAST, now=at(3620)), True, id="an hour after its end"),
        pytest.param(replace(PAST, now=at(3619)), False, id="not before"),
        pytest.param(replace(PAST, now=at(9999), jobs=[JOB]), False, id="its Job has not told its end"),
        pytest.param(replace(PAST, now=at(9999), former_jobs={}), False, id="its Job is gone: the garbage collector's"),
        pytest.param(replace(PAST, now=at(9999), former_jobs={JOB.uid: JOB}), False, id="its Job says it runs"),
        pytest.param(replace(PAST, now=at(9999), pipeline=a_pipeline()), False, id="its number is not recorded"),
        pytest.param(replace(PAST, now=at(9999), pipeline=None), True, id="no Pipeline to record its number"),
        pytest.param(replace(PAST, now=at(9999), runs=[a_run()], pods=[a_pod()]), False, id="still at work"),
        pytest.param(replace(PAST, runs=[RESUMED], pods=[]), True, id="stopped in its queue, and resumed since"),
        pytest.param(replace(PAST, runs=[RESUMED], pods=[], former_jobs={}), False, id="the same, and its Job is gone"),
        pytest.param(replace(PAST, runs=[RESUMED], pods=[], jobs=[JOB]), False, id="the same, not told yet"),
    ],
)
def test_a_run_is_deleted(situation: Situation, deleted: bool) -> None:
    assert bool(deletions(situation)) is deleted


AWAITED = {
    JOB.uid: replace(JOB, status=JobStatus(phase=Phase.COMPLETE, end_time=at(20), log=JobLog(state="Collecting")))
}
STORED = {JOB.uid: replace(JOB, status=JobStatus(phase=Phase.COMPLETE, end_time=at(20), log=JobLog(state="Kept")))}
WITH_LOGS = replace(PAST, limits=Limits(keeps_logs=True), former_jobs=AWAITED)
A_DAY = 24 * 3600


@pytest.mark.parametrize(
    ("situation", "deleted"),
    [
        pytest.param(replace(WITH_LOGS, now=at(9999)), False, id="its log is awaited"),
        pytest.param(replace(WITH_LOGS, now=at(9999), former_jobs=STORED), True, id="its log is kept"),
        pytest.param(replace(WITH_LOGS, now=at(9999), limits=Limits()), True, id="nobody keeps logs any more"),
        pytest.param(replace(WITH_LOGS, now=at(A_DAY + 19)), False, id="not before a day is over"),
        pytest.param(replace(WITH_LOGS, now=at(A_DAY + 20)), True, id="a day after its Job's end"),
        pytest.param(replace(WITH_LOGS, runs=[RESUMED], pods=[]), True, id="it was resumed"),
    ],
)
def test_a_run_waits_for_its_log(situation: Situation, deleted: bool) -> None:
    assert bool(deletions(situation)) is deleted


def test_a_run_that_has_waited_for_its_log_in_vain_is_told_of() -> None:
    (deletion,) = deletions(replace(WITH_LOGS, now=at(A_DAY + 20)))

    assert isinstance(deletion, DeleteRun)
    assert [(event.type, event.reason) for event in deletion.events] == [("Warning", "LogNotKept")]
    assert deletion.job == AWAITED[JOB.uid]


def test_while_a_run_waits_for_its_log_it_is_looked_at_now_and_then() -> None:
    assert decided(replace(WITH_LOGS, now=at(9999))).look_again == timedelta(seconds=30)


OWN = a_pipeline(status=PipelineStatus(last_run_number=1), runRetentionSeconds=60)
NOT_KEPT = a_pipeline(status=PipelineStatus(last_run_number=1), runRetentionSeconds=0)
UNCLOSED = replace(PAST, runs=[a_stopped_run()])
"""A run that nobody has closed: it was stopped, and its pod ended at 19 s."""
NEVER_STARTED = replace(UNCLOSED, pods=[])
RESUMABLE = replace(NEVER_STARTED, runs=[a_stopped_run(suspended=True)])
QUEUED = replace(UNCLOSED, runs=[a_stopped_run(suspended=True, started=at(1), queue="nightly")])
BEFORE = replace(UNCLOSED, runs=[a_stopped_run(suspended=True, started=at(1))])
UNSEEN = replace(PAST, runs=[a_run(gone=False, finish=replace(succeeded(), time=None))], pods=[])
AHEAD = replace(PAST, runs=[a_run(finish=replace(succeeded(), time=datetime(2999, 1, 1, tzinfo=UTC)))])


@pytest.mark.parametrize(
    ("situation", "goes_at"),
    [
        pytest.param(PAST, 20 + 3600, id="as the administrator says"),
        pytest.param(replace(PAST, pipeline=OWN), 20 + 60, id="as its Pipeline says"),
        pytest.param(replace(PAST, pipeline=NOT_KEPT), 20, id="not at all"),
        pytest.param(UNCLOSED, 19 + 3600, id="since its last pod ended, where the batch Job does not say"),
        pytest.param(NEVER_STARTED, 0 + 3600, id="since it was made, where its pods are gone"),
        pytest.param(BEFORE, 19 + 3600, id="also where an earlier release suspended it"),
        pytest.param(UNSEEN, 0 + 3600, id="since it was made, where nothing tells of its end"),
        pytest.param(RESUMABLE, 0, id="not at all, where it was never taken up"),
        pytest.param(QUEUED, 19, id="nor where its queue could start it again"),
        pytest.param(AHEAD, 0 + 3600, id="a time to come is nobody's end"),
    ],
)
def test_how_long_a_run_is_kept_counts_from_its_end(situation: Situation, goes_at: float) -> None:
    assert deletions(replace(situation, now=at(goes_at - 1))) == []
    assert deletions(replace(situation, now=at(goes_at))) != []


def test_the_next_look_is_when_the_next_run_may_go() -> None:
    assert decided(PAST).look_again == timedelta(seconds=3590)
    assert decided(replace(PAST, now=at(3620))).look_again is None


def finished(number: int, *, succeeded: bool = True) -> EndedJob:
    return EndedJob(KEY, f"job-{number}", f"job-{number}-uid", at(number), succeeded)


def test_the_newest_jobs_are_kept_of_each_kind() -> None:
    history = [finished(1), finished(2, succeeded=False), finished(4), finished(3), finished(5, succeeded=False)]
    pipeline = a_pipeline(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)

    surplus = retention.surplus_jobs(a_situation(history=history, pipeline=pipeline))

    assert [job.name for job in surplus] == ["job-1", "job-2", "job-5"]


def test_without_its_pipeline_no_job_is_deleted() -> None:
    assert retention.surplus_jobs(replace(a_situation(history=[finished(n) for n in range(50)]), pipeline=None)) == []
