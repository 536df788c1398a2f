"""Which Job may start, and what holds up the others. Two lists of rules, in order; a new rule is one entry more."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

from elt_operator.core import concurrency, outcome, run_names
from elt_operator.core.faults import Fault
from elt_operator.core.findings import Answer, Finding, NotYet, first
from elt_operator.core.model import Job
from elt_operator.core.situation import Situation
from elt_operator.core.variables import protected_overrides
from elt_operator.resources.reasons import Reason

Rule = Callable[[Situation, Job], Finding | NotYet | None]


def unreadable_job(_situation: Situation, job: Job) -> Finding | None:
    """The Job was stored under a schema that allowed what cannot be read now."""
    if job.spec is not None:
        return None
    return Finding(Reason.INVALID_CONFIGURATION, f"The Job's spec cannot be read: {job.problem}")


def protected_property(situation: Situation, job: Job) -> Finding | None:
    """The Job overrides a property that its Pipeline protects."""
    spec = situation.spec
    if not spec or not job.spec:
        return None
    overrides = protected_overrides(job.spec.properties or {}, spec.protected_properties or [])
    if not overrides:
        return None
    return Finding(
        Reason.INVALID_CONFIGURATION,
        f"spec.properties overrides {', '.join(overrides)}, which Pipeline {job.key.pipeline} protects "
        "(spec.protectedProperties). Create a new Job without it.",
    )


def stopped(_situation: Situation, job: Job) -> Finding | None:
    """The user has set ``spec.stop`` before the Job started."""
    if not (job.spec and job.spec.stop):
        return None
    return Finding(Reason.STOPPED, "The Job was stopped (spec.stop) before it started.")


def deleted(_situation: Situation, job: Job) -> Finding | None:
    """The user has deleted it before it started; somebody's finalizer keeps it."""
    if not job.deleting:
        return None
    return Finding(Reason.STOPPED, "The Job was deleted before it started.")


def replaced(situation: Situation, job: Job) -> Finding | None:
    """A newer Job takes its place."""
    newer = concurrency.replaced_by(situation, job)
    if not newer:
        return None
    message = f"Job {newer.name} took this one's place (concurrencyPolicy: Replace) before this one started."
    return Finding(Reason.REPLACED, message)


def forbidden(situation: Situation, job: Job) -> Finding | None:
    """Another Job of the Pipeline is active, and none may wait."""
    active = concurrency.forbidden_by(situation, job)
    if not active:
        return None
    return Finding(
        Reason.PIPELINE_BUSY,
        f"Job {active.name} of the same Pipeline was already active (concurrencyPolicy: Forbid). "
        "Create a new Job once it has ended.",
    )


def pipeline_never_came(situation: Situation, job: Job) -> Finding | NotYet | None:
    """The Job has waited for its Pipeline long enough."""
    if situation.pipeline or not situation.pipeline_missed:
        return None
    gives_up = max(job.created, situation.pipeline_missed) + timedelta(seconds=situation.limits.pipeline_wait)
    if situation.now < gives_up:
        return NotYet(gives_up)
    return Finding(
        Reason.PIPELINE_NOT_FOUND,
        f"No Pipeline {job.key.pipeline} appeared in namespace {job.key.namespace} within "
        f"{situation.limits.pipeline_wait} seconds. Create it, then create a new Job.",
    )


def faulty(fault: Fault) -> Finding:
    """Return that a Job cannot be started since the operator fails on it."""
    return Finding(
        Reason.OPERATOR_ERROR,
        f"The operator cannot run this Job ({fault.words}). This is a bug in the operator; please report it. "
        "Other Jobs of the Pipeline are unaffected.",
    )


DENIALS: Sequence[Rule] = (
    unreadable_job,
    stopped,
    deleted,
    protected_property,
    replaced,
    forbidden,
    pipeline_never_came,
)


def missing_pipeline(situation: Situation, job: Job) -> Finding | None:
    """There is no such Pipeline, or not yet: GitOps applies in any order."""
    if situation.pipeline:
        return None
    return Finding(
        Reason.PIPELINE_NOT_FOUND,
        f"There is no Pipeline {job.key.pipeline} in namespace {job.key.namespace}. "
        "The Job starts once it exists (kubectl get eltpipelines).",
    )


def unreadable_pipeline(situation: Situation, job: Job) -> Finding | None:
    """The Pipeline was stored under a schema that allowed what cannot be read now."""
    pipeline = situation.pipeline
    if not pipeline or pipeline.spec is not None:
        return None
    return Finding(
        Reason.INVALID_CONFIGURATION,
        f"The spec of Pipeline {job.key.pipeline} cannot be read: {pipeline.problem}",
    )


def earlier_job(situation: Situation, job: Job) -> Finding | None:
    """Another Job of the Pipeline comes first. Only the one just before is named: so the words stay true."""
    before = situation.before(job)
    if not before:
        return None
    return Finding(Reason.PIPELINE_BUSY, f"The Job is waiting for Job {before.name} of the same Pipeline to end.")


def unfinished_run(situation: Situation, _job: Job) -> Finding | None:
    """A run is still there, though its Job is not: it was deleted, or has ended before its process did."""
    for run in sorted(situation.runs, key=lambda run: run.number):
        pods = situation.pods_of(run)
        if not outcome.is_over(run, pods) or outcome.may_go_on(run, pods):
            return Finding(
                Reason.PIPELINE_BUSY,
                f"The Job is waiting for run {run.name} of Job {run.job_name} to end.",
            )
    return None


def living_pod(situation: Situation, _job: Job) -> Finding | None:
    """A process of the Pipeline may still be at work, whatever became of its run."""
    for pod in situation.pods:
        if pod.alive:
            return Finding(Reason.PIPELINE_BUSY, f"The Job is waiting for pod {pod.name} of an earlier run to end.")
    return None


def refused_lately(situation: Situation, job: Job) -> Finding | None:
    """The API server refused the run a moment ago; asking at once again would only add load."""
    refusal = situation.refused_lately(job.uid)
    if not refusal:
        return None
    return Finding(
        Reason.REJECTED,
        f"The run cannot be created yet because Kubernetes rejects it: {refusal.message}",
        refusal.ask_again,
    )


HOLDS: Sequence[Rule] = (
    missing_pipeline,
    unreadable_pipeline,
    earlier_job,
    unfinished_run,
    living_pod,
    refused_lately,
)


def first_denial(situation: Situation, job: Job, rules: Sequence[Rule] = DENIALS) -> Answer[Finding]:
    """Return the first reason never to start ``job``; one without a run may start if there is none."""
    return first(rules, situation, job)


def first_hold(situation: Situation, job: Job, rules: Sequence[Rule] = HOLDS) -> Answer[Finding]:
    """Return the first reason not to start ``job`` yet."""
    return first(rules, situation, job)


def next_run_number(situation: Situation) -> int:
    """Return the number of the Pipeline's next run: one more than the highest that is known."""
    recorded = situation.pipeline.status.last_run_number if situation.pipeline else None
    known = {run.number for run in situation.runs} | situation.taken_numbers | {recorded or 0}
    following = max(known) + 1
    # Whoever may create batch Jobs can use up the numbers; any other one that is free is as good.
    return following if following <= run_names.HIGHEST_NUMBER else next(n for n in count(1) if n not in known)
