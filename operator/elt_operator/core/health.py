"""Whether the data of a Pipeline is as it expects: a list of rules, in order; a new expectation is one entry more.

Nothing here fails a Job. What is said changes when something happens, never by the passing of time alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from elt_operator.core import history, schedule
from elt_operator.core.findings import Answer, Finding, NotYet, first
from elt_operator.core.model import Pipeline
from elt_operator.core.situation import Situation
from elt_operator.resources.pipeline import Expectations, RecentJob
from elt_operator.resources.reasons import Reason
from elt_operator.resources.texts import time_text

_COMPARED: Final = 10
"""With how many successes before it a Job is compared."""
_MOMENT: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Data:
    """What is known of the data of a Pipeline."""

    situation: Situation
    pipeline: Pipeline
    expected: Expectations
    recent: Sequence[RecentJob]
    """The Jobs that ended last, the newest first."""

    @property
    def last_success(self) -> datetime | None:
        """When a Job last succeeded; ``None``: none has."""
        ended = [entry.end_time for entry in history.successes(self.recent) if entry.end_time]
        return max([*ended, *filter(None, [self.pipeline.status.last_successful_time])], default=None)

    @property
    def newest(self) -> RecentJob | None:
        """The Job that succeeded last."""
        return next(iter(history.successes(self.recent)), None)

    @property
    def suspended(self) -> bool:
        """Whether nothing is expected to come by schedule."""
        spec = self.pipeline.spec
        return bool(spec and spec.schedule and spec.suspend)


Rule = Callable[[Data], Finding | NotYet | None]


def too_old(data: Data) -> Finding | NotYet | None:
    """The last success is too long ago; before the first one, the Pipeline itself is too old."""
    longest = data.expected.max_age_seconds
    if longest is None or data.suspended:
        return None
    last = data.last_success
    late_from = (last or data.pipeline.created) + timedelta(seconds=longest)
    if data.situation.now < late_from:
        return NotYet(late_from)
    since = f"since {time_text(last)}" if last else "yet"
    return Finding(
        Reason.LATE, f"No Job has succeeded {since} (expect.maxAgeSeconds: {longest}). See: {_jobs_of(data)}"
    )


def late_for_its_schedule(data: Data) -> Finding | NotYet | None:
    """No Job has succeeded for a time of the schedule, and the time for that is over."""
    allowed, wanted = data.expected.after_schedule_seconds, schedule.readable(data.pipeline)
    if allowed is None or wanted is None or data.suspended:
        return None
    cron_job = schedule.ours(data.situation)
    in_force = cron_job.timetable.since if cron_job else None
    if in_force is None:
        return None
    patience, now = timedelta(seconds=allowed), data.situation.now
    due = wanted.last_before(now - patience + _MOMENT)
    coming = wanted.next_after(now - patience)
    if due is None or due <= max(in_force, data.pipeline.created) or _succeeded_since(data, due):
        return NotYet(coming + patience) if coming else None
    return Finding(
        Reason.LATE,
        f"No Job has succeeded for the scheduled time {time_text(due)} within {allowed} seconds "
        f"(expect.afterScheduleSeconds). See: {_jobs_of(data)}",
    )


def _succeeded_since(data: Data, moment: datetime) -> bool:
    return any(entry.start_time and entry.start_time >= moment for entry in history.successes(data.recent))


def few_rows(data: Data) -> Finding | None:
    """The last success loaded fewer rows than there must be."""
    least, newest = data.expected.min_rows, data.newest
    if least is None or newest is None or newest.rows is None or newest.rows >= least:
        return None
    return Finding(Reason.FEW_ROWS, f"Job {newest.name} loaded {newest.rows:,} rows (expect.minRows: {least:,}).")


def rows_dropped(data: Data) -> Finding | None:
    """The last success loaded far fewer rows than those before it."""
    percent, newest = data.expected.max_drop_percent, data.newest
    if percent is None or newest is None or newest.rows is None:
        return None
    before = [entry.rows for entry in history.successes(data.recent)[1 : 1 + _COMPARED] if entry.rows is not None]
    usual = median(before) if before else 0
    if not usual or newest.rows * 100 >= usual * (100 - percent):
        return None
    dropped = round(100 - newest.rows * 100 / usual)
    return Finding(
        Reason.ROWS_DROPPED,
        f"Job {newest.name} loaded {newest.rows:,} rows, {dropped} % less than usual (the median of the last "
        f"{len(before)} successful Jobs is {usual:,.0f}; expect.maxDropPercent: {percent}).",
    )


def checks_warned(data: Data) -> Finding | None:
    """More checks of the last success warned than may."""
    most, newest = data.expected.max_warned_checks, data.newest
    warned = newest.warned_checks or 0 if newest else 0
    if most is None or newest is None or warned <= most:
        return None
    return Finding(
        Reason.CHECKS_WARNED, f"{warned:,} checks of Job {newest.name} warned (expect.maxWarnedChecks: {most:,})."
    )


RULES: Sequence[Rule] = (too_old, late_for_its_schedule, few_rows, rows_dropped, checks_warned)


def first_trouble(situation: Situation, pipeline: Pipeline, rules: Sequence[Rule] = RULES) -> Answer[Finding] | None:
    """Return what is wrong with the data of ``pipeline``; ``None``: it expects nothing."""
    expected = pipeline.spec.expect if pipeline.spec else None
    if expected is None or not set(expected.as_json()) - {"rowsDiffer"}:
        return None
    return first(rules, Data(situation, pipeline, expected, history.recent_jobs(situation, pipeline)))


def _jobs_of(data: Data) -> str:
    key = data.pipeline.key
    return f"kubectl get eltjobs -n {key.namespace} --field-selector spec.pipelineName={key.pipeline}"
