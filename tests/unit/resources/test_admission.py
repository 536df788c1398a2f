"""The CEL rules, evaluated without an API server; tests/e2e/test_refusals.py asks a real one for the same answers."""

import json
from typing import Any

import pytest

from builders import states
from e2e.refused import ACCEPTED, REFUSED, job
from elt_operator.resources.phases import TERMINAL_PHASES
from fakes.admission import complaints

JOBS = states.jobs()
ENDED = {name: state for name, state in JOBS.items() if state["status"]["phase"] in TERMINAL_PHASES}
CONDITION = {"type": "Succeeded", "status": "True", "reason": "Forged", "message": ""}


@pytest.mark.parametrize(("manifest", "path", "words"), [pytest.param(*row, id=name) for name, row in REFUSED.items()])
def test_is_refused_by_a_rule_at(manifest: dict[str, Any], path: str, words: str) -> None:
    told = complaints(manifest)

    assert any(path in complaint.partition(": ")[0] and words in complaint for complaint in told), told


@pytest.mark.parametrize("manifest", [pytest.param(manifest, id=name) for name, manifest in ACCEPTED.items()])
def test_breaks_no_rule(manifest: dict[str, Any]) -> None:
    assert complaints(manifest) == []


def test_who_breaks_one_rule_about_a_time_reads_of_that_one_only() -> None:
    broken = job(trigger={"intervalStart": "0001-01-01T00:00:00+23:59", "intervalEnd": "2026-01-02T00:00:00Z"})

    assert len(complaints(broken)) == 1


@pytest.mark.parametrize("manifest", [*JOBS.values(), *states.pipelines().values()])
def test_what_the_operator_writes_breaks_no_rule(manifest: dict[str, Any]) -> None:
    assert complaints(manifest, manifest) == []


@pytest.mark.parametrize("before", ["new", "queued", "running"])
@pytest.mark.parametrize("end", ENDED)
def test_a_job_may_end(before: str, end: str) -> None:
    assert complaints({**JOBS[end], "spec": JOBS[before]["spec"]}, JOBS[before]) == []


@pytest.mark.parametrize("end", ENDED)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"phase": "QUEUED"}, id="phase"),
        pytest.param({"reason": "Forged"}, id="reason"),
        pytest.param({"exitCode": 42}, id="exit code"),
        pytest.param({"endTime": "2026-02-01T00:00:00Z"}, id="time"),
        pytest.param({"conditions": [{**CONDITION, "lastTransitionTime": "2026-02-01T00:00:00Z"}]}, id="conditions"),
        pytest.param({"logTail": "forged"}, id="log"),
    ],
)
def test_the_end_of_a_job_stays_as_it_was_told(end: str, change: dict[str, Any]) -> None:
    before = ENDED[end]

    told = complaints({**before, "status": {**before["status"], **change}}, before)

    assert told == ["status: the Job has ended, so its status can no longer change"]


def test_nothing_of_an_end_can_be_taken_away() -> None:
    before = ENDED["error"]

    for field in before["status"]:
        less = {name: value for name, value in before["status"].items() if name != field}
        assert complaints({**before, "status": less}, before), field


def test_an_end_without_details_can_still_be_labelled() -> None:
    before = {**job(), "status": {"phase": "COMPLETE"}}

    assert complaints({**before, "metadata": {"name": "job-1", "labels": {"a": "b"}}}, before) == []


def test_a_job_and_its_status_fit_into_etcd_together() -> None:
    worst = {**job(arguments=["<" * 4096] * 32), "status": JOBS["error"]["status"]}
    assert complaints(worst) == []

    # A custom resource is kept as JSON with `<` as `\u003c`.
    assert len(json.dumps(worst).replace("<", r"\u003c")) < 1024 * 1024
