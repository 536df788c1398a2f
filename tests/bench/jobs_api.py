"""``make bench-api``: the Jobs API beside a real API server: lists, one Job, memory, changes, event streams."""

import asyncio
import contextlib
import os
import random
import re
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp

from bench.api import Place, namespace
from bench.kept_logs import percentile, resident_mb, timed
from e2e.programs import OwnApi
from e2e.served import account
from e2e.world import Namespace, kubectl, scale_operator
from elt_operator.kube import login
from elt_operator.kube.client import MERGE_PATCH, Client
from elt_operator.resources import names

CLIENTS = 4
PIPELINES = 50
STREAMS = 500
CHANGES = 100
RUNNING = 200
"""How many Jobs go on: the status of one that has ended cannot change."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_RANDOM = random.Random(18)  # noqa: S311 - the same requests each time
_COUNTED = re.compile(r'^apiserver_request_total\{.*resource="(eltjobs|selfsubject\w+)".*\} (\S+)$', re.MULTILINE)
_JOBS_ROOT = names.API_ROOT
Body = dict[str, Any]


def a_job(number: int) -> tuple[Body, Body]:
    """Return a Job of some Pipeline, and its status: the first ones run, all others have ended as most do."""
    pipeline, start = f"pipeline-{number % PIPELINES}", _BEGIN + timedelta(seconds=7 * number % 1_000_000)
    begun, ended = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (start, start + timedelta(seconds=1 + number % 300)))
    run = f"{pipeline}-r{number // PIPELINES + 1}"
    job = {
        "apiVersion": names.API_VERSION, "kind": "Job", "metadata": {"name": f"{pipeline}-{29_000_000 + number}"},
        "spec": {"pipelineName": pipeline, "trigger": {"type": "Schedule", "scheduledTime": begun,
                 "intervalStart": begun, "intervalEnd": ended}},
    }  # fmt: skip
    said = f"The run ended with exit code 0 after {number % 300} s."
    status = {
        "phase": "COMPLETE", "reason": "Completed", "startTime": begun, "endTime": ended, "exitCode": 0,
        "taskName": run, "arguments": ["run tap-weather target-postgres"], "result": {"rows": number},
        "attempts": [{"number": 1, "pod": f"{run}-{number % 99991:05x}", "exitCode": 0, "reason": "Completed"}],
        "conditions": [{"type": "Succeeded", "status": "True", "reason": "Completed", "message": said,
                        "lastTransitionTime": ended, "observedGeneration": 1}],
    }  # fmt: skip
    if number < RUNNING:
        status = {"phase": "RUNNING", "reason": "Running", "startTime": begun, "taskName": run}
    return job, status


@dataclass
class Bed:
    """Jobs on a real API server, and somebody who may read them."""

    place: Place
    token: str
    uids: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    """The names of the Jobs."""

    def path(self, name: str = "") -> str:
        return self.place.collection(_JOBS_ROOT, names.JOBS) + (f"/{name}" if name else "")

    async def fill(self, count: int) -> None:
        """Have so many Jobs, each with the status of one that has ended."""

        async def make(number: int) -> None:
            job, status = a_job(number)
            made = await self.place.create(_JOBS_ROOT, names.JOBS, job)
            self.uids[number], self.jobs[number] = made["metadata"]["uid"], job["metadata"]["name"]
            await self.place.client.request(
                "PATCH", f"{self.path(job['metadata']['name'])}/status", {"status": status}, content_type=MERGE_PATCH
            )

        there = len(self.uids)
        self.uids += [""] * (count - there)
        self.jobs += [""] * (count - there)
        await self.place.each([partial(make, number) for number in range(there, count)])

    async def change(self, name: str, said: str) -> None:
        """Change the message of a Job that runs."""
        body = {"status": {"exitMessage": said}}
        await self.place.client.request("PATCH", f"{self.path(name)}/status", body, content_type=MERGE_PATCH)


async def asked_of_the_api_server() -> float:
    """Return how many requests about Jobs and rights the API server has answered, by its own account."""
    text = await asyncio.to_thread(kubectl, "get", "--raw", "/metrics")
    return sum(float(value) for _, value in _COUNTED.findall(text))


async def clients(api: OwnApi, token: str, count: int, path: Callable[[], str]) -> list[float]:
    """Have several clients ask, one request after another each; return the seconds of each request."""
    times: list[float] = []

    async def one() -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            times.extend([await timed(session, f"{api.url}{path()}") for _ in range(count // CLIENTS)])

    await asyncio.gather(*(one() for _ in range(CLIENTS)))
    return times


def tell(what: str, seconds: Sequence[float]) -> None:
    p50, p99 = (1e3 * percentile(list(seconds), part) for part in (0.5, 0.99))
    print(f"{what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)


async def reads(api: OwnApi, bed: Bed) -> None:
    """Measure lists and single Jobs, and what they cost the API server."""
    jobs = f"/api/workspaces/{bed.place.name}/jobs"
    await clients(api, bed.token, 100, lambda: jobs)
    before = await asked_of_the_api_server()
    for what, count, path in (
        ("list of 20", 4_000, lambda: jobs), ("list of 1,000", 400, lambda: f"{jobs}?size=1000"),
        ("one Job", 8_000, lambda: f"/api/jobs/{_RANDOM.choice(bed.uids)}"),
    ):  # fmt: skip
        tell(f"{what} of {len(bed.uids):,}", await clients(api, bed.token, count, path))
    asked = await asked_of_the_api_server() - before
    print(f"requests to the API server for 12,400 reads: {asked:.0f}", flush=True)


async def visible(api: OwnApi, bed: Bed) -> None:
    """Measure how long a change takes until a list shows it."""
    seconds = []
    path, headers = f"{api.url}/api/jobs/", {"Authorization": f"Bearer {bed.token}", "enable-task-details": "true"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(CHANGES):
            await bed.change(bed.jobs[number], "changed")
            begun = time.monotonic()
            while True:
                async with session.get(path + bed.uids[number]) as answer:
                    if (await answer.json(content_type=None))["exitMessage"] == "changed":
                        break
                await asyncio.sleep(0.002)
            seconds.append(time.monotonic() - begun)
    tell("a change is visible after", seconds)


@contextlib.asynccontextmanager
async def streams(api: OwnApi, bed: Bed, count: int, took: Callable[[bytes], None]) -> AsyncIterator[None]:
    """Have so many clients that listen to what happens."""
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {bed.token}"}
    ready = asyncio.Semaphore(0)

    async def listen(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{api.url}/api/events?workspace={bed.place.name}") as answer:
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                if line.startswith(b"event: reset"):
                    ready.release()
                if line.startswith(b'data: {"id"'):
                    took(line)

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:
        tasks = [asyncio.create_task(listen(session)) for _ in range(count)]
        for _ in range(count):
            await ready.acquire()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def events(api: OwnApi, bed: Bed, pid: int) -> None:
    """Measure how long an event takes to reach all of many clients, and what that costs."""
    sent: dict[str, float] = {}
    seconds: list[float] = []

    def took(line: bytes) -> None:
        uid = line.split(b'"', 4)[3].decode()
        if uid in sent:
            seconds.append(time.monotonic() - sent[uid])

    async with streams(api, bed, STREAMS, took):
        for number in range(CHANGES):
            await bed.change(bed.jobs[number], f"told {os.urandom(4).hex()}")
            sent[bed.uids[number]] = time.monotonic()
            await asyncio.sleep(0.2)
        await asyncio.sleep(2)
        tell(f"an event reaches {STREAMS} clients after ({len(seconds):,} received)", seconds)
        print(f"memory with {STREAMS} streams: {resident_mb(pid):.0f} MB", flush=True)
        begun = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        assert api.program.process
        await asyncio.to_thread(api.program.process.wait)
        print(f"told to end with {STREAMS} streams: ends after {time.monotonic() - begun:.1f} s", flush=True)


async def slow(api: OwnApi, bed: Bed, pid: int) -> None:
    """Measure the memory while clients ask for long lists, and listen, and do not read."""
    writers = []
    host, port = api.url.removeprefix("http://").split(":")
    for number in range(200):
        _, writer = await asyncio.open_connection(host, int(port), limit=1_024)
        path = (
            f"/api/workspaces/{bed.place.name}/jobs?size=1000"
            if number % 2
            else f"/api/events?workspace={bed.place.name}"
        )
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bed.token}\r\n\r\n"
        writer.write(request.encode() * (3 if number % 2 else 1))
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's
        writers.append(writer)
    for round_ in range(10):
        await asyncio.gather(*(bed.change(name, f"round {round_}") for name in bed.jobs[:50]))
    print(f"memory with 200 clients that do not read: {resident_mb(pid):.0f} MB", flush=True)
    for writer in writers:
        writer.transport.abort()


async def measure(sizes: Sequence[int]) -> None:
    """Measure with so many Jobs, then with more."""
    async with Client(await login.configuration(), "bench") as client:
        place = await namespace(client, f"bench-api-{os.getpid()}")
        token = await asyncio.to_thread(account, Namespace(place.name), "viewer", "view")
        bed = Bed(place, token)
        for number in range(PIPELINES):
            spec = {"image": "localhost/elt-test:dev", "command": ["true"]}
            body = {
                "apiVersion": names.API_VERSION,
                "kind": "Pipeline",
                "metadata": {"name": f"pipeline-{number}"},
                "spec": spec,
            }
            await place.create(_JOBS_ROOT, names.PIPELINES, body)
        for size in sizes:
            await bed.fill(size)
            await one_size(bed)


async def one_size(bed: Bed) -> None:
    """Measure an API that begins with what there is now."""
    many = {"ELT_OPERATOR_READS_PER_SECOND": "100000"}
    api = await asyncio.to_thread(OwnApi, settings=many)
    begun = time.monotonic()
    await asyncio.to_thread(api.start, bed.token)
    assert api.program.process
    pid = api.program.process.pid
    print(
        f"{len(bed.uids):,} Jobs: ready after {time.monotonic() - begun:.1f} s, {resident_mb(pid):.0f} MB", flush=True
    )
    try:
        await reads(api, bed)
        print(f"memory after the reads: {resident_mb(pid):.0f} MB", flush=True)
        await visible(api, bed)
        await slow(api, bed, pid)
        await events(api, bed, pid)
    finally:
        await asyncio.to_thread(api.close)


def main() -> None:
    """Measure, and print."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8_192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    scale_operator(0)
    others = ["scale", "--namespace=elt-operator", "deployment/elt-operator-api", "deployment/elt-operator-logs"]
    kubectl(*others, "--replicas=0")
    try:
        asyncio.run(measure([int(size) for size in sys.argv[1:]] or [10_000, 100_000]))
    finally:
        kubectl(*others, "--replicas=1")
        scale_operator(1)


if __name__ == "__main__":
    main()
