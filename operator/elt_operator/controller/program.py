"""The operator as a whole: what it is made of, in which order it starts, and what keeps it alive."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from elt_operator.controller import checks, sources
from elt_operator.controller.cache import Cache
from elt_operator.controller.cluster import LiveCluster
from elt_operator.controller.intake import Intake, Unreadable
from elt_operator.controller.kopf_side import JobWatch
from elt_operator.controller.leadership import Leadership
from elt_operator.controller.metrics import Metrics, State
from elt_operator.controller.notices import Notices
from elt_operator.controller.places import Place, Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.reconciler import Reconciler
from elt_operator.controller.resource_types import ResourceTypes
from elt_operator.controller.resync import Audit
from elt_operator.core.situation import Key
from elt_operator.kube.client import Client
from elt_operator.kube.lease import Lease
from elt_operator.kube.reflector import Reflector
from elt_operator.serving import web
from elt_operator.serving.background import Background, Endless
from elt_operator.settings.controller import Settings

logger = logging.getLogger(__name__)


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
        metrics = Metrics()
        unreadable = Unreadable(metrics.count_unreadable)
        cache = Cache(unreadable.tell)
        client.count = metrics.count_request
        queue: WorkQueue[Key] = WorkQueue()
        cluster = LiveCluster.behind(client)
        intake = Intake(cache, queue.add, unreadable.tell)
        places = Places(settings.namespaces, metrics.count_watch_restart)
        audit = Audit(cluster, cache, queue, intake, places, settings.audit_seconds)
        lease = (
            Lease(for_lease, settings.lease_namespace, settings.lease_name, settings.identity, exact_now)
            if settings.lease_namespace
            else None
        )
        leadership = Leadership(lease)
        client.may_write = leadership.may_write
        metrics.registry.register(State(cache, queue, leadership.acts, places, pipelines=settings.pipeline_metrics))
        reconciler = Reconciler(
            cluster, cache, queue, now, settings.limits, metrics, leadership.acts, serves=audit.serves
        )
        served, background, told_to_end = ResourceTypes(client), Background(), asyncio.Event()
        live, ready = checks.of(served, audit, lease, background, settings)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(background)
            await stack.enter_async_context(
                web.serving(settings.health_port, background, live=live, ready=ready, metrics=metrics.text)
            )
            await served.wait()
            # Nothing is decided before everything was listed: a run that is not known yet would be made again.
            await audit.until_done()
            _end_by_setting(told_to_end)
            _start(background, Parts(client, audit, reconciler, leadership, told_to_end), settings)
            await told_to_end.wait()
            if lease:  # at once; kopf takes its time to end
                await lease.release()
        queue.close()


def _end_by_cancelling() -> None:
    """Have SIGTERM cancel this task until there is more to end: a pod's first process would ignore it."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _end_by_setting(told_to_end: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set this event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)


@dataclass(frozen=True)
class Parts:
    """What the background tasks work with."""

    client: Client
    audit: Audit
    reconciler: Reconciler
    leadership: Leadership
    told_to_end: asyncio.Event


def _start(background: Background, parts: Parts, settings: Settings) -> None:
    """Start the workers, the watches of each place, the audit and the Lease."""
    audit, places, lease = parts.audit, parts.audit.places, parts.leadership.lease

    async def work() -> None:
        # What is stopped or deleted must be seen to end; so nothing is done before the watches run.
        await audit.watching.wait()
        await parts.reconciler.queue.work(parts.reconciler.look_at)

    for number in range(settings.workers):
        background.start(f"worker {number}", work)
    for place in places.all:
        background.start(f"watches of {place.name}", partial(_watch, background, parts, place))
    background.start("audit", audit.repeat)
    if lease:
        background.start("lease", lease.keep)
        background.start("leadership", partial(parts.leadership.prepare, audit))
    if settings.lease_namespace:
        namespace, pod = settings.lease_namespace, settings.identity
        background.start("notices", Notices(audit.cluster, places, namespace, pod, parts.reconciler.clock).keep)


async def _watch(background: Background, parts: Parts, place: Place) -> None:
    """Watch all of a place for ever; while it is left out, wait until it can be read again."""
    audit = parts.audit
    while True:
        await audit.take_up(place)
        jobs = JobWatch(
            parts.client,
            audit.intake,
            place,
            audit.listed_anew,
            audit.places.doubt,
            lambda: _end_by_setting(parts.told_to_end),
        )
        reflectors = [
            Reflector(audit.cluster, audit.intake, source, audit.begin, audit.places.doubt)
            for source in sources.of(place.namespace, sources.BY_REFLECTORS)
        ]
        watches: dict[str, Endless] = {reflector.name: reflector.run for reflector in reflectors}
        await background.run_until({**watches, jobs.name: jobs.run}, partial(audit.until_left_out, place))
