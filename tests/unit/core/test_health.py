"""Whether the data of a Pipeline is as it expects."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import START, a_cron_job, a_job, a_pipeline, a_run, a_situation, at, decided, succeeded
from elt_operator.core import health, schedule
from elt_operator.core.actions import WritePipelineStatus
from elt_operator.core.events import Event, about_pipeline
from elt_operator.core.findings import Finding
from elt_operator.core.model import Job
from elt_operator.core.situation import Situation
from elt_operator.core.status import pipeline as pipeline_status
from elt_operator.resources.job import JobStatus
from elt_operator.resources.phases import Phase
from elt_operator.resources.pipeline import LastJob, PipelineStatus, RecentJob
from elt_operator.resources.result import Checks, Result


def success(end: float, rows: int | None = None, name: str = "job", **more: Any) -> RecentJob:
    return RecentJob(
        name=name, phase="COMPLETE", reason="Completed", start_time=at(end - 10), end_time=at(end), rows=rows, **more
    )


def failure(end: float) -> RecentJob:
    return RecentJob(name="job", phase="ERROR", reason="ApplicationError", start_time=at(end - 10), end_time=at(end))


def seen(*recent: RecentJob, now: float = 1000, cron_since: float | None = None, **spec: Any) -> Situation:
    newest_first = sorted(recent, key=lambda entry: entry.end_time or START, reverse=True)
    pipeline = a_pipeline(status=PipelineStatus(recent_jobs=newest_first or None), **spec)
    wanted = schedule.readable(pipeline)
    in_force = f"{wanted.fields} {wanted.zone.key}" if wanted else ""
    cron_job = None if cron_since is None else a_cron_job(since=at(cron_since), in_force=in_force)
    return a_situation(pipeline=pipeline, cron_job=cron_job, now=now)


def trouble(situation: Situation) -> Finding | None:
    assert situation.pipeline
    answer = health.first_trouble(situation, situation.pipeline)
    assert answer is not None
    return answer.finding


AGE: Any = {"expect": {"maxAgeSeconds": 3600}}
HOURLY: Any = {"schedule": "0 * * * *", "expect": {"afterScheduleSeconds": 600}}
DROP: Any = {"expect": {"maxDropPercent": 50}}


@pytest.mark.parametrize(
    ("situation", "reason", "words"),
    [
        pytest.param(seen(success(0), now=3599, **AGE), None, "", id="young enough"),
        pytest.param(seen(success(0), now=3600, **AGE), "Late", "since 2026-01-05T06:00:00Z (expect.max", id="too old"),
        pytest.param(seen(success(0), failure(3590), now=3600, **AGE), "Late", "succeeded since", id="a failure since"),
        pytest.param(seen(now=3599, **AGE), None, "", id="none yet, but the Pipeline is young"),
        pytest.param(seen(now=3600, **AGE), "Late", "was created at 2026-01-05T06:00:00Z (e", id="none yet"),
        pytest.param(
            seen(now=9999, schedule="0 * * * *", suspend=True, **AGE), "Suspended", "The data may be late",
            id="suspended is not late",

        ),
        pytest.param(seen(now=4199, cron_since=0, **HOURLY), None, "", id="there is still time"),
        pytest.param(
            seen(now=4200, cron_since=0, **HOURLY), "Late", "time 2026-01-05T07:00:00Z succeeded within 600 s",
            id="its time is up",
        ),
        pytest.param(seen(success(3700), now=4200, cron_since=0, **HOURLY), None, "", id="it succeeded"),
        pytest.param(seen(success(3500), now=4200, cron_since=0, **HOURLY), "Late", "", id="the one before"),
        pytest.param(seen(now=4200, cron_since=3601, **HOURLY), None, "", id="before the schedule was in force"),
        pytest.param(seen(now=4200, **HOURLY), None, "", id="no schedule in force yet"),
        pytest.param(seen(now=9999, cron_since=0, suspend=True, **HOURLY), "Suspended", "", id="suspended"),
        pytest.param(
            seen(success(9, 4, "few"), expect={"minRows": 5}), "FewRows", "few loaded 4 rows (expect.minRows: 5)",
            id="few",
        ),
        pytest.param(seen(success(9, 5), expect={"minRows": 5}), None, "", id="enough"),
        pytest.param(seen(success(9), expect={"minRows": 5}), None, "", id="nobody counted"),
        pytest.param(seen(success(8, 9), failure(9), expect={"minRows": 5}), None, "", id="a failure has no rows"),
        pytest.param(
            seen(success(9), success(8, 1, "few"), expect={"minRows": 5}), "FewRows", "Job few loaded 1 row (",
            id="few, and then nobody counted",
        ),
        pytest.param(
            seen(success(9, 4, "cut", at_least=True), expect={"minRows": 5}), "FewRows",
            "Job cut loaded at least 4 rows, as its log is incomplete (expect.minRows: 5). Check the source, or",
            id="few, as far as is known",
        ),
        pytest.param(seen(success(9, 499), success(1, 1000), **DROP), "RowsDropped", "50.1% fewer", id="just too few"),
        pytest.param(
            seen(success(9, 0), success(1, 7), expect={"maxDropPercent": 99}), "RowsDropped", "100% fewer", id="none"
        ),
        pytest.param(
            seen(success(3609), now=4200, cron_since=0, **HOURLY), None, "", id="by a clock that is a second behind"
        ),
        pytest.param(
            seen(success(3500), now=99_999, cron_since=0, **HOURLY), "Late", "the scheduled time 2026-01-05T07:00:00Z",
            id="the first of many",
        ),
        pytest.param(
            seen(success(9, 49), *(success(n, 100) for n in range(3)), **DROP),
            "RowsDropped", "51% fewer than usual: the median of the 3 successful Jobs before it is 100 (", id="dropped",
        ),
        pytest.param(seen(success(9, 50), success(1, 100), **DROP), None, "", id="half is allowed"),
        pytest.param(seen(success(9, 0), **DROP), None, "", id="nothing to compare with"),
        pytest.param(seen(success(9, 5), success(1, 0), **DROP), None, "", id="usually none"),
        pytest.param(
            seen(success(50, 10), *(success(n, 10) for n in range(10)), success(-1, 10**6), **DROP), None, "",
            id="ten are compared",
        ),
        pytest.param(
            seen(success(9, warned_checks=3), expect={"maxWarnedChecks": 2}),
            "ChecksWarned", "3 checks of Job job warned (expect.maxWarnedChecks: 2)", id="warned",
        ),
        pytest.param(seen(success(9), expect={"maxWarnedChecks": 0}), None, "", id="none warned"),
    ],
)  # fmt: skip
def test_the_data_is_not_as_expected(situation: Situation, reason: str | None, words: str) -> None:
    found = trouble(situation)

    assert (found and found.reason) == reason
    assert words in (found.message if found else "")


def test_a_schedule_that_is_not_in_force_yet_promises_nothing() -> None:
    situation = seen(now=9000, cron_since=0, **HOURLY)
    assert situation.cron_job
    old = replace(situation.cron_job, timetable=replace(situation.cron_job.timetable, in_force="30 * * * * UTC"))

    assert trouble(situation)
    assert trouble(replace(situation, cron_job=old)) is None


def test_of_a_status_of_an_earlier_version_the_last_job_counts() -> None:
    last = LastJob(name="old", phase="COMPLETE", start_time=at(3605), end_time=at(3700))
    status = PipelineStatus(last_job=last, last_successful_time=at(3700))
    situation = seen(now=4200, cron_since=0, **HOURLY)
    assert situation.pipeline

    assert trouble(replace(situation, pipeline=replace(situation.pipeline, status=status))) is None


def test_after_a_long_outage_a_job_is_compared_with_the_successes_before_it() -> None:
    stored = [success(number, 1000) for number in range(11)]
    failures = [ended(f"job-{number}", number + 100, Phase.ERROR) for number in range(40)]
    few = replace(a_job("few"), status=ended_as(999, rows=100))
    situation = replace(seen(*stored, now=999, **DROP), former_jobs={job.uid: job for job in [*failures, few]})

    found = trouble(situation)

    assert found
    assert (found.reason, "the 10 successful Jobs before it is 1,000" in found.message) == ("RowsDropped", True)


def test_a_schedule_that_is_suspended_while_the_data_is_late_is_told_as_what_it_is() -> None:
    late, suspended = (seen(now=9999, schedule="0 * * * *", suspend=suspend, **AGE) for suspend in (False, True))
    assert late.pipeline
    assert suspended.pipeline
    before = pipeline_status(late, late.pipeline, [])
    assert conditions(before)["DataHealthy"] == ("False", "Late")

    now = pipeline_status(suspended, suspended.pipeline, [])
    (event,) = about_pipeline(replace(suspended.pipeline, status=before), now)

    assert conditions(now)["DataHealthy"] == ("Unknown", "Suspended")
    assert (event.type, event.reason) == ("Normal", "Suspended")
    assert event.message == (
        "The data may be late without being reported, because the schedule is suspended. "
        "The data had been unhealthy since 2026-01-05T08:46:39Z (Late)."
    )


@pytest.mark.parametrize("expect", [None, {}, {"rowsDiffer": "Ignore"}], ids=str)
def test_who_expects_nothing_of_the_data_has_no_condition(expect: Any) -> None:
    situation = seen(**({} if expect is None else {"expect": expect}))

    assert situation.pipeline
    assert health.first_trouble(situation, situation.pipeline) is None


# --- on a clock


def conditions(status: PipelineStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions or []}


def written(situation: Situation) -> tuple[PipelineStatus, list[tuple[str, str]]]:
    """Return the status that is to be written, and type and reason of its events."""
    status, events = with_messages(situation)
    return status, [(event.type, event.reason) for event in events]


def with_messages(situation: Situation) -> tuple[PipelineStatus, Sequence[Event]]:
    """Return the status that is to be written, and its events."""
    for action in decided(situation).when_idle:
        if isinstance(action, WritePipelineStatus):
            return action.status, action.events
    assert situation.pipeline
    return situation.pipeline.status, []


def told(situation: Situation, status: PipelineStatus, now: float) -> Situation:
    assert situation.pipeline
    return replace(situation, pipeline=replace(situation.pipeline, status=status), now=at(now))


def test_it_is_told_at_each_turn_and_costs_nothing_in_between() -> None:
    situation = seen(now=0, **AGE)
    status, events = written(situation)
    assert (conditions(status)["DataHealthy"], events) == (("Unknown", "NoSuccessYet"), [])
    assert decided(told(situation, status, 1)).look_again == timedelta(seconds=3599)

    late = told(situation, status, 3600)
    status, events = written(late)
    assert (conditions(status)["DataHealthy"], events) == (("False", "Late"), [("Warning", "Late")])
    assert conditions(status)["Ready"] == ("True", "Accepted")
    for later in (3601, 9_999, 10**6):
        assert decided(told(late, status, later)).when_idle == []
        assert decided(told(late, status, later)).look_again is None

    ended = replace(a_job(), status=ended_as(10_000, rows=5))
    run = a_run(finish=succeeded(), created=9_990)
    healthy = replace(told(late, status, 10_001), runs=[run], former_jobs={ended.uid: ended})
    status, (event,) = with_messages(healthy)
    assert (conditions(status)["DataHealthy"], event.type, event.reason) == (("True", "Fresh"), "Normal", "Fresh")
    assert event.message == "The data meets spec.expect. The data had been unhealthy since 2026-01-05T07:00:00Z (Late)."
    assert [(entry.name, entry.rows) for entry in status.recent_jobs or []] == [("job-1", 5)]


def ended_as(end: float, *, rows: int, warned: int = 0) -> JobStatus:
    result = Result(rows=rows, complete=True, checks=Checks(warned=warned) if warned else None)
    return JobStatus(
        phase=Phase.COMPLETE, reason="Completed", start_time=at(end - 10), end_time=at(end), result=result,
        warning_count=1 if warned else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        *(("30 2 * * *", zone) for zone in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")),
        *(("15 * * * *", zone) for zone in ("Europe/Berlin", "Australia/Lord_Howe")),
    ],
)
def test_a_year_with_both_changes_of_the_clocks_raises_no_false_alarm(zone: str, cron: str) -> None:
    pipeline = a_pipeline(schedule=cron, timeZone=zone, expect={"afterScheduleSeconds": 900})
    wanted = schedule.readable(pipeline)
    assert wanted
    cron_job = a_cron_job(since=START, schedule=cron, time_zone=zone, in_force=f"{wanted.fields} {zone}")
    situation = a_situation(pipeline=pipeline, cron_job=cron_job)
    alarms = 0
    recent: list[RecentJob] = []
    for time in wanted.between(START, START + timedelta(days=366)):
        just_before = time + timedelta(seconds=899)
        recent = [entry_at(time, 600), *recent][:2]
        for now in (time, just_before):
            known = [entry for entry in recent if entry.end_time and entry.end_time <= now]
            status = PipelineStatus(recent_jobs=known or None)
            there = replace(situation, now=now, pipeline=replace(pipeline, status=status))
            answer = health.first_trouble(there, there.pipeline or pipeline)
            alarms += answer is not None and answer.finding is not None
    assert alarms == 0


def entry_at(time: datetime, seconds: int) -> RecentJob:
    start = time + timedelta(seconds=5)
    return RecentJob(
        name="job", phase="COMPLETE", reason="Completed", start_time=start, end_time=time + timedelta(seconds=seconds)
    )


# --- the history


def ended(name: str, end: float, phase: Phase = Phase.COMPLETE) -> Job:
    status = JobStatus(phase=phase, reason="Completed", start_time=at(end - 10), end_time=at(end))
    return replace(a_job(name), status=status)


def test_the_history_has_the_newest_thirty_jobs_each_once() -> None:
    many = [ended(f"job-{number}", number) for number in range(40)]
    situation = a_situation(former_jobs={job.uid: job for job in many})

    first, _ = written(situation)
    again, _ = written(told(situation, first, 99))

    assert [entry.name for entry in first.recent_jobs or []] == [f"job-{number}" for number in reversed(range(10, 40))]
    assert again.recent_jobs == first.recent_jobs


def test_the_last_success_stays_in_the_history_however_many_failed_since() -> None:
    stored = PipelineStatus(recent_jobs=[success(2, name="last-success"), success(1, name="one-before")])
    failures = [ended(f"job-{number}", number + 10, Phase.ERROR) for number in range(40)]
    situation = a_situation(pipeline=a_pipeline(status=stored), former_jobs={job.uid: job for job in failures})

    first, _ = written(situation)
    again, _ = written(told(replace(situation, former_jobs={"x": ended("newest", 99, Phase.ERROR)}), first, 99))

    for status in (first, again):
        assert len(status.recent_jobs or []) == 30
        assert [entry.name for entry in status.recent_jobs or []][-2:] == ["last-success", "one-before"]
    assert (again.recent_jobs or [])[0].name == "newest"


def test_jobs_that_ended_before_the_last_one_are_told_too() -> None:
    stored = PipelineStatus(
        recent_jobs=[success(5, name="old")],
        last_job=LastJob(name="old", phase="COMPLETE", start_time=at(-5), end_time=at(5)),
    )
    both = [ended("a", 30), ended("b", 60, Phase.ERROR)]
    situation = a_situation(pipeline=a_pipeline(status=stored), former_jobs={job.uid: job for job in both})

    status, _ = written(situation)

    assert [(entry.name, entry.phase) for entry in status.recent_jobs or []] == [
        ("b", "ERROR"), ("a", "COMPLETE"), ("old", "COMPLETE"),
    ]  # fmt: skip
    assert status.last_successful_time == at(30)
    assert status.last_job
    assert status.last_job.name == "b"


def test_the_largest_history_is_small() -> None:
    long = [
        RecentJob(
            name="x" * 63, phase="COMPLETE", reason="ApplicationError", start_time=datetime(2026, 1, 1, tzinfo=UTC),
            end_time=datetime(2026, 1, 1, tzinfo=UTC), rows=2**53 - 1, warnings=16, warned_checks=2**31 - 1,
        )
        for _ in range(30)
    ]  # fmt: skip

    assert len(PipelineStatus(recent_jobs=long).model_dump_json(by_alias=True, exclude_none=True)) < 9 * 1024
