"""What is told as an event."""

import pytest

from builders import a_job, at
from elt_operator.core.events import about
from elt_operator.core.findings import Finding
from elt_operator.core.status import queued, refused
from elt_operator.resources.job import Attempt, JobStatus
from elt_operator.resources.phases import Phase
from elt_operator.resources.reasons import Reason

JOB = a_job()


def tried(*attempts: Attempt, phase: Phase = Phase.RUNNING) -> JobStatus:
    return JobStatus(phase=phase, reason="Running", attempts=list(attempts))


def waits(reason: Reason) -> JobStatus:
    return queued(JOB, Finding(reason, "in the way"), at(1))


FIRST = Attempt(number=1, pod="weather-r1-a", exit_code=143, reason="Evicted")
SECOND = Attempt(number=2, pod="weather-r1-b", exit_code=3, reason="ApplicationError")


@pytest.mark.parametrize(
    ("before", "written", "told"),
    [
        pytest.param(JobStatus(), waits(Reason.PIPELINE_BUSY), [], id="waiting for its turn"),
        pytest.param(
            JobStatus(), waits(Reason.PIPELINE_NOT_FOUND), [("Warning", "PipelineNotFound")],
            id="waiting for somebody",
        ),
        pytest.param(
            JobStatus(reason="PipelineNotFound"), waits(Reason.PIPELINE_NOT_FOUND), [],
            id="told before",
        ),
        pytest.param(
            JobStatus(), refused(JOB, Finding(Reason.PIPELINE_BUSY, "busy"), at(1)), [("Warning", "PipelineBusy")],
            id="an ERROR",
        ),
        pytest.param(
            JobStatus(), refused(JOB, Finding(Reason.STOPPED, "stopped"), at(1)),
            [("Normal", "Stopped")], id="stopped",
        ),
        pytest.param(tried(), tried(FIRST, phase=Phase.COMPLETE), [], id="success"),
        pytest.param(tried(), tried(FIRST), [("Warning", "Evicted")], id="an attempt that is followed by another"),
        pytest.param(tried(FIRST), tried(FIRST), [], id="an attempt that was told before"),
        pytest.param(
            tried(), tried(FIRST, SECOND, phase=Phase.ERROR), [("Warning", "Evicted"), ("Warning", "Running")],
            id="the last attempt is told by the end",
        ),
    ],
)  # fmt: skip
def test_an_event_tells_of(before: JobStatus, written: JobStatus, told: list[tuple[str, str]]) -> None:
    job = a_job(status=before)

    assert [(event.type, event.reason) for event in about(job, written)] == told


def test_an_attempt_is_told_with_its_pod_and_its_signal() -> None:
    (event,) = about(JOB, tried(FIRST))

    assert event.message == "Attempt 1 (pod weather-r1-a) ended with exit code 143 (SIGTERM); another attempt follows."
