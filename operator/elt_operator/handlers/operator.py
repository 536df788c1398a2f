"""The operator as a whole: what it is made of, in which order it starts, and what keeps it alive."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import kopf

from elt_operator.api import names
from elt_operator.core.situation import Key
from elt_operator.handlers import checks, stateless, watches, web
from elt_operator.kube import sources
from elt_operator.kube.audit import Audit
from elt_operator.kube.cache import Cache
from elt_operator.kube.client import Client
from elt_operator.kube.cluster import LiveCluster
from elt_operator.kube.leadership import Leadership
from elt_operator.kube.lease import Lease
from elt_operator.kube.metrics import Metrics, State
from elt_operator.kube.queue import WorkQueue
from elt_operator.kube.reconciler import Reconciler
from elt_operator.kube.reflector import Reflector
from elt_operator.kube.resource_types import ResourceTypes
from elt_operator.settings import Settings

logger = logging.getLogger(__name__)

_RESTART_SECONDS: Final = 2.0


def now() -> datetime:
    """Return the present in whole seconds, as Kubernetes counts; the one place that reads the clock."""
    return datetime.now(UTC).replace(microsecond=0)


def exact_now() -> datetime:
    """Return the present with its microseconds, as a Lease has it."""
    return datetime.now(UTC)


async def run(settings: Settings) -> None:
    """Look after all Pipelines until SIGTERM or SIGINT; one that comes before the watches begin cancels it."""
    _end_by_cancelling()
    async with await Client.connect() as client, client.another() as for_lease:
        metrics, cache = Metrics(), Cache()
        client.count = metrics.count_request
        queue: WorkQueue[Key] = WorkQueue()
        cluster = LiveCluster.behind(client)
        audit = Audit(
            cluster, cache, queue, settings.namespaces, settings.audit_seconds, restarted=metrics.count_watch_restart
        )
        lease = (
            Lease(for_lease, settings.lease_namespace, settings.lease_name, settings.identity, exact_now)
            if settings.lease_namespace
            else None
        )
        leadership = Leadership(lease)
        client.may_write = leadership.may_write
        metrics.registry.register(State(cache, queue, leadership.acts, pipelines=settings.pipeline_metrics))
        reconciler = Reconciler(cluster, cache, queue, now, settings.limits, metrics, leadership.acts)
        served = ResourceTypes(client)
        live, ready = checks.of(served, audit, lease, settings)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                web.serving(settings.health_port, live=live, ready=ready, metrics=metrics.text)
            )
            await served.wait()
            # Nothing is decided before everything was listed: a run that is not known yet would be made again.
            await audit.until_done()
            # kopf ends the tasks that start after it; so these start before.
            await stack.enter_async_context(_background(reconciler, audit, leadership, settings))
            await _watch(client, audit, leadership, settings)
        queue.close()


def _end_by_cancelling() -> None:
    """Have SIGTERM cancel this task until kopf sets its own handler: a pod's first process would ignore it."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@asynccontextmanager
async def _background(
    reconciler: Reconciler, audit: Audit, leadership: Leadership, settings: Settings
) -> AsyncIterator[None]:
    """Run the workers, the reflectors, the audit and the Lease for as long as the context lasts."""

    async def tell() -> None:
        await audit.watching.wait()
        logger.info("looking after %s", ", ".join(settings.namespaces) or "all namespaces")

    async def work() -> None:
        # What is stopped or deleted must be seen to end; so nothing is done before the watches run.
        await audit.watching.wait()
        await reconciler.queue.work(reconciler.look_at)

    reflectors = [
        Reflector(audit.cluster, audit.cache, source, audit.begin, audit.queue.add)
        for source in sources.within(settings.namespaces, sources.KUBERNETES)
    ]
    started: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
        *((f"worker {n}", work) for n in range(settings.workers)),
        ("tell", tell),
        ("audit", audit.repeat),
        *((reflector.name, reflector.run) for reflector in reflectors),
        ("leadership", lambda: leadership.prepare(audit)),
        *([("lease", leadership.lease.keep)] if leadership.lease else []),
    ]
    tasks = [asyncio.create_task(do(), name=name) for name, do in started]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _end_in_peace(ready: asyncio.Event, stop: asyncio.Event, leadership: Leadership) -> None:
    """Give up the Lease as soon as we are told to end, then have kopf end; it takes its time."""
    await ready.wait()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # kopf has set its own before it was ready
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
    if leadership.lease:
        await leadership.lease.release()
    stop.set()


async def _watch(client: Client, audit: Audit, leadership: Leadership, settings: Settings) -> None:
    """Run kopf until it is told to stop; start it again when it gives up, with the cache as warm as it was."""
    registry = kopf.OperatorRegistry()
    watches.register(registry, audit.cache, audit.queue)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        session = client.new_session(f"{names.MANAGER}-watch", audit.listed_anew)
        return kopf.AiohttpSession(server=client.server, aiohttp_session=session)

    while True:
        ready, stop = asyncio.Event(), asyncio.Event()
        ending = asyncio.create_task(_end_in_peace(ready, stop, leadership), name="end in peace")
        try:
            await kopf.operator(
                ready_flag=ready,
                stop_flag=stop,
                registry=registry,
                settings=stateless.settings(),
                # Unused without peering; but kopf would make one of the user's name, and the pod's user has none.
                identity=names.MANAGER,  # type: ignore[arg-type]  # its own type of str, which it does not export
                standalone=True,
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
            )
        except Exception as error:  # noqa: BLE001 - whatever ends kopf, Pipelines still want to be looked after
            # Not with the traceback, which would be kopf's and says no more than the words do.
            logger.error(  # noqa: TRY400
                "the watches ended; starting them again: %s: %s", type(error).__name__, error
            )
            await asyncio.sleep(_RESTART_SECONDS)
        else:
            return
        finally:
            ending.cancel()
