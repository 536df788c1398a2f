"""kopf's watches: what the API server said of Jobs goes into the cache and wakes whom it is about.

Each place has a kopf of its own: when one ends, the watches of the others go on.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

import aiohttp
import kopf

from elt_operator.controller import sources, stateless
from elt_operator.controller.intake import Intake
from elt_operator.controller.places import Place
from elt_operator.controller.sources import Source
from elt_operator.kube.client import ApiError, Client
from elt_operator.kube.reflector import Patiently
from elt_operator.resources import names

logger = logging.getLogger(__name__)

_PREFIX: Final = "watcher for "
"""How kopf begins the names of the tasks that watch (kopf/_core/reactor/orchestration.py); reflectors do the same."""
_REFUSED: Final = frozenset({403, 404})


def running() -> int:
    """Return how many watches run in this event loop, kopf's and others."""
    return sum(1 for task in asyncio.all_tasks() if task.get_name().startswith(_PREFIX))


def register(registry: kopf.OperatorRegistry, intake: Intake) -> None:
    """Add the handlers to ``registry``. None of them awaits, writes or fails."""

    @kopf.on.event(names.GROUP, names.VERSION, names.JOBS, registry=registry)
    async def changed(event: kopf.RawEvent, resource: kopf.Resource, **_: Any) -> None:
        intake.take_event(resource.plural, event)


_of_kopf: ContextVar["WeakSet[asyncio.Task[Any]] | None"] = ContextVar("of_kopf", default=None)
"""The tasks that one kopf has started; ``None`` in all that is not kopf's."""


def _task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **how: Any
) -> "asyncio.Task[Any]":
    """Return a new task, as asyncio itself would make it; remember it where it is kopf's."""
    task = asyncio.Task(coroutine, loop=loop, **how)
    if (of_kopf := _of_kopf.get()) is not None:
        of_kopf.add(task)
    return task


class _All(Collection["asyncio.Task[Any]"]):
    """All tasks of the process, for kopf: else it would cancel at its end whatever was started after it."""

    def __contains__(self, _task: object) -> bool:
        return True

    def __iter__(self) -> Iterator["asyncio.Task[Any]"]:
        return iter(asyncio.all_tasks())

    def __len__(self) -> int:
        return len(asyncio.all_tasks())


@dataclass
class JobWatch:
    """Watches the Jobs of one place for ever, by kopf."""

    client: Client
    intake: Intake
    place: Place
    listed: Callable[[Source], None]
    """Is told each time that a watch has begun after everything was listed."""
    refused: Callable[[Source, Exception], None]
    """Is told when the API server has no Jobs there, or does not let us read them."""
    set_signals: Callable[[], None] = lambda: None
    """Sets the process's signal handlers again, which kopf has replaced by its own."""
    _lists: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The name of the task that runs kopf; kopf names the one that watches itself."""
        return f"kopf for the Jobs of {self.place.name}"

    @property
    def source(self) -> Source:
        """The Jobs of the place."""
        return next(sources.of(self.place.namespace, sources.BY_KOPF))

    async def run(self) -> None:
        """Run kopf; start it again when it gives up, with the cache as warm as it was."""
        pauses = iter(Patiently())
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._run_once()
                words = "kopf has stopped"
            except Exception as error:  # noqa: BLE001 - whatever ends kopf, Jobs still want to be looked after
                # Not with the traceback, which would be kopf's and says no more than the words do.
                words = f"{type(error).__name__}: {error}"[:1_000]
            if loop.time() - began > 60:  # noqa: PLR2004 - seconds after which it was no failed start
                pauses = iter(Patiently())
            logger.error("the watch on the Jobs of %s ended; starting it again: %s", self.place.name, words)
            await asyncio.sleep(next(pauses))

    async def _run_once(self) -> None:
        """Run kopf until it gives up. Cancelled, it ends as well, and nothing of it is left."""
        asyncio.get_running_loop().set_task_factory(_task)
        ours = WeakSet[asyncio.Task[Any]]()
        before = _of_kopf.set(ours)
        stop, sessions = asyncio.Event(), list[aiohttp.ClientSession]()
        try:
            await self._run_kopf(stop, sessions)
        finally:
            _of_kopf.reset(before)
            stop.set()
            while left := [task for task in ours if not task.done()]:
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)
            for session in sessions:  # kopf closes it as well, unless it had hardly begun
                await session.close()

    async def _run_kopf(self, stop: asyncio.Event, sessions: list[aiohttp.ClientSession]) -> None:
        registry = kopf.OperatorRegistry()
        register(registry, self.intake)

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            sessions.append(self._session())
            return kopf.AiohttpSession(server=self.client.server, aiohttp_session=sessions[-1])

        namespace = self.place.namespace
        tasks = await kopf.spawn_tasks(
            stop_flag=stop,
            registry=registry,
            settings=stateless.settings(),
            # Unused without peering; but kopf would make one of the user's name, and the pod's user has none.
            identity=names.MANAGER,  # type: ignore[arg-type]  # its own type of str, which it does not export
            standalone=True,
            clusterwide=namespace is None,
            namespaces=[] if namespace is None else [namespace],
        )
        self.set_signals()
        await kopf.run_tasks(tasks, ignored=_All())

    def _session(self) -> aiohttp.ClientSession:
        """Return a session that tells of lists and refusals."""
        session = self.client.new_session(f"{names.MANAGER}-watch")
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        trace.freeze()
        session.trace_configs.append(trace)
        return session

    async def _answered(self, _session: Any, _context: Any, ended: aiohttp.TraceRequestEndParams) -> None:
        if ended.url.raw_path != self.source.path:
            return
        if ended.response.status in _REFUSED:
            code, reason = ended.response.status, ended.response.reason or "Refused"
            self.refused(self.source, ApiError(code, reason, f"{self.source.path} cannot be listed and watched"))
        elif ended.response.ok and "watch" not in ended.url.query:
            self._lists = True
        elif ended.response.ok and self._lists:
            self._lists = False
            self.listed(self.source)
