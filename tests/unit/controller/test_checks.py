"""What the probes say: what a restart would heal, and what it would not."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from elt_operator.controller import checks, sources
from elt_operator.controller.places import Places
from elt_operator.controller.resync import Resync
from elt_operator.kube.errors import Forbidden
from elt_operator.serving.background import Background
from elt_operator.serving.web import Note
from elt_operator.settings.controller import Settings

FORBIDDEN = Forbidden(403, "Forbidden", "pods is forbidden")
LEFT_OUT = "left out because it cannot be read: "


class Served:
    wrong = ""

    def check(self) -> str:
        return self.wrong


class World:
    """The probes of an operator that looks after the namespaces a and b, or all, and watches as much as it should."""

    def __init__(self, *namespaces: str) -> None:
        self.places, self.background, self.served = Places(namespaces), Background(), Served()
        self.resync = Resync(None, None, None, self.places, 300)  # type: ignore[arg-type]  # nothing is listed
        settings = Settings(watch_namespaces=",".join(namespaces))
        self.live, self.ready = checks.live_and_ready(self.served, self.resync, None, self.background, settings)  # type: ignore[arg-type]  # only what is wrong is asked
        self.tasks: list[asyncio.Task[Any]] = []

    def begin(self, *namespaces: str | None) -> None:
        for namespace in namespaces:
            for source in sources.of(namespace):
                self.places.begun(source)
                self.tasks.append(asyncio.create_task(asyncio.Event().wait(), name=f"watcher for {source.path}"))

    def leave_out(self, namespace: str | None) -> None:
        place = self.places.of(namespace)
        assert place
        self.places.leave_out(place, FORBIDDEN)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    made = World("a", "b")
    made.resync.finished_at = time.monotonic()
    yield made
    for task in made.tasks:
        task.cancel()


async def test_it_is_ready_once_all_watches_run(world: World) -> None:
    world.resync.finished_at = None
    assert world.ready["caches"]() == "the first listing of all objects has not finished"
    world.resync.finished_at = time.monotonic()

    world.begin("a")
    assert world.ready["caches"]() == "not all watches are running yet"
    world.begin("b")
    assert world.ready["caches"]() == ""


async def test_it_is_ready_with_one_namespace_and_says_what_is_left_out(world: World) -> None:
    world.leave_out("b")
    assert world.ready["caches"]() == f"not all watches are running yet; {LEFT_OUT}b (403 Forbidden: pods is forbidden)"

    world.begin("a")

    said = world.ready["caches"]()
    assert said == f"{LEFT_OUT}b (403 Forbidden: pods is forbidden)"
    assert isinstance(said, Note)


@pytest.mark.parametrize("namespaces", [("a", "b"), ()], ids=["two", "all at once"])
async def test_it_is_not_ready_when_nothing_can_be_read(namespaces: tuple[str, ...]) -> None:
    world = World(*namespaces)
    world.resync.finished_at = time.monotonic()
    for namespace in namespaces or (None,):
        world.leave_out(namespace)

    said = world.ready["caches"]()

    assert said.startswith(LEFT_OUT)
    assert not isinstance(said, Note)


async def test_many_namespaces_that_are_left_out_are_not_all_named() -> None:
    world = World(*(f"n{number}" for number in range(60)))
    world.resync.finished_at = time.monotonic()
    for place in world.places.all:
        world.leave_out(place.namespace)

    assert world.ready["caches"]().endswith("n9 (403 Forbidden: pods is forbidden) and 50 more")


async def test_a_watch_that_is_missing_for_long_is_a_reason_to_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.begin("a", "b")
    assert world.live["watches"]() == ""

    world.tasks.pop().cancel()
    await asyncio.sleep(0)
    assert world.live["watches"]() == ""
    later = time.monotonic() + 121
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert world.live["watches"]() == "watches incomplete for 121 s: 9 of 10 running"


async def test_watches_are_not_missed_before_everything_was_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.resync.finished_at = None
    later = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert world.live["watches"]() == ""


async def test_watches_of_what_is_left_out_are_not_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.begin("a")
    world.leave_out("b")
    later = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert world.live["watches"]() == ""


async def test_a_background_task_that_ended_is_a_reason_to_restart_at_once(world: World) -> None:
    async def fails() -> None:
        raise ValueError("no number")

    async with world.background:
        world.background.start("resync", fails)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert world.live["tasks"]() == "resync has ended (ValueError: no number)"
