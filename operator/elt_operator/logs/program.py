"""The keeper of the logs as a whole."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web as aiohttp_web

from elt_operator.archive import masking
from elt_operator.kube import login
from elt_operator.kube.client import Client
from elt_operator.kube.reviews import Reviews
from elt_operator.logs.door import Door
from elt_operator.logs.followers import Followers
from elt_operator.logs.following import Following
from elt_operator.logs.jobs import Watched
from elt_operator.logs.keeper import Keeper
from elt_operator.logs.metrics import Metrics, State
from elt_operator.logs.open_logs import OpenLogs
from elt_operator.logs.readers import Readers
from elt_operator.logs.store import Store
from elt_operator.logs.stores import opened
from elt_operator.logs.sweeping import Sweep
from elt_operator.logs.views import Views
from elt_operator.logs.watching import Watching
from elt_operator.resources import names
from elt_operator.serving import process, web
from elt_operator.serving.background import Background
from elt_operator.serving.certificate import Certificate
from elt_operator.settings.logs import Settings

logger = logging.getLogger(__name__)

_ANSWERS_END_SECONDS = 5.0
"""How long answers that are being sent are waited for at the end."""


def main() -> None:
    """Run the keeper until SIGTERM; exits with 2 when it is not set up."""
    process.start(Settings, run)


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Parts:
    """What the keeper is made of."""

    watching: Watching
    keeper: Keeper
    door: Door
    sweep: Sweep
    following: Following | None
    """``None``: logs come from readers."""


def parts(client: Client, store: Store, metrics: Metrics, settings: Settings) -> Parts:
    """Put the keeper together."""
    watched = Watched(now)
    watching = Watching(client, watched, settings.namespaces)
    open_logs = OpenLogs(store, metrics)
    readers, followers = Readers(watched, now, since=now()), Followers()
    patterns = [masking.users_pattern(pattern) for pattern in settings.mask_patterns]
    following = None
    if settings.log_source == "follow":
        following = Following(client, open_logs, watched, patterns, followers, now)
    heard_of = following.heard_of if following else readers.heard_of
    views = Views(store, open_logs, watched, heard_of, now)
    door = Door(
        Reviews(client), readers, open_logs, views, followers, settings.reader_user, metrics, now, watching.is_current
    )
    keeper = Keeper(store, open_logs, views, watched, client, heard_of, now, metrics, patterns)
    sweep = Sweep(store, views, client, settings.namespaces, settings.retention_days, now, metrics)
    metrics.registry.register(State(watched, now))
    return Parts(watching, keeper, door, sweep, following)


async def run(settings: Settings) -> None:
    """Keep logs until SIGTERM or SIGINT."""
    told_to_end, metrics = process.told_to_end(), Metrics()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(await login.configuration(), f"{names.MANAGER}-logs"))
        made = parts(client, opened(settings.store), metrics, settings)
        background = await stack.enter_async_context(Background())
        await stack.enter_async_context(
            web.serving(
                settings.health_port,
                background,
                live={"tasks": background.check},
                ready={"lists": lambda: "" if made.door.is_open else "not everything was listed yet"},
                metrics=metrics.text,
            )
        )
        await stack.enter_async_context(_door(made.door, settings, background))
        _start(background, made)
        await told_to_end.wait()


def _start(background: Background, made: Parts) -> None:
    for reflector in made.watching.reflectors():
        background.start(reflector.name, reflector.run)

    async def keep() -> None:
        # Before, a Job that is not known may exist.
        await made.watching.listed.wait()
        await made.keeper.take_up()
        made.door.is_open = True
        await made.keeper.keep()

    background.start("keeping", keep)
    background.start("sweep", made.sweep.repeat)
    if made.following:
        background.start("following", made.following.repeat)


@asynccontextmanager
async def _door(door: Door, settings: Settings, background: Background) -> AsyncIterator[None]:
    """Answer on the door's port for as long as the context lasts."""
    tls = None
    if settings.tls_folder:
        certificate = Certificate.of(settings.tls_folder)
        background.start("certificate", certificate.renew)
        tls = certificate.context
    runner = aiohttp_web.AppRunner(door.app(), access_log=None, shutdown_timeout=_ANSWERS_END_SECONDS)
    await runner.setup()
    try:
        await aiohttp_web.TCPSite(runner, port=settings.door_port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()
