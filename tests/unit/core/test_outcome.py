"""How a run ended."""

import json
from typing import Any

import pytest

from builders import a_pod, a_run, a_stopped_run, an_end, another, at, failed, succeeded
from elt_operator.core.model import Pod, PodLog
from elt_operator.core.outcome import Evidence, is_over, is_proven_over, outcome_of, past_attempts

KILLED_TAP = json.dumps({"event": "Block run completed", "success": False, "exit_codes": {"extractors": -9}})
FAILED_TAP = json.dumps({"event": "Block run completed", "success": False, "exit_codes": {"extractors": 77}})
LOG = PodLog("starting\nsource went away after 12000 records\n")


@pytest.mark.parametrize(
    ("evidence", "phase", "reason", "exit_code", "words"),
    [
        pytest.param(
            Evidence(a_run(), [a_pod(ended=an_end(0))], LOG), "COMPLETE", "Completed", 0, "exit code 0.", id="exit 0"
        ),
        pytest.param(
            Evidence(a_run(finish=succeeded()), [a_pod(ended=an_end(3)), a_pod(ended=an_end(0), number=2)], LOG),
            "COMPLETE", "Completed", 0, "after 1 failed attempt", id="exit 0 on the second attempt",
        ),
        pytest.param(
            Evidence(a_run(finish=succeeded()), []), "COMPLETE", "Completed", None, "was deleted before",
            id="succeeded, pod gone",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(3))], LOG),
            "ERROR", "ApplicationError", 3, "exit code 3: source went away", id="exit 3",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(1))], PodLog(FAILED_TAP)),
            "ERROR", "ApplicationError", 1, "(Meltano's extractors 77)", id="Meltano names the part that failed",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(137, reason="OOMKilled"))], LOG),
            "ERROR", "OutOfMemory", 137, "resources.limits.memory", id="main process out of memory",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(1, reason="OOMKilled"))], LOG),
            "ERROR", "OutOfMemory", 1, "OOMKilled, exit code 1", id="child out of memory",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(1))], PodLog(KILLED_TAP)),
            "ERROR", "OutOfMemory", 1, "extractors were killed", id="child out of memory, by Meltano's word",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(143), reason="DeadlineExceeded")], LOG),
            "ERROR", "TimedOut", 143, "timeoutSeconds", id="deadline",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(128, reason="StartError", message='exec: "x"'))], LOG),
            "ERROR", "StartError", None, 'exec: "x"', id="command not in the image",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), []), "ERROR", "ApplicationError", None, "specified backoff limit",
            id="failed, pod gone",
        ),
        pytest.param(
            Evidence(a_run(), []), "UNKNOWN", "ResultLost", None, "how it ended is unknown", id="nothing is known"
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(0), phase="Failed", others=[another(exit_code=1)])]),
            "COMPLETE", "Completed", 0, "container proxy ended with exit code 1", id="what others added has failed",
        ),
        pytest.param(
            Evidence(a_run(), [a_pod(ended=an_end(0), phase="Running", others=[another()])]),
            "COMPLETE", "Completed", 0, "Container proxy, which is not part of", id="only what others added goes on",
        ),
        pytest.param(
            Evidence(a_run(), [a_pod(ended=an_end(3), phase="Running", others=[another()])], LOG),
            "ERROR", "ApplicationError", 3, "exit code 3: source went away", id="failed beside what others added",
        ),
        pytest.param(
            Evidence(
                a_run(finish=failed()),
                [a_pod(ended=an_end(0), phase="Failed", others=[another(exit_code=137)], interrupted_at=at(19),
                       reason="DeadlineExceeded")],
            ),
            "ERROR", "TimedOut", 0, "timeoutSeconds", id="ended by itself when its time was up, beside others",
        ),
        pytest.param(
            Evidence(
                a_run(finish=failed()),
                [a_pod(ended=an_end(0), phase="Failed", others=[another(exit_code=137)], interrupted_at=at(40),
                       reason="DeadlineExceeded")],
            ),
            "COMPLETE", "Completed", 0, "exit code 0", id="done before the time was up that others took",
        ),
        pytest.param(
            Evidence(
                a_run(finish=failed()),
                [a_pod(phase="Failed", started=None, others=[another("vault", prepares=True, exit_code=2)])],
            ),
            "ERROR", "PreparationFailed", None, "Init container vault ended with exit code 2", id="not prepared",
        ),
    ],
)  # fmt: skip
def test_a_run_ends_as(evidence: Evidence, phase: str, reason: str, exit_code: int | None, words: str) -> None:
    result = outcome_of(evidence)

    assert (result.ending.reason.phase, result.ending.reason, result.exit_code) == (phase, reason, exit_code)
    assert words in result.ending.message


@pytest.mark.parametrize(
    ("exit_code", "message", "log", "expected"),
    [
        pytest.param(0, "", "rows: 5", None, id="nothing written"),
        pytest.param(0, "5 rows", "rows: 5", "5 rows", id="written on success"),
        pytest.param(3, "source is closed", "starting\nstopping", "source is closed", id="written on failure"),
        pytest.param(3, "starting\nstopping", "starting\nstopping\n", None, id="the kubelet's copy of the log"),
        pytest.param(3, "starting\nstopping", None, None, id="perhaps a copy, when the log is lost"),
    ],
)
def test_exit_message_is_what_the_process_wrote(
    exit_code: int, message: str, log: str | None, expected: str | None
) -> None:
    pod = a_pod(ended=an_end(exit_code, message=message))

    assert outcome_of(Evidence(a_run(finish=failed()), [pod], PodLog(log))).exit_message == expected


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"reason": "DeadlineExceeded"}, id="its time was up"),
        pytest.param({"reason": "Evicted", "disruption": "TerminationByKubelet"}, id="evicted"),
    ],
)
def test_what_ended_by_itself_is_not_overruled_by_what_became_of_its_pod(later: dict[str, Any]) -> None:
    pod = a_pod(ended=an_end(5), others=[another(exit_code=137)], interrupted_at=at(40), **later)

    result = outcome_of(Evidence(a_run(finish=failed()), [pod], LOG))

    assert (result.ending.reason, result.exit_code) == ("ApplicationError", 5)
    assert [attempt.reason for attempt in result.attempts] == ["ApplicationError"]


def test_a_container_of_others_that_cannot_be_started_does_not_keep_the_run_from_its_end() -> None:
    waiting = another(running=False, reason="ImagePullBackOff")

    assert is_over(a_run(retries=2), [a_pod(ended=an_end(0), phase="Pending", others=[waiting])])
    assert is_over(a_run(), [a_pod(ended=an_end(3), phase="Pending", others=[waiting])])
    assert not is_over(a_run(), [a_pod(phase="Pending", others=[waiting])])


def test_after_an_exit_code_that_is_final_no_container_of_others_is_waited_for() -> None:
    run = a_run(retries=2, final_exit_codes={4, 5})

    assert is_over(run, [a_pod(ended=an_end(4), others=[another()])])
    assert not is_over(run, [a_pod(ended=an_end(3), others=[another()])])
    assert not is_over(run, [a_pod(ended=an_end(4), others=[another()], interrupted_at=at(0))])


def test_of_many_attempts_the_first_are_told_no_more_for_good() -> None:
    pods = [a_pod(ended=an_end(1), number=number) for number in range(1, 71)]

    once = outcome_of(Evidence(a_run(finish=failed()), pods)).attempts
    again = outcome_of(Evidence(a_run(finish=failed()), pods, recorded=once)).attempts

    assert [attempt.number for attempt in once] == list(range(7, 71))
    assert again == once


LOADED = PodLog("loaded page 3 of 90\n")


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        pytest.param(Evidence(a_run(), [a_pod(ended=an_end(0))], LOADED), None, id="done"),
        pytest.param(Evidence(a_stopped_run(), [a_pod(ended=an_end(143))], LOADED), None, id="stopped"),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(3))], LOG), "source went away after 12000 records",
            id="failed, and its log says why",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(3))], PodLog("")), "The run ended with exit code 3.",
            id="failed without a word",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(143), reason="DeadlineExceeded")], LOADED),
            "The run took longer than the Pipeline's timeoutSeconds and was ended.", id="too slow",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(137, reason="OOMKilled"))], LOADED),
            "Memory ran out", id="out of memory",
        ),
        pytest.param(
            Evidence(a_run(finish=failed()), [a_pod(ended=an_end(143), disruption="EvictionByEvictionAPI")], LOADED),
            "The cluster ended pod", id="evicted",
        ),
        pytest.param(Evidence(a_run(gone=True), [], LOADED), "Somebody deleted batch Job", id="run deleted"),
        pytest.param(Evidence(a_run(), []), "The run is over, and how it ended is unknown", id="lost"),
    ],
)  # fmt: skip
def test_the_error_message_follows_the_verdict(evidence: Evidence, expected: str | None) -> None:
    message = outcome_of(evidence).error_message

    assert message is None if expected is None else (message or "").startswith(expected)


def test_a_lost_log_is_explained_by_the_kubelets_copy_of_it() -> None:
    pod = a_pod(ended=an_end(3, message="starting\nsource is closed"))

    assert outcome_of(Evidence(a_run(finish=failed()), [pod], PodLog(None))).error_message == "source is closed"


def test_each_attempt_is_told_with_its_own_end() -> None:
    pods = [a_pod(ended=an_end(137, reason="OOMKilled")), a_pod(ended=an_end(0), number=2)]

    attempts = outcome_of(Evidence(a_run(finish=succeeded()), pods, LOG)).attempts

    assert [(attempt.number, attempt.exit_code, attempt.reason) for attempt in attempts] == [
        (1, 137, "OutOfMemory"),
        (2, 0, "Completed"),
    ]
    assert attempts[0].start_time == at(2)


def test_success_is_over_at_once_and_failure_when_the_batch_controller_says_so() -> None:
    assert is_over(a_run(), [a_pod(ended=an_end(0))])
    assert not is_over(a_run(), [a_pod(ended=an_end(1))])
    assert is_over(a_run(finish=failed()), [a_pod(ended=an_end(1))])


TAKEN_BACK = [
    pytest.param(a_pod(ended=an_end(143), interrupted_at=at(19)), 143, id="ended by SIGTERM"),
    pytest.param(a_pod(ended=an_end(0), interrupted_at=at(19)), 0, id="content with it"),
    pytest.param(a_pod(phase="Running", started=None, interrupted_at=at(19), gone=True), None, id="not started yet"),
]


@pytest.mark.parametrize(("pod", "exit_code"), TAKEN_BACK)
def test_a_run_that_kueue_takes_back_goes_on_and_its_attempt_is_told_at_once(pod: Pod, exit_code: int | None) -> None:
    run = a_run(suspended=True, queue="nightly")

    assert not is_over(run, [pod])
    assert not is_proven_over(run, [pod])
    told = past_attempts(run, [pod], [])
    assert [(attempt.reason, attempt.exit_code) for attempt in told] == [("Evicted", exit_code)]


@pytest.mark.parametrize(("pod", "exit_code"), TAKEN_BACK)
@pytest.mark.parametrize(("then", "phase"), [(0, "COMPLETE"), (3, "ERROR")])
def test_the_attempt_after_the_one_that_was_taken_back_decides(
    pod: Pod, exit_code: int | None, then: int, phase: str
) -> None:
    second = a_pod(ended=an_end(then), number=2, created=at(60))
    run = a_run(started=at(60), finish=failed() if then else succeeded())

    result = outcome_of(Evidence(run, [pod, second], LOG))

    assert (result.ending.reason.phase, result.exit_code) == (phase, then)
    first, _ = result.attempts
    assert (first.reason, first.exit_code) == ("Evicted", exit_code)


def test_what_was_followed_by_another_attempt_had_not_succeeded_however_shortly_it_was_suspended() -> None:
    pods = [a_pod(ended=an_end(0), interrupted_at=at(19)), a_pod(ended=an_end(3), number=2, created=at(21))]

    result = outcome_of(Evidence(a_run(started=at(0), finish=failed()), pods, LOG))

    assert (result.ending.reason.phase, result.exit_code) == ("ERROR", 3)


def test_what_succeeded_in_the_second_in_which_its_pod_was_deleted_is_over_when_the_batch_controller_says_so() -> None:
    pod = a_pod(ended=an_end(0), interrupted_at=at(19))

    assert not is_over(a_run(), [pod])
    assert is_over(a_run(finish=succeeded()), [pod])
    assert outcome_of(Evidence(a_run(finish=succeeded()), [pod])).ending.reason.phase == "COMPLETE"


def test_a_pod_that_is_deleted_in_the_second_in_which_its_run_starts_was_not_taken_back() -> None:
    pod = a_pod(created=at(19), ended=an_end(143), interrupted_at=at(19))

    result = outcome_of(Evidence(a_run(started=at(19), finish=failed()), [pod]))

    assert (result.ending.reason, result.exit_code) == ("ApplicationError", 143)


def test_a_pod_that_came_to_its_end_before_the_run_was_suspended_ended_by_itself() -> None:
    assert is_over(a_run(suspended=True), [a_pod(ended=an_end(0), interrupted_at=at(40))])
    assert past_attempts(a_run(suspended=True), [a_pod(ended=an_end(3), interrupted_at=at(40))], []) == []
