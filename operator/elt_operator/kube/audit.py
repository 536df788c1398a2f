"""The audit: complete lists, now and then, repair what the watches missed. The first one fills the cache."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from elt_operator.core.situation import FinishedJob, Key
from elt_operator.kube.cache import Cache, Store
from elt_operator.kube.client import ApiError
from elt_operator.kube.cluster import LISTED, LiveCluster
from elt_operator.kube.queue import WorkQueue

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
    _relisted: set[str] = field(default_factory=set)
    """The kinds that a watch has listed anew."""
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
        for kind in LISTED:
            await self._compare(kind)
        found: dict[Key, dict[str, FinishedJob]] = {}
        for place in self._places:
            async for job in self.cluster.finished(place):
                found.setdefault(job.key, {})[job.uid] = job
        self.cache.history = found
        self.wake_all()
        self.finished_at[:] = [time.monotonic()]

    def wake_all(self) -> None:
        """Have every Pipeline looked at."""
        for key in self.cache.all_keys():
            self.queue.add(key)

    @property
    def _places(self) -> Sequence[str | None]:
        return self.namespaces or [None]

    async def _compare(self, kind: str) -> None:
        store: Store[Any] = getattr(self.cache, kind)
        known = store.uids()
        bodies = [body for place in self._places async for body in self.cluster.listing(kind, place)]
        for key in store.sync(bodies, known):
            self.queue.add(key)

    def listed_anew(self, path: str) -> None:
        """Take notice that a watch has listed the collection at ``path``, as it does after its stream was broken.

        What was deleted meanwhile is in no event; so this kind has to be compared.
        """
        if path in self._watched:
            self.restarted(path.rpartition("/")[2])
        for kind, (root, plural, _) in LISTED.items():
            if path.startswith(f"{root}/") and path.endswith(f"/{plural}"):
                self._relisted.add(kind)
                self._wake.set()
                self._watched.add(path)
        collections = {(root, plural) for root, plural, _ in LISTED.values()}
        if len(self._watched) == len(collections) * len(self._places):
            self.watching.set()

    async def _compare_relisted(self) -> None:
        self._wake.clear()
        for kind in sorted(self._relisted):
            await self._compare(kind)
            self._relisted.discard(kind)

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
