"""When a run is ended before its time."""

from dataclasses import replace
from typing import Any

import pytest

from builders import a_job, a_pipeline, a_pod, a_run, a_situation, a_stopped_run, an_end, at
from elt_operator.core.model import Job, Pod, Run
from elt_operator.core.situation import Situation
from elt_operator.core.stop import first_stop
from elt_operator.resources.job import JobStatus
from elt_operator.resources.phases import Phase

JOB, STOPPING, NEWER = a_job(), a_job(stop=True), a_job("job-2", created=50)
RUN = a_run(retries=1)
REPLACE = a_pipeline(concurrencyPolicy="Replace")


def waits(reason: str = "", message: str = "", **fields: Any) -> Pod:
    return a_pod(phase="Pending", waiting_reason=reason, waiting_message=message, **fields)


def seen(*pods: Pod, now: float = 700, run: Run = RUN, warning: str = "") -> Situation:
    about = pods[-1].uid if pods and pods[-1].alive else run.uid
    return a_situation(JOB, runs=[run], pods=pods, now=now, warnings={about: warning})


@pytest.mark.parametrize(
    ("situation", "job", "reason", "words"),
    [
        pytest.param(seen(a_pod()), JOB, None, "", id="nothing calls for it"),
        pytest.param(a_situation(STOPPING, runs=[RUN]), STOPPING, "Stopped", "(spec.stop)", id="spec.stop"),
        pytest.param(
            a_situation(JOB, NEWER, pipeline=REPLACE, runs=[RUN]), JOB, "Replaced", "Job job-2", id="a newer Job"
        ),
        pytest.param(a_situation(JOB, NEWER, runs=[RUN]), JOB, None, "", id="a newer Job that waits"),
        pytest.param(seen(waits(), now=600), JOB, None, "", id="not late enough"),
        pytest.param(seen(waits(), now=601), JOB, "StartError", "is being started", id="it never started"),
        pytest.param(
            seen(waits("ErrImagePull", "no such image")), JOB, "ImagePullFailed", "600). The image cannot", id="image"
        ),
        pytest.param(
            seen(waits(unschedulable="0/1 nodes")), JOB, "Unschedulable", "0/1 nodes", id="no node"
        ),
        pytest.param(seen(warning="exceeded quota"), JOB, "Rejected", "exceeded quota", id="its pod is refused"),
        pytest.param(seen(waits(), run=a_run(pending_timeout_seconds=3600)), JOB, None, "", id="a longer limit"),
        pytest.param(seen(run=a_run(started=at(500))), JOB, None, "", id="resumed lately"),
        pytest.param(seen(a_pod(ended=an_end(3), phase="Running")), JOB, None, "", id="ended, before its pod says so"),
        pytest.param(
            seen(a_pod(ended=an_end(3)), run=a_run()), JOB, None, "", id="ended for good, before its batch Job says so"
        ),
        pytest.param(
            seen(a_pod(phase="Failed", started=at(1), last_change=at(690)), run=a_run()), JOB, None, "",
            id="its pod ended unseen, a moment ago",
        ),
        pytest.param(seen(run=a_run(suspended=True)), JOB, None, "", id="suspended by somebody"),
        pytest.param(
            seen(a_pod(ended=an_end(1)), now=628), JOB, None, "", id="the pause before a further attempt is none of it"
        ),
        pytest.param(
            seen(a_pod(ended=an_end(1)), now=629, warning="exceeded quota"), JOB, "Rejected", "exceeded quota",
            id="a further attempt that never starts",
        ),
        pytest.param(
            replace(seen(a_pod()), jobs=[], former_jobs={JOB.uid: replace(JOB, status=JobStatus(phase=Phase.STOPPED))}),
            None, "Stopped", "had already ended (STOPPED)", id="its Job has ended without it",
        ),
        pytest.param(replace(seen(a_pod()), jobs=[], former_jobs={}), None, None, "", id="its Job is gone"),
    ],
)  # fmt: skip
def test_a_run_is_stopped(situation: Situation, job: Job | None, reason: str | None, words: str) -> None:
    (run,) = situation.runs

    found = first_stop(situation, run, job).finding

    assert (found and found.reason) == reason
    assert words in (found.message if found else "")


@pytest.mark.parametrize("run", [a_stopped_run(), a_run(gone=True)], ids=["told before", "gone"])
def test_a_run_is_not_told_twice(run: Run) -> None:
    assert first_stop(a_situation(STOPPING, runs=[run]), run, STOPPING).finding is None
