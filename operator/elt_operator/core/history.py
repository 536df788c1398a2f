"""The history: the Jobs that ended last, as the Pipeline's status keeps them when the Jobs themselves are gone."""

from collections.abc import Sequence

from elt_operator.core.model import Job, Pipeline, Run
from elt_operator.core.situation import Situation
from elt_operator.resources.pipeline import MOST_RECENT_JOBS, RecentJob


def recent_jobs(situation: Situation, pipeline: Pipeline) -> list[RecentJob]:
    """Return the Jobs that ended last, the newest first: those on record, and those that were read since."""
    stored = pipeline.status.recent_jobs or []
    on_record = {(entry.name, entry.end_time) for entry in stored}
    ended = [_entry(job) for job in situation.former_jobs.values() if job.ended and job.status.end_time]
    new = [entry for entry in ended if (entry.name, entry.end_time) not in on_record]
    return sorted([*stored, *new], key=_end, reverse=True)[:MOST_RECENT_JOBS]


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
        }
    )


def unreported_runs(situation: Situation) -> list[Run]:
    """Return the runs, the newest first, whose Jobs have ended and are newer than what the status tells of."""
    pipeline = situation.pipeline
    if not pipeline:
        return []
    told = [entry.start_time for entry in pipeline.status.recent_jobs or [] if entry.start_time]
    last = pipeline.status.last_job
    since = max(told, default=last.start_time if last else None)
    active = {job.uid for job in situation.jobs}
    over = [run for run in situation.runs if run.job_uid not in active and (since is None or run.created > since)]
    return sorted(over, key=lambda run: run.number, reverse=True)[:MOST_RECENT_JOBS]


def successes(recent: Sequence[RecentJob]) -> list[RecentJob]:
    """Return those of ``recent`` that succeeded."""
    return [entry for entry in recent if entry.phase == "COMPLETE"]
