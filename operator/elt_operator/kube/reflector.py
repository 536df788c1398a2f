"""The reflector: keeps a cache like a collection: lists it once, and then goes from version to version."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.kube import foreign
from elt_operator.kube.errors import Expired
from elt_operator.kube.troubles import LOST, OUTAGES, Troubles

logger = logging.getLogger(__name__)

_BUG_SECONDS: Final = 5.0
"""The pause after a bug; it does not get shorter by events that come in between."""


class Backoff:
    """Seconds between tries, without end."""

    def __iter__(self) -> Iterator[float]:
        """Yield 0.5, 1, 2 and then 5 for ever."""
        yield from (0.5, 1.0, 2.0)
        while True:
            yield 5.0


@dataclass
class Reflector:
    """Watches one collection, without end."""

    path: str
    """What it is called in the log, and in the name of its task."""
    list: Callable[[], Awaitable[str]]
    """Makes the cache agree with a complete list, and returns the list's version."""
    watch: Callable[[str], AsyncIterator[dict[str, Any]]]
    """Yields what happens after a version."""
    take: Callable[[dict[str, Any]], None]
    """Takes what the watch says of an object."""
    refused: Callable[[Exception], None] = lambda _error: None
    """Is called when the API server has no such collection, or does not let us read it."""
    _version: str = ""
    """The version that the cache has reached; empty: it has to be listed."""
    _troubles: Troubles = field(default_factory=lambda: Troubles(logger))

    @property
    def name(self) -> str:
        """The name of the task that watches, as kopf names its own."""
        return f"watcher for {self.path}"

    async def run(self) -> None:
        """List, and watch from there; list again only when the API server remembers too little to go on."""
        pauses = iter(Backoff())
        broken = f"the watch on {self.path} is broken; resuming it"
        while True:
            pause = None
            try:
                self._version = self._version or await self.list()
                async for event in self.watch(self._version):
                    self._take(event)
                    pauses = iter(Backoff())
            except Expired:
                self._version = ""
            except OUTAGES as error:
                self._troubles.tell(broken, error)
                if isinstance(error, LOST):
                    self.refused(error)
            except Exception as error:  # noqa: BLE001 - a watch that ends would leave its collection unseen
                self._version, pause = "", _BUG_SECONDS
                self._troubles.tell(broken, error)
            await asyncio.sleep(next(pauses) if pause is None else pause)

    def _take(self, event: dict[str, Any]) -> None:
        self._version = foreign.version(foreign.part(event, "object")) or self._version
        if event.get("type") != "BOOKMARK":
            self.take(event)
