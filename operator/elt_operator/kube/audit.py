"""The audit: complete lists, now and then, repair what the watches missed. The first one fills the cache."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from elt_operator.core.situation import Key
from elt_operator.kube.cache import Cache, Store
from elt_operator.kube.client import ApiError
from elt_operator.kube.cluster import LiveCluster
from elt_operator.kube.queue import WorkQueue

logger = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Audit:
    """Compares the cache with the cluster."""

    cluster: LiveCluster
    cache: Cache
    queue: WorkQueue[Key]
    namespaces: Sequence[str]
    """Empty: all of them."""

    async def once(self) -> None:
        """Make the cache agree with the cluster, then have everything looked at. Quiet Pipelines cost no write."""
        await self._compare("pipelines", self.cache.pipelines)
        await self._compare("jobs", self.cache.jobs)
        await self._compare("runs", self.cache.runs)
        await self._compare("pods", self.cache.pods)
        for key in self.cache.all_keys():
            self.queue.add(key)

    async def _compare(self, kind: str, store: Store[Any]) -> None:
        known = store.uids()
        places: Sequence[str | None] = self.namespaces or [None]
        store.sync([body for place in places async for body in self.cluster.listing(kind, place)], known)

    async def until_done(self) -> None:
        """Audit, again and again until the API server has answered once."""
        while True:
            try:
                return await self.once()
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.warning("the cluster cannot be listed yet: %s: %s", type(error).__name__, error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def repeat(self) -> None:
        """Audit for ever, every five minutes with jitter."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
            await self.until_done()
