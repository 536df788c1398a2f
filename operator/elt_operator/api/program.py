"""The API's program: puts its parts together and runs them until it is told to end."""

import asyncio
import logging
import socket
import ssl
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn

from elt_operator.api.app import app
from elt_operator.api.catalog import Catalog
from elt_operator.api.feed import Feed
from elt_operator.api.kept_logs import KeptLogs
from elt_operator.api.limits import Limit
from elt_operator.api.logs import Logs
from elt_operator.api.metrics import Metrics
from elt_operator.api.parts import OLDEST_SECONDS, Parts
from elt_operator.api.pod_logs import PodLogs
from elt_operator.api.protocol import IDLE_SECONDS, MOST_HEAD_BYTES, Protocol
from elt_operator.api.rights import Rights
from elt_operator.api.sending import App, patient
from elt_operator.api.watching import Watching
from elt_operator.api.writes import Writes
from elt_operator.errors import NotSetUp
from elt_operator.kube import login
from elt_operator.kube.client import Client
from elt_operator.kube.reviews import Reviews
from elt_operator.resources import names
from elt_operator.serving import process, web
from elt_operator.serving.background import Background
from elt_operator.serving.certificate import Certificate
from elt_operator.settings.api import Settings

logger = logging.getLogger(__name__)

_ANSWERS_END_SECONDS: Final = 4


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
        Logs(KeptLogs(settings.logs_url.rstrip("/"), tls), PodLogs(client)), feed,
        Limit(settings.reads_per_second, time.monotonic), Limit(settings.changes_per_second, time.monotonic), now,
    )  # fmt: skip


async def run(settings: Settings) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    told_to_end, metrics = process.told_to_end(), Metrics()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(await login.configuration(), f"{names.MANAGER}-api"))
        if client.has_certificate:
            raise NotSetUp(
                "the kubeconfig has a client certificate, with which everyone who asks would have its permissions; "
                "use a kubeconfig with a token"
            )
        made = parts(client, settings)
        await stack.enter_async_context(made.logs.kept)
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
        tls: dict[str, Any] = {}
        if settings.tls_folder:
            certificate = Certificate.of(settings.tls_folder)
            background.start("certificate", certificate.renew)
            tls = {"ssl_context_factory": lambda *_: certificate.context}
        answers = server(metrics.counted(app(made, settings.origins)), settings.api_port, **tls)
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # the others are for a terminal, or of bad requests
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each client that goes
        logger.info("answering requests on port %d", settings.api_port)
        serving = asyncio.create_task(answers.serve())
        await asyncio.wait([serving, asyncio.create_task(told_to_end.wait())], return_when=asyncio.FIRST_COMPLETED)
        answers.should_exit = True
        await serving


class Server(uvicorn.Server):
    """Leaves signals to the program, and cuts what has not ended in time instead of making errors of it."""

    def install_signal_handlers(self) -> None:
        """Do nothing."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        asyncio.get_running_loop().call_later(_ANSWERS_END_SECONDS, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def server(app: App, port: int, host: str = "", **tls: Any) -> Server:
    """Return what serves an ASGI application; with port 0 on one that is free."""
    return Server(uvicorn.Config(
        patient(app), host=host, port=port, http=Protocol, h11_max_incomplete_event_size=MOST_HEAD_BYTES, loop="none",
        lifespan="off", access_log=False, log_config=None, server_header=False, proxy_headers=False, ws="none",
        timeout_graceful_shutdown=2 * _ANSWERS_END_SECONDS, timeout_keep_alive=int(IDLE_SECONDS), **tls,
    ))  # fmt: skip
