"""When a run is ended before its time, and why. A list of rules, in order; a new cause is one entry more.

A run is stopped by its batch Job's deadline: its process gets SIGTERM and its grace period, and its pod's end can still
be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from elt_operator.core import concurrency, delay, outcome
from elt_operator.core.findings import Answer, Finding, NotYet, first
from elt_operator.core.model import Job, Pod, Run
from elt_operator.core.situation import Situation
from elt_operator.resources.phases import Phase
from elt_operator.resources.reasons import Mark, Reason

REASONS: Final = frozenset(
    reason for reason in Reason if reason.phase is Phase.STOPPED or Mark.KEEPS_FROM_STARTING in reason.marks
)
"""Why a run may be ended before its time. Others are not ours: somebody else has written them on a run."""

Rule = Callable[[Situation, Run, Job | None], Finding | NotYet | None]


def asked_for(_situation: Situation, _run: Run, job: Job | None) -> Finding | None:
    """The user has set ``spec.stop``."""
    if not (job and job.spec and job.spec.stop):
        return None
    return Finding(Reason.STOPPED, "The Job was stopped (spec.stop)")


def replaced(situation: Situation, _run: Run, job: Job | None) -> Finding | None:
    """A newer Job takes its place."""
    newer = concurrency.replaced_by(situation, job) if job else None
    if not newer:
        return None
    return Finding(Reason.REPLACED, f"Job {newer.name} took this one's place (concurrencyPolicy: Replace)")


def never_started(situation: Situation, run: Run, _job: Job | None) -> Finding | NotYet | None:
    """No container of it started within the Pipeline's pendingTimeoutSeconds; what held it up is the reason."""
    since = delay.waiting_since(situation, run)
    if since is None:
        return None
    given_up = since + timedelta(seconds=run.pending_timeout_seconds)
    if situation.now < given_up:
        return NotYet(given_up)
    held_up = delay.first_delay(situation, run).finding
    explains = held_up is not None and Mark.KEEPS_FROM_STARTING in held_up.reason.marks
    reason = held_up.reason if held_up and explains else Reason.START_ERROR
    words = held_up.message if held_up else "Kubernetes gave no reason; check `kubectl get events`."
    limit = f"pendingTimeoutSeconds of the Pipeline: {run.pending_timeout_seconds}"
    return Finding(reason, f"The run did not start in time ({limit}). {words}")


def already_ended(situation: Situation, run: Run, job: Job | None) -> Finding | None:
    """Its Job has ended without it: two operators decided at once. What was told stays true, so the run has to go."""
    told = situation.former_jobs.get(run.job_uid)
    if job or not (told and told.ended):
        return None
    return Finding(Reason.STOPPED, f"Job {told.name} had already ended ({told.status.phase})")


def outlived(situation: Situation, run: Run, job: Job | None) -> Finding | None:
    """Its Job has ended with its own container; containers that others added keep its pod alive, or have failed it."""
    told, pods = situation.former_jobs.get(run.job_uid), situation.pods_of(run)
    if job or not (told and told.ended):
        return None
    ended = f"Job {told.name} has ended ({told.status.phase})"
    if others := [name for pod in pods for name in pod.kept_alive_by]:
        named = " and ".join(others)
        return Finding(Reason.STOPPED, f"{ended}; container {named}, which is not part of the run, kept running")
    if outcome.may_go_on(run, pods):
        return Finding(Reason.STOPPED, f"{ended}; a container that is not part of the run made its pod fail")
    return None


RULES: Sequence[Rule] = (asked_for, replaced, never_started, outlived, already_ended)


def strays(situation: Situation) -> list[Run]:
    """Return the runs at work without a Job that waits for them: it was deleted, or has ended without them."""
    active = {job.uid for job in situation.jobs}
    return [
        run
        for run in situation.runs
        if run.job_uid not in active and not run.stop and not run.gone and _at_work(run, situation.pods_of(run))
    ]


def _at_work(run: Run, pods: Sequence[Pod]) -> bool:
    return not outcome.is_over(run, pods) or outcome.may_go_on(run, pods) or any(pod.kept_alive_by for pod in pods)


def with_its_job(job: Job, run: Run) -> Run:
    """Return ``run`` as its Job tells it: whoever deletes a Job in the foreground has its run deleted first."""
    if not (job.deleting and run.gone) or run.stop or run.finish:
        return run
    return replace(run, stop=Finding(Reason.STOPPED, "The Job was deleted"), no_more_pods=True)


def first_stop(situation: Situation, run: Run, job: Job | None, rules: Sequence[Rule] = RULES) -> Answer[Finding]:
    """Return why ``run``, which is not over, has to be ended now; nothing is found where it was told already.

    ``job`` is the run's Job; ``None`` when it is not among those that have not ended.
    """
    return Answer() if run.stop or run.gone else first(rules, situation, run, job)
