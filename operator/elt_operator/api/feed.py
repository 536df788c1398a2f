"""What changes, as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

All who listen to a workspace get the same bytes, which are made once.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, NamedTuple

from elt_operator.api import hal
from elt_operator.api.catalog import Catalog, Change
from elt_operator.api.sending import PART_BYTES

_GATHER_SECONDS: Final = 0.1
"""How long changes are gathered before they are sent together."""
_MOST_BATCHES: Final = 100
"""How many are remembered of each workspace: whoever is further behind has to list anew."""
_MOST_BYTES: Final = 1024 * 1024
"""How large they may be together."""
_MOST_IDLE: Final = 32
"""How many workspaces are remembered to which nobody listens any more."""
_MOST_DIGITS: Final = 15
SILENT_SECONDS: Final = 15.0
"""How long nothing is sent before a comment is: so that nothing on the way thinks that nobody is there."""


class _Batch(NamedTuple):
    """Changes that are sent together."""

    last: int
    """The number of the last one."""
    data: bytes


class _Part(NamedTuple):
    """A part of a batch."""

    last: int
    """The number of its last change."""
    data: bytes
    is_end: bool


@dataclass
class _Workspace:
    """What has changed in a namespace lately."""

    begun_at: int
    """Changes up to this number are not known."""
    batches: deque[_Batch] = field(default_factory=deque)
    size: int = 0
    """Bytes of all of them."""
    listeners: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, batch: _Batch) -> None:
        """Add changes, and wake who listens."""
        self.batches.append(batch)
        self.size += len(batch.data)
        while len(self.batches) > _MOST_BATCHES or (self.size > _MOST_BYTES and len(self.batches) > 1):
            oldest = self.batches.popleft()
            self.begun_at, self.size = oldest.last, self.size - len(oldest.data)
        self.more.set()
        self.more = asyncio.Event()

    def part(self, position: int, sent: int) -> "_Part | None":
        """Return what follows ``sent`` bytes of the oldest batch that is newer than a change; ``None``: there is none.

        Whoever waits for a client that does not read holds no more than that.
        """
        newer = list(takewhile(lambda batch: batch.last > position, reversed(self.batches)))
        if not newer:
            return None
        last, data = newer[-1]
        return _Part(last, data[sent : sent + PART_BYTES], sent + PART_BYTES >= len(data))


@dataclass
class Feed:
    """Tells of each Job that changes."""

    catalog: Catalog
    _last: int = 0
    _waiting: defaultdict[str, dict[str, Change]] = field(default_factory=lambda: defaultdict(dict))
    """By namespace and UID: of each Job the last change."""
    _workspaces: dict[str, _Workspace] = field(default_factory=dict)
    """Only those that somebody listens to."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def listeners(self) -> int:
        """How many listen, to all workspaces together: one to which somebody listens is never forgotten."""
        return sum(there.listeners for there in self._workspaces.values())

    def take(self, change: Change) -> None:
        """Take a change of the catalog."""
        self._last = change.number
        if change.namespace in self._workspaces:
            self._waiting[change.namespace][change.uid] = change
            self._wake.set()

    async def send(self) -> None:
        """Make of changes what is sent, for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._wake.clear()
            waiting, self._waiting = self._waiting, defaultdict(dict)
            for namespace, changes in waiting.items():
                if there := self._workspaces.get(namespace):
                    ordered = sorted(changes.values(), key=lambda change: change.number)
                    data = b"".join(self._event(change) for change in ordered)
                    there.add(_Batch(ordered[-1].number, data))

    def _event(self, change: Change) -> bytes:
        if change.job is None:
            kind, told = b"deleted", {"id": change.uid}
        else:
            pipeline = self.catalog.pipeline(change.namespace, change.job.pipeline)
            kind, told = b"job", hal.job(change.job, pipeline, hal.Allowed(), details=True)
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            self.catalog.started.encode(), change.number, kind, hal.dumped(told),
        )  # fmt: skip

    async def listen(self, namespace: str, last_id: str) -> AsyncGenerator[bytes, None]:
        """Yield events from behind ``last_id`` on; where those are not known any more, first the event `reset`.

        An empty piece is yielded when nothing has happened for a while.
        """
        there = self._workspaces.pop(namespace, None) or _Workspace(self._last)
        self._workspaces[namespace] = there
        there.listeners += 1
        self._forget()
        try:
            position = self._position(there, last_id)
            if position is None:
                position = self._last
                yield b"id: %s-%d\nevent: reset\ndata: {}\n\n" % (self.catalog.started.encode(), position)
            sent = 0
            while True:
                more = there.more
                while part := there.part(position, sent):
                    if position < there.begun_at:
                        return  # too slow: whoever comes back gets a reset
                    position, sent = (part.last, 0) if part.is_end else (position, sent + len(part.data))
                    yield part.data
                try:
                    async with asyncio.timeout(SILENT_SECONDS):
                        await more.wait()
                except TimeoutError:
                    yield b""
        finally:
            there.listeners -= 1

    def _forget(self) -> None:
        """Forget the workspaces to which nobody has listened for the longest time."""
        idle = [namespace for namespace, there in self._workspaces.items() if not there.listeners]
        for namespace in idle[: max(0, len(idle) - _MOST_IDLE)]:
            del self._workspaces[namespace]

    def _position(self, there: _Workspace, last_id: str) -> int | None:
        started, _, number = last_id.rpartition("-")
        if started != self.catalog.started or not number.isascii() or not number.isdecimal():
            return None
        position = int(number[:_MOST_DIGITS])
        return position if there.begun_at <= position <= self._last else None
