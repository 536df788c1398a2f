"""The resync: complete lists, now and then, repair what the watches missed. The first one fills the cache."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from elt_operator.controller.cache import Cache
from elt_operator.controller.cluster import LiveCluster
from elt_operator.controller.intake import Intake
from elt_operator.controller.places import Place, Places
from elt_operator.controller.sources import Source
from elt_operator.core.model import EndedJob
from elt_operator.kube.troubles import LOST, OUTAGES, Troubles

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 1.0
"""How long to wait after a watch has listed anew: the other watches mostly do so in the same moment."""
_CONFIRM_SECONDS: Final = 2.0
"""An API server that has just started may refuse for a moment what it allows."""


@dataclass
class Resync:
    """Compares the cache with the cluster, place by place."""

    cluster: LiveCluster
    cache: Cache
    intake: Intake
    places: Places
    period_seconds: float
    finished_at: float | None = None
    """When the last resync ended, in monotonic seconds; ``None``: none has."""
    _due: dict[str, Source] = field(default_factory=dict)
    """What is to be compared soon, by its path."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _troubles: Troubles = field(default_factory=lambda: Troubles(logger))

    async def once(self) -> None:
        """Make the cache agree with the cluster, then have everything looked at. Quiet Pipelines cost no write.

        A place that cannot be read is left out; raises what goes wrong in an outage, once the others are done.
        """
        failed: list[tuple[Place, Exception]] = []
        asked = [place for place in self.places.all if not place.left_out]
        for place in asked:
            try:
                await self._list_or_leave_out(place)
            except Exception as error:  # noqa: BLE001 - one place must not hold up the others
                failed.append((place, error))
        if failed and (self.finished_at is not None or len(failed) == len(asked)):
            raise failed[0][1]
        # The operator has just started, and the API server answers, but not for these: the others need not wait.
        for place, why in failed:
            self.places.leave_out(place, why)
        self.cache.forget_gone()
        self.intake.wake_all()
        self.finished_at = time.monotonic()

    async def _list_or_leave_out(self, place: Place) -> None:
        try:
            await self.list(place)
        except LOST:
            await asyncio.sleep(_CONFIRM_SECONDS)
            try:
                await self.list(place)
            except LOST as error:
                self.places.leave_out(place, error)

    async def list(self, place: Place) -> Sequence[tuple[Source, str]]:
        """Make the cache agree with all that is in ``place``; return the version of each list."""
        versions = [(source, await self.compare(source)) for source in place.sources]
        try:
            self._keep_history(place, [job async for job in self.cluster.ended_jobs(place.namespace)])
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - one object that cannot be read must not hide the others
            self._troubles.tell(f"the Jobs that have ended in {place.name} cannot be read", error)
        return versions

    def _keep_history(self, place: Place, ended: Iterable[EndedJob]) -> None:
        """Replace what is known of the Jobs that have ended in ``place``."""
        elsewhere = {
            key: jobs for key, jobs in self.cache.history.items() if place.namespace not in {None, key.namespace}
        }
        for job in ended:
            elsewhere.setdefault(job.key, {})[job.uid] = job
        self.cache.history = elsewhere

    async def compare(self, source: Source) -> str:
        """Make the cache agree with a complete list of ``source``; return the list's version.

        What was known before and is not in it is gone: watches do not tell of each deletion.
        """
        gone = set[str]().union(*(store.uids(source.namespace) for store in self.cache.stores(source.plural)))
        version = ""
        async for page in self.cluster.pages(source):
            version = page.version
            gone.difference_update([self.intake.take(source.plural, body) for body in page.items])
            del page  # it may be large, and the next one is about to be read
        for uid in gone:
            self.intake.forget(source.plural, uid, version)
        return version

    def soon(self, source: Source) -> None:
        """Have ``source`` compared in a moment: its watch has begun anew, and tells of nothing deleted before."""
        self._due[source.path] = source
        self._wake.set()

    async def _compare_due(self) -> None:
        self._wake.clear()
        for path, source in sorted(self._due.items()):
            del self._due[path]
            try:
                await self.compare(source)
            except LOST as error:
                self.places.doubt(source, error)
            except Exception:
                self._due.setdefault(path, source)
                raise

    async def until_done(self) -> None:
        """Resync, again and again until the API server has answered once."""
        await self._until(self.once)

    async def repeat(self) -> None:
        """Resync without end: everything each period, give or take a tenth, and a source soon after it is named."""
        loop = asyncio.get_running_loop()
        while True:
            period = self.period_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
            next_resync = loop.time() + period
            while (left := next_resync - loop.time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._wake.wait()
                    await asyncio.sleep(_SETTLE_SECONDS)
                    await self._until(self._compare_due)
            await self.until_done()

    async def _until(self, done: Callable[[], Awaitable[None]]) -> None:
        """Call ``done`` until the API server has answered all of it."""
        while True:
            try:
                return await done()
            except Exception as error:  # noqa: BLE001 - without lists nothing would ever be repaired
                self._troubles.tell("the cluster cannot be listed yet; trying again", error)
                await asyncio.sleep(_RETRY_SECONDS)
