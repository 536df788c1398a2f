"""The sweep: once a day the logs go that have been kept for long enough."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from elt_operator.archive import manifest
from elt_operator.errors import OperatorError
from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.troubles import OUTAGES
from elt_operator.logs import retention
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.retention import Limits, PipelineName, StoredLog
from elt_operator.logs.store import Missing, Store
from elt_operator.logs.views import Views
from elt_operator.objects import PIPELINES

logger = logging.getLogger(__name__)

_FIRST_SECONDS: Final = 60.0
_EACH_SECONDS: Final = 24 * 3600.0
_RETRY_SECONDS: Final = 600.0
_PAGE: Final = 50


@dataclass
class Sweep:
    """Deletes logs whose time is over."""

    store: Store
    views: Views
    client: Client
    namespaces: Sequence[str]
    """Empty: all of them."""
    days: int
    now: Callable[[], datetime]
    metrics: Metrics

    async def repeat(self) -> None:
        """Sweep now and then, for ever."""
        pause = _FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                await self.once()
                pause = _EACH_SECONDS
            except (*OUTAGES, OperatorError) as error:
                logger.warning("old logs cannot be deleted yet; trying again: %s", error)
                pause = _RETRY_SECONDS

    async def once(self) -> int:
        """Delete what is to go; return how many logs that were.

        Raises ``StoreError``, and what keeps the Pipelines from being read: without them nothing is deleted.
        """
        limits = await self._limits()
        stored = retention.logs_of(key for key, _ in await self.store.keys(manifest.NAMESPACES))
        count = 0
        watched = [log for log in stored if not self.namespaces or log.pipeline.namespace in self.namespaces]
        for log in retention.surplus(watched, limits, Limits(self.days), self.now()):
            await self.delete(log)
            count += 1
            self.metrics.deleted.inc()
        if count:
            logger.info("%d logs were deleted: they have been kept for long enough", count)
        return count

    async def delete(self, log: StoredLog) -> None:
        """Delete a log: what points at it first, so that nobody finds half of it."""
        pointer = f"{manifest.IDS}/{log.job}"
        with suppress(Missing):
            if await self.store.get(pointer) == log.folder.encode():
                await self.store.delete(pointer)
                self.views.forget(log.job)
        for name in manifest.FILES:
            await self.store.delete(f"{log.folder}/{name}")

    async def _limits(self) -> dict[PipelineName, Limits]:
        """Return the limits of the Pipelines that have some."""
        found: dict[PipelineName, Limits] = {}
        places: Sequence[str | None] = [*self.namespaces] or [None]
        for namespace in places:
            async for page in self.client.pages(PIPELINES.collection(namespace), {}, limit=_PAGE):
                for body in page.items:
                    whose, said = foreign.identity(body), foreign.part(body, "spec", "logRetention")
                    if whose and said:
                        days, count = foreign.integer(said.get("days"), self.days), foreign.integer(said.get("count"))
                        found[PipelineName(whose.namespace, whose.name)] = Limits(days, count or None)
        return found
