"""Who acts: the replica that holds the Lease, and has listed everything since it got it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from elt_operator.controller.leadership import Leadership
from fakes.lease import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr("elt_operator.kube.lease.time.monotonic", lambda: made.time)
    return made


class Replica:
    """A replica that prepares itself each time that the Lease becomes its own; a listing lasts until it is let go."""

    def __init__(self, world: World, name: str) -> None:
        self.lease = world.replica(name)
        self.leadership = Leadership(self.lease)
        self.lists = self.wakes = 0
        self.may_end = asyncio.Semaphore(0)
        self.acted_when_woken: list[bool] = []

    async def list_all(self) -> None:
        self.lists += 1
        await self.may_end.acquire()

    def wake_all(self) -> None:
        self.wakes += 1
        self.acted_when_woken.append(self.leadership.acts())

    async def let_list(self) -> None:
        """Let the listing that is under way end."""
        self.may_end.release()
        await turns()


async def turns() -> None:
    """Let all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def replica(world: World) -> AsyncIterator[Replica]:
    """One that has got the Lease, and lists."""
    made = Replica(world, "first")
    preparing = asyncio.create_task(made.leadership.prepare(made.list_all, made.wake_all))
    await turns()
    assert (made.lists, made.leadership.acts(), made.leadership.may_write()) == (0, False, False)
    await world.tick(made.lease)
    await turns()
    yield made
    assert not preparing.done(), "it goes on without end"
    preparing.cancel()
    await asyncio.gather(preparing, return_exceptions=True)


async def test_the_only_replica_acts_at_once() -> None:
    leadership, woken = Leadership(None), list[None]()

    async def list_all() -> None:
        woken.append(None)

    await asyncio.wait_for(leadership.prepare(list_all, lambda: woken.append(None)), 1)

    assert leadership.acts()
    assert leadership.may_write()
    assert woken == [], "it was listed when the program began"


async def test_who_gets_the_lease_acts_once_it_has_listed_everything(replica: Replica) -> None:
    assert replica.leadership.may_write()
    assert (replica.lists, replica.leadership.acts(), replica.wakes) == (1, False, 0)

    await replica.let_list()

    assert replica.leadership.acts()
    assert replica.acted_when_woken == [True], "woken before it may act, they would be looked at in vain"


async def test_while_it_is_held_nothing_is_listed_again(world: World, replica: Replica) -> None:
    await replica.let_list()

    for _ in range(5):
        await world.tick(replica.lease)
        await turns()

    assert (replica.lists, replica.wakes, replica.leadership.acts()) == (1, 1, True)


async def test_a_lease_that_runs_out_ends_it_without_a_word(world: World, replica: Replica) -> None:
    """A replica that is frozen, or cut off, notices nothing."""
    await replica.let_list()

    world.time += 11

    assert not replica.leadership.acts()
    assert not replica.leadership.may_write()


async def test_who_gets_it_again_lists_again_before_it_acts(world: World, replica: Replica) -> None:
    await replica.let_list()
    world.time += 11

    await world.tick(replica.lease)
    await turns()

    assert replica.leadership.may_write()
    assert (replica.lists, replica.leadership.acts()) == (2, False)
    await replica.let_list()
    assert (replica.leadership.acts(), replica.wakes) == (True, 2)


async def test_a_listing_of_an_earlier_term_is_not_enough(world: World, replica: Replica) -> None:
    """It lost the Lease while it listed, and has got it again: what it lists may be what was before."""
    world.time += 11
    await world.tick(replica.lease)
    assert replica.lease.term == 2

    await replica.let_list()

    assert (replica.lists, replica.leadership.acts()) == (2, False)
    await replica.let_list()
    assert replica.leadership.acts()


async def test_of_two_replicas_one_acts(world: World, replica: Replica) -> None:
    standby = Leadership(world.replica("second"))
    await replica.let_list()

    assert standby.lease
    await world.tick(replica.lease, standby.lease)

    assert (replica.leadership.acts(), standby.acts(), standby.may_write()) == (True, False, False)
