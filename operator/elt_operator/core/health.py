"""Whether the data of a Pipeline is as it expects: a list of rules, in order; a new expectation is one entry more.

Nothing here fails a Job. What is said changes when something happens, never by the passing of time alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from elt_operator.core import history, schedule
from elt_operator.core.cron import Cron
from elt_operator.core.findings import Answer, Finding, NotYet, first
from elt_operator.core.model import Pipeline
from elt_operator.core.situation import Situation
from elt_operator.resources.pipeline import Expectations, RecentJob
from elt_operator.resources.reasons import Reason
from elt_operator.resources.texts import time_text

_MOMENT: Final = timedelta(microseconds=1)


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
        return history.last_success(self.recent, self.pipeline)

    @property
    def newest(self) -> RecentJob | None:
        """The Job that succeeded last."""
        return next(iter(history.successes(self.recent)), None)

    @property
    def counted(self) -> list[tuple[RecentJob, int]]:
        """The Jobs that succeeded and whose rows somebody counted, with these, the newest first."""
        return [(entry, entry.rows) for entry in history.successes(self.recent) if entry.rows is not None]

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
    last, created = data.last_success, data.pipeline.created
    late_from = (last or created) + timedelta(seconds=longest)
    if data.situation.now < late_from:
        return NotYet(late_from)
    since = time_text(last) if last else f"the Pipeline was created at {time_text(created)}"
    return Finding(
        Reason.LATE, f"No Job has succeeded since {since} (expect.maxAgeSeconds: {longest}). See: {_jobs_of(data)}"
    )


def late_for_its_schedule(data: Data) -> Finding | NotYet | None:
    """No Job has succeeded for a time of the schedule, and the time for that is over."""
    allowed, wanted = data.expected.after_schedule_seconds, schedule.readable(data.pipeline)
    if allowed is None or wanted is None or data.suspended:
        return None
    in_force = schedule.in_force_since(data.situation, wanted)
    if in_force is None:
        return None
    patience, now = timedelta(seconds=allowed), data.situation.now
    due, coming = wanted.last_before(now - patience + _MOMENT), wanted.next_after(now - patience)
    served = max(filter(None, [in_force, data.pipeline.created, _served_until(data, wanted)]))
    if due is None or due <= served:
        return NotYet(coming + patience) if coming else None
    missed = wanted.next_after(served) or due
    return Finding(
        Reason.LATE,
        f"No Job for the scheduled time {time_text(missed)} succeeded within {allowed} seconds "
        f"(expect.afterScheduleSeconds). See: {_jobs_of(data)}",
    )


def _served_until(data: Data, wanted: Cron) -> datetime | None:
    """Return up to when the scheduled times are served by a Job that succeeded; ``None``: none has.

    The clocks of those who make slots and runs may differ, so a Job that seems to start shortly before a time is its.
    """
    started = max((entry.start_time for entry in history.successes(data.recent) if entry.start_time), default=None)
    if started is None:
        return None
    last, coming = wanted.last_before(started), wanted.next_after(started)
    slack = schedule.LARGEST_CLOCK_DIFFERENCE
    return started + (min(slack, (coming - last) / 2) if last and coming else slack)


def few_rows(data: Data) -> Finding | None:
    """The last success loaded fewer rows than there must be."""
    least = data.expected.min_rows
    if least is None or not data.counted or data.counted[0][1] >= least:
        return None
    return Finding(
        Reason.FEW_ROWS,
        f"{_loaded(data.counted[0][0])} (expect.minRows: {least:,}). Check the source, or change spec.expect.minRows.",
    )


def rows_dropped(data: Data) -> Finding | None:
    """The last success loaded far fewer rows than those before it."""
    percent, counted = data.expected.max_drop_percent, data.counted
    if percent is None or len(counted) <= 1:
        return None
    (newest, rows), *others = counted[: 1 + history.COMPARED]
    usual = median(before for _, before in others)
    if not usual or rows * 100 >= usual * (100 - percent):
        return None
    dropped = math.ceil(1000 - rows * 1000 / usual) / 10
    those = "the successful Job" if len(others) == 1 else f"the {len(others)} successful Jobs"
    return Finding(
        Reason.ROWS_DROPPED,
        f"{_loaded(newest)}, {dropped:g}% fewer than usual: the median of {those} before it is {usual:,.0f} "
        f"(expect.maxDropPercent: {percent}). Check the source, or change spec.expect.maxDropPercent.",
    )


def _loaded(entry: RecentJob) -> str:
    """Return how many rows a Job loaded, as the beginning of a sentence."""
    rows = "1 row" if entry.rows == 1 else f"{entry.rows:,} rows"
    return f"Job {entry.name} loaded {f'at least {rows}, as its log is incomplete' if entry.at_least else rows}"


def checks_warned(data: Data) -> Finding | None:
    """More checks of the last success warned than may."""
    most, newest = data.expected.max_warned_checks, data.newest
    warned = newest.warned_checks or 0 if newest else 0
    if most is None or newest is None or warned <= most:
        return None
    checks = "1 check" if warned == 1 else f"{warned:,} checks"
    return Finding(
        Reason.CHECKS_WARNED,
        f"{checks} of Job {newest.name} warned (expect.maxWarnedChecks: {most:,}). Its log says which.",
    )


def not_asked(data: Data) -> Finding | None:
    """While the schedule is suspended, nobody asks whether the data is late."""
    when = data.expected.max_age_seconds or data.expected.after_schedule_seconds
    if not when or not data.suspended:
        return None
    return Finding(Reason.SUSPENDED, "The data may be late without being reported, because the schedule is suspended.")


RULES: Sequence[Rule] = (too_old, late_for_its_schedule, few_rows, rows_dropped, checks_warned, not_asked)


def first_trouble(situation: Situation, pipeline: Pipeline, rules: Sequence[Rule] = RULES) -> Answer[Finding] | None:
    """Return what is wrong with the data of ``pipeline``, or why nobody knows; ``None``: it expects nothing."""
    expected = pipeline.spec.expect if pipeline.spec else None
    if expected is None or not set(expected.as_json()) - {"rowsDiffer"}:
        return None
    return first(rules, Data(situation, pipeline, expected, history.recent_jobs(situation, pipeline)))


def _jobs_of(data: Data) -> str:
    key = data.pipeline.key
    return f"kubectl get eltjobs -n {key.namespace} --field-selector spec.pipelineName={key.pipeline}"
