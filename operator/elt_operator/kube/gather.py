"""Gathering: all that a plan may see, from the cache, and live where the cache is no proof."""

from dataclasses import replace
from datetime import datetime

from elt_operator.core import questions
from elt_operator.core.questions import LiveJob, LivePods, LiveRun, LogOf, Question, RunOf, StillWaits, WarningsAbout
from elt_operator.core.situation import Job, Key, Limits, PodLog, Run, Situation, Warnings
from elt_operator.kube import snapshots
from elt_operator.kube.cache import Cache
from elt_operator.kube.cluster import Cluster

_ROUNDS = 10
"""An answer may open a question, a few times at most; more would be a rule that asks in circles."""


def from_cache(cache: Cache, key: Key, now: datetime, limits: Limits) -> Situation:
    """Return what is known without asking."""
    cache.tidy(key)
    pipeline = next(iter(cache.pipelines.of(key)), None)
    if pipeline:
        cache.pipelines_missed.pop(key, None)
    jobs = sorted(cache.jobs.of(key), key=lambda job: (job.created, job.name))
    slots = sorted(cache.slots.of(key), key=lambda slot: (slot.created, slot.name))
    refusable = [*([pipeline.uid] if pipeline else []), *(slot.uid for slot in slots), *(job.uid for job in jobs)]
    ended = cache.last_ended.get(key)
    return Situation(
        key=key,
        now=now,
        limits=limits,
        pipeline=pipeline,
        pipeline_missed=cache.pipelines_missed.setdefault(key, now) if jobs and not pipeline else None,
        jobs=jobs,
        runs=[*cache.departed_runs.of(key), *cache.runs.of(key)],
        pods=[*cache.departed_pods.of(key), *cache.pods.of(key)],
        history=list(cache.history.get(key, {}).values()),
        cron_job=next(iter(cache.cron_jobs.of(key)), None),
        slots=slots,
        slot_jobs=dict(cache.slot_jobs.get(key, {})),
        taken_numbers=frozenset(cache.taken_numbers.get(key, ())),
        refusals={uid: refusal for uid in refusable if (refusal := cache.refusals.get(uid))},
        last_words=dict(cache.last_words.get(key, {})),
        live_jobs={ended.uid: ended} if ended else {},
    )


async def _live_run(cluster: Cluster, situation: Situation, name: str) -> Situation:
    body = await cluster.run(situation.key.namespace, name)
    found: Run | None = snapshots.run(body) if body else None
    known = {run.uid for run in situation.runs}
    return replace(
        situation,
        runs=[*situation.runs, found] if found and found.uid not in known else situation.runs,
        live_runs={**situation.live_runs, name: found},
    )


async def _live_pods(cluster: Cluster, situation: Situation, run: Run) -> Situation:
    bodies = await cluster.pods_of_run(situation.key.namespace, run.name)
    others = [pod for pod in situation.pods if pod.gone or pod.run_name != run.name]
    pods = [pod for body in bodies if (pod := snapshots.pod(body))]
    return replace(situation, pods=[*others, *pods], live_pods=situation.live_pods | {run.name})


async def _live_job(cluster: Cluster, situation: Situation, question: LiveJob) -> Situation:
    body = await cluster.job(situation.key.namespace, question.name)
    job = snapshots.job(body) if body else None
    found = job if job and job.uid == question.uid else None
    return replace(situation, live_jobs={**situation.live_jobs, question.uid: found})


async def _run_of(cluster: Cluster, situation: Situation, job: Job) -> Situation:
    bodies = await cluster.runs_of_job(situation.key.namespace, job.name)
    found = [run for body in bodies if (run := snapshots.run(body)) and run.job_uid == job.uid]
    return replace(situation, runs=[*situation.runs, *found], searched_jobs=situation.searched_jobs | {job.uid})


async def _confirmed(cluster: Cluster, situation: Situation, job: Job) -> Situation:
    """Return ``situation`` with what ``job`` says now: another operator may have started it, and its run be gone."""
    body = await cluster.job(situation.key.namespace, job.name)
    live = snapshots.job(body) if body else None
    still = [live] if live and live.uid == job.uid and not live.ended else []
    return replace(
        situation,
        jobs=[now for known in situation.jobs for now in (still if known.uid == job.uid else [known])],
        confirmed_jobs=situation.confirmed_jobs | {job.uid},
    )


async def answered(  # noqa: PLR0911 - one for each kind of question
    cluster: Cluster, situation: Situation, question: Question
) -> Situation:
    """Return ``situation`` with the answer to ``question``."""
    namespace = situation.key.namespace
    match question:
        case LiveRun(name):
            return await _live_run(cluster, situation, name)
        case LivePods(run):
            return await _live_pods(cluster, situation, run)
        case LogOf(pod_name, pod_uid):
            text = await cluster.log(namespace, pod_name)
            return replace(situation, logs={**situation.logs, pod_uid: PodLog(text)})
        case WarningsAbout(uid):
            warning = Warnings(await cluster.newest_warning(namespace, uid))
            return replace(situation, warnings={**situation.warnings, uid: warning})
        case LiveJob():
            return await _live_job(cluster, situation, question)
        case RunOf(job):
            return await _run_of(cluster, situation, job)
        case StillWaits(job):
            return await _confirmed(cluster, situation, job)


async def gather(cluster: Cluster, situation: Situation) -> Situation:
    """Return ``situation`` with the answers to all its questions."""
    for _ in range(_ROUNDS):
        open_ones = questions.open_questions(situation)
        if not open_ones:
            return situation
        for question in open_ones:
            situation = await answered(cluster, situation, question)
    raise RuntimeError(f"questions about {situation.key} do not end: {questions.open_questions(situation)}")
