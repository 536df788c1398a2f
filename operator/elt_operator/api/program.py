"""The API's program: puts its parts together and runs them until it is told to end."""

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn

from elt_operator.api.app import app
from elt_operator.api.catalog import Catalog
from elt_operator.api.feed import Feed
from elt_operator.api.limits import Limit
from elt_operator.api.logs import Logs
from elt_operator.api.metrics import Metrics
from elt_operator.api.parts import OLDEST_SECONDS, Parts
from elt_operator.api.protocol import LimitedProtocol
from elt_operator.api.rights import Rights
from elt_operator.api.watching import Watching
from elt_operator.api.writes import Writes
from elt_operator.kube import login
from elt_operator.kube.client import Client
from elt_operator.kube.reviews import Reviews
from elt_operator.resources import names
from elt_operator.serving import process, web
from elt_operator.serving.background import Background
from elt_operator.serving.certificate import Certificate
from elt_operator.settings.api import Settings

logger = logging.getLogger(__name__)

_ANSWERS_END_SECONDS: Final = 5


def main() -> None:
    """Run the API until SIGTERM; exits with 2 when it is not set up."""
    process.start(Settings, run)


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def parts(client: Client, settings: Settings) -> Parts:
    """Put the API together."""
    catalog = Catalog()
    feed = Feed(catalog)
    catalog.changed = feed.take
    tls = ssl.create_default_context(cafile=settings.logs_ca) if settings.logs_url.startswith("https:") else None
    return Parts(
        catalog, Watching(client, catalog, settings.namespaces, time.monotonic),
        Rights(Reviews(client, outage_seconds=OLDEST_SECONDS)), Writes(client, catalog),
        Logs(client, settings.logs_url.rstrip("/"), tls), feed,
        Limit(settings.reads_per_second, time.monotonic), Limit(settings.changes_per_second, time.monotonic), now,
    )  # fmt: skip


async def run(settings: Settings) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    told_to_end, metrics = process.told_to_end(), Metrics()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(await login.configuration(), f"{names.MANAGER}-api"))
        made = parts(client, settings)
        await stack.enter_async_context(made.logs)
        background = await stack.enter_async_context(Background())
        metrics.watch(made)
        await stack.enter_async_context(
            web.serving(
                settings.health_port, background, live={"tasks": background.check},
                ready={"lists": lambda: "" if made.watching.listed.is_set() else "not everything was listed yet"},
                metrics=metrics.text,
            )
        )  # fmt: skip
        for reflector in made.watching.reflectors():
            background.start(reflector.name, reflector.run)
        background.start("feed", made.feed.send)
        tls = {}
        if settings.tls_folder:
            certificate = Certificate.of(settings.tls_folder)
            background.start("certificate", certificate.renew)
            tls = {"ssl_context_factory": lambda *_: certificate.context}
        server = _server(made, metrics, settings, tls)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # its lines on start and end are for a terminal
        logger.info("answering requests on port %d", settings.api_port)
        serving = asyncio.create_task(server.serve())
        await asyncio.wait([serving, asyncio.create_task(told_to_end.wait())], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving


class Server(uvicorn.Server):
    """Leaves signals to the program."""

    def install_signal_handlers(self) -> None:
        """Do nothing."""


def _server(made: Parts, metrics: Metrics, settings: Settings, tls: Mapping[str, Any]) -> uvicorn.Server:
    whole = metrics.counted(made.sending.patient(app(made, settings.origins)))
    return Server(uvicorn.Config(
        whole, host="", port=settings.api_port, http=LimitedProtocol, loop="none",
        lifespan="off", access_log=False, log_config=None, server_header=False, proxy_headers=False, ws="none",
        timeout_graceful_shutdown=_ANSWERS_END_SECONDS, timeout_keep_alive=75, **tls,
    ))  # fmt: skip
