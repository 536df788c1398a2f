"""What is kept of the past: runs for a while once their end is told, and Jobs of schedules up to their limits."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from elt_operator.core import outcome, schedule
from elt_operator.core.model import EndedJob, Job, Run
from elt_operator.core.situation import Situation


def _due_at(situation: Situation, run: Run) -> datetime | None:
    """Return when ``run`` may go; ``None`` while it is not over, its number not recorded, or its Job not ended.

    One that was stopped and is not over although its Job has ended was resumed: it goes before anything of it starts.
    """
    recorded = situation.pipeline.status.last_run_number if situation.pipeline else run.number
    if run.gone or situation.job_of(run):
        return None
    if run.number > (recorded or 0):
        return None
    if not outcome.is_over(run, situation.pods_of(run)):
        return run.created if run.stop else None
    return _ended_at(situation, run) + timedelta(seconds=_seconds_kept(situation, run))


def _ended_at(situation: Situation, run: Run) -> datetime:
    """Return when ``run`` ended, as its batch Job says, else its last pod; nobody knows better: when it was created.

    A time to come is nobody's end.
    """
    said = [run.finish.time] if run.finish and run.finish.time else []
    last_pod = [pod.changed for pod in situation.pods_of(run)]
    believable = [moment for moment in said or last_pod if not schedule.to_come(situation, moment)]
    return max(believable, default=run.created)


def _seconds_kept(situation: Situation, run: Run) -> int:
    """Return how long ``run`` is kept: as its Pipeline says, else as the administrator does.

    One that was stopped in its queue, or before it was taken up at all, has no log to keep, and could be resumed.
    """
    if run.stop and run.suspended and (run.queue or run.started is None):
        return 0
    spec = situation.spec
    own = spec.run_retention_seconds if spec else None
    return situation.limits.run_retention if own is None else own


LOG_WAIT: Final = timedelta(hours=24)
"""How long a run is kept for its log's sake."""
LOG_LOOKS: Final = timedelta(seconds=30)
"""How often it is looked whether the log is kept: nobody tells."""


def log_awaited_until(situation: Situation, run: Run, job: Job) -> datetime | None:
    """Return until when ``run``, whose Job has ended, is kept for its log's sake; ``None``: it is not.

    One that somebody has resumed would work again.
    """
    log, end = job.status.log, job.status.end_time
    awaited = situation.limits.keeps_logs and log is not None and log.state == "Collecting"
    if end is None or not awaited or not outcome.is_over(run, situation.pods_of(run)):
        return None
    return end + LOG_WAIT


def runs_by_due_time(situation: Situation) -> list[tuple[datetime, Run]]:
    """Return the runs that are to go, each with the time from which on, as far as the cache knows.

    Whether their Jobs have ended is to be asked.
    """
    return [(moment, run) for run in situation.runs if (moment := _due_at(situation, run))]


def _beyond(limit: int, jobs: Sequence[EndedJob]) -> list[EndedJob]:
    """Return all but the newest ``limit``."""
    newest_first = sorted(jobs, key=lambda job: (job.created, job.name), reverse=True)
    return newest_first[limit:]


def surplus_jobs(situation: Situation) -> list[EndedJob]:
    """Return the Jobs to be deleted, the oldest of those that the operator made itself; none without its Pipeline."""
    spec = situation.spec
    if not spec:
        return []
    succeeded = [job for job in situation.history if job.succeeded]
    others = [job for job in situation.history if not job.succeeded]
    surplus = [
        *_beyond(spec.successful_jobs_history_limit, succeeded),
        *_beyond(spec.failed_jobs_history_limit, others),
    ]
    return sorted(surplus, key=lambda job: (job.created, job.name))
