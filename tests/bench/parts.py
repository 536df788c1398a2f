"""The parts of the benchmark. Each returns what goes into the file of results."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.api import Body, Place
from bench.bed import FOLDER, Plane
from bench.measure import Makespan, latency, lay_groundwork, makespan, percentile
from bench.systems import BareBatchJobs, EltJobs, SameBatchJobs, System
from elt_operator.kube.client import MERGE_PATCH
from elt_operator.resources.names import CONTAINER

Result = dict[str, Any]

_SAID: Final = {
    "reason": "Running",
    "message": "Batch Job pipeline-1-r1 is running this Job.",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 1,
}
RUNNING: Final[Body] = {
    "phase": "RUNNING",
    "reason": "Running",
    "observedGeneration": 1,
    "pipelineGeneration": 1,
    "taskName": "pipeline-1-r1",
    "startTime": "2026-01-01T00:00:00Z",
    "arguments": ["true"],
    "conditions": [{**_SAID, "type": kind, "status": "Unknown"} for kind in ("Succeeded", "Reconciling")],
}
ENDED: Final[Body] = {
    **RUNNING,
    "phase": "COMPLETE",
    "reason": "Completed",
    "endTime": "2026-01-01T00:00:01Z",
    "exitCode": 0,
    "logTail": "a line that every pod has written",
    "conditions": [{**_SAID, "type": kind, "status": "True"} for kind in ("Succeeded", "Reconciling")],
}
"""What the operator writes into a Job's status, in size and shape."""


@dataclass(frozen=True)
class Part:
    """One part, and the control plane that it is measured with."""

    name: str
    plane: str
    """``default`` or ``tuned``."""
    measure: Callable[[Plane], Awaitable[Result]]
    by_default: bool = True


async def _one_makespan(plane: Plane, system: System, count: int) -> Makespan:
    """Measure one system; its controller runs for it only."""
    async with plane.fresh() as bed:
        await lay_groundwork(bed.place, system, range(count))
        async with system.controller(bed) as running:
            await bed.at_rest()
            return await makespan(bed.place, system, range(count), bed.meter(running), bed.audit())


async def makespans(plane: Plane, *, count: int, times: int, besides: Sequence[System] = ()) -> Result:
    """Systems in turns: many jobs at once, each eltjob of a Pipeline of its own."""
    return await _in_turns(plane, (BareBatchJobs(), *besides, EltJobs()), count, times)


async def changes(plane: Plane, *, count: int, times: int) -> Result:
    """The same with the operator as it was at earlier revisions, and as it is: what each change has brought."""
    if not plane.before:
        raise SystemExit('say which revisions: make bench ONLY=changes BEFORE="one another"')
    earlier = [EltJobs(name=f"eltjobs, {revision}", code=code) for revision, code in plane.before.items()]
    return await _in_turns(plane, (BareBatchJobs(), *earlier, EltJobs()), count, times)


async def _in_turns(plane: Plane, systems: Sequence[System], count: int, times: int) -> Result:
    measured: dict[str, list[Makespan]] = {system.name: [] for system in systems}
    for _ in range(plane.times or times):
        for system in systems:
            one = await _one_makespan(plane, system, count)
            print(f"  {count} x {system.name}: {one.seconds:.1f} s, {one.jobs_per_minute:.0f} a minute", flush=True)
            measured[system.name].append(one)
    return {name: [one.as_json() for one in of_system] for name, of_system in measured.items()}


async def one_queue(plane: Plane, *, count: int) -> Result:
    """All Jobs at once for one Pipeline: they run one by one, the oldest first."""
    system = EltJobs(one_pipeline=True)
    async with plane.fresh() as bed:
        await lay_groundwork(bed.place, system, range(count))
        async with bed.operator() as running:
            await bed.at_rest()
            one = await makespan(bed.place, system, range(count), bed.meter(running), bed.audit())
            jobs = [job async for job in bed.client.objects(bed.place.collection(system.path, system.plural))]
    by_age = sorted(jobs, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
    numbers = [int(job["status"]["taskName"].rpartition("-r")[2]) for job in by_age]
    assert len(set(numbers)) == count, "one run for each Job"
    # The first of a burst starts before the others of its second are there; from then on the order is the queue's.
    overtaken = sum(1 for before, after in pairwise(numbers) if after < before)
    print(f"  {count} Jobs of one Pipeline: {one.seconds:.1f} s, {overtaken} overtaken", flush=True)
    return {**one.as_json(), "overtaken": overtaken}


async def latencies(plane: Plane, *, count: int, period_seconds: float) -> Result:
    """A job now and then, on a cluster that has nothing else to do; ones that succeed, and ones that fail."""
    found: Result = {}
    for exit_code in (0, 1):
        for system in (BareBatchJobs(exit_code), EltJobs(exit_code)):
            async with plane.fresh() as bed:
                audit = bed.audit()
                async with system.controller(bed):
                    one = await latency(bed.place, system, count, period_seconds)
                    await bed.at_rest()
                if writes := dict(audit.writes()):
                    found[f"writes, exit code {exit_code}"] = writes
            told = one.as_json()
            print(
                f"  {system.name}, exit code {exit_code}: created to pod p99 {told['created_to_pod']['p99']:.3f} s, "
                f"pod ended to job ended p50 {told['pod_ended_to_job_ended']['p50']:.3f} s, "
                f"p99 {told['pod_ended_to_job_ended']['p99']:.3f} s",
                flush=True,
            )
            found[f"{system.name}, exit code {exit_code}"] = told
    return found


async def growth(plane: Plane, *, steps: Sequence[tuple[int, int]], jobs: int) -> Result:
    """What lies around must not make a Job dearer: more and more ``steps`` of Pipelines and finished Jobs."""
    system, found, pipelines, finished = EltJobs(), [], 0, 0
    async with plane.fresh() as bed:
        place = bed.place
        for step, (more_pipelines, more_finished) in enumerate(steps):
            await lay_groundwork(place, system, range(pipelines, more_pipelines))
            await place.each([partial(_finished_job, place, number) for number in range(finished, more_finished)])
            pipelines, finished = more_pipelines, more_finished
            async with bed.operator() as running:
                await bed.at_rest()
                at_rest_megabytes = running.process.megabytes
                numbers = range(step * jobs, (step + 1) * jobs)  # of Pipelines that have had no Job yet
                one = await makespan(place, system, numbers, bed.meter(running), bed.audit())
            print(
                f"  {pipelines} Pipelines, {finished} finished Jobs: ready after {running.seconds_to_ready:.1f} s, "
                f"{at_rest_megabytes:.0f} MiB at rest, {one.costs.operator_peak:.0f} MiB at most, "
                f"{jobs} Jobs in {one.seconds:.1f} s, {1000 * one.costs.operator_cpu / jobs:.1f} ms CPU each",
                flush=True,
            )
            found.append(
                {
                    **one.as_json(),
                    "pipelines": pipelines,
                    "finished": finished,
                    "seconds_to_ready": running.seconds_to_ready,
                    "megabytes_at_rest": at_rest_megabytes,
                }
            )
    return {"steps": found}


async def profile(plane: Plane, *, count: int) -> Result:
    """Where the time of many Jobs at once goes: a flame graph of the operator, and the API server's own profile."""
    system = EltJobs()
    flames, ours = FOLDER / "operator.svg", FOLDER / "api-server.pprof"
    async with plane.fresh() as bed, bed.operator() as running:
        await lay_groundwork(bed.place, system, range(count))
        await bed.at_rest()
        seconds = 20
        spy = Path(sys.executable).with_name("py-spy")
        options = (f"--pid={running.process.pid}", f"--duration={seconds}", f"--output={flames}")
        recording = await asyncio.create_subprocess_exec(spy, "record", *options, stdout=asyncio.subprocess.DEVNULL)
        sampled = asyncio.create_task(bed.api_server_profile(seconds, ours))
        one = await makespan(bed.place, system, range(count), bed.meter(running), bed.audit())
        await sampled
        assert await recording.wait() == 0, "py-spy failed"
    return {**one.as_json(), "files": [flames.name, ours.name]}


async def requests(plane: Plane, *, count: int) -> Result:
    """What each request that a Job needs costs the cluster, without an operator that would react."""
    batch, elt = BareBatchJobs(), EltJobs()
    found: Result = {}
    async with plane.fresh() as bed:
        place, names = bed.place, [elt.job(number)["metadata"]["name"] for number in range(count)]
        jobs = place.collection(elt.path, elt.plural)

        async def cost(name: str, request: Callable[[int], Awaitable[Any]]) -> None:
            meter = bed.meter(None)
            await place.each([partial(request, number) for number in range(count)])
            await bed.at_rest()
            found[name] = {process: 1000 * seconds / count for process, seconds in meter.read().cpu.items()}
            told = ", ".join(f"{process} {value:.2f}" for process, value in found[name].items())
            print(f"  {name}, ms CPU: {told}", flush=True)

        async def suspended(number: int) -> None:
            body = batch.job(number)
            await place.create(batch.path, batch.plural, {**body, "spec": {**body["spec"], "suspend": True}})

        def one_pod() -> Awaitable[Makespan]:
            return makespan(place, batch, range(count, count + 1), bed.meter(None), bed.audit())

        await cost("create a Job", lambda number: place.create(elt.path, elt.plural, elt.job(number)))
        await cost("read a Job", lambda number: bed.client.request("GET", f"{jobs}/{names[number]}"))
        await cost("write that it runs", lambda number: _write_status(place, names[number], RUNNING))
        await cost("write how it ended", lambda number: _write_status(place, names[number], ENDED))
        await cost("create a batch Job, suspended", suspended)
        await one_pod()
        (pod,) = [body async for body in bed.client.objects(place.collection("/api/v1", "pods"))]
        await cost("read a log", lambda _: bed.client.log_end(place.name, pod["metadata"]["name"], CONTAINER))
    return found


async def _finished_job(place: Place, number: int) -> None:
    """Make a Job that ended some time ago."""
    system = EltJobs(one_pipeline=True)
    name = f"old-{number:05}"
    await place.create(system.path, system.plural, {**system.job(number), "metadata": {"name": name}})
    await _write_status(place, name, {**ENDED, "logTail": "x" * 500})


async def _write_status(place: Place, job: str, status: Body) -> None:
    path = f"{place.collection(EltJobs.path, EltJobs.plural)}/{job}/status"
    await place.client.request("PATCH", path, {"status": status}, content_type=MERGE_PATCH)


async def idle(plane: Plane, *, pipelines: int, seconds: float) -> Result:
    """Nothing happens, so nothing is written."""
    system = EltJobs()
    async with plane.fresh() as bed:
        await lay_groundwork(bed.place, system, range(pipelines))
        async with bed.operator() as running:
            await bed.at_rest()
            meter, audit = bed.meter(running), bed.audit()
            await asyncio.sleep(seconds)
            costs, writes = meter.read(), dict(audit.writes())
            megabytes = running.process.megabytes
    share = costs.operator_cpu / seconds
    print(f"  {pipelines} Pipelines, {seconds:.0f} s: {sum(writes.values())} writes, {share:.2%} of a core", flush=True)
    return {"seconds": seconds, "writes": writes, "cpu_share": share, "megabytes": megabytes, "costs": asdict(costs)}


async def churn(plane: Plane, *, rounds: int, count: int) -> Result:
    """Pipelines come, run a Job and go again: nothing of them may stay in the operator's memory."""
    system, audit_seconds, megabytes = EltJobs(), 10, []
    async with plane.fresh() as bed, bed.operator(audit_seconds=audit_seconds) as running:
        for turn in range(rounds):
            numbers = range(turn * count, (turn + 1) * count)
            await lay_groundwork(bed.place, system, numbers)
            await makespan(bed.place, system, numbers, bed.meter(running), bed.audit())
            for plural in ("eltpipelines", "eltjobs"):
                await bed.client.request("DELETE", bed.place.collection(system.path, plural))
            await asyncio.sleep(2 * audit_seconds)  # an audit is what forgets, and tells nobody
            await bed.at_rest()
            megabytes.append(running.process.megabytes)
            print(f"  {count} Pipelines have come and gone: {megabytes[-1]:.1f} MiB", flush=True)
    return {"count": count, "megabytes": megabytes}


async def schedules(plane: Plane, *, pipelines: int) -> Result:
    """Many Pipelines whose schedules all fire in the same minute."""
    seen: dict[str, dict[str, float]] = {"slot": {}, "job": {}, "run": {}, "ended": {}}
    created: dict[str, int] = {}
    done = asyncio.Event()

    def batch_job_seen(kind: str, body: Body, came: float) -> None:
        what = "run" if "elt-operator.io/job" in body["metadata"].get("labels", {}) else "slot"
        if kind == "ADDED":
            seen[what].setdefault(body["metadata"]["labels"]["elt-operator.io/pipeline"], came)

    def job_seen(kind: str, body: Body, came: float) -> None:
        pipeline = body["spec"]["pipelineName"]
        if kind == "ADDED":
            created[pipeline] = created.get(pipeline, 0) + 1
            seen["job"].setdefault(pipeline, came)
        if system.ended(body):
            seen["ended"].setdefault(pipeline, came)
            if len(seen["ended"]) == pipelines:
                done.set()

    async with plane.fresh() as bed, bed.operator() as running:
        place = bed.place
        # The first minute that is far enough away for all CronJobs to be there.
        fires = (datetime.now(UTC) + timedelta(seconds=100)).replace(second=0, microsecond=0)  # noqa: TID251 - the clock of the benchmark
        system = EltJobs(spec={"schedule": f"{fires.minute} {fires.hour} * * *"})
        await lay_groundwork(place, system, range(pipelines))
        await bed.at_rest()
        audit, meter = bed.audit(), bed.meter(running)
        wait = (fires - datetime.now(UTC)).total_seconds()  # noqa: TID251 - the clock of the benchmark
        assert wait > 0, "the CronJobs were not there in time"
        minute = time.monotonic() + wait
        async with (
            place.watching("/apis/batch/v1", "jobs", batch_job_seen),
            place.watching(system.path, system.plural, job_seen),
        ):
            await asyncio.wait_for(done.wait(), wait + 600)
        await bed.at_rest()
        costs, writes = meter.read(), dict(audit.writes())
    assert set(created.values()) == {1}, "one Job for each slot"
    assert len(created) == pipelines, "no slot is lost"
    skew = {word: sorted(came - minute for came in of_word.values()) for word, of_word in seen.items()}
    ours = [seen["job"][pipeline] - slot for pipeline, slot in seen["slot"].items()]
    told = {word: {"p50": median(of_word), "p99": percentile(of_word, 0.99)} for word, of_word in skew.items()}
    told["slot to job"] = {"p50": median(ours), "p99": percentile(ours, 0.99)}
    for word, shares in told.items():
        print(f"  {word}: p50 {shares['p50']:.2f} s, p99 {shares['p99']:.2f} s", flush=True)
    return {"pipelines": pipelines, "seconds after the minute": told, "costs": asdict(costs), "writes": writes}


GROWTH: Final = ((100, 0), (1000, 0), (1000, 1000), (1000, 10_000), (5000, 10_000))
"""Pipelines and finished Jobs that lie around."""

PARTS: Final[Mapping[str, Part]] = {
    part.name: part
    for part in (
        Part("default-300", "default", partial(makespans, count=300, times=1)),
        Part("default-1000", "default", partial(makespans, count=1000, times=1), by_default=False),
        Part("tuned-300", "tuned", partial(makespans, count=300, times=3)),
        Part("tuned-1000", "tuned", partial(makespans, count=1000, times=2, besides=[SameBatchJobs()])),
        Part("latency", "tuned", partial(latencies, count=60, period_seconds=0.4)),
        Part("one-pipeline", "tuned", partial(one_queue, count=1000)),
        Part("schedules", "tuned", partial(schedules, pipelines=1000)),
        Part("idle", "tuned", partial(idle, pipelines=1000, seconds=300)),
        Part("changes", "tuned", partial(changes, count=1000, times=2), by_default=False),
        Part("churn", "tuned", partial(churn, rounds=8, count=500), by_default=False),
        Part("requests", "tuned", partial(requests, count=1000), by_default=False),
        Part("profile", "tuned", partial(profile, count=1000), by_default=False),
        Part("growth", "tuned", partial(growth, steps=GROWTH, jobs=100)),
    )
}
