"""Logs of pods that are about to end, followed to their end: the kubelet may remove a log together with its process.

Who follows has each line when it is written, but cannot prove that none is missing: whatever stands between may end the
answer as if that were the log's end. So what comes from here is never called complete.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from elt_operator.core.model import PodLog
from elt_operator.core.whole_log import WholeLog
from elt_operator.errors import OperatorError
from elt_operator.kube.troubles import OUTAGES

logger = logging.getLogger(__name__)

MOST_FOLLOWED: Final = 200
"""How many logs are followed at a time: each holds a connection."""
_MOST_KEPT: Final = 200
"""How many are kept that nobody has asked for, as when their Job was deleted: each takes 128 KiB."""
_PATIENCE_SECONDS: Final = 2.0
"""How long the end of a log is waited for once its process has ended; the kubelet looks once a second."""

Follow = Callable[[Callable[[bytes], None]], Awaitable[object]]
"""Hands a log to a function, chunk by chunk, until it ends."""


@dataclass(frozen=True)
class _Followed:
    read: WholeLog
    task: asyncio.Task[None]


@dataclass
class LastLogs:
    """Follows logs, by the UID of their pod."""

    _by_uid: dict[str, _Followed] = field(default_factory=dict)

    def follow(self, uid: str, started: datetime | None, follow: Follow) -> None:
        """Begin to follow a log, unless something of it is there; beyond ``MOST_FOLLOWED`` it is left alone."""
        known = self._by_uid.get(uid)
        at_work = sum(not followed.task.done() for followed in self._by_uid.values())
        if (known and (known.read.size or not known.task.done())) or at_work >= MOST_FOLLOWED:
            return
        for done in [known for known, followed in self._by_uid.items() if followed.task.done()][:-_MOST_KEPT]:
            del self._by_uid[done]
        read = WholeLog(started)
        self._by_uid[uid] = _Followed(read, asyncio.create_task(_quietly(follow, read), name=f"log of pod {uid}"))

    async def end_of(self, uid: str) -> PodLog:
        """Return what was read of the log of a pod that has ended, and forget it."""
        followed = self._by_uid.get(uid)
        if followed is None:
            return PodLog(None)
        await asyncio.wait([followed.task], timeout=_PATIENCE_SECONDS)
        self.forget(uid)
        if not followed.read.size:
            return PodLog(None)
        read = followed.read.finish(all_of_it=False)
        return PodLog(read.end, read.account)

    def forget(self, uid: str) -> None:
        """Follow a log no more, and drop what was read of it."""
        if followed := self._by_uid.pop(uid, None):
            followed.task.cancel()

    async def close(self) -> None:
        """Follow no log any more."""
        tasks = [followed.task for followed in self._by_uid.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quietly(follow: Follow, read: WholeLog) -> None:
    try:
        await follow(read.feed)
    except (*OUTAGES, OperatorError) as error:  # what was read until then is there
        logger.debug("a log is followed no more: %s: %s", type(error).__name__, error)
