"""The operator's watches, all together: one namespace comes and goes, the other does not notice."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from builders import at
from elt_operator.controller import kopf_side as watches
from elt_operator.controller import program as operator
from elt_operator.controller import resync as auditing
from elt_operator.controller.cache import Cache
from elt_operator.controller.cluster import LiveCluster
from elt_operator.controller.intake import Intake, Unreadable
from elt_operator.controller.leadership import Leadership
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.reconciler import Reconciler
from elt_operator.controller.resync import Audit
from elt_operator.core.situation import Key, Limits
from elt_operator.kube.client import Client
from elt_operator.serving.background import Background
from elt_operator.settings.controller import Settings
from fakes.api_server import ApiServer

SOURCES = 5


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in vars(auditing) if name.endswith("_SECONDS")]:
        monkeypatch.setattr(auditing, name, 0.02)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


class World:
    """An operator that looks after the namespaces a and b."""

    def __init__(self, client: Client, server: ApiServer) -> None:
        self.server, self.background, self.looked_at = server, Background(), set[Key]()
        queue: WorkQueue[Key] = WorkQueue()
        skipped = Unreadable(lambda _plural: None).tell
        cache, places = Cache(skipped), Places(["a", "b"])
        cluster = LiveCluster.behind(client)
        self.audit = Audit(cluster, cache, queue, Intake(cache, queue.add, skipped), places, 300)
        reconciler = Reconciler(cluster, cache, queue, lambda: at(0), Limits(), leads=lambda: False)
        self.parts = operator.Parts(client, self.audit, reconciler, Leadership(None), asyncio.Event())

    async def start(self) -> None:
        await self.audit.until_done()
        operator._start(self.background, self.parts, Settings(watch_namespaces="a,b", workers=1))

    def serves(self, *namespaces: str) -> bool:
        return [name for name in ("a", "b") if self.audit.serves(name)] == list(namespaces)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    server = ApiServer("a", "b")
    async with server.serving() as client:
        made = World(client, server)
        async with made.background:
            yield made
            assert made.background.check() == ""
        assert watches.running() == 0


async def test_a_namespace_that_was_forbidden_at_the_start_is_taken_up(world: World) -> None:
    world.server.jobs["b"].code = 403

    await world.start()
    await until(lambda: world.serves("a"))
    assert world.audit.watching.is_set()
    world.server.jobs["b"].code = 200

    await until(lambda: world.serves("a", "b"))
    await until(lambda: watches.running() == 2 * SOURCES)


async def test_a_namespace_that_becomes_forbidden_takes_no_other_with_it(world: World) -> None:
    await world.start()
    await until(lambda: world.serves("a", "b"))

    world.server.jobs["b"].code = 403

    await until(lambda: world.serves("a"))
    await until(lambda: watches.running() == SOURCES)
    world.server.jobs["a"].tell(
        "ADDED",
        {
            "metadata": {"name": "new", "namespace": "a", "uid": "u", "resourceVersion": "101"},
            "spec": {"pipelineName": "p"},
        },
    )
    await until(lambda: world.audit.cache.jobs.of(Key("a", "p")))
    world.server.jobs["b"].code = 200
    await until(lambda: world.serves("a", "b"))
    assert world.server.jobs["a"].watched.is_set()
    assert len(world.server.jobs["a"].streams) == 1, "its watch was never broken"
