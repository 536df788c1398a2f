"""The log reader as a whole."""

import asyncio
import logging
import ssl
import time
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Final

from elt_operator.archive import masking
from elt_operator.log_reader import metrics
from elt_operator.log_reader.keeper import Away, Keeper
from elt_operator.log_reader.pod_folders import PodFolders
from elt_operator.log_reader.reader import Reader
from elt_operator.log_reader.spool import Spool
from elt_operator.serving import process, web
from elt_operator.serving.background import Background
from elt_operator.settings.log_reader import Settings

logger = logging.getLogger(__name__)

_LAST_SECONDS: Final = 20.0
"""How long, once told to end, what is read is still brought to the keeper."""

_SHARE_OF_A_POD: Final = 4
"""What part of the spool one pod may have."""


def main() -> None:
    """Run the log reader until SIGTERM; exits with 2 when it is not set up."""
    process.start(Settings, run)


async def run(settings: Settings) -> None:
    """Read the logs of a node until SIGTERM or SIGINT."""
    told_to_end = process.told_to_end()
    spool = Spool(settings.spool, settings.spool_bytes, settings.spool_bytes // _SHARE_OF_A_POD)
    await asyncio.to_thread(spool.load)
    tls = ssl.create_default_context(cafile=settings.keeper_ca) if settings.keeper_url.startswith("https:") else None
    async with Keeper(settings.keeper_url, settings.keeper_token, tls) as keeper:
        patterns = [masking.users_pattern(pattern) for pattern in settings.mask_patterns]
        reader = Reader(PodFolders(settings.pod_logs), spool, keeper, patterns, time.monotonic)
        async with AsyncExitStack() as stack:
            background = await stack.enter_async_context(Background())
            await stack.enter_async_context(
                web.serving(
                    settings.health_port, background,
                    live={"tasks": background.check}, ready={"tasks": background.check},
                    metrics=partial(metrics.text, reader),
                )
            )  # fmt: skip
            await background.run_until(
                {"reading": reader.read, "asking": reader.sync, "pushing": reader.push}, partial(_wait, told_to_end)
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await _finish(reader)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _finish(reader: Reader) -> None:
    """Cut what is read into frames, and bring them away."""
    reader.cut_all()
    with suppress(Away):
        await reader.push_all()
