"""What becomes of a Job while another one of its Pipeline is active: it waits, is refused, or takes its place."""

from elt_operator.core.situation import Job, Situation


def _policy(situation: Situation) -> str:
    spec = situation.pipeline.spec if situation.pipeline else None
    return spec.concurrency_policy if spec else "Queue"


def forbidden_by(situation: Situation, job: Job) -> Job | None:
    """Return the active Job because of which ``job`` may not wait (``Forbid``); ``None`` when it may."""
    if _policy(situation) != "Forbid":
        return None
    first = next(iter(situation.present_jobs), job)
    return None if first.uid == job.uid else first


def replaced_by(situation: Situation, job: Job) -> Job | None:
    """Return the newest Job, which takes the place of all others (``Replace``); ``None`` when ``job`` keeps its own."""
    if _policy(situation) != "Replace":
        return None
    newest = next(reversed(situation.present_jobs), job)
    return None if newest.uid == job.uid else newest
