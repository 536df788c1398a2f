"""The operator is killed at each of its writes and started again: one run for each Job, and the right end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from e2e.fault_proxy import ANSWERED, BEFORE, STORED, FaultProxy
from e2e.world import Namespace, Operator, api, ended

pytestmark = pytest.mark.alone

# What one Job costs: run, RUNNING, end; and the Pipeline's status, once or a few times. Checked below.
WRITES = range(5)


@pytest_asyncio.fixture
async def proxy(operator: Operator) -> AsyncIterator[FaultProxy]:
    """A proxy that kills the operator and starts it again."""

    def strike() -> None:
        operator.kill()
        operator.start()

    settings = api().configuration
    tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    made = FaultProxy(settings.host, tls, strike)
    operator.server = await made.start()
    yield made
    operator.kill()
    await made.stop()


async def carry_out(namespace: Namespace, operator: Operator, **pipeline: Any) -> dict[str, Any]:
    """Create a Pipeline and a Job, then start the operator; return the Job when it has ended."""
    namespace.pipeline(**pipeline)
    namespace.job()
    operator.start()
    return await asyncio.to_thread(namespace.wait, "job-1", ended, 90)


def described(pipeline: dict[str, Any]) -> bool:
    """Whether a Pipeline's status tells of its Job's end."""
    return "lastJob" in pipeline.get("status", {})


@pytest.mark.parametrize("position", [BEFORE, STORED, ANSWERED])
@pytest.mark.parametrize("write", WRITES)
async def test_killed_at_a_write(
    namespace: Namespace, operator: Operator, proxy: FaultProxy, write: int, position: str
) -> None:
    proxy.strike_at, proxy.position = write, position

    job = await carry_out(namespace, operator, script="echo hello; exit 3")

    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("ERROR", 3)
    assert job["status"]["logTail"] == "hello"
    assert [run["metadata"]["name"] for run in namespace.runs()] == ["weather-r1"]
    assert len(namespace.pods()) == 1
    pipeline = await asyncio.to_thread(namespace.wait, "weather", described, 30, "eltpipelines")
    assert pipeline["status"]["lastJob"]["phase"] == "ERROR"
    assert "Traceback" not in operator.log()


async def test_the_writes_of_a_job_are_these(namespace: Namespace, operator: Operator, proxy: FaultProxy) -> None:
    await carry_out(namespace, operator, script="exit 0")
    await asyncio.to_thread(namespace.wait, "weather", described, 30, "eltpipelines")

    place = f"namespaces/{namespace.name}"
    hot_path = [write for write in proxy.writes if "eltpipelines" not in write]
    assert hot_path == [
        f"POST /apis/batch/v1/{place}/jobs",
        f"PATCH /apis/elt-operator.io/v1alpha1/{place}/eltjobs/job-1/status",
        f"PATCH /apis/elt-operator.io/v1alpha1/{place}/eltjobs/job-1/status",
    ]
    assert len(hot_path) < len(proxy.writes) <= len(WRITES)


async def test_away_while_the_run_starts_and_ends(namespace: Namespace, operator: Operator, proxy: FaultProxy) -> None:
    proxy.strike_at, proxy.position = 0, STORED
    proxy.strike = operator.kill  # and it stays away
    namespace.pipeline(script="echo alone; exit 4")
    namespace.job()
    operator.start()
    await asyncio.to_thread(namespace.wait_for_pod, lambda pod: pod["status"]["phase"] == "Failed")

    operator.start()

    job = await asyncio.to_thread(namespace.wait, "job-1", ended)
    assert (job["status"]["exitCode"], job["status"]["logTail"]) == (4, "alone")
    assert len(namespace.runs()) == 1


async def test_two_operators_at_once(namespace: Namespace, operator: Operator) -> None:
    second = Operator(namespace.name)
    operator.start()
    second.start()
    namespace.pipeline(script="true")
    for number in range(5):
        namespace.job(f"job-{number}")

    for number in range(5):
        job = await asyncio.to_thread(namespace.wait, f"job-{number}", ended, 90)
        assert job["status"]["phase"] == "COMPLETE"
    second.kill()

    assert len(namespace.runs()) == 5
