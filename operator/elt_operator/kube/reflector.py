"""The reflector: keeps the cache like one of its sources. It lists it once, and then goes from version to version."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from elt_operator.core.situation import Key
from elt_operator.kube.cache import Cache
from elt_operator.kube.client import ApiError, Expired
from elt_operator.kube.cluster import LiveCluster
from elt_operator.kube.sources import Source

logger = logging.getLogger(__name__)


class Patiently:
    """Seconds between tries, without end."""

    def __iter__(self) -> Iterator[float]:
        """Yield 0.5, 1, 2 and then 5 for ever."""
        yield from (0.5, 1.0, 2.0)
        while True:
            yield 5.0


@dataclass
class Reflector:
    """Watches one source for ever."""

    cluster: LiveCluster
    cache: Cache
    source: Source
    listed: Callable[[Source], Awaitable[str]]
    """Makes the cache agree with a complete list, and returns the list's version."""
    wake: Callable[[Key], None]
    """Is told which Pipelines there is news about."""
    _version: str = ""
    """The version that the cache has reached; empty: it has to be listed."""

    @property
    def name(self) -> str:
        """The name of the task that watches, as kopf names its own."""
        return f"watcher for {self.source.path}"

    async def run(self) -> None:
        """List, and watch from there; list again only when the API server remembers too little to go on."""
        pauses = iter(Patiently())
        while True:
            try:
                self._version = self._version or await self.listed(self.source)
                async for event in self.cluster.watch(self.source, self._version):
                    self._take(event)
                    pauses = iter(Patiently())
            except Expired:
                self._version = ""
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.warning(
                    "the watch on %s is broken, going on: %s: %s", self.source.path, type(error).__name__, error
                )
            await asyncio.sleep(next(pauses))

    def _take(self, event: dict[str, Any]) -> None:
        body = event["object"]
        self._version = body["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return
        try:
            for key in self.cache.take_event(self.source.plural, event):
                self.wake(key)
        except Exception:  # one object that cannot be read must not hide the others
            logger.exception("not understood: %s %s", self.source.plural, body["metadata"].get("name"))
