"""When a run is ended before its time, and why. A list of checks, in order; a new cause is one entry more.

A run is stopped by its batch Job's deadline: its process gets SIGTERM and its grace period, and its pod's end can still
be read.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from elt_operator.core import concurrency, delay, outcome
from elt_operator.core.situation import Job, Pod, Run, Situation, Stop
from elt_operator.resources.reasons import Reason

Check = Callable[[Situation, Run, Job | None], Stop | None]


def asked_for(_situation: Situation, _run: Run, job: Job | None) -> Stop | None:
    """The user has set ``spec.stop``."""
    if not (job and job.spec and job.spec.stop):
        return None
    return Stop(Reason.STOPPED, "The Job was stopped (spec.stop)")


def replaced(situation: Situation, _run: Run, job: Job | None) -> Stop | None:
    """A newer Job takes its place."""
    newer = concurrency.replaced_by(situation, job) if job else None
    if not newer:
        return None
    return Stop(Reason.REPLACED, f"Job {newer.name} took this one's place (concurrencyPolicy: Replace)")


def never_started(situation: Situation, run: Run, _job: Job | None) -> Stop | None:
    """No container of it started within the Pipeline's pendingTimeoutSeconds; what held it up is the reason."""
    since = delay.waiting_since(situation, run)
    if since is None or (situation.now - since).total_seconds() < run.pending_timeout_seconds:
        return None
    held_up = delay.delay(situation, run)
    reason = held_up.reason if held_up and held_up.reason in _CAUSES else Reason.START_ERROR
    words = held_up.message if held_up else "Kubernetes gave no reason; check `kubectl get events`."
    limit = f"pendingTimeoutSeconds of the Pipeline: {run.pending_timeout_seconds}"
    return Stop(reason, f"The run did not start in time ({limit}). {words}")


_CAUSES = frozenset({Reason.IMAGE_PULL_FAILED, Reason.UNSCHEDULABLE, Reason.START_ERROR, Reason.REJECTED})


def told_otherwise(situation: Situation, run: Run, job: Job | None) -> Stop | None:
    """Its Job has ended without it: two operators decided at once. What was told stays true, so the run has to go."""
    told = situation.live_jobs.get(run.job_uid)
    if job or not (told and told.ended):
        return None
    return Stop(Reason.STOPPED, f"Job {told.name} had already ended ({told.status.phase})")


def outlived(situation: Situation, run: Run, job: Job | None) -> Stop | None:
    """Its Job has ended with its own container; containers that others added keep its pod alive, or have failed it."""
    told, pods = situation.live_jobs.get(run.job_uid), situation.pods_of(run)
    if job or not (told and told.ended):
        return None
    ended = f"Job {told.name} has ended ({told.status.phase})"
    if others := [name for pod in pods for name in pod.kept_alive_by]:
        named = " and ".join(others)
        return Stop(Reason.STOPPED, f"{ended}; container {named}, which is not part of the run, kept running")
    if outcome.may_go_on(run, pods):
        return Stop(Reason.STOPPED, f"{ended}; a container that is not part of the run made its pod fail")
    return None


CHECKS: Sequence[Check] = (asked_for, replaced, never_started, outlived, told_otherwise)


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
    return replace(run, stop=Stop(Reason.STOPPED, "The Job was deleted"), stopped=True)


def stop(situation: Situation, run: Run, job: Job | None, checks: Sequence[Check] = CHECKS) -> Stop | None:
    """Return why ``run``, which is not over, has to be ended now; ``None``: it may go on, or was told already.

    ``job`` is the run's Job; ``None`` when it is not among those that have not ended.
    """
    if run.stop or run.gone:
        return None
    for check in checks:
        if found := check(situation, run, job):
            return found
    return None
