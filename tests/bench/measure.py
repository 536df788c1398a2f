"""What is measured: how long many jobs take, how long one takes at rest, what processes cost meanwhile."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from bench.api import Body, Place
from bench.costs import Audit, Costs, Meter
from bench.systems import System

LONGEST_SECONDS = 900


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie; the nearest of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Makespan:
    """Many jobs, all created at once, until the last one has ended."""

    system: str
    jobs: int
    seconds: float
    creating_seconds: float
    costs: Costs
    writes: dict[str, int]
    """By the operator: verb and kind, in all."""

    @property
    def jobs_per_minute(self) -> float:
        """How many jobs got through in a minute."""
        return 60 * self.jobs / self.seconds

    def as_json(self) -> dict[str, Any]:
        """Return it for the file of results."""
        return {**asdict(self), "jobs_per_minute": self.jobs_per_minute}


async def lay_groundwork(place: Place, system: System, numbers: Sequence[int]) -> None:
    """Make what must be there before the jobs of these numbers are created."""
    things = [thing for number in numbers for thing in system.groundwork(number)]
    await place.each([partial(place.create, *thing) for thing in things])


async def makespan(place: Place, system: System, numbers: Sequence[int], meter: Meter, audit: Audit) -> Makespan:
    """Create the jobs of these numbers as fast as the API server takes them; return when the last one has ended."""
    over: set[str] = set()
    jobs = [system.job(number) for number in numbers]
    names = {job["metadata"]["name"] for job in jobs}
    done = asyncio.Event()

    def seen(_kind: str, body: Body, _came: float) -> None:
        if system.ended(body) and body["metadata"]["name"] in names:
            over.add(body["metadata"]["name"])
            if over == names:
                done.set()

    async with place.watching(system.path, system.plural, seen):
        start = time.monotonic()
        await place.each([partial(place.create, system.path, system.plural, job) for job in jobs])
        created = time.monotonic()
        await asyncio.wait_for(done.wait(), LONGEST_SECONDS)
        end = time.monotonic()
    costs = meter.read()
    await asyncio.sleep(3)  # for what is written for people once the rest is done
    return Makespan(system.name, len(jobs), end - start, created - start, costs, dict(audit.writes()))


@dataclass
class Latency:
    """One job after the other on a cluster at rest: seconds."""

    system: str
    jobs: int
    created_to_run: list[float]
    created_to_pod: list[float]
    pod_ended_to_job_ended: list[float]

    def as_json(self) -> dict[str, Any]:
        """Return it for the file of results: percentiles."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        names = ("created_to_run", "created_to_pod", "pod_ended_to_job_ended")
        told = {
            name: {word: percentile(getattr(self, name), share) for word, share in shares.items()} for name in names
        }
        return {**asdict(self), **told}


@dataclass
class _Times:
    """When each job came to each point, by the job's number; one observer's clock for all of them."""

    created: dict[int, float] = field(default_factory=dict)
    run: dict[int, float] = field(default_factory=dict)
    pod: dict[int, float] = field(default_factory=dict)
    pod_ended: dict[int, float] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)

    def between(self, first: str, second: str) -> list[float]:
        begins, ends = getattr(self, first), getattr(self, second)
        return [ends[number] - begins[number] for number in begins if number in ends]


def _number(name: str) -> int:
    """Return the number in the name of a job, a Pipeline's run, or a pod of either."""
    return int(name.split("-")[1])


async def latency(place: Place, system: System, count: int, period_seconds: float) -> Latency:
    """Create a job each ``period_seconds``; all of them end before the next one begins, or soon after."""
    times, done = _Times(), asyncio.Event()

    def job_seen(_kind: str, body: Body, came: float) -> None:
        if system.ended(body):
            times.ended.setdefault(_number(body["metadata"]["name"]), came)
            if len(times.ended) == count:
                done.set()

    def run_seen(_kind: str, body: Body, came: float) -> None:
        times.run.setdefault(_number(body["metadata"]["name"]), came)

    def pod_seen(_kind: str, body: Body, came: float) -> None:
        number = _number(body["metadata"]["name"])
        times.pod.setdefault(number, came)
        if body.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            times.pod_ended.setdefault(number, came)

    await lay_groundwork(place, system, range(count))
    await asyncio.sleep(3)
    async with AsyncExitStack() as stack:
        for path, plural, seen in (
            (system.path, system.plural, job_seen),
            ("/apis/batch/v1", "jobs", run_seen),
            ("/api/v1", "pods", pod_seen),
        ):
            await stack.enter_async_context(place.watching(path, plural, seen))
        for number in range(count):
            times.created[number] = time.monotonic()
            await place.create(system.path, system.plural, system.job(number))
            await asyncio.sleep(period_seconds)
        await asyncio.wait_for(done.wait(), LONGEST_SECONDS)
    return Latency(
        system.name,
        count,
        times.between("created", "run"),
        times.between("created", "pod"),
        times.between("pod_ended", "ended"),
    )
