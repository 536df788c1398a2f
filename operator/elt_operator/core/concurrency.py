"""What becomes of a Job while another one of its Pipeline is active: it waits, is refused, or takes its place."""

from elt_operator.core.model import Job
from elt_operator.core.situation import Situation


def forbidden_by(situation: Situation, job: Job) -> Job | None:
    """Return the active Job because of which ``job`` may not wait (``Forbid``); ``None`` when it may."""
    if situation.concurrency_policy != "Forbid":
        return None
    first = next(iter(situation.present_jobs), job)
    return None if first.uid == job.uid else first


def replaced_by(situation: Situation, job: Job) -> Job | None:
    """Return the newest Job, which takes the place of all others (``Replace``); ``None`` when ``job`` keeps its own."""
    if situation.concurrency_policy != "Replace":
        return None
    newest = next(reversed(situation.present_jobs), job)
    return None if newest.uid == job.uid else newest
