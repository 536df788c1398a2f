"""The work queue: each key at most once in it, one worker per key, back-off with jitter, delayed adds."""

import asyncio
import random
import time
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
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: dict[K, float] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be looked at, and nothing but the caller's own key is being looked at."""
        return not self._waiting and len(self._working) <= 1

    @property
    def depth(self) -> int:
        """How many keys wait to be looked at."""
        return len(self._waiting)

    @property
    def waiting_since(self) -> float | None:
        """Since when the first of them has waited, in monotonic seconds; ``None``: none waits."""
        return next(iter(self._waiting.values()), None)

    def add(self, key: K) -> None:
        """Have ``key`` looked at as soon as a worker is free."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have ``key`` looked at in ``seconds``, unless it already will be before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer and not timer.cancelled() and timer.when() <= when:
            return
        if timer:
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def back_off_seconds(self, key: K) -> float:
        """Return how long to wait after one more failure of ``key``: 0.2 s x 2^n with jitter, at most 60 s."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(FIRST_BACK_OFF_SECONDS * 2 ** min(failures, 20), LONGEST_BACK_OFF_SECONDS)
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret

    def succeeded(self, key: K) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)

    async def work(self, look_at: Callable[[K], Awaitable[None]]) -> None:
        """Call ``look_at`` for each key as it comes, for ever; ``look_at`` handles its own errors."""
        while True:
            key = await self._ready.get()
            self._waiting.pop(key, None)
            self._working.add(key)
            try:
                await look_at(key)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    def close(self) -> None:
        """Drop all delayed adds."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
