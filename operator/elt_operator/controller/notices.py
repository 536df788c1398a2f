"""Events about the operator's own pod: what an administrator may want to act upon."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from elt_operator.controller.places import Place, Places
from elt_operator.core.events import Event
from elt_operator.errors import NotLeading
from elt_operator.kube.troubles import LOST, OUTAGES, Troubles

logger = logging.getLogger(__name__)

LEFT_OUT: Final = "NamespaceLeftOut"
_LOOK_SECONDS: Final = 5.0


class Poster(Protocol):
    """What posts events about our own pod."""

    async def post_own_event(self, namespace: str, pod_name: str, event: Event, now: datetime) -> None:
        """Post an event about a pod of the operator; the same reason told again is counted."""


@dataclass
class Notices:
    """Posts one event each time that a place is left out, from the replica that acts."""

    poster: Poster
    places: Places
    namespace: str
    """The namespace of the operator's pod."""
    pod_name: str
    clock: Callable[[], datetime]
    _told: dict[str | None, int] = field(default_factory=dict)
    """How many times each place had been left out when that was told last."""
    _troubles: Troubles = field(default_factory=lambda: Troubles(logger))

    async def keep(self) -> None:
        """Tell of each place that is left out, for ever."""
        while True:
            await self.tell()
            await asyncio.sleep(_LOOK_SECONDS)

    async def tell(self) -> None:
        """Tell of the places that are left out and were not told of; what fails in an outage is told next time."""
        for place in self.places.left_out:
            if self._told.get(place.namespace) != place.times_left_out and await self._post(place):
                self._told[place.namespace] = place.times_left_out

    async def _post(self, place: Place) -> bool:
        """Return whether this needs no other try."""
        try:
            await self.poster.post_own_event(
                self.namespace, self.pod_name, Event("Warning", LEFT_OUT, place.words), self.clock()
            )
        except NotLeading:
            return False
        except Exception as error:  # noqa: BLE001 - an event is not worth the operator
            self._troubles.tell(f"event {LEFT_OUT} could not be posted", error)
            return isinstance(error, LOST) or not isinstance(error, OUTAGES)
        return True
