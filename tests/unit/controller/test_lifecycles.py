"""A run's life, whatever order and pace its news come in: what its container did decides, and nothing else."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import KEY, a_job, a_pipeline, a_situation, at
from elt_operator.controller import pod_snapshots, snapshots
from elt_operator.core import delay, outcome, stop
from elt_operator.core.model import Pod, Run
from elt_operator.core.outcome import Evidence
from elt_operator.core.situation import Situation

PENDING_SECONDS = 10
CONTAINER = ("waiting", "running", "terminated")
OTHERS = (None, "running", "terminated")

Life = list[tuple[float, str, dict[str, Any], dict[str, Any]]]
"""What is seen one after the other: the time, the state of our container, the body of its pod, that of its run."""


def text(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_state(kind: str, exit_code: int, seconds: float) -> dict[str, Any]:
    """Return the state of a container that started after a second and ended, where it has, at ``seconds``."""
    states: dict[str, Any] = {
        "waiting": {"reason": "ContainerCreating"},
        "running": {"startedAt": text(1)},
        "terminated": {
            "exitCode": exit_code, "reason": "Error" if exit_code else "Completed",
            "startedAt": text(1), "finishedAt": text(seconds),
        },
    }  # fmt: skip
    return {kind: states[kind]}


def a_run_body(finish: str = "") -> dict[str, Any]:
    owner = {
        "apiVersion": "elt-operator.io/v1alpha1", "kind": "Job", "name": "job-1", "uid": "job-1-uid", "controller": True
    }  # fmt: skip
    conditions = [{"type": finish, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": text(9)}]
    return {
        "metadata": {
            "name": "weather-r1", "namespace": KEY.namespace, "uid": "run-1-uid", "resourceVersion": "1",
            "creationTimestamp": text(0), "ownerReferences": [owner],
            "labels": {"elt-operator.io/pipeline": KEY.pipeline},
            "annotations": {"elt-operator.io/pending-timeout-seconds": str(PENDING_SECONDS)},
        },
        "spec": {"backoffLimit": 0},
        "status": {"startTime": text(0), "conditions": conditions if finish else []},
    }  # fmt: skip


def a_pod_body(phase: str, ready: str, state: dict[str, Any], other: str | None, other_code: int) -> dict[str, Any]:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "weather-r1", "uid": "run-1-uid", "controller": True}
    others = [{"name": "proxy", "state": a_state(other, other_code, 9)}] if other else []
    return {
        "metadata": {
            "name": "weather-r1-x", "namespace": KEY.namespace, "uid": "pod-uid", "resourceVersion": "1",
            "creationTimestamp": text(0), "ownerReferences": [owner],
            "labels": {"elt-operator.io/pipeline": KEY.pipeline},
        },
        "spec": {"containers": [{"name": "elt"}], "nodeName": "node"},
        "status": {
            "phase": phase,
            "conditions": [
                {"type": "Ready", "status": ready, "reason": "ContainersNotReady", "lastTransitionTime": text(1)}
            ],
            "containerStatuses": [*others, {"name": "elt", "state": state}],
        },
    }  # fmt: skip


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Draw what is seen of a run: time, state of its container, the pod's body, the batch Job's.

    The phase, the batch Job's conditions and the other container come later than the container's state, or never.
    """
    code, others_code = draw(st.sampled_from([0, 1, 3, 137, 143])), draw(st.sampled_from([0, 1, 143]))
    other, began = draw(st.booleans()), 1.0
    seen: Life = []
    kind, phase, finish, other_state, now, ended_at = 0, "Pending", "", 0, 0.0, 0.0
    for _ in range(draw(st.integers(1, 8))):
        now += draw(st.sampled_from([0.0, 1, 4, 9, 11, 700, 4_000]))
        if draw(st.booleans()) and kind < 2 and (kind == 1 or now < PENDING_SECONDS):
            kind += 1
            ended_at = max(now, began) if kind == 2 else 0.0
        if draw(st.booleans()) and other and kind:
            other_state = min(2, other_state + 1)
        whole = kind == 2 and (not other or other_state == 2)
        if draw(st.booleans()):
            failed = code or (other and others_code)
            phase = ("Failed" if failed else "Succeeded") if whole else "Running" if kind else "Pending"
        if draw(st.booleans()) and phase in {"Succeeded", "Failed"}:
            finish = "Complete" if phase == "Succeeded" else "Failed"
        state = a_state(CONTAINER[kind], code, ended_at)
        body = a_pod_body(phase, draw(st.sampled_from(["True", "False"])), state, OTHERS[other_state], others_code)
        seen.append((now, CONTAINER[kind], body, a_run_body(finish)))
    return seen


def situation_of(now: float, pod_body: dict[str, Any], run_body: dict[str, Any]) -> tuple[Situation, Run, Pod]:
    run, pod = snapshots.run(run_body), pod_snapshots.pod(pod_body)
    assert run
    assert pod
    return a_situation(a_job(), pipeline=a_pipeline(), runs=[run], pods=[pod], now=now), run, pod


@settings(deadline=None)
@given(life=lives())
def test_what_has_started_is_never_said_not_to_have(life: Life) -> None:
    for now, container, pod_body, run_body in life:
        situation, run, pod = situation_of(now, pod_body, run_body)
        if container == "waiting" or outcome.is_over(run, [pod]):
            continue
        assert stop.first_stop(situation, run, situation.jobs[0]).finding is None
        held_up = delay.first_delay(situation, run).finding
        assert held_up is None or held_up.reason == "Running"


@settings(deadline=None)
@given(life=lives())
def test_what_is_over_stays_over(life: Life) -> None:
    was_over = False
    for now, _, pod_body, run_body in life:
        _, run, pod = situation_of(now, pod_body, run_body)
        is_over = outcome.is_over(run, [pod])
        assert is_over or not was_over
        was_over = is_over


@settings(deadline=None)
@given(life=lives())
def test_the_end_is_what_the_container_did(life: Life) -> None:
    for now, container, pod_body, run_body in life:
        _, run, pod = situation_of(now, pod_body, run_body)
        if not outcome.is_over(run, [pod]):
            assert not run.finish
            continue
        result = outcome.outcome_of(Evidence(run, [pod]))
        assert container == "terminated"
        assert result.exit_code == pod_body["status"]["containerStatuses"][-1]["state"]["terminated"]["exitCode"]
        assert result.ending.reason.phase == ("ERROR" if result.exit_code else "COMPLETE")
        assert (result.error_message is None) is (result.exit_code == 0)
        assert result.end_time
        assert result.end_time <= at(now) + timedelta(seconds=1)
