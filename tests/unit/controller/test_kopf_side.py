"""kopf watches the Jobs of each namespace, whatever becomes of the others, and of itself."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import kopf
import pytest
import pytest_asyncio

from elt_operator.controller import kopf_side
from elt_operator.controller.cache import Cache
from elt_operator.controller.intake import Intake, Unreadable
from elt_operator.controller.kopf_side import JobWatch
from elt_operator.controller.places import Place
from elt_operator.core.model import PipelineKey
from elt_operator.kube.client import Client
from elt_operator.kube.reflector import Backoff
from elt_operator.resources import names
from fakes.api_server import ApiServer


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = kopf_side.settings

    def settings() -> Any:
        chosen = usual()
        chosen.watching.reconnect_backoff = 0.01
        chosen.queueing.idle_timeout = 0.05
        return chosen

    monkeypatch.setattr(kopf_side, "settings", settings)
    monkeypatch.setattr(Backoff, "__iter__", lambda _: _short())


def _short() -> Iterator[float]:
    while True:
        yield 0.02


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


class World:
    """The Jobs of the namespaces a and b, and what is known of them."""

    client: Client

    def __init__(self) -> None:
        self.server = ApiServer("a", "b")
        self.woken, self.listed, self.refused = set[PipelineKey](), list[str](), list[str]()
        self.unreadable, self.signals = list[str](), list[None]()
        self.cache = Cache(Unreadable(self.unreadable.append).tell)
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def watch(self, *namespaces: str) -> None:
        """Start kopf for these, as far as they can be watched."""
        for namespace in namespaces:
            watch = JobWatch(
                self.client,
                Intake(self.cache, self.woken.add, Unreadable(self.unreadable.append).tell),
                Place(namespace),
                lambda source: self.listed.append(str(source.namespace)),
                lambda source, error: self.refused.append(f"{source.namespace}: {error}"),
                lambda: self.signals.append(None),
            )
            self.tasks[namespace] = asyncio.create_task(watch.run(), name=watch.name)
        for namespace in namespaces:
            if self.server.jobs[namespace].code == 200:
                await asyncio.wait_for(self.server.jobs[namespace].watched.wait(), 10)

    async def stop(self, namespace: str) -> None:
        task = self.tasks.pop(namespace)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.server.serving() as made.client:
        yield made
        for namespace in list(made.tasks):
            await made.stop(namespace)


def a_job(name: str, namespace: str = "a", version: str = "1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "resourceVersion": version}
    return {"metadata": metadata, "spec": {"pipelineName": name}}


async def test_jobs_are_listed_in_pages_and_then_watched(world: World) -> None:
    world.server.jobs["a"].items = [a_job(f"old-{number}") for number in range(120)]

    await world.watch("a")
    world.server.jobs["a"].tell("ADDED", a_job("new"))
    await until(lambda: len(world.woken) == 121)

    assert world.server.jobs["a"].lists == 3
    assert world.listed == ["a"], "once, when the watch begins, not for each page"
    assert world.signals == [None]


async def test_kopf_names_its_watches_as_the_probe_counts_them(world: World) -> None:
    await world.watch("a", "b")

    assert kopf_side.running() == 2

    await world.stop("b")
    assert kopf_side.running() == 1


async def test_a_namespace_that_is_forbidden_disturbs_no_other(world: World) -> None:
    world.server.jobs["b"].code = 403

    await world.watch("a", "b")
    await until(lambda: world.refused)
    world.server.jobs["a"].tell("ADDED", a_job("new"))
    await until(lambda: PipelineKey("a", "new") in world.woken)

    assert world.listed == ["a"]
    assert len(set(world.refused)) == 1
    assert world.refused[0].startswith("b: 403 Forbidden: /apis/")
    assert world.server.jobs["a"].lists == 1


async def test_a_namespace_that_is_not_there_disturbs_no_other(world: World) -> None:
    await world.watch("a", "b")
    world.server.jobs["b"].code = 404

    world.server.jobs["b"].close()
    await until(lambda: world.refused)
    world.server.jobs["a"].tell("ADDED", a_job("new"))
    await until(lambda: PipelineKey("a", "new") in world.woken)

    assert world.server.jobs["a"].lists == 1


async def test_a_watch_goes_on_when_what_refused_it_is_over(world: World) -> None:
    world.server.jobs["b"].code = 403
    await world.watch("b")
    await until(lambda: world.refused)

    world.server.jobs["b"].code = 200
    await asyncio.wait_for(world.server.jobs["b"].watched.wait(), 10)
    await until(lambda: world.listed == ["b"])


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"namespace": "a", "uid": "u"}, id="no name"),
        pytest.param({"name": "x", "uid": "u"}, id="no namespace"),
        pytest.param({"name": "x", "namespace": "a"}, id="no UID"),
        pytest.param({"name": 7, "namespace": ["a"], "uid": "u"}, id="other types"),
        pytest.param({"name": "x", "namespace": "a", "uid": "u", "annotations": [1], "labels": 7}, id="odd labels"),
    ],
)
async def test_an_odd_job_does_not_end_kopf(world: World, metadata: Any) -> None:
    odd = {"metadata": {"resourceVersion": "2", **metadata}, "spec": {"pipelineName": "x"}}
    world.server.jobs["a"].items = [odd, a_job("listed")]

    await world.watch("a")
    world.server.jobs["a"].tell("MODIFIED", odd)
    world.server.jobs["a"].tell("DELETED", odd)
    world.server.jobs["a"].tell("ADDED", a_job("new", version="3"))
    await until(lambda: world.woken >= {PipelineKey("a", "listed"), PipelineKey("a", "new")})

    assert world.server.jobs["a"].lists == 1


async def test_kopf_that_gives_up_is_started_again_and_takes_nobody_with_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.watch("a")
    bystander = asyncio.create_task(asyncio.Event().wait())  # kopf would end what is started after it

    world.server.jobs["a"].watched.clear()
    world.server.jobs["a"].tell("ERROR", {"kind": "Status", "code": 500, "message": "etcd is away"})
    await asyncio.wait_for(world.server.jobs["a"].watched.wait(), 10)
    await until(lambda: world.listed == ["a", "a"])

    assert not bystander.done()
    bystander.cancel()
    assert "the watch on the Jobs of a ended; starting it again: WatchingError" in caplog.text
    assert kopf_side.running() == 1


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13, 21, 34])
async def test_kopf_can_be_stopped_while_it_starts(world: World, steps: int) -> None:
    before = asyncio.all_tasks()
    world.server.jobs["a"].code = 403
    await world.watch("a")
    for _ in range(steps):
        await asyncio.sleep(0)

    await world.stop("a")

    left = {task.get_name() for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
    assert left == set()


async def test_nothing_is_left_of_kopf_that_was_stopped(world: World) -> None:
    before = asyncio.all_tasks()
    await world.watch("a")

    await world.stop("a")

    left = {task.get_name() for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
    assert left == set()


# --- kopf writes nothing, and ends nothing but itself


def test_only_events_of_jobs_are_handled() -> None:
    registry = kopf.OperatorRegistry()

    kopf_side.register(registry, Intake(Cache(), lambda _key: None, lambda *_: None))

    (handler,) = registry._watching.get_all_handlers()
    assert names.JOBS in str(handler.selector)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []


def test_storages_refuse_to_store() -> None:
    with pytest.raises(NotImplementedError):
        kopf_side.NoDiffBase().store()
    with pytest.raises(NotImplementedError):
        kopf_side.NoProgress().store()


def test_settings_leave_kopf_nothing_to_write() -> None:
    settings = kopf_side.settings()

    assert settings.posting.enabled is False
    assert settings.peering.standalone is True
    assert isinstance(settings.persistence.diffbase_storage, kopf_side.NoDiffBase)
    assert isinstance(settings.persistence.progress_storage, kopf_side.NoProgress)
    selector = settings.watching.field_selectors["elt-operator.io", "v1alpha1", "eltjobs"]
    assert selector == "status.phase!=COMPLETE,status.phase!=ERROR,status.phase!=STOPPED,status.phase!=UNKNOWN"


def test_an_outage_is_logged_without_kopfs_traceback() -> None:
    line = logging.LogRecord(
        "kopf.clients", logging.ERROR, "x.py", 1, "no answer", (), (ValueError, ValueError("x"), None)
    )

    assert kopf_side.without_traceback(line)

    assert line.exc_info is None
