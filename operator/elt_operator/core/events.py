"""Which changes of a Job's status become a Kubernetes event: those that somebody may want to act upon."""

from dataclasses import dataclass
from typing import Final, Literal

from elt_operator.core.model import Job, Pipeline
from elt_operator.core.outcome import exit_code_in_words
from elt_operator.resources import conditions
from elt_operator.resources.conditions import Condition
from elt_operator.resources.job import Attempt, JobStatus
from elt_operator.resources.phases import Phase
from elt_operator.resources.pipeline import PipelineStatus
from elt_operator.resources.reasons import Mark, Reason
from elt_operator.resources.texts import time_text

_NEEDS_SOMEBODY: Final = frozenset(reason for reason in Reason if Mark.NEEDS_SOMEBODY in reason.marks)


@dataclass(frozen=True)
class Event:
    """Something to be told about an object; told again, it is counted."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def _about_attempt(attempt: Attempt) -> Event:
    code = "without an exit code" if attempt.exit_code is None else f"with {exit_code_in_words(attempt.exit_code)}"
    return Event(
        "Warning",
        attempt.reason,
        f"Attempt {attempt.number} (pod {attempt.pod}) ended {code}; another attempt follows.",
    )


def about_pipeline(pipeline: Pipeline, written: PipelineStatus) -> list[Event]:
    """Return what to tell once ``written`` has become the status of ``pipeline``: what somebody has to mend."""
    told = {condition.message for condition in pipeline.status.conditions or [] if condition.type == conditions.STALLED}
    stalled = [
        Event("Warning", condition.reason, condition.message)
        for condition in written.conditions or []
        if condition.type == conditions.STALLED and condition.message not in told
    ]
    before, now = (
        conditions.of_type(status.conditions, conditions.DATA_HEALTHY) for status in (pipeline.status, written)
    )
    return [*stalled, *_about_data(before, now)]


def _about_data(before: Condition | None, now: Condition | None) -> list[Event]:
    """Return what to tell when the data turns from healthy to unhealthy, for another reason too, or back."""
    unhealthy = conditions.ConditionStatus.FALSE.value
    if now is None or (before and (before.status, before.reason) == (now.status, now.reason)):
        return []
    if now.status == unhealthy:
        return [Event("Warning", now.reason, now.message)]
    if before and before.status == unhealthy:
        since = f"The data had been unhealthy since {time_text(before.last_transition_time)} ({before.reason})."
        return [Event("Normal", now.reason, f"{now.message} {since}")]
    return []


def log_not_kept() -> Event:
    """Return what to tell of a Job once its run is removed although its log was not stored."""
    message = (
        "The run is removed, although its log was not stored within 24 hours. "
        "Check the log reader on the run's node, and the keeper of the logs."
    )
    return Event("Warning", Reason.LOG_NOT_KEPT, message)


def about(job: Job, written: JobStatus) -> list[Event]:
    """Return what to tell once ``written`` has become the status of ``job``: success is nothing to act upon."""
    told = {attempt.number for attempt in job.status.attempts or []}
    attempts = written.attempts or []
    if written.phase is not Phase.RUNNING:
        attempts = attempts[:-1]  # of the last one, the Job's own end tells
    events = [_about_attempt(attempt) for attempt in attempts if attempt.number not in told]
    message = written.conditions[0].message if written.conditions else ""
    if written.phase in {Phase.ERROR, Phase.UNKNOWN}:
        events.append(Event("Warning", written.reason, message))
    elif written.phase is Phase.STOPPED:
        events.append(Event("Normal", written.reason, message))
    elif written.reason in _NEEDS_SOMEBODY and written.reason != job.status.reason:
        events.append(Event("Warning", written.reason, message))
    return events
