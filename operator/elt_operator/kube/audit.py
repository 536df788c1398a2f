"""The audit: complete lists, now and then, repair what the watches missed. The first one fills the cache."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from elt_operator.core.situation import FinishedJob, Key
from elt_operator.kube import sources
from elt_operator.kube.cache import Cache
from elt_operator.kube.client import ApiError
from elt_operator.kube.cluster import LiveCluster
from elt_operator.kube.queue import WorkQueue
from elt_operator.kube.sources import Source

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 1.0
"""How long to wait after a watch has listed anew: the other watches mostly do so in the same moment."""


@dataclass(frozen=True)
class Audit:
    """Compares the cache with the cluster."""

    cluster: LiveCluster
    cache: Cache
    queue: WorkQueue[Key]
    namespaces: Sequence[str]
    """Empty: all of them."""
    period_seconds: float
    _relisted: dict[str, Source] = field(default_factory=dict)
    """What kopf has listed anew, by its path."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _watched: set[str] = field(default_factory=set)
    """Paths of the collections that a watch has listed at least once."""
    watching: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all watches run: from then on no change goes unseen while the API server can be reached."""
    restarted: Callable[[str], None] = lambda _plural: None
    """Is told the plural of what each watch that had to list anew is about."""
    finished_at: list[float] = field(default_factory=list)
    """When the last audit ended, in monotonic seconds; empty: none has."""

    async def once(self) -> None:
        """Make the cache agree with the cluster, then have everything looked at. Quiet Pipelines cost no write."""
        for source in sources.within(self.namespaces):
            await self.compare(source)
        found: dict[Key, dict[str, FinishedJob]] = {}
        places: Sequence[str | None] = self.namespaces or [None]
        for place in places:
            async for job in self.cluster.finished(place):
                found.setdefault(job.key, {})[job.uid] = job
        self.cache.history = found
        self.cache.forget_gone()
        self.wake_all()
        self.finished_at[:] = [time.monotonic()]

    def wake_all(self) -> None:
        """Have every Pipeline looked at."""
        for key in self.cache.all_keys():
            self.queue.add(key)

    async def compare(self, source: Source) -> str:
        """Make the cache agree with a complete list of ``source``; return the list's version.

        What was known before and is not in it is gone: watches do not tell of each deletion.
        """
        stores = self.cache.stores(source.plural)
        gone = [store.uids(source.namespace) for store in stores]
        version = ""
        async for page in self.cluster.pages(source):
            version = page.version
            for store, left in zip(stores, gone, strict=True):
                for body in page.items:
                    left.discard(body["metadata"]["uid"])
                    self._look(store.take(body))
        for store, left in zip(stores, gone, strict=True):
            for uid in left:
                self._look(store.forget(uid))
        return version

    def _look(self, key: Key | None) -> None:
        if key:
            self.queue.add(key)

    async def begin(self, source: Source) -> str:
        """Do the same for a watch that goes on from there."""
        version = await self.compare(source)
        self._begun(source)
        return version

    def listed_anew(self, path: str) -> None:
        """Take notice that kopf has listed the collection at ``path``, as it does after its stream was broken.

        It tells of nothing that was deleted meanwhile; so this has to be compared.
        """
        for source in sources.within(self.namespaces, sources.OURS):
            if source.path == path:
                self._relisted[path] = source
                self._wake.set()
                self._begun(source)

    def _begun(self, source: Source) -> None:
        if source.path in self._watched:
            self.restarted(source.plural)
        self._watched.add(source.path)
        if len(self._watched) == len(list(sources.within(self.namespaces))):
            self.watching.set()

    async def _compare_relisted(self) -> None:
        self._wake.clear()
        for path, source in sorted(self._relisted.items()):
            await self.compare(source)
            self._relisted.pop(path, None)

    async def until_done(self) -> None:
        """Audit, again and again until the API server has answered once."""
        await _until(self.once)

    async def repeat(self) -> None:
        """Audit for ever: everything each period, give or take a tenth, and a kind when its watch has listed anew."""
        loop = asyncio.get_running_loop()
        while True:
            period = self.period_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
            whole_audit = loop.time() + period
            while (left := whole_audit - loop.time()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), left)
                    await asyncio.sleep(_SETTLE_SECONDS)
                    await _until(self._compare_relisted)
            await self.until_done()


async def _until(done: Callable[[], Awaitable[None]]) -> None:
    """Call ``done`` until the API server has answered all of it."""
    while True:
        try:
            return await done()
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("the cluster cannot be listed yet: %s: %s", type(error).__name__, error)
            await asyncio.sleep(_RETRY_SECONDS)
