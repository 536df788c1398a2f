"""Of several replicas one holds the Lease, by each one's own clock."""

from typing import Any

import pytest

from builders import at
from elt_operator.kube.client import ApiError, Conflict, NotFound
from elt_operator.kube.lease import Lease


class ApiServer:
    """Stores one Lease, with a version for each write."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.away = False
        self._version = 0

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        assert path.startswith("/apis/coordination.k8s.io/v1/namespaces/elt-operator/leases")
        if self.away:
            raise ApiError(503, "ServiceUnavailable", "away")
        if method == "GET":
            if self.stored is None:
                raise NotFound(404, "NotFound", "no Lease")
            return self.stored
        current = self.stored and self.stored["metadata"]["resourceVersion"]
        if (method == "POST") != (self.stored is None) or body["metadata"].get("resourceVersion") != current:
            raise Conflict(409, "Conflict", "changed")
        self._version += 1
        self.stored = {**body, "metadata": {"uid": "lease-uid", "resourceVersion": str(self._version)}}
        return self.stored

    @property
    def holder(self) -> str:
        assert self.stored
        return str(self.stored["spec"]["holderIdentity"])


class World:
    """Replicas before one API server, at a time of their own."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.time = 1000.0

    def replica(self, name: str) -> Lease:
        return Lease(self.server, "elt-operator", "lease", name, lambda: at(self.time))  # type: ignore[arg-type]  # a stand-in

    async def tick(self, *replicas: Lease, seconds: float = 2) -> None:
        """Let time pass, then let each of ``replicas`` try once."""
        self.time += seconds
        for replica in replicas:
            try:
                await replica._try()
            except ApiError:
                assert self.server.away


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr("elt_operator.kube.lease.time.monotonic", lambda: made.time)
    return made


async def test_the_first_one_gets_it_and_keeps_it(world: World) -> None:
    first, second = world.replica("first"), world.replica("second")

    for _ in range(20):
        await world.tick(first, second)

    assert (first.holds(), second.holds(), world.server.holder) == (True, False, "first")
    assert (first.term, second.holder) == (1, "first")
    assert world.server.stored
    assert world.server.stored["spec"]["leaseTransitions"] == 1


async def test_after_a_crash_the_other_one_takes_over_in_time(world: World) -> None:
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)
    died = world.time

    while not second.holds():
        await world.tick(second)

    assert 15 < world.time - died <= 18
    assert (world.server.holder, second.term) == ("second", 1)


async def test_the_old_holder_stops_before_a_new_one_can_begin(world: World) -> None:
    """It was frozen, or cut off: it need not notice, for what it holds is a matter of time."""
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)

    while not second.holds():
        assert world.time <= 1000 + 2 + 15 + 2
        await world.tick(second)
        assert not (first.holds() and second.holds())

    await world.tick(first)
    assert (first.holds(), first.holder) == (False, "second")


async def test_a_restarted_container_of_the_same_pod_goes_on_at_once(world: World) -> None:
    await world.tick(world.replica("first"))
    again = world.replica("first")

    await world.tick(again)

    assert again.holds()


async def test_given_up_it_is_free_at_once(world: World) -> None:
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)

    await first.release()
    await world.tick(second)

    assert (first.holds(), second.holds(), second.term) == (False, True, 1)


async def test_given_up_it_is_not_taken_again(world: World) -> None:
    first = world.replica("first")
    await world.tick(first)

    await first.release()
    await first.keep()

    assert world.server.holder == ""


async def test_a_loss_is_told_though_it_came_while_frozen(world: World, caplog: pytest.LogCaptureFixture) -> None:
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)
    first._tell()
    await world.tick(second, seconds=16)

    await world.tick(first)
    first._tell()

    assert "the Lease is lost, and held by second; standing by" in caplog.text


async def test_who_does_not_hold_it_gives_up_nothing(world: World) -> None:
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)

    await second.release()

    assert world.server.holder == "first"


async def test_an_outage_ends_it_and_its_end_brings_it_back(world: World) -> None:
    first = world.replica("first")
    await world.tick(first)
    world.server.away = True

    await world.tick(first, seconds=9)
    assert first.holds()
    await world.tick(first, seconds=2)
    assert not first.holds()

    world.server.away = False
    await world.tick(first)
    assert (first.holds(), first.term) == (True, 2)


async def test_of_two_that_find_it_free_one_gets_it(world: World) -> None:
    await world.tick(world.replica("gone"))
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)
    read = world.server.stored
    await world.tick(first, seconds=16)

    async def what_it_read_before() -> dict[str, Any] | None:
        return read

    second._read = what_it_read_before  # type: ignore[method-assign]  # the first one wrote in between
    await world.tick(second, seconds=0)

    assert (first.holds(), second.holds(), world.server.holder) == (True, False, "first")
