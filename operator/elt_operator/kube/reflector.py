"""The reflector: keeps the cache like one of its sources. It lists it once, and then goes from version to version."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.controller import intake
from elt_operator.controller.cluster import LiveCluster
from elt_operator.controller.intake import Intake
from elt_operator.controller.sources import Source
from elt_operator.kube import foreign
from elt_operator.kube.client import Expired
from elt_operator.kube.troubles import LOST, OUTAGES, Troubles

logger = logging.getLogger(__name__)

_BUG_SECONDS: Final = 5.0
"""The pause after a bug; it does not get shorter by events that come in between."""


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
    intake: Intake
    source: Source
    listed: Callable[[Source], Awaitable[str]]
    """Makes the cache agree with a complete list, and returns the list's version."""
    refused: Callable[[Source, Exception], None] = lambda _source, _error: None
    """Is told when the API server has no such source, or does not let us read it."""
    _version: str = ""
    """The version that the cache has reached; empty: it has to be listed."""
    _troubles: Troubles = field(default_factory=lambda: Troubles(logger))

    @property
    def name(self) -> str:
        """The name of the task that watches, as kopf names its own."""
        return f"watcher for {self.source.path}"

    async def run(self) -> None:
        """List, and watch from there; list again only when the API server remembers too little to go on."""
        pauses = iter(Patiently())
        broken = f"the watch on {self.source.path} is broken; resuming it"
        while True:
            pause = None
            try:
                self._version = self._version or await self.listed(self.source)
                async for event in self.cluster.watch(self.source, self._version):
                    self._take(event)
                    pauses = iter(Patiently())
            except Expired:
                self._version = ""
            except OUTAGES as error:
                self._troubles.tell(broken, error)
                if isinstance(error, LOST):
                    self.refused(self.source, error)
            except Exception as error:  # noqa: BLE001 - a watch that ends would leave its source unseen
                self._version, pause = "", _BUG_SECONDS
                self._troubles.tell(broken, error)
            await asyncio.sleep(next(pauses) if pause is None else pause)

    def _take(self, event: dict[str, Any]) -> None:
        self._version = intake.version(foreign.part(event, "object")) or self._version
        if event.get("type") != "BOOKMARK":
            self.intake.take_event(self.source.plural, event)
