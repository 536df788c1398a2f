"""Gathering: all that a plan may see, from the cache, and live where the cache is no proof and the plan asks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from elt_operator.controller import pod_snapshots, snapshots
from elt_operator.controller.cache import Cache, S, version_of
from elt_operator.controller.cluster import Cluster
from elt_operator.core.model import PipelineKey, Pod, Run
from elt_operator.core.plan import Plan, plan
from elt_operator.core.questions import (
    LiveJob,
    LivePods,
    LiveRun,
    LogOf,
    LogToItsEnd,
    Question,
    RunOf,
    StillThere,
    StillWaits,
    WarningsAbout,
)
from elt_operator.core.situation import Limits, Situation
from elt_operator.kube import foreign
from elt_operator.kube.foreign import Body

_ROUNDS = 10
"""An answer may open a question, a few times at most; more would be a rule that asks in circles."""


def from_cache(cache: Cache, key: PipelineKey, now: datetime, limits: Limits) -> Situation:
    """Return what is known without asking; changes nothing."""
    # Of one that was deleted and made anew, a late answer may have brought both.
    pipeline = max(cache.pipelines.of(key), key=lambda found: version_of(found.resource_version), default=None)
    known = sorted(cache.jobs.of(key), key=lambda job: (job.created, job.name))
    watched = [*([pipeline.uid] if pipeline else []), *(job.uid for job in known)]
    faults = {uid: fault for uid in watched if (fault := cache.faults.get(uid))}
    jobs = [job for job in known if not (job.uid in faults and faults[job.uid].leaves_out(job))]
    slots = sorted(cache.slots.of(key), key=lambda slot: (slot.created, slot.name))
    refusable = [*([pipeline.uid] if pipeline else []), *(slot.uid for slot in slots), *(job.uid for job in jobs)]
    refusable += [run.uid for run in cache.runs.of(key)]
    ended, left = cache.ended_jobs.get(key, {}), cache.left_runs.get(key, ())
    return Situation(
        key=key,
        now=now,
        limits=limits,
        pipeline=pipeline,
        pipeline_missed=cache.pipelines_missed.get(key, now) if jobs and not pipeline else None,
        jobs=jobs,
        runs=_with_departed(cache.departed_runs.of(key), cache.runs.of(key)),
        left_runs=left,
        pods_over=frozenset(run.uid for run in (*cache.runs.of(key), *left) if run.uid in cache.pods_over),
        pods=_with_departed(cache.departed_pods.of(key), cache.pods.of(key)),
        history=list(cache.history.get(key, {}).values()),
        cron_job=min(cache.cron_jobs.of(key), key=lambda found: found.deleting, default=None),
        slots=slots,
        caused_jobs=dict(cache.caused_jobs.get(key, {})),
        taken_numbers=frozenset(cache.taken_numbers.get(key, ())),
        refusals={uid: refusal for uid in refusable if (refusal := cache.refusals.get(uid))},
        faults=faults,
        pods_told_to_end=frozenset(cache.pods_told_to_end),
        last_logs=dict(cache.last_logs.get(key, {})),
        asked={LiveJob(job.name, job.uid) for job in ended.values()},
        former_jobs=dict(ended),
    )


def _with_departed(departed: Sequence[S], present: Sequence[S]) -> list[S]:
    """Return both; what is back, its label put on again, is not departed."""
    there = {found.uid for found in present}
    return [*(found for found in departed if found.uid not in there), *present]


async def _live_run(cluster: Cluster, situation: Situation, name: str) -> Situation:
    """Return ``situation`` with the run of this name; it is known by its name alone, whatever became of its labels."""
    body = await cluster.run(situation.key.namespace, name)
    found: Run | None = snapshots.run(body, situation.key) if body else None
    watched = {run.uid for run in situation.runs if not run.gone}
    runs = situation.runs
    if found and found.uid not in watched:
        found = replace(found, unwatched=body is not None and snapshots.run(body) is None)
        runs = [found, *(run for run in runs if run.uid != found.uid)]
    return replace(situation, runs=runs)


async def _live_pods(cluster: Cluster, situation: Situation, run_name: str) -> Situation:
    bodies = await cluster.pods_of_run(situation.key.namespace, run_name)
    found = {pod.uid: _live_pod(body, pod) for body in bodies if (pod := pod_snapshots.pod(body, situation.key))}
    others = [pod for pod in situation.pods if pod.uid not in found]
    return replace(situation, pods=[*others, *found.values()])


def _live_pod(body: Body, pod: Pod) -> Pod:
    """Return ``pod`` with whether it is hidden from the watch."""
    return replace(pod, unwatched=pod_snapshots.pod(body) is None)


async def _still_there(cluster: Cluster, situation: Situation, question: StillThere) -> Situation:
    """Return ``situation`` with what became of a pod that the watch sees no more: its UID says whether it is there."""
    pod = next(pod for pod in situation.pods if pod.uid == question.pod_uid)
    body = await cluster.pod(situation.key.namespace, pod.name)
    whose = foreign.identity(body)
    if body is None or whose is None or whose.uid != pod.uid:
        return situation
    phase = foreign.text(foreign.part(body, "status").get("phase"))
    live = pod_snapshots.pod(body, situation.key) or replace(pod, gone=False, phase=phase)
    live = replace(live, run_uid=pod.run_uid, run_name=pod.run_name, unwatched=True)
    pods = [live if known.uid == pod.uid else known for known in situation.pods]
    return replace(situation, pods=pods)


async def _live_job(cluster: Cluster, situation: Situation, question: LiveJob) -> Situation:
    body = await cluster.job(situation.key.namespace, question.name)
    job = snapshots.job(body) if body else None
    found = {job.uid: job} if job and job.uid == question.uid else {}
    return replace(situation, former_jobs={**situation.former_jobs, **found})


async def _run_of(cluster: Cluster, situation: Situation, question: RunOf) -> Situation:
    bodies = await cluster.runs_of_job(situation.key.namespace, question.job_name)
    known = {run.uid for run in situation.runs}
    runs = [run for body in bodies if (run := snapshots.run(body))]
    found = [run for run in runs if run.job_uid == question.job_uid and run.uid not in known]
    return replace(situation, runs=[*situation.runs, *found])


async def _confirmed(cluster: Cluster, situation: Situation, question: StillWaits) -> Situation:
    """Return ``situation`` with what the Job says now: another operator may have started it, and its run be gone."""
    body = await cluster.job(situation.key.namespace, question.job_name)
    live = snapshots.job(body) if body else None
    still = [live] if live and live.uid == question.job_uid and not live.ended else []
    jobs = [now for known in situation.jobs for now in (still if known.uid == question.job_uid else [known])]
    return replace(situation, jobs=jobs)


async def answered(cluster: Cluster, situation: Situation, question: Question) -> Situation:
    """Return ``situation`` with the answer to ``question``."""
    known = await _answered(cluster, situation, question)
    return replace(known, asked=known.asked | {question})


async def _answered(  # noqa: PLR0911 - one for each kind of question
    cluster: Cluster, situation: Situation, question: Question
) -> Situation:
    namespace = situation.key.namespace
    match question:
        case LiveRun(name):
            return await _live_run(cluster, situation, name)
        case LivePods(run_name):
            return await _live_pods(cluster, situation, run_name)
        case StillThere():
            return await _still_there(cluster, situation, question)
        case LogToItsEnd(_, pod_uid):
            cluster.follow_log(next(pod for pod in situation.pods if pod.uid == pod_uid))
            return situation
        case LogOf(_, pod_uid):
            pod = next(pod for pod in situation.pods if pod.uid == pod_uid)
            log = await cluster.log(pod)
            log = replace(log, complete=log.complete and (pod.ended is not None or not pod.alive))  # or it may go on
            return replace(situation, logs={**situation.logs, pod_uid: log})
        case WarningsAbout(uid):
            warning = await cluster.newest_warning(namespace, uid)
            return replace(situation, warnings={**situation.warnings, uid: warning})
        case LiveJob():
            return await _live_job(cluster, situation, question)
        case RunOf():
            return await _run_of(cluster, situation, question)
        case StillWaits():
            return await _confirmed(cluster, situation, question)


def pods_over(situation: Situation) -> frozenset[str]:
    """Return the UIDs of the runs whose pods were read live, that are all over, and that will have no more."""
    at_work = {pod.run_uid for pod in situation.pods if pod.alive}
    read_live = {question.run_uid for question in situation.asked if isinstance(question, LivePods)}
    runs = (*situation.runs, *situation.left_runs)
    final = {run.uid for run in runs if run.gone or (run.stop is not None and run.no_more_pods)}
    return frozenset(read_live & final) - at_work


async def planned(cluster: Cluster, situation: Situation) -> tuple[Situation, Plan]:
    """Return the plan once it has no questions left, and ``situation`` with the answers to those that it had."""
    wanted = plan(situation)
    for _ in range(_ROUNDS):
        if not wanted.questions:
            return situation, wanted
        for question in wanted.questions:
            situation = await answered(cluster, situation, question)
        wanted = plan(situation)
    raise RuntimeError(f"questions about {situation.key} do not end: {wanted.questions}")
