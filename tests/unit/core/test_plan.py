"""What is done about a Pipeline: a test for each rule, then what its statuses say."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import (
    a_job,
    a_pipeline,
    a_pod,
    a_run,
    a_situation,
    an_end,
    another,
    asked,
    at,
    decided,
    failed,
    succeeded,
)
from elt_operator.core.actions import CreateRun, EndPod, StopRun, WriteJobStatus, WritePipelineStatus
from elt_operator.core.faults import Fault
from elt_operator.core.model import Job, PodLog, Refusal
from elt_operator.core.questions import (
    LiveJob,
    LivePods,
    LiveRun,
    LogOf,
    LogToItsEnd,
    RunOf,
    StillThere,
    StillWaits,
    WarningsAbout,
)
from elt_operator.core.situation import Situation
from elt_operator.errors import FailsOn
from elt_operator.resources.job import JobStatus
from elt_operator.resources.phases import Phase
from elt_operator.resources.pipeline import PipelineStatus

JOB = a_job()
OVER = a_pod(ended=an_end(0))


def written(situation: Situation) -> JobStatus:
    """Return the one status of a Job that is to be written."""
    (action,) = decided(situation).actions
    assert isinstance(action, WriteJobStatus)
    return action.status


def settled(situation: Situation) -> Situation:
    """Return ``situation`` once its Jobs say what there is to say."""
    told = {
        action.job.uid: action.status for action in decided(situation).actions if isinstance(action, WriteJobStatus)
    }
    return replace(situation, jobs=[replace(job, status=told.get(job.uid, job.status)) for job in situation.jobs])


def summary(situation: Situation) -> PipelineStatus:
    """Return the Pipeline's status that is to be written."""
    (action,) = decided(settled(situation)).when_idle
    assert isinstance(action, WritePipelineStatus)
    return action.status


def conditions(status: JobStatus | PipelineStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions or []}


def test_a_fresh_job_gets_a_run_and_no_status_yet() -> None:
    (action,) = decided(a_situation(JOB)).actions

    assert isinstance(action, CreateRun)
    assert (action.number, action.manifest["metadata"]["name"]) == (1, "weather-r1")


def test_a_second_job_waits_and_says_behind_which() -> None:
    first, second = decided(a_situation(JOB, a_job("job-2", created=1))).actions

    assert isinstance(first, CreateRun)
    assert isinstance(second, WriteJobStatus)
    assert (second.status.phase, second.status.reason) == ("QUEUED", "PipelineBusy")
    assert conditions(second.status) == {"Succeeded": "Unknown", "Reconciling": "True"}


def test_a_job_with_a_run_is_running() -> None:
    status = written(a_situation(JOB, runs=[a_run(created=3)], now=4))

    assert (status.phase, status.reason, status.task_name) == ("RUNNING", "Running", "weather-r1")
    assert status.start_time == at(3)
    assert status.arguments == ["meltano run tap-weather target-postgres"]
    assert conditions(status) == {"Succeeded": "Unknown", "Reconciling": "True"}


def test_what_is_said_already_is_not_written_again() -> None:
    first = a_situation(JOB, runs=[a_run()], pods=[a_pod()])
    told = replace(JOB, status=written(first))

    assert decided(replace(first, jobs=[told], now=at(9999))).actions == []


def test_what_was_started_is_kept_when_the_pipeline_changes() -> None:
    told = replace(JOB, status=written(a_situation(JOB, runs=[a_run()])))
    changed = a_pipeline(command=["other"], generation=2)

    status = written(a_situation(told, pipeline=changed, runs=[a_run(finish=failed())], pods=[a_pod(ended=an_end(1))]))

    assert status.arguments == ["meltano run tap-weather target-postgres"]
    assert status.pipeline_generation == 1


def test_a_start_that_takes_long_is_told_and_forgotten_once_it_is_made() -> None:
    slow = a_situation(JOB, runs=[a_run()], warnings={a_run().uid: "exceeded quota"})
    told = written(slow)
    assert (told.phase, told.reason) == ("RUNNING", "Rejected")

    started = written(replace(slow, jobs=[replace(JOB, status=told)], pods=[a_pod()]))

    assert (started.phase, started.reason) == ("RUNNING", "Running")


@pytest.mark.parametrize(
    ("situation", "phase", "seen"),
    [
        pytest.param(a_situation(JOB, runs=[a_run()], pods=[OVER]), "COMPLETE", {"Succeeded": "True"}, id="success"),
        pytest.param(
            a_situation(JOB, runs=[a_run(finish=failed())], pods=[a_pod(ended=an_end(3))]),
            "ERROR", {"Succeeded": "False", "Stalled": "True"}, id="failure",
        ),
    ],
)  # fmt: skip
def test_a_job_whose_run_is_over_has_ended(situation: Situation, phase: str, seen: dict[str, str]) -> None:
    status = written(situation)

    assert (status.phase, conditions(status)) == (phase, seen)
    assert status.end_time == at(19), "when the container ended, not when we looked"


def test_a_failure_that_may_be_retried_goes_on_running() -> None:
    status = written(a_situation(JOB, runs=[a_run()], pods=[a_pod(ended=an_end(3))]))

    assert status.phase is Phase.RUNNING


def test_the_log_is_part_of_the_end() -> None:
    situation = a_situation(JOB, runs=[a_run()], pods=[OVER], logs={OVER.uid: PodLog("a\nb\n")})

    assert written(situation).log_tail == "a\nb"


def test_a_job_that_must_not_run_is_an_error() -> None:
    pipeline = a_pipeline(protectedProperties=["tap-x.host"])

    status = written(a_situation(a_job(properties={"tap-x.host": "evil"}), pipeline=pipeline))

    assert (status.phase, status.reason, status.task_name) == ("ERROR", "InvalidConfiguration", None)


def test_a_job_whose_run_is_gone_is_unknown_and_never_run_again() -> None:
    told = replace(JOB, status=JobStatus(phase=Phase.RUNNING, task_name="weather-r1"))

    status = written(a_situation(told))

    assert (status.phase, status.reason, status.task_name) == ("UNKNOWN", "ResultLost", "weather-r1")
    assert conditions(status) == {"Succeeded": "False", "Stalled": "True"}


DELETED = replace(JOB, deleting=True)


def test_a_job_that_is_deleted_while_it_waits_ends_and_holds_up_nobody() -> None:
    told = decided(a_situation(DELETED, a_job("job-2", created=1))).actions[0]

    assert isinstance(told, WriteJobStatus)
    assert (told.status.phase, told.status.reason) == ("STOPPED", "Stopped")
    assert asked(a_situation(DELETED)) == {RunOf(DELETED.name, DELETED.uid)}


def test_a_job_that_is_deleted_and_kept_by_a_finalizer_tells_how_its_run_ended() -> None:
    status = written(a_situation(DELETED, runs=[a_run(finish=succeeded())], pods=[OVER]))

    assert (status.phase, status.exit_code) == ("COMPLETE", 0)


def test_a_job_whose_run_goes_first_since_it_is_deleted_is_stopped() -> None:
    gone = a_pod(ended=an_end(143), gone=True)

    status = written(a_situation(DELETED, runs=[a_run(gone=True)], pods=[gone]))

    assert (status.phase, status.exit_code, status.error_message) == ("STOPPED", 143, None)


def test_a_pod_of_an_older_run_of_the_same_name_is_no_attempt_but_holds_up() -> None:
    """Numbers begin again where a Pipeline is made anew, and so do the names of its runs."""
    older = a_pod(ended=an_end(0), run_uid="an-older-run-uid")
    at_work = a_pod(run_uid="an-older-run-uid")

    running = written(a_situation(JOB, runs=[a_run(retries=1)], pods=[older], now=4))
    held = written(a_situation(JOB, pods=[at_work]))

    assert (running.phase, running.reason) == ("RUNNING", "Running")
    assert (held.phase, held.reason) == ("QUEUED", "PipelineBusy")


def test_a_failed_attempt_that_others_keep_alive_is_ended_for_the_next_one() -> None:
    pod = a_pod(ended=an_end(3), phase="Running", others=[another()])
    situation = a_situation(JOB, runs=[a_run(retries=1)], pods=[pod], now=22)

    assert decided(situation).actions == [EndPod(JOB, pod)]
    assert LogOf(pod.name, pod.uid) in asked(situation)
    told = replace(situation, pods_told_to_end=frozenset({pod.uid}))
    assert "Container proxy keeps pod" in (written(told).conditions or [])[0].message


def test_a_native_sidecar_is_left_to_the_kubelet_so_that_pod_and_log_stay() -> None:
    sidecar = another(prepares=True)
    pods = [a_pod(ended=an_end(code), phase="Running", others=[sidecar]) for code in (0, 3)]
    ended = replace(JOB, status=JobStatus(phase=Phase.COMPLETE, start_time=at(0)))

    told = written(a_situation(JOB, runs=[a_run(retries=1)], pods=pods[:1], now=22))
    left = decided(a_situation(runs=[a_run()], pods=pods[:1], now=22, former_jobs={JOB.uid: ended})).actions
    tried = written(a_situation(JOB, runs=[a_run(retries=1)], pods=pods[1:], now=22))

    assert (told.phase, told.exit_code) == ("COMPLETE", 0)
    assert left == []
    assert tried.phase == "RUNNING"


def test_a_run_whose_job_has_ended_is_stopped_where_others_keep_it_alive() -> None:
    pod = a_pod(ended=an_end(0), phase="Running", others=[another()])
    ended = replace(JOB, status=JobStatus(phase=Phase.COMPLETE, start_time=at(0)))
    situation = a_situation(runs=[a_run()], pods=[pod], now=22)

    assert LiveJob("job-1", JOB.uid) in asked(situation)
    (action,) = decided(replace(situation, former_jobs={JOB.uid: ended})).actions
    assert isinstance(action, StopRun)
    assert "container proxy" in action.why.message


class Unreadable:
    """A spec on which every rule fails: nobody knows of one, so it is made."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


BAD = replace(JOB, spec=Unreadable())  # type: ignore[arg-type]  # that is what is wrong with it
NEXT = a_job("job-2", created=1)


def with_fault(times: int, **known: Any) -> Situation:
    return a_situation(BAD, NEXT, faults={BAD.uid: Fault("ZeroDivisionError", BAD.generation, times)}, **known)


@pytest.mark.parametrize("times", [0, 1, 2])
def test_what_goes_wrong_is_known_as_the_fault_of_a_job(times: int) -> None:
    with pytest.raises(FailsOn) as failed:
        decided(with_fault(times))

    assert failed.value.uid == BAD.uid


def test_a_job_on_which_the_operator_fails_again_and_again_is_refused_with_words() -> None:
    refused = decided(with_fault(3)).actions[0]

    assert isinstance(refused, WriteJobStatus)
    assert (refused.job, refused.status.phase, refused.status.reason) == (BAD, "ERROR", "OperatorError")
    assert "please report it" in (refused.status.error_message or "")


@pytest.mark.parametrize(("exit_code", "phase"), [(0, "COMPLETE"), (3, "ERROR")])
def test_a_job_on_which_the_operator_fails_ends_by_the_plain_facts(exit_code: int, phase: str) -> None:
    finish = failed() if exit_code else succeeded()
    situation = with_fault(3, runs=[a_run(finish=finish)], pods=[a_pod(ended=an_end(exit_code, message="\ud83d"))])

    told = decided(situation).actions[0]

    assert isinstance(told, WriteJobStatus)
    assert (told.status.phase, told.status.exit_code, told.status.log_tail) == (phase, exit_code, None)
    assert "ZeroDivisionError" in (told.status.conditions or [])[0].message


def test_a_stop_that_kubernetes_refuses_is_told_and_asked_for_again_later() -> None:
    told_to_stop = a_job(stop=True)
    refusal = Refusal("annotations: Too long", at(40))
    situation = a_situation(told_to_stop, runs=[a_run()], pods=[a_pod()], refusals={"run-1-uid": refusal})

    status = written(situation)
    later = decided(replace(situation, now=at(41))).actions

    assert (status.phase, status.reason) == ("RUNNING", "Rejected")
    assert "refuses to stop batch Job weather-r1: annotations: Too long" in (status.conditions or [])[0].message
    assert decided(settled(situation)).look_again == timedelta(seconds=10)
    assert isinstance(later[0], StopRun)


def test_a_changed_object_gets_another_chance() -> None:
    changed = replace(BAD, generation=2)

    assert a_situation(changed, faults={BAD.uid: Fault("x", 1, 9)}).fault_of(changed) is None


def test_a_pipeline_on_which_the_operator_fails_says_so_and_its_jobs_go_on() -> None:
    pipeline = a_pipeline(schedule="* * * * *")
    situation = a_situation(JOB, pipeline=pipeline, faults={pipeline.uid: Fault("OverflowError", 1, 3)})

    (started,) = decided(situation).actions
    (told,) = decided(replace(situation, jobs=[])).when_idle

    assert isinstance(started, CreateRun)
    assert isinstance(told, WritePipelineStatus)
    assert conditions(told.status) == {"Ready": "False", "Stalled": "True"}


def test_a_refused_run_is_told_and_asked_for_again_later() -> None:
    refused = a_situation(JOB, refusals={JOB.uid: Refusal("exceeded quota", at(34))})

    told = replace(refused, jobs=[replace(JOB, status=written(refused))])
    assert told.jobs[0].status.reason == "Rejected"
    assert decided(told).actions == []
    assert decided(told).look_again == timedelta(seconds=4)
    assert isinstance(decided(replace(refused, now=at(34))).actions[0], CreateRun)


def test_a_job_without_a_pipeline_waits() -> None:
    situation = replace(a_situation(JOB), pipeline=None)

    assert written(situation).reason == "PipelineNotFound"
    assert decided(situation).when_idle == []


def test_transition_times_stay_while_the_status_does() -> None:
    before = replace(JOB, status=written(a_situation(JOB, runs=[a_run()], now=3)))

    after = written(a_situation(before, runs=[a_run()], pods=[OVER], now=99))
    times = {condition.type: condition.last_transition_time for condition in after.conditions or []}
    slow = written(a_situation(before, runs=[a_run()], now=99, warnings={a_run().uid: "slow"}))

    assert times == {"Succeeded": at(99)}
    assert {condition.last_transition_time for condition in slow.conditions or []} == {at(3)}


# --- the Pipeline's own status


def test_a_new_pipeline_is_ready() -> None:
    status = summary(a_situation())

    assert conditions(status) == {"Ready": "True"}
    assert (status.observed_generation, status.queued_jobs, status.last_job) == (1, 0, None)


def test_an_unreadable_pipeline_is_stalled_with_what_is_wrong() -> None:
    status = summary(a_situation(pipeline=replace(a_pipeline(), spec=None, problem="spec.image: missing")))

    assert conditions(status) == {"Ready": "False", "Stalled": "True"}
    assert "spec.image: missing" in (status.conditions or [])[0].message


def test_a_pipeline_names_its_active_job_and_counts_the_others() -> None:
    status = summary(a_situation(JOB, a_job("job-2", created=1), runs=[a_run(4)]))

    assert status.active_job is not None
    assert (status.active_job.name, status.queued_jobs, status.last_run_number) == ("job-1", 1, 4)


def ended(name: str, phase: Phase) -> Job:
    status = JobStatus(phase=phase, exit_code=3, start_time=at(0), end_time=at(19))
    return replace(a_job(name), status=status)


def test_a_pipeline_tells_its_last_job_and_stays_ready_when_that_failed() -> None:
    job = ended("job-1", Phase.ERROR)
    situation = a_situation(runs=[a_run(finish=failed())], former_jobs={job.uid: job})

    status = summary(situation)

    assert status.last_job is not None
    assert (status.last_job.name, status.last_job.exit_code) == ("job-1", 3)
    assert conditions(status) == {"Ready": "True", "LastJobSucceeded": "False"}
    assert status.last_successful_time is None
    assert decided(replace(situation, pipeline=a_pipeline(status=status))).when_idle == [], "and is then at rest"


def test_a_pipeline_remembers_its_last_success() -> None:
    job = ended("job-1", Phase.COMPLETE)

    status = summary(a_situation(runs=[a_run(finish=succeeded())], former_jobs={job.uid: job}))

    assert status.last_successful_time == at(19)


# --- what is read live before a decision

TOLD = replace(JOB, status=JobStatus(phase=Phase.RUNNING, task_name="weather-r1"))
NUMBERED = a_pipeline(status=PipelineStatus(last_run_number=4))
SLOW_POD = a_pod(phase="Pending", created=at(0))


@pytest.mark.parametrize(
    ("situation", "question"),
    [
        pytest.param(a_situation(TOLD), LiveRun("weather-r1"), id="is the run really gone"),
        pytest.param(
            a_situation(JOB, pipeline=NUMBERED, runs=[a_run(2, job="x", finish=failed())]),
            LiveRun("weather-r4"), id="who has the number that was given last",
        ),
        pytest.param(
            a_situation(JOB, runs=[a_run(finish=failed())]), LivePods("weather-r1", "run-1-uid"), id="are its pods gone"
        ),
        pytest.param(a_situation(JOB, runs=[a_run()], pods=[OVER]), LogOf(OVER.name, OVER.uid), id="what did it say"),
        pytest.param(
            a_situation(a_job(stop=True), runs=[a_run()], pods=[a_pod()]), LogToItsEnd(a_pod().name, a_pod().uid),
            id="what will it say before it is stopped",
        ),
        pytest.param(
            a_situation(JOB, runs=[a_run()], pods=[a_pod(deletion_due=at(60))]),
            LogToItsEnd(a_pod().name, a_pod().uid),
            id="what will it say before somebody else has ended it",
        ),
        pytest.param(a_situation(JOB, runs=[a_run()]), WarningsAbout(a_run().uid), id="why is there no pod"),
        pytest.param(
            a_situation(JOB, runs=[a_run()], pods=[SLOW_POD]), WarningsAbout(SLOW_POD.uid), id="why does it not start"
        ),
        pytest.param(a_situation(JOB, runs=[a_run(gone=True)]), LiveRun("weather-r1"), id="was the run really deleted"),
        pytest.param(
            a_situation(JOB, runs=[a_run()], pods=[a_pod(gone=True)]), StillThere(a_pod().name, a_pod().uid),
            id="was the pod really deleted",
        ),
        pytest.param(a_situation(runs=[a_run()]), LiveJob("job-1", JOB.uid), id="how did the last Job end"),
        pytest.param(a_situation(JOB), StillWaits(JOB.name, JOB.uid), id="does it still wait to be started"),
    ],
)  # fmt: skip
def test_is_asked_before_a_decision(situation: Situation, question: object) -> None:
    assert question in asked(situation)


@pytest.mark.parametrize(
    "situation",
    [
        pytest.param(a_situation(JOB, asked={StillWaits(JOB.name, JOB.uid)}), id="a Job known to wait"),
        pytest.param(replace(a_situation(JOB), pipeline=None), id="a Job that cannot start"),
        pytest.param(a_situation(JOB, runs=[a_run()], pods=[a_pod()]), id="a Job at work"),
        pytest.param(a_situation(TOLD, asked={LiveRun("weather-r1")}), id="a run known to be gone"),
        pytest.param(
            a_situation(JOB, runs=[a_run()], pods=[OVER], asked={LogOf(OVER.name, OVER.uid)}),
            id="a log known to be lost",
        ),
        pytest.param(
            a_situation(JOB, runs=[a_run(finish=failed())], asked={LivePods("weather-r1", "run-1-uid")}),
            id="pods known gone",
        ),
    ],
)
def test_nothing_is_asked_about(situation: Situation) -> None:
    assert asked(situation) == set()
