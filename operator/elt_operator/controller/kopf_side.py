"""All that knows kopf: it watches Jobs, and what it is told goes into the cache and wakes whom it is about.

Each place has a kopf of its own: when one ends, the watches of the others go on. kopf is made to write nothing: no
annotation, no finalizer, no status, no event. Only its stateless handlers are used (on.event, login); the storages
below make sure that nothing else creeps in.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from weakref import WeakSet

import aiohttp
import kopf

from elt_operator.controller import sources
from elt_operator.controller.intake import Intake
from elt_operator.controller.places import Place
from elt_operator.controller.sources import ENDED_JOBS_LEFT_OUT, PAGE_OF_LARGE_OBJECTS, Source
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError
from elt_operator.kube.reflector import Backoff
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


def without_traceback(record: logging.LogRecord) -> bool:
    """Keep what kopf says of an outage to a line; it tells the same error again at each of its layers."""
    if record.name.startswith("kopf"):
        record.exc_info = None
    return True


def log_less() -> None:
    """Have kopf log warnings and errors only: it tells of each event that it hands on."""
    logging.getLogger("kopf").setLevel(logging.WARNING)


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled configuration. It also spares a third of kopf's work for each event."""

    def build(self, **_: Any) -> Any:
        """Return nothing to compare with."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> NoReturn:
        """Refuse: a handler that needs this has no place here."""
        raise NotImplementedError("the operator stores nothing on objects")


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers, for the ones in use have none."""

    def fetch(self, **_: Any) -> None:
        """Return that nothing was stored."""

    def store(self, **_: Any) -> NoReturn:
        """Refuse: a handler that needs this has no place here."""
        raise NotImplementedError("the operator stores nothing on objects")

    def purge(self, **_: Any) -> None:
        """Do nothing: there is nothing."""

    def touch(self, **_: Any) -> None:
        """Do nothing: no object is touched to be looked at again."""

    def clear(self, *, essence: Any) -> Any:
        """Return ``essence`` as it is."""
        return essence


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings; the reasons for each are in docs/architecture.md."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.persistence.diffbase_storage = NoDiffBase()
    chosen.persistence.progress_storage = NoProgress()
    chosen.persistence.finalizer = f"{names.GROUP}/never-set"
    chosen.queueing.idle_timeout = 0.5
    chosen.queueing.exit_timeout = 1.0
    chosen.networking.connect_timeout = 5.0
    chosen.networking.request_timeout = 30.0
    chosen.networking.error_backoffs = Backoff()  # kopf gives up, and ends the operator, when they run out
    chosen.watching.server_timeout = 600  # whole seconds: the API server refuses 600.0
    chosen.watching.client_timeout = 660
    chosen.watching.connect_timeout = 10.0
    chosen.watching.reconnect_backoff = 0.5
    chosen.watching.field_selectors[names.GROUP, names.VERSION, names.JOBS] = ENDED_JOBS_LEFT_OUT
    chosen.watching.chunk_size = PAGE_OF_LARGE_OBJECTS
    chosen.process.ultimate_exiting_timeout = None  # kopf would kill the process when only one of its watches ends
    return chosen


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
        pauses = iter(Backoff())
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
                pauses = iter(Backoff())
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
            settings=settings(),
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
