"""The watches of each place: which of them run, whether they may, and what becomes of a place that cannot be read."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from elt_operator.controller.cluster import LiveCluster
from elt_operator.controller.intake import Intake
from elt_operator.controller.places import Place, Places
from elt_operator.controller.resync import Resync
from elt_operator.controller.sources import Source
from elt_operator.kube.reflector import Reflector
from elt_operator.kube.troubles import LOST, Troubles

logger = logging.getLogger(__name__)

_CONFIRM_SECONDS: Final = 2.0
"""An API server that has just started may refuse for a moment what it allows."""
_REPEATED_SECONDS: Final = 8.0
"""How soon a watch that was refused is refused again: a little more than the longest pause between tries."""
_PROBE_SECONDS: Final = 15.0
_TAKE_UP_SECONDS: Final = 10.0
_REFUSAL_SECONDS: Final = 1.0
"""How long a refusal to watch may take."""


@dataclass
class Watches:
    """Begins watches, leaves out a place whose watches are refused, and takes it up again."""

    cluster: LiveCluster
    intake: Intake
    places: Places
    resync: Resync
    _troubles: Troubles = field(default_factory=lambda: Troubles(logger))

    def reflector(self, source: Source) -> Reflector:
        """Return what watches ``source``."""

        async def begin() -> str:
            version = await self.resync.compare(source)
            self._begun(source)
            return version

        return Reflector(
            source.path,
            list=begin,
            watch=lambda version: self.cluster.watch(source, version),
            take=lambda event: self.intake.take_event(source.plural, event),
            refused=lambda error: self.places.doubt(source, error),
        )

    def listed_anew(self, source: Source) -> None:
        """Take notice that kopf has listed ``source``, as it does after its stream was broken.

        It tells of nothing that was deleted meanwhile; so this has to be compared.
        """
        self.resync.soon(source)
        self._begun(source)

    def _begun(self, source: Source) -> None:
        if self.places.begun(source):
            self.intake.wake_all(source.namespace)

    async def until_left_out(self, place: Place) -> None:
        """Return once ``place`` is left out, having looked now and then whether it can still be read.

        A watch that runs may go on for minutes after the right to it is gone; and what may be listed need not be
        allowed to be watched. Either counts when it is found twice.
        """
        turns = itertools.cycle(place.sources)
        while not place.left_out:
            if await _set_within(place.doubted, _PROBE_SECONDS):
                place.doubted.clear()
                await self._leave_out_if_refused_again(place)
            # For all namespaces at once the watches and the resync have to do: there even this may be much to read.
            elif place.namespace and await self._refusal([next(turns)]):
                await self._leave_out_if_refused_again(place)

    async def _leave_out_if_refused_again(self, place: Place) -> None:
        await asyncio.sleep(_CONFIRM_SECONDS)
        refusal = await self._refusal(place.sources)
        if refusal is None and await _set_within(place.doubted, _REPEATED_SECONDS):
            refusal = place.refusal  # what may be listed may not be watched
        if refusal:
            self.places.leave_out(place, refusal)

    async def _refusal(self, asked: Iterable[Source]) -> Exception | None:
        """Return why one of these sources cannot be read; ``None``: they can, or the API server does not say."""
        try:
            for source in asked:
                async for _page in self.cluster.pages(replace(source, page_size=1)):
                    break
        except LOST as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever else goes wrong is no lost right
            self._troubles.tell("the operator's permissions cannot be checked", error)
        return None

    async def _may_watch(self, versions: Sequence[tuple[Source, str]]) -> None:
        """Raise what keeps any of these sources from being watched from its version on."""

        async def begin(source: Source, version: str) -> None:
            events = cast("AsyncGenerator[Any, None]", self.cluster.watch(source, version))
            with suppress(TimeoutError):  # nothing has happened, and nothing was refused
                async with asyncio.timeout(_REFUSAL_SECONDS), aclosing(events):
                    async for _event in events:
                        return

        await asyncio.gather(*(begin(source, version) for source, version in versions))

    async def take_up(self, place: Place) -> None:
        """Return once ``place`` is not left out: all of it was listed."""
        while place.left_out:
            await asyncio.sleep(_TAKE_UP_SECONDS)
            try:
                await self._may_watch(await self.resync.list(place))
            except LOST as error:
                logger.debug("%s still cannot be read: %s", place.name, error)
            except Exception as error:  # noqa: BLE001 - it is tried again, and the others go on
                self._troubles.tell(f"{place.name} cannot be listed yet; trying again", error)
            else:
                self.places.take_up(place)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until ``event`` is set, at most for ``seconds``; return whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
