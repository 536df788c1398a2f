"""``make bench-logs``: what kept logs cost, without a cluster: the reader, the size of what is stored, the door."""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from e2e import s3
from elt_operator.archive import frames
from elt_operator.archive.exchange import Known
from elt_operator.archive.manifest import Whose
from elt_operator.log_reader.files import ContainerFiles
from elt_operator.log_reader.tail import Tail
from elt_operator.logs import program, stores
from elt_operator.logs.metrics import Metrics
from elt_operator.settings.logs import Settings
from unit.logs import chain as chains
from unit.logs.chain import JOB, POD, READER, ApiServer

LINES = 1_000_000
MOST_PODS = 110
READS = 300
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_RANDOM = random.Random(17)  # noqa: S311 - the same log each time


def lines(count: int) -> Iterator[bytes]:
    """Yield lines as Meltano writes them with `--log-format=json`, each with words and numbers of its own."""
    words = [f"{_RANDOM.getrandbits(40):010x}" for _ in range(5_000)]
    for number in range(count):
        told = {
            "cmd_type": "elb", "consumer": number % 2 == 0, "event": " ".join(_RANDOM.choices(words, k=6)),
            "job_name": "prod:tap-weather-to-target-postgres", "level": "info", "name": "tap-weather",
            "run_id": "8f9a3c1e-7d52-4c39-9d0e-4a1b6f7c8d90", "stdio": "stderr", "string_id": "tap-weather",
            "timestamp": (_BEGIN + timedelta(milliseconds=3 * number, microseconds=_RANDOM.randrange(999))).isoformat(),
        }  # fmt: skip
        yield json.dumps(told).encode()


def write_log(path: Path, count: int) -> int:
    """Write a log file as containerd does; return the bytes that the process wrote."""
    size = 0
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for number, line in enumerate(lines(count)):
            moment = _BEGIN + timedelta(milliseconds=3 * number, microseconds=_RANDOM.randrange(999))
            file.write(f"{moment:%Y-%m-%dT%H:%M:%S.%f}{_RANDOM.randrange(1000):03}Z stdout F ".encode() + line + b"\n")
            size += len(line) + 1
    return size


def read(folder: Path) -> tuple[list[bytes], float]:
    """Return the frames of a log, and the seconds of CPU that they took."""
    begun, now = time.process_time(), 0.0
    tail = Tail.of(POD, ContainerFiles(folder), 0.0, Known())
    tail.ended = True
    found: list[bytes] = []
    while not tail.closed:
        now += 0.5
        tail.files.look(now)
        found += [frames.encoded(frame) for frame in tail.step(now)]
    return found, time.process_time() - begun


def percentile(values: list[float], part: float) -> float:
    return statistics.quantiles(values, n=100)[round(part * 100) - 1]


async def door(url: str, found: list[bytes]) -> dict[str, float]:
    """Keep a log in a store, and read from it by its door."""
    store, metrics, api_server = stores.opened(url), Metrics(), ApiServer()
    parts = program.parts(api_server, store, metrics, Settings(reader_user=READER))  # type: ignore[arg-type]  # a client
    watched = parts.keeper.watched
    watched.take_job(chains.job())
    watched.take_pod(chains.pod())
    (job,) = watched.unsettled()
    whose = Whose(job=job.name, pod="weather-1-abcde", node="node-1")
    begun = time.process_time()
    for data in found:
        await parts.keeper.open_logs.take(whose, POD, data)
    taking = time.process_time() - begun
    watched.take_pod(chains.pod(ended=True))
    watched.take_job(chains.job("COMPLETE"))
    begun = time.monotonic()
    await parts.keeper.settle(watched.unsettled()[0])
    settling = time.monotonic() - begun
    parts.door.is_open = True
    runner = web.AppRunner(parts.door.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/logs/{JOB}"
    try:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer alice"}) as session:
            seconds = [
                await timed(session, f"{address}?sequence={_RANDOM.randrange(LINES)}&limit=1") for _ in range(READS)
            ]
            whole = await timed(session, address)
    finally:
        await runner.cleanup()
    return {
        "taking, s CPU": taking, "settling, s": settling, "whole log, s": whole,
        "one line p50, ms": 1e3 * percentile(seconds, 0.5), "one line p99, ms": 1e3 * percentile(seconds, 0.99),
    }  # fmt: skip


async def timed(session: aiohttp.ClientSession, url: str) -> float:
    """Return how long an answer takes."""
    begun = time.monotonic()
    async with session.get(url) as answer:
        assert answer.status == 200
        async for _ in answer.content.iter_any():
            pass
    return time.monotonic() - begun


@contextmanager
def reader(folder: Path) -> Iterator[int]:
    """Run a reader for so many pods; give its process number."""
    for number in range(MOST_PODS):
        pod = folder / f"pods/team_run-{number}_{number:08}-0000-4000-8000-000000000000/elt"
        pod.mkdir(parents=True)
        (pod / "0.log").write_bytes(b"2026-01-01T00:00:00.000000001Z stdout F a line\n" * 2_000)
    (folder / "token").write_text("x")
    keeper = subprocess.Popen([sys.executable, "-m", "bench.fake_keeper"], stdout=subprocess.PIPE, text=True)
    assert keeper.stdout
    environment = {
        **os.environ, "ELT_OPERATOR_KEEPER_URL": keeper.stdout.readline().strip(), "ELT_OPERATOR_HEALTH_PORT": "0",
        "ELT_OPERATOR_KEEPER_TOKEN": str(folder / "token"), "ELT_OPERATOR_POD_LOGS": str(folder / "pods"),
        "ELT_OPERATOR_SPOOL": str(folder / "spool"),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "elt_operator", "log-reader"], env=environment)
    try:
        yield process.pid
    finally:
        for one in (process, keeper):
            one.kill()
            one.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1000


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory(prefix="elt-bench-") as name:
        folder = Path(name)
        size = write_log(folder / "log/elt/0.log", LINES)
        found, seconds = read(folder / "log/elt")
        stored = sum(frames.decoded(data).stored_size for data in found)
        print(f"log: {size / 1e6:.0f} MB, {LINES} lines")
        print(f"reader: {size / 1e6 / seconds:.0f} MB/s of a core, masking included")
        print(f"stored: {stored / size:.4f} of the text, times and frames included")
        places: list[tuple[str, AbstractContextManager[Any]]] = [
            ("volume", nullcontext()), ("s3", s3.running(folder / "s3")),
        ]  # fmt: skip
        for kind, place in places:
            with place as server:
                if server:
                    os.environ.update(server.variables)
                url = f"s3://{s3.BUCKET}/x" if server else str(folder / "volume")
                told = asyncio.run(door(url, found))
            print(f"{kind}: " + ", ".join(f"{what} {value:.2f}" for what, value in told.items()))
        with reader(folder / "node") as pid:
            time.sleep(20)
            begun, memory = cpu_seconds(pid), resident_mb(pid)
            time.sleep(30)
            spent = (cpu_seconds(pid) - begun) / 30
            print(f"reader at rest, {MOST_PODS} pods: {memory:.0f} MB, {100 * spent:.2f} % of a core")


if __name__ == "__main__":
    main()
