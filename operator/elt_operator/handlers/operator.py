"""The operator as a whole: what it is made of, in which order it starts, and what keeps it alive."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import kopf

from elt_operator.api import names
from elt_operator.core.situation import Key
from elt_operator.handlers import stateless, watches
from elt_operator.kube.audit import Audit
from elt_operator.kube.cache import Cache
from elt_operator.kube.client import Client
from elt_operator.kube.cluster import LiveCluster
from elt_operator.kube.queue import WorkQueue
from elt_operator.kube.reconciler import Reconciler
from elt_operator.settings import Settings

logger = logging.getLogger(__name__)

_CRD_RETRY_SECONDS: Final = 5.0
_RESTART_SECONDS: Final = 2.0


def now() -> datetime:
    """Return the present in whole seconds, as Kubernetes counts; the one place that reads the clock."""
    return datetime.now(UTC).replace(microsecond=0)


async def run(settings: Settings) -> None:
    """Look after all Pipelines until SIGTERM or SIGINT."""
    async with await Client.connect() as client:
        await _until_served(client)
        cache = Cache()
        queue: WorkQueue[Key] = WorkQueue()
        cluster = LiveCluster.behind(client)
        audit = Audit(cluster, cache, queue, settings.namespaces, settings.audit_seconds)
        # Nothing is decided before everything was listed: a run that is not known yet would be made again.
        await audit.until_done()
        reconciler = Reconciler(cluster, cache, queue, now, settings.limits)
        # kopf ends the tasks that start after it; so these start before.
        async with _background(reconciler, audit, settings):
            await _watch(client, audit, settings)
        queue.close()


async def _until_served(client: Client) -> None:
    """Return once the API server serves our resources, and say until then how to install them."""
    while missing := await client.unserved([names.PIPELINES, names.JOBS]):
        logger.error(
            "waiting: the API server does not serve %s of %s; install the CustomResourceDefinitions with "
            "`kubectl apply --server-side -f crds/`",
            " and ".join(missing),
            names.API_VERSION,
        )
        await asyncio.sleep(_CRD_RETRY_SECONDS)


@asynccontextmanager
async def _background(reconciler: Reconciler, audit: Audit, settings: Settings) -> AsyncIterator[None]:
    """Run the workers and the audit for as long as the context lasts."""

    async def tell() -> None:
        await audit.watching.wait()
        logger.info("looking after %s", ", ".join(settings.namespaces) or "all namespaces")

    async def work() -> None:
        # What is stopped or deleted must be seen to end; so nothing is done before the watches run.
        await audit.watching.wait()
        await reconciler.queue.work(reconciler.look_at)

    tasks = [asyncio.create_task(work(), name=f"worker {n}") for n in range(settings.workers)]
    tasks.append(asyncio.create_task(tell(), name="tell"))
    tasks.append(asyncio.create_task(audit.repeat(), name="audit"))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(client: Client, audit: Audit, settings: Settings) -> None:
    """Run kopf until it is told to stop; start it again when it gives up, with the cache as warm as it was."""
    registry = kopf.OperatorRegistry()
    watches.register(registry, audit.cache, audit.queue)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        session = client.new_session(f"{names.MANAGER}-watch", audit.listed_anew)
        return kopf.AiohttpSession(server=client.server, aiohttp_session=session)

    while True:
        try:
            await kopf.operator(
                registry=registry,
                settings=stateless.settings(),
                # Unused without peering; but kopf would make one of the user's name, and the pod's user has none.
                identity=names.MANAGER,  # type: ignore[arg-type]  # its own type of str, which it does not export
                standalone=True,
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz" if settings.health_port else None,
            )
        except Exception as error:  # noqa: BLE001 - whatever ends kopf, Pipelines still want to be looked after
            # Not with the traceback, which would be kopf's and says no more than the words do.
            logger.error(  # noqa: TRY400
                "the watches ended; starting them again: %s: %s", type(error).__name__, error
            )
            await asyncio.sleep(_RESTART_SECONDS)
        else:
            return
