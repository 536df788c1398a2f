"""The work queue: each key at most once in it, one worker per key, back-off with jitter, delayed adds.

It has two lanes. What is put off is taken only while nothing else waits or is under way, or once it is due.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACK_OFF_SECONDS: Final = 0.2
LONGEST_BACK_OFF_SECONDS: Final = 60.0


class WorkQueue(Generic[K]):
    """Keys that want to be looked at.

    A key that is added while it is being worked on is looked at once more afterwards, never by two workers at once.
    """

    def __init__(self) -> None:
        self._waiting: dict[K, float] = {}
        """Since when, in monotonic seconds; the first of them is the next one."""
        self._put_off: dict[K, None] = {}
        self._working: dict[K, bool] = {}
        """What is looked at, and whether it had been put off."""
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._held_until: dict[K, float] = {}
        """Until when a key that failed is left alone, in seconds of the loop, whatever is reported meanwhile."""
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._free: deque[asyncio.Future[None]] = deque()
        """Workers that have nothing to do."""

    def is_idle(self, but: K | None = None) -> bool:
        """Return whether, but for one key, nothing waits or is looked at; what is put off does not count."""
        return not self._waiting and all(key == but or put_off for key, put_off in self._working.items())

    @property
    def depth(self) -> int:
        """How many keys wait to be looked at; without those that are put off."""
        return len(self._waiting)

    @property
    def waiting_since(self) -> float | None:
        """Since when the first of them has waited, in monotonic seconds; ``None``: none waits."""
        return next(iter(self._waiting.values()), None)

    def add(self, key: K) -> None:
        """Have ``key`` looked at as soon as a worker is free; one that failed, once its back-off is over."""
        if key in self._held_until:
            if asyncio.get_running_loop().time() < self._held_until[key]:
                self._schedule(key, self._held_until[key])
                return
            del self._held_until[key]
        self._put_off.pop(key, None)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._wake()

    def put_off(self, key: K, seconds: float) -> None:
        """Have ``key`` looked at once nothing else is to be done, or in ``seconds``."""
        if key not in self._waiting and key not in self._again:
            self._put_off[key] = None
            self._wake()
        self.add_after(key, seconds)

    def add_after(self, key: K, seconds: float) -> None:
        """Have ``key`` looked at in ``seconds``, unless it already will be before."""
        self._schedule(key, asyncio.get_running_loop().time() + seconds)

    def _schedule(self, key: K, when: float) -> None:
        timer = self._timers.get(key)
        if timer and not timer.cancelled() and timer.when() <= when:
            return
        if timer:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(when, self._due, key)

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def back_off_seconds(self, key: K) -> float:
        """Return how long to wait after one more failure of ``key``: 0.2 s x 2^n with jitter, at most 60 s."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(FIRST_BACK_OFF_SECONDS * 2 ** min(failures, 20), LONGEST_BACK_OFF_SECONDS)
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret

    def failed(self, key: K) -> float:
        """Have ``key`` looked at once its back-off is over, and not before; return the seconds until then."""
        seconds = self.back_off_seconds(key)
        self._held_until[key] = asyncio.get_running_loop().time() + seconds
        self._again.discard(key)
        self._schedule(key, self._held_until[key])
        return seconds

    def succeeded(self, key: K) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)
        self._held_until.pop(key, None)

    async def work(self, look_at: Callable[[K], Awaitable[None]]) -> None:
        """Call ``look_at`` for each key as it comes, for ever; ``look_at`` handles its own errors.

        When a key has to be looked at again without a reason from outside, each look says anew.
        """
        while True:
            key = await self._next()
            if timer := self._timers.pop(key, None):
                timer.cancel()
            try:
                await look_at(key)
            finally:
                del self._working[key]
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
                elif self._put_off and self.is_idle():
                    while self._free:
                        self._wake()

    async def _next(self) -> K:
        """Wait for the next key."""
        while (key := self._take()) is None:
            free = asyncio.get_running_loop().create_future()
            self._free.append(free)
            await free
        return key

    def _take(self) -> K | None:
        if self._waiting:
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._working[key] = False
            return key
        found = next((key for key in self._put_off if key not in self._working), None) if self.is_idle() else None
        if found is not None:
            del self._put_off[found]
            self._working[found] = True
        return found

    def _wake(self) -> None:
        """Have a worker look whether there is something for it."""
        while self._free:
            free = self._free.popleft()
            if not free.done():
                free.set_result(None)
                return

    def close(self) -> None:
        """Drop all delayed adds."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
