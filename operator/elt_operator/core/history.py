"""The history: the Jobs that ended last, as the Pipeline's status keeps them when the Jobs themselves are gone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from elt_operator.core.model import Job, Pipeline, Run
from elt_operator.core.situation import Situation
from elt_operator.resources.pipeline import MOST_RECENT_JOBS, RecentJob

COMPARED: Final = 10
"""With how many successes before it a Job is compared."""
_OF_LAST: Final = ("name", "phase", "startTime", "endTime", "rows", "warnings")


def recent_jobs(situation: Situation, pipeline: Pipeline) -> list[RecentJob]:
    """Return the Jobs that ended last, the newest first: those on record, and those that were read since.

    The last success stays among them however many failed since, and so do those that it is compared with.
    """
    stored = on_record(pipeline)
    known = {(entry.name, entry.end_time) for entry in stored}
    ended = [_entry(job) for job in situation.former_jobs.values() if job.ended and job.status.end_time]
    new = [entry for entry in ended if (entry.name, entry.end_time) not in known]
    entries = sorted([*stored, *new], key=_end, reverse=True)
    kept = {id(entry) for entry in successes(entries)[: 1 + COMPARED]}
    for entry in entries:
        if len(kept) < MOST_RECENT_JOBS:
            kept.add(id(entry))
    return [entry for entry in entries if id(entry) in kept]


def on_record(pipeline: Pipeline) -> Sequence[RecentJob]:
    """Return the Jobs of which the status tells; one that an earlier version wrote tells of the last one only."""
    last = pipeline.status.last_job
    if pipeline.status.recent_jobs is not None or last is None or last.end_time is None:
        return pipeline.status.recent_jobs or []
    told = {name: value for name, value in last.as_json().items() if name in _OF_LAST}
    return [RecentJob.model_validate({"reason": last.phase.capitalize(), **told})]


def _end(entry: RecentJob) -> tuple[float, str]:
    return (entry.end_time.timestamp() if entry.end_time else 0.0, entry.name)


def _entry(job: Job) -> RecentJob:
    result = job.status.result
    checks = result.checks if result else None
    return RecentJob.model_validate(
        {
            "name": job.name,
            "phase": job.status.phase.value,
            "reason": job.status.reason,
            "startTime": job.status.start_time,
            "endTime": job.status.end_time,
            "rows": result.rows if result else None,
            "warnings": job.status.warning_count,
            "warnedChecks": min(checks.warned, 2**31 - 1) or None if checks else None,
            "atLeast": True if result and result.rows is not None and not result.complete else None,
        }
    )


def unreported_runs(situation: Situation) -> list[Run]:
    """Return the runs, the newest first, whose Jobs have ended and are newer than what the status tells of."""
    pipeline = situation.pipeline
    if not pipeline:
        return []
    told = on_record(pipeline)
    names = {entry.name for entry in told}
    since = max((entry.start_time for entry in told if entry.start_time), default=None)
    active = {job.uid for job in situation.jobs}
    over = [
        run
        for run in situation.runs
        if run.job_uid not in active and (since is None or (run.created >= since and run.job_name not in names))
    ]
    return sorted(over, key=lambda run: run.number, reverse=True)[:MOST_RECENT_JOBS]


def last_success(recent: Sequence[RecentJob], pipeline: Pipeline) -> datetime | None:
    """Return when a Job last succeeded; ``None``: none has. The status remembers it for longer than ``recent``."""
    ended = [entry.end_time for entry in successes(recent) if entry.end_time]
    return max([*ended, *filter(None, [pipeline.status.last_successful_time])], default=None)


def successes(recent: Sequence[RecentJob]) -> list[RecentJob]:
    """Return those of ``recent`` that succeeded."""
    return [entry for entry in recent if entry.phase == "COMPLETE"]
