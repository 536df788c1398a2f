"""The audit: complete lists, now and then, repair what the watches missed. The first one fills the cache."""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from elt_operator.controller.cache import Cache
from elt_operator.controller.cluster import LiveCluster
from elt_operator.controller.intake import Intake
from elt_operator.controller.places import Place, Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.sources import Source
from elt_operator.core.situation import FinishedJob, Key
from elt_operator.kube.troubles import LOST, OUTAGES, Troubles

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 1.0
"""How long to wait after a watch has listed anew: the other watches mostly do so in the same moment."""
_CONFIRM_SECONDS: Final = 2.0
"""An API server that has just started may refuse for a moment what it allows."""
_REPEATED_SECONDS: Final = 8.0
"""How soon a watch that was refused is refused again: a little more than the longest pause between tries."""
_PROBE_SECONDS: Final = 15.0
_TAKE_UP_SECONDS: Final = 10.0
_REFUSAL_SECONDS: Final = 1.0
"""How long a refusal to watch may take."""


@dataclass
class Audit:
    """Compares the cache with the cluster, place by place."""

    cluster: LiveCluster
    cache: Cache
    queue: WorkQueue[Key]
    intake: Intake
    places: Places
    period_seconds: float
    finished_at: float | None = None
    """When the last audit ended, in monotonic seconds; ``None``: none has."""
    _relisted: dict[str, Source] = field(default_factory=dict)
    """What kopf has listed anew, by its path."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _troubles: Troubles = field(default_factory=lambda: Troubles(logger))

    @property
    def watching(self) -> asyncio.Event:
        """Set once all watches run; see ``Places``."""
        return self.places.watching

    def serves(self, namespace: str) -> bool:
        """Return whether decisions may be made about what is in ``namespace``."""
        return self.places.serves(namespace)

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
        self.wake_all()
        self.finished_at = time.monotonic()

    def wake_all(self, namespace: str | None = None) -> None:
        """Have every Pipeline looked at; or those of one namespace."""
        for key in self.cache.all_keys():
            if namespace in {None, key.namespace}:
                self.queue.add(key)

    async def _list_or_leave_out(self, place: Place) -> None:
        try:
            await self._list(place)
        except LOST:
            await asyncio.sleep(_CONFIRM_SECONDS)
            try:
                await self._list(place)
            except LOST as error:
                self.places.leave_out(place, error)

    async def _list(self, place: Place) -> Sequence[tuple[Source, str]]:
        """Make the cache agree with all that is in ``place``; return the version of each list."""
        versions = [(source, await self.compare(source)) for source in place.sources]
        try:
            self._keep_history(place, [job async for job in self.cluster.finished(place.namespace)])
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - one object that cannot be read must not hide the others
            self._troubles.tell(f"the Jobs that have ended in {place.name} cannot be read", error)
        return versions

    def _keep_history(self, place: Place, finished: Iterable[FinishedJob]) -> None:
        """Replace what is known of the Jobs that have ended in ``place``."""
        elsewhere = {
            key: jobs for key, jobs in self.cache.history.items() if place.namespace not in {None, key.namespace}
        }
        for job in finished:
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

    async def begin(self, source: Source) -> str:
        """Do the same for a watch that goes on from there."""
        version = await self.compare(source)
        self._begun(source)
        return version

    def _begun(self, source: Source) -> None:
        if self.places.begun(source):
            self.wake_all(source.namespace)

    def listed_anew(self, source: Source) -> None:
        """Take notice that kopf has listed ``source``, as it does after its stream was broken.

        It tells of nothing that was deleted meanwhile; so this has to be compared.
        """
        self._relisted[source.path] = source
        self._wake.set()
        self._begun(source)

    async def _compare_relisted(self) -> None:
        self._wake.clear()
        for path, source in sorted(self._relisted.items()):
            del self._relisted[path]
            try:
                await self.compare(source)
            except LOST as error:
                self.places.doubt(source, error)
            except Exception:
                self._relisted.setdefault(path, source)
                raise

    async def until_done(self) -> None:
        """Audit, again and again until the API server has answered once."""
        await self._until(self.once)

    async def repeat(self) -> None:
        """Audit for ever: everything each period, give or take a tenth, and a kind when its watch has listed anew."""
        loop = asyncio.get_running_loop()
        while True:
            period = self.period_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
            whole_audit = loop.time() + period
            while (left := whole_audit - loop.time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._wake.wait()
                    await asyncio.sleep(_SETTLE_SECONDS)
                    await self._until(self._compare_relisted)
            await self.until_done()

    async def _until(self, done: Callable[[], Awaitable[None]]) -> None:
        """Call ``done`` until the API server has answered all of it."""
        while True:
            try:
                return await done()
            except Exception as error:  # noqa: BLE001 - without lists nothing would ever be repaired
                self._troubles.tell("the cluster cannot be listed yet; trying again", error)
                await asyncio.sleep(_RETRY_SECONDS)

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
            # For all namespaces at once the watches and the audit have to do: there even this may be much to read.
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
            self._troubles.tell("the operator's rights cannot be checked", error)
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
                await self._may_watch(await self._list(place))
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
