"""The rules of endings, each on what a real API server said of a run and its pods (`make record` renews it)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.endings import ENDINGS, Ending
from elt_operator.controller import pod_snapshots, snapshots
from elt_operator.controller.cache import ended_since
from elt_operator.core.model import Pod, PodLog, Run
from elt_operator.core.outcome import Evidence, is_over, outcome_of

RECORDED = Path(__file__).parent / "recorded"
WITH_RUN = [ending for ending in ENDINGS.values() if ending.pods and ending.name != "Forbid"]


def evidence(ending: Ending) -> Evidence:
    """Return what was known of the Job's run when it was over."""
    recorded = json.loads((RECORDED / f"{ending.name.lower().replace(' ', '-')}.json").read_text())
    runs: list[Run] = []
    pods: list[Pod] = []
    for entry in recorded["runs"]:
        run = snapshots.run(entry["body"])
        assert run is not None
        runs.append(replace(run, gone=entry["gone"]))
    for entry in recorded["pods"]:
        body = entry["body"]
        begun = body | {"metadata": body["metadata"] | entry.get("deletion", {})}
        pod, before = pod_snapshots.pod(body), pod_snapshots.pod(begun)
        assert pod is not None
        assert before is not None
        pods.append(replace(ended_since(before, pod), gone=entry["gone"]))
    (run,) = (run for run in runs if run.job_name == ending.looked_at)
    of_run = sorted((pod for pod in pods if pod.run_name == run.name), key=lambda pod: pod.created)
    return Evidence(run, of_run, PodLog(recorded["told"]["logTail"]))


@pytest.mark.parametrize("ending", [pytest.param(ending, id=ending.name) for ending in WITH_RUN])
def test_a_recorded_run_ends_as(ending: Ending) -> None:
    recorded = evidence(ending)

    result = outcome_of(recorded)

    assert is_over(recorded.run, recorded.pods)
    assert (result.ending.reason.phase, result.ending.reason, result.exit_code) == (
        ending.phase,
        ending.reason,
        ending.exit_code,
    )
    assert ending.words in result.ending.message
    if ending.attempts is not None:
        assert [(attempt.reason, attempt.exit_code) for attempt in result.attempts] == list(ending.attempts)


def test_every_ending_is_recorded() -> None:
    recorded = {path.stem for path in RECORDED.glob("*.json")}

    assert recorded >= {ending.name.lower().replace(" ", "-") for ending in WITH_RUN}
