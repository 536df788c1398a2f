"""The controller as a whole: what it is made of, in which order it starts, and what keeps it alive."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from elt_operator.controller import checks, kopf_side, sources
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
from elt_operator.controller.resync import Resync
from elt_operator.controller.watches import Watches
from elt_operator.core.model import PipelineKey
from elt_operator.kube import login
from elt_operator.kube.client import Client
from elt_operator.kube.lease import Lease
from elt_operator.resources import names
from elt_operator.serving import process, web
from elt_operator.serving.background import Background, Endless
from elt_operator.settings.controller import Settings

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the controller until SIGTERM; exits with 2 when it is not set up."""
    kopf_side.log_less()
    process.start(Settings, run, kopf_side.without_traceback)


def now() -> datetime:
    """Return the present in whole seconds, as Kubernetes counts; the one place that reads the clock."""
    return datetime.now(UTC).replace(microsecond=0)


def exact_now() -> datetime:
    """Return the present with its microseconds, as a Lease has it."""
    return datetime.now(UTC)


async def run(settings: Settings) -> None:
    """Look after all Pipelines until SIGTERM or SIGINT; one that comes before the watches begin cancels it."""
    _end_by_cancelling()
    configuration, metrics = await login.configuration(), Metrics(pipelines=settings.pipeline_metrics)
    # The Lease has a connection of its own, so that nothing queues up before a renewal.
    async with Client(configuration, names.MANAGER) as for_lease:
        lease = _lease(for_lease, settings)
        leadership = Leadership(lease)
        async with Client(configuration, names.MANAGER, metrics.count_request, leadership.may_write) as client:
            await _run(client, leadership, metrics, settings)


def _lease(client: Client, settings: Settings) -> Lease | None:
    """Return the Lease of this installation's replicas; ``None``: there is only one of them."""
    if not settings.lease_namespace:
        return None
    return Lease(client, settings.lease_namespace, settings.lease_name, settings.identity, exact_now)


async def _run(client: Client, leadership: Leadership, metrics: Metrics, settings: Settings) -> None:
    parts = _parts(client, leadership, metrics, settings)
    served, background, lease = ResourceTypes(client), Background(), leadership.lease
    live, ready = checks.live_and_ready(served, parts.resync, lease, background, settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(background)
        stack.push_async_callback(parts.cluster.last_logs.close)
        await stack.enter_async_context(
            web.serving(settings.health_port, background, live=live, ready=ready, metrics=metrics.text)
        )
        await served.wait()
        # Nothing is decided before everything was listed: a run that is not known yet would be made again.
        await parts.resync.until_done()
        process.end_by_setting(parts.told_to_end)
        _start(background, parts, settings)
        await parts.told_to_end.wait()
        if lease:  # at once; kopf takes its time to end
            await lease.release()
    parts.reconciler.queue.close()


@dataclass(frozen=True)
class Parts:
    """What the background tasks work with."""

    client: Client
    cluster: LiveCluster
    places: Places
    intake: Intake
    resync: Resync
    watches: Watches
    reconciler: Reconciler
    leadership: Leadership
    told_to_end: asyncio.Event


def _parts(client: Client, leadership: Leadership, metrics: Metrics, settings: Settings) -> Parts:
    unreadable = Unreadable(metrics.count_unreadable)
    cache, cluster = Cache(unreadable.tell), LiveCluster.behind(client)
    queue: WorkQueue[PipelineKey] = WorkQueue()
    intake = Intake(cache, queue.add, unreadable.tell)
    places = Places(settings.namespaces, metrics.count_watch_restart)
    resync = Resync(cluster, cache, intake, places, settings.audit_seconds)
    watches = Watches(cluster, intake, places, resync)
    reconciler = Reconciler(cluster, cache, queue, now, settings.limits, metrics, leadership.acts, places.serves)
    metrics.registry.register(State(cache, queue, leadership.acts, places, pipelines=settings.pipeline_metrics))
    return Parts(client, cluster, places, intake, resync, watches, reconciler, leadership, asyncio.Event())


def _end_by_cancelling() -> None:
    """Have SIGTERM cancel this task until there is more to end: a pod's first process would ignore it."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _start(background: Background, parts: Parts, settings: Settings) -> None:
    """Start the workers, the watches of each place, the resync and the Lease."""
    places, queue, lease = parts.places, parts.reconciler.queue, parts.leadership.lease

    async def work() -> None:
        # What is stopped or deleted must be seen to end; so nothing is done before the watches run.
        await places.watching.wait()
        await queue.work(parts.reconciler.look_at)

    async def list_all() -> None:
        await places.watching.wait()
        await parts.resync.until_done()

    for number in range(settings.workers):
        background.start(f"worker {number}", work)
    for place in places.all:
        background.start(f"watches of {place.name}", partial(_watch, background, parts, place))
    background.start("resync", parts.resync.repeat)
    if lease:
        background.start("lease", lease.keep)
        background.start("leadership", partial(parts.leadership.prepare, list_all, parts.intake.wake_all))
    if settings.lease_namespace:
        namespace, pod = settings.lease_namespace, settings.identity
        background.start("notices", Notices(parts.cluster, places, namespace, pod, parts.reconciler.clock).keep)


async def _watch(background: Background, parts: Parts, place: Place) -> None:
    """Watch all of a place without end; while it is left out, wait until it can be read again."""
    while True:
        await parts.watches.take_up(place)
        jobs = JobWatch(
            parts.client,
            parts.intake,
            place,
            parts.watches.listed_anew,
            parts.places.doubt,
            lambda: process.end_by_setting(parts.told_to_end),
        )
        reflectors = [parts.watches.reflector(source) for source in sources.of(place.namespace, sources.BY_REFLECTORS)]
        watches: dict[str, Endless] = {reflector.name: reflector.run for reflector in reflectors}
        await background.run_until({**watches, jobs.name: jobs.run}, partial(parts.watches.until_left_out, place))
