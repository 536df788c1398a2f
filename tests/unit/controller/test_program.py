"""The operator's watches, all together: one namespace comes and goes, the other does not notice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from elt_operator.controller import kopf_side, program, resync, watches
from elt_operator.controller.leadership import Leadership
from elt_operator.controller.metrics import Metrics
from elt_operator.core.model import PipelineKey
from elt_operator.kube.client import Client
from elt_operator.serving.background import Background
from elt_operator.settings.controller import Settings
from fakes.api_server import ApiServer

SOURCES = 5


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (resync, watches):
        for name in [name for name in vars(module) if name.endswith("_SECONDS")]:
            monkeypatch.setattr(module, name, 0.02)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


class StandingBy:
    """A Lease that another replica holds."""

    term = 0

    def holds(self) -> bool:
        return False


class World:
    """An operator that looks after the namespaces a and b."""

    def __init__(self, client: Client, server: ApiServer) -> None:
        self.server, self.background = server, Background()
        self.settings = Settings(watch_namespaces="a,b", workers=1)
        self.parts = program._parts(client, Leadership(StandingBy()), Metrics(), self.settings)  # type: ignore[arg-type]  # a Lease of somebody else

    async def start(self) -> None:
        await self.parts.resync.until_done()
        program._start(self.background, replace(self.parts, leadership=Leadership(None)), self.settings)

    def serves(self, *namespaces: str) -> bool:
        return [name for name in ("a", "b") if self.parts.places.serves(name)] == list(namespaces)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    server = ApiServer("a", "b")
    async with server.serving() as client:
        made = World(client, server)
        async with made.background:
            yield made
            assert made.background.check() == ""
        assert kopf_side.running() == 0


async def test_a_namespace_that_was_forbidden_at_the_start_is_taken_up(world: World) -> None:
    world.server.jobs["b"].code = 403

    await world.start()
    await until(lambda: world.serves("a"))
    assert world.parts.places.watching.is_set()
    world.server.jobs["b"].code = 200

    await until(lambda: world.serves("a", "b"))
    await until(lambda: kopf_side.running() == 2 * SOURCES)


async def test_a_namespace_that_becomes_forbidden_takes_no_other_with_it(world: World) -> None:
    await world.start()
    await until(lambda: world.serves("a", "b"))

    world.server.jobs["b"].code = 403

    await until(lambda: world.serves("a"))
    await until(lambda: kopf_side.running() == SOURCES)
    world.server.jobs["a"].tell(
        "ADDED",
        {
            "metadata": {"name": "new", "namespace": "a", "uid": "u", "resourceVersion": "101"},
            "spec": {"pipelineName": "p"},
        },
    )
    await until(lambda: world.parts.reconciler.cache.jobs.of(PipelineKey("a", "p")))
    world.server.jobs["b"].code = 200
    await until(lambda: world.serves("a", "b"))
    assert world.server.jobs["a"].watched.is_set()
    assert len(world.server.jobs["a"].streams) == 1, "its watch was never broken"
