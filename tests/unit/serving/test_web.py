"""The HTTP port, as the kubelet and Prometheus see it."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from builders import KEY
from elt_operator.controller import sources
from elt_operator.controller.cache import Cache
from elt_operator.controller.metrics import Metrics, State
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.core.model import PipelineKey
from elt_operator.serving import web
from elt_operator.serving.background import Background


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    """The address of an operator that is alive, but has not listed everything."""
    port, metrics, cache = free_port(), Metrics(), Cache()
    queue: WorkQueue[PipelineKey] = WorkQueue()
    queue.add(KEY)
    cache.jobs.take(
        {
            "metadata": {"namespace": "default", "name": "job-1", "uid": "u", "resourceVersion": "1"},
            "spec": {"pipelineName": KEY.pipeline},
        }
    )
    cache.pipelines.take(
        {
            "metadata": {"namespace": "default", "name": KEY.pipeline, "uid": "p", "resourceVersion": "1"},
            "spec": {"image": "elt:1", "command": ["true"]},
            "status": {"lastSuccessfulTime": "2026-01-05T06:00:00Z"},
        }
    )
    places = Places(["default", "forbidden"])
    for source in sources.of("default"):
        places.begun(source)
    metrics.registry.register(State(cache, queue, lambda: True, places, pipelines=True))
    metrics.count_request("GET", 200)
    metrics.jobs_ended.labels("ERROR", "OutOfMemory").inc()
    metrics.count_unreadable("pods")
    live = {"watches": lambda: "", "lease": lambda: ""}
    ready = {
        "resource types": lambda: web.Note("left out: b"),
        "caches": lambda: "the first listing of all objects has not finished",
    }
    async with Background() as tasks, web.serving(port, tasks, live=live, ready=ready, metrics=metrics.text):
        yield f"http://127.0.0.1:{port}"


async def get(address: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return answer.status, await answer.text()


async def test_alive_but_not_ready(url: str) -> None:
    assert await get(f"{url}/livez") == (200, "[+] event loop: ok\n[+] watches: ok\n[+] lease: ok\n")
    assert await get(f"{url}/readyz") == (
        500,
        "[+] resource types: ok; left out: b\n[-] caches: the first listing of all objects has not finished\n",
    )


async def test_the_metrics(url: str) -> None:
    code, text = await get(f"{url}/metrics")

    assert code == 200
    for line in (
        'elt_operator_jobs{phase="QUEUED",reason="Queued"} 1.0',
        'elt_operator_jobs_ended_total{phase="ERROR",reason="OutOfMemory"} 1.0',
        'elt_operator_api_requests_total{code="200",verb="GET"} 1.0',
        "elt_operator_queue_depth 1.0",
        'elt_operator_unreadable_objects_total{kind="pods"} 1.0',
        'elt_operator_namespace_served{namespace="default"} 1.0',
        'elt_operator_namespace_served{namespace="forbidden"} 0.0',
        "elt_operator_leader 1.0",
        'elt_operator_pipeline_last_success_timestamp_seconds{namespace="default",pipeline="weather"} 1.7675928e+09',
    ):
        assert line in text.splitlines(), text


async def test_without_a_port_nothing_is_served() -> None:
    before = asyncio.all_tasks()
    async with Background() as tasks, web.serving(0, tasks, live={}, ready={}, metrics=lambda: b""):
        assert asyncio.all_tasks() == before


def test_a_late_event_loop_is_told() -> None:
    lag = web.Lag()
    assert lag.check() == ""

    lag._recent.append(7.2)

    assert lag.check() == "the event loop is 7.2 s late"
