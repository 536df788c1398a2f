"""With `queueName` Kueue decides when a run starts, and may take it back; a stop is final all the same."""

from datetime import datetime, timedelta

import pytest

from e2e.clock import now, sleep_until
from e2e.endings import CLAIM, ON_CLAIM
from e2e.world import Body, ended, message
from kueue.queue import Queue, is_named, waits

LONGEST_START = 6
"""Seconds that a run may wait for its pod's start, once it is admitted."""

TIDY = "trap 'sleep 3; echo tidied up; exit 7' TERM; echo working; sleep 300 & wait"
CUT_SHORT_ONCE = (
    "[ -e /state/seen ] && {{ echo second try; exit 0; }}; touch /state/seen; "
    "trap 'echo cut short; exit {}' TERM; echo working; sleep 300 & wait"
)


def phases(*jobs: Body) -> list[str]:
    return [job["status"]["phase"] for job in jobs]


def test_runs_of_three_pipelines_take_turns_and_none_gives_up_while_it_waits(queue: Queue) -> None:
    names = ("first", "second", "third")
    runs = []
    for name in names:
        runs.append(queue.job(name, pendingTimeoutSeconds=LONGEST_START))
        queue.behind(runs[-1])
    queue.at_work(runs[0])
    for name, run in zip(names[1:], runs[1:], strict=True):
        job = queue.namespace.wait(name, waits)
        assert message(job).startswith(f"Batch Job {run} is waiting for Kueue queue nightly to admit it.")
    began = datetime.fromisoformat(queue.namespace.get("third")["status"]["startTime"])
    sleep_until(began + timedelta(seconds=LONGEST_START + 3))

    for place, (name, run) in enumerate(zip(names, runs, strict=True), start=1):
        assert all(waits(queue.namespace.get(later)) for later in names[place:])
        queue.at_work(run)
        assert queue.pods_ever() == dict.fromkeys(runs[:place], 1)
        queue.let_go(run)
        assert queue.namespace.wait(name, ended)["status"]["phase"] == "COMPLETE"

    assert queue.ran_one_after_another(*names)
    assert queue.pods_ever() == dict.fromkeys(runs, 1)


def test_a_run_that_is_stopped_at_work_has_its_grace_period_and_makes_room_for_the_next(queue: Queue) -> None:
    stopped = queue.job("stopped", script=TIDY, maxRetries=3, pod={"terminationGracePeriodSeconds": 20})
    queue.at_work(stopped)
    after = queue.job("after")
    queue.namespace.wait("after", waits)

    queue.namespace.patch("stopped", {"spec": {"stop": True}})

    job = queue.namespace.wait("stopped", ended)
    status = job["status"]
    assert (status["phase"], status["reason"], status["exitCode"]) == ("STOPPED", "Stopped", 7)
    assert status["logTail"].splitlines() == ["working", "tidied up"]
    queue.let_go(after)
    assert queue.namespace.wait("after", ended)["status"]["phase"] == "COMPLETE"
    assert queue.ran_one_after_another("stopped", "after")
    assert queue.pods_ever() == {stopped: 1, after: 1}
    (run,) = (body for body in queue.namespace.runs() if is_named(body, stopped))
    assert [one["reason"] for one in run["status"]["conditions"] if one["type"] == "Failed"] == ["DeadlineExceeded"]


def test_a_run_that_is_stopped_in_the_queue_never_gets_a_pod(queue: Queue) -> None:
    before = queue.job("before")
    queue.at_work(before)
    stopped = queue.job("stopped")
    queue.namespace.wait("stopped", waits)
    queue.behind(stopped)
    after = queue.job("after")
    queue.namespace.wait("after", waits)

    queue.namespace.patch("stopped", {"spec": {"stop": True}})

    job = queue.namespace.wait("stopped", ended)
    assert (job["status"]["phase"], job["status"]["reason"]) == ("STOPPED", "Stopped")
    assert "exitCode" not in job["status"]
    for name, run in (("before", before), ("after", after)):
        queue.let_go(run)
        assert queue.namespace.wait(name, ended)["status"]["phase"] == "COMPLETE"
    assert queue.pods_ever() == {before: 1, after: 1}


def preempt(queue: Queue, exit_code: int) -> str:
    """Return a run that was at work, and ended so, when one of higher priority took its place."""
    queue.namespace.apply(CLAIM)
    run = queue.job("low", script=CUT_SHORT_ONCE.format(exit_code), pendingTimeoutSeconds=LONGEST_START, **ON_CLAIM)
    queue.at_work(run)
    urgent = queue.job("urgent", pod={"priorityClassName": queue.priority(1000)})
    queue.at_work(urgent)
    return run


def attempts(job: Body) -> list[tuple[str, int]]:
    return [(one["reason"], one["exitCode"]) for one in job["status"].get("attempts", [])]


@pytest.mark.parametrize("exit_code", [0, 7])
def test_a_run_that_is_preempted_waits_again_and_completes(queue: Queue, exit_code: int) -> None:
    run = preempt(queue, exit_code)
    job = queue.namespace.wait("low", lambda job: waits(job) and bool(attempts(job)))
    assert attempts(job) == [("Evicted", exit_code)]
    sleep_until(now() + timedelta(seconds=LONGEST_START + 3))
    assert waits(queue.namespace.get("low"))

    queue.let_go("urgent-r1")

    job = queue.namespace.wait("low", ended)
    assert phases(job, queue.namespace.get("urgent")) == ["COMPLETE", "COMPLETE"]
    assert job["status"]["logTail"] == "second try"
    assert attempts(job) == [("Evicted", exit_code), ("Completed", 0)]
    assert queue.pods_ever() == {run: 2, "urgent-r1": 1}


def test_a_run_that_is_stopped_after_it_was_preempted_never_runs_again(queue: Queue) -> None:
    run = preempt(queue, 7)
    queue.namespace.wait("low", waits)

    queue.namespace.patch("low", {"spec": {"stop": True}})

    job = queue.namespace.wait("low", ended)
    assert (job["status"]["phase"], job["status"]["reason"]) == ("STOPPED", "Stopped")
    queue.let_go("urgent-r1")
    after = queue.job("after")
    queue.let_go(after)
    assert phases(queue.namespace.wait("after", ended), queue.namespace.get("urgent")) == ["COMPLETE", "COMPLETE"]
    assert queue.pods_ever() == {run: 1, "urgent-r1": 1, after: 1}
