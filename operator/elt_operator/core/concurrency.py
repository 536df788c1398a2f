"""What becomes of a Job while another one of its Pipeline is active: it waits, is refused, or takes its place."""

from elt_operator.core.situation import Job, Situation


def _policy(situation: Situation) -> str:
    spec = situation.pipeline.spec if situation.pipeline else None
    return spec.concurrency_policy if spec else "Queue"


def _present(situation: Situation) -> list[Job]:
    """Return the Jobs that nobody has deleted, the oldest first."""
    return [job for job in situation.jobs if not job.deleting]


def earlier(situation: Situation, job: Job) -> Job | None:
    """Return the Job just before ``job``; ``None`` when it is the oldest."""
    before: Job | None = None
    for other in situation.jobs:
        if other.uid == job.uid:
            return before
        before = other
    return None


def forbidden_by(situation: Situation, job: Job) -> Job | None:
    """Return the active Job because of which ``job`` may not wait (``Forbid``); ``None`` when it may."""
    if _policy(situation) != "Forbid":
        return None
    first = _present(situation)[0]
    return None if first.uid == job.uid else first


def replaced_by(situation: Situation, job: Job) -> Job | None:
    """Return the newest Job, which takes the place of all others (``Replace``); ``None`` when ``job`` keeps its own."""
    if _policy(situation) != "Replace":
        return None
    newest = _present(situation)[-1]
    return None if newest.uid == job.uid else newest
