"""The operator is killed at each of its writes and started again: one run for each Job, and the right end."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from e2e.clock import DAILY, lately, text
from e2e.endings import ENDINGS, under_way
from e2e.fault_proxy import ANSWERED, BEFORE, STORED, FaultProxy
from e2e.launcher import forked
from e2e.world import Body, Namespace, Operator, api, ended, kubectl, message, phase, reason

pytestmark = pytest.mark.alone

SIDE_BY_SIDE = 2
"""How many operators of one test are killed at the same time."""


# --- what is gone through, in whole, for each write and each position


@dataclass(frozen=True)
class Flow:
    """One way through the operator's writes."""

    drive: Callable[[Namespace], None]
    """What somebody does, until all is at rest; it fails where the end is not the right one."""
    settings: dict[str, str] = field(default_factory=dict)
    """The operator's."""


def described(namespace: Namespace, job: str) -> None:
    """Wait until the Pipeline's status tells of the end of ``job``."""

    def told(pipeline: Body) -> bool:
        return bool(pipeline.get("status", {}).get("lastJob", {}).get("name") == job)

    namespace.wait("weather", told, 60, "eltpipelines")


def run(namespace: Namespace) -> None:
    namespace.pipeline(script="echo hello; exit 3")
    job = namespace.run(timeout=90)
    assert (job["status"]["phase"], job["status"]["exitCode"], job["status"]["logTail"]) == ("ERROR", 3, "hello")
    described(namespace, "job-1")
    assert [run["metadata"]["name"] for run in namespace.runs()] == ["weather-r1"]
    assert namespace.pods_made() == 1


def stop(namespace: Namespace) -> None:
    ENDINGS["stopped"].begin(namespace)
    namespace.job("job-2")
    ENDINGS["stopped"].act(namespace)
    job = ENDINGS["stopped"].end(namespace)
    # The pod goes with its end; an operator that is away in that second cannot tell of it, and says so.
    assert job["status"]["phase"] == "STOPPED"
    end = (job["status"].get("exitCode"), job["status"].get("logTail"))
    assert end == (143, "working") or "how its process ended is unknown" in message(job)
    namespace.patch("job-2", {"spec": {"stop": True}})
    assert namespace.wait("job-2", ended, 90)["status"]["phase"] == "STOPPED"
    assert namespace.pods_made() <= 2


def retry(namespace: Namespace) -> None:
    ending = ENDINGS["a second try"]
    job = ending.bring_about(namespace)
    tried = [(attempt["reason"], attempt["exitCode"]) for attempt in job["status"]["attempts"]]
    assert (job["status"]["phase"], tried) == ("COMPLETE", ending.attempts)
    described(namespace, "job-1")
    assert namespace.pods_made() == 2


def pending(namespace: Namespace) -> None:
    job = ENDINGS["no image"].bring_about(namespace)
    assert (job["status"]["phase"], job["status"]["reason"]) == ("ERROR", "ImagePullFailed")
    described(namespace, "job-1")
    assert namespace.pods_made() == 1


def delete(namespace: Namespace) -> None:
    namespace.pipeline(script="echo working; sleep 300")
    namespace.job("job-1")
    under_way(namespace)
    namespace.pipeline(script="exit 0")
    namespace.job("job-2")
    namespace.delete_job("job-1")
    assert namespace.wait("job-2", ended, 90)["status"]["phase"] == "COMPLETE"
    described(namespace, "job-2")
    assert [job["metadata"]["name"] for job in namespace.jobs()] == ["job-2"]
    assert [run["metadata"]["labels"]["elt-operator.io/job"] for run in namespace.runs()] == ["job-2"]


def prune(namespace: Namespace) -> None:
    """Runs go as soon as their end is told; of Jobs that look like the operator's own none is kept."""
    namespace.pipeline(successfulJobsHistoryLimit=0)
    namespace.own_job("job-1")
    namespace.job("by-hand")
    namespace.wait("by-hand", ended, 60)
    namespace.until(lambda: [job["metadata"]["name"] for job in namespace.jobs()] == ["by-hand"])
    namespace.until(lambda: namespace.runs() == [])
    assert namespace.pods_made() == 2


def schedule(namespace: Namespace) -> None:
    """A schedule is put in place, makes a Job, changes, makes no Job of another slot, and goes."""
    namespace.pipeline(schedule=DAILY)
    first = namespace.slot(lately(0))
    namespace.wait(first, ended, 90)
    namespace.until(lambda: namespace.slots() == [])
    namespace.pipeline(schedule=DAILY, suspend=True)
    namespace.until(lambda: bool((namespace.cron_job() or {}).get("spec", {}).get("suspend")))
    namespace.slot(lately(1))
    namespace.until(lambda: namespace.slots() == [])
    namespace.pipeline()
    namespace.until(lambda: namespace.cron_jobs() == [])
    described(namespace, first)
    assert [job["metadata"]["name"] for job in namespace.jobs()] == [first]
    assert [run["metadata"]["name"] for run in namespace.runs()] == ["weather-r1"]
    status = namespace.get("weather", "eltpipelines")["status"]
    assert (status["skippedSlots"], status["lastScheduleTime"]) == (1, text(lately(1)))


FLOWS = {
    "run": Flow(run),
    "stop": Flow(stop),
    "retry": Flow(retry),
    "pending": Flow(pending),
    "delete": Flow(delete),
    "schedule": Flow(schedule),
    "prune": Flow(prune, {"RUN_RETENTION_SECONDS": "0", "AUDIT_SECONDS": "2"}),
}


async def gone_through(flow: Flow, name: str, strike_at: int = -1, position: str = BEFORE) -> list[str]:
    """Go through ``flow`` in a namespace of its own, killing the operator once; return the writes that were made."""
    namespace = await asyncio.to_thread(Namespace.create, name)
    operator = Operator(namespace.name, settings=flow.settings, launch=forked)
    proxy = new_proxy(operator, strike_at=strike_at, position=position)
    operator.server = await proxy.start()
    operator.start()
    try:
        await asyncio.to_thread(flow.drive, namespace)
        await asyncio.to_thread(namespace.check_invariants)
        assert "Traceback" not in operator.log()
    except Exception as error:
        error.add_note(f"killed at write {strike_at}, {position}; the writes: {proxy.writes}\n{operator.log()[-3000:]}")
        raise
    finally:
        proxy.disarm()
        operator.kill()
        await proxy.stop()
        await asyncio.to_thread(namespace.delete)
    return proxy.writes


def positions(writes: int) -> list[tuple[int, str]]:
    """Return where to kill it: only what the API server has stored outlives it, so ``writes`` leave one state more.

    Between two writes a kill after the answer, or before the next request, leaves the same as one before the answer.
    CRASHES=all tries those, too.
    """
    if os.environ.get("CRASHES") == "all":
        return [(write, position) for write in range(writes) for position in (BEFORE, STORED, ANSWERED)]
    return [(0, BEFORE), *((write, STORED) for write in range(writes))]


@pytest.mark.long(3)
@pytest.mark.timeout(580 if os.environ.get("CRASHES") != "all" else 1500)
@pytest.mark.parametrize("name", FLOWS)
async def test_killed_at_each_write(name: str, no_operator: None) -> None:  # noqa: ARG001 - it has to be away
    flow = FLOWS[name]
    writes = await gone_through(flow, f"{name}-first")
    free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def killed(write: int, position: str) -> None:
        async with free:
            await gone_through(flow, f"{name}-{write}", write, position)

    async with asyncio.TaskGroup() as cases:
        for write, position in positions(len(writes)):
            cases.create_task(killed(write, position))


# --- and otherwise


@pytest_asyncio.fixture
async def proxy(operator: Operator) -> AsyncIterator[FaultProxy]:
    """A proxy between the test's operator and the API server."""
    made = new_proxy(operator)
    operator.server = await made.start()
    yield made
    made.disarm()
    operator.kill()
    await made.stop()


def new_proxy(operator: Operator, **settings: Any) -> FaultProxy:
    """Return a proxy that kills the operator and starts it again."""
    configuration = api().configuration
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    return FaultProxy(configuration.host, tls, operator.restart, **settings)


async def test_the_writes_of_a_job_are_these(namespace: Namespace, operator: Operator, proxy: FaultProxy) -> None:
    namespace.pipeline(script="exit 0")
    operator.settings = {"RUN_RETENTION_SECONDS": "1"}
    operator.start()
    await asyncio.to_thread(namespace.run)
    await asyncio.to_thread(described, namespace, "job-1")
    await asyncio.to_thread(namespace.until, lambda: namespace.runs() == [])

    place = f"namespaces/{namespace.name}"
    of_jobs = [write for write in proxy.writes if "eltpipelines" not in write]
    assert of_jobs == [
        f"POST /apis/batch/v1/{place}/jobs",
        f"PATCH /apis/elt-operator.io/v1alpha1/{place}/eltjobs/job-1/status",
        f"PATCH /apis/elt-operator.io/v1alpha1/{place}/eltjobs/job-1/status",
        f"DELETE /apis/batch/v1/{place}/jobs/weather-r1",
    ]
    assert len(of_jobs) < len(proxy.writes) <= 6


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
    second = Operator(namespace.name, launch=forked)
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


async def test_a_run_that_went_while_the_operator_was_away_is_lost(namespace: Namespace, operator: Operator) -> None:
    namespace.pipeline(script="echo working; sleep 300")
    namespace.job()
    operator.start()
    await asyncio.to_thread(under_way, namespace)
    await asyncio.to_thread(namespace.wait, "job-1", phase("RUNNING"))
    operator.kill()
    await asyncio.to_thread(kubectl, "delete", "--namespace", namespace.name, "job", "weather-r1", "--timeout=60s")

    operator.start()

    job = await asyncio.to_thread(namespace.wait, "job-1", ended)
    assert (job["status"]["phase"], job["status"]["reason"]) == ("UNKNOWN", "ResultLost")
    assert "exitCode" not in job["status"]
    assert namespace.pods_made() == 1


async def test_a_job_with_an_end_is_never_run_again(namespace: Namespace, operator: Operator) -> None:
    """As after a backup was restored with its status, while the operator was away."""
    namespace.pipeline(script="exit 0")
    namespace.job()
    namespace.restore_status("job-1", {"phase": "COMPLETE", "reason": "Completed"})
    namespace.job("job-2")

    operator.start()

    await asyncio.to_thread(namespace.wait, "job-2", ended)
    assert [run["metadata"]["labels"]["elt-operator.io/job"] for run in namespace.runs()] == ["job-2"]


async def test_what_is_deleted_while_the_watches_are_down_is_noticed(
    namespace: Namespace, operator: Operator, proxy: FaultProxy
) -> None:
    """kopf tells of no deletion that happened while its stream was broken; the next Job must not wait for it."""
    namespace.pipeline(script="echo working; sleep 300", pod={"terminationGracePeriodSeconds": 1})
    namespace.job("first")
    operator.start()
    await asyncio.to_thread(under_way, namespace)
    namespace.pipeline(script="exit 0")
    namespace.job("second")
    await asyncio.to_thread(namespace.wait, "second", reason("PipelineBusy"))

    proxy.sever()
    namespace.delete_job("first")
    await asyncio.to_thread(namespace.until, lambda: namespace.pods() == [])
    proxy.heal()

    job = await asyncio.to_thread(namespace.wait, "second", ended, 30)
    assert job["status"]["phase"] == "COMPLETE"


async def test_what_is_created_while_the_watches_are_down_is_noticed(
    namespace: Namespace, operator: Operator, proxy: FaultProxy
) -> None:
    namespace.pipeline(script="exit 0")
    operator.start()
    await asyncio.to_thread(namespace.run)

    proxy.sever()
    namespace.job("second")
    proxy.heal()

    assert (await asyncio.to_thread(namespace.wait, "second", ended, 30))["status"]["phase"] == "COMPLETE"
