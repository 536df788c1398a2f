"""The tasks that have to run for as long as the operator does; one that ends all the same fails /livez."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)

Endless = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """Starts tasks, notices when one ends that was not stopped, and stops what is left at the end of ``async with``."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._ended: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(set(self._tasks))

    def start(self, name: str, endless: Endless) -> asyncio.Task[None]:
        """Run ``endless`` under this name."""
        task = asyncio.create_task(endless(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def run_until(self, tasks: Mapping[str, Endless], done: Endless) -> None:
        """Run ``tasks`` until ``done`` has returned; then stop them."""
        started = {self.start(name, endless) for name, endless in tasks.items()}
        try:
            await done()
        finally:
            await self._stop(started)

    async def _stop(self, tasks: set[asyncio.Task[None]]) -> None:
        self._stopping |= tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._stopping -= tasks

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if task in self._stopping:
            if error:
                logger.warning("%s: %s: %s", task.get_name(), type(error).__name__, error)
            return
        words = f"{type(error).__name__}: {error}"[:300] if error else "no error was reported"
        self._ended[task.get_name()] = words
        logger.error(
            "the background task %r has ended, so the operator must be restarted: %s",
            task.get_name(),
            words,
            exc_info=error,
        )

    def check(self) -> str:
        """Return which tasks have ended, for a probe."""
        return "; ".join(f"{name} has ended ({words})" for name, words in self._ended.items())
