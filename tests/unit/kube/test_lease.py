"""Of several replicas one holds the Lease, by each one's own clock."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.kube.errors import ApiError
from fakes.lease import World


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

    assert "lost the Lease, which second holds now; standing by" in caplog.text


async def test_who_cannot_renew_it_does_not_name_itself_as_the_one_that_holds_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first = world.replica("first")
    await world.tick(first)
    first._tell()
    world.server.away = True
    await world.tick(first, seconds=16)

    first._tell()

    assert "lost the Lease, because it was not renewed in time; standing by" in caplog.text


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


ODD_SPECS = [
    pytest.param(None, id="none"),
    pytest.param({}, id="empty"),
    pytest.param("text", id="text"),
    pytest.param({"holderIdentity": ""}, id="nobody's name"),
    pytest.param({"holderIdentity": "", "leaseDurationSeconds": 15}, id="the name wiped out"),
    pytest.param({"holderIdentity": None}, id="no name"),
    pytest.param({"holderIdentity": 7}, id="a number for a name"),
    pytest.param({"holderIdentity": "first", "leaseDurationSeconds": -1}, id="a negative duration"),
    pytest.param({"holderIdentity": "first", "leaseDurationSeconds": 0}, id="no duration"),
    pytest.param({"holderIdentity": "first", "leaseDurationSeconds": "x"}, id="text for a duration"),
    pytest.param({"holderIdentity": "first", "leaseDurationSeconds": 10**9}, id="decades"),
    pytest.param({"holderIdentity": "first", "leaseDurationSeconds": float("inf")}, id="for ever"),
    pytest.param({"holderIdentity": "first", "leaseTransitions": "x", "renewTime": 7}, id="odd transitions and time"),
    pytest.param({"holderIdentity": "first", "leaseTransitions": 2**31 - 1}, id="the most transitions"),
    pytest.param({"holderIdentity": "another", "leaseTransitions": -5}, id="an unknown holder"),
]


@pytest.mark.parametrize("spec", ODD_SPECS)
async def test_whatever_somebody_writes_there_is_one_holder_at_most_and_soon_one(world: World, spec: Any) -> None:
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)
    world.server.change({"spec": spec})

    for _ in range(35):
        await world.tick(second, seconds=1)
        assert not (first.holds() and second.holds())
        await world.tick(first, seconds=1)
        assert not (first.holds() and second.holds())

    assert first.holds() or second.holds()
    assert world.server.stored
    assert 0 <= world.server.stored["spec"]["leaseTransitions"] < 2**31
    assert world.server.stored["spec"]["leaseDurationSeconds"] == 15


@pytest.mark.parametrize("spec", ODD_SPECS)
async def test_whatever_a_dead_holder_left_it_is_taken_within_a_minute(world: World, spec: Any) -> None:
    second = world.replica("second")
    world.server.change({"spec": spec})
    began = world.time

    while not second.holds():
        await world.tick(second)
        assert world.time - began <= 66


async def test_deleted_while_it_is_held_it_stays_the_holders(world: World) -> None:
    first, second = world.replica("first"), world.replica("second")
    await world.tick(first, second)
    world.server.stored = None

    for _ in range(3):
        await world.tick(second, first, seconds=1)

    assert (first.holds(), second.holds(), world.server.holder) == (True, False, "first")


async def test_who_reads_that_another_one_holds_it_stops_at_once(world: World) -> None:
    first = world.replica("first")
    await world.tick(first)
    world.server.change({"spec": {"holderIdentity": "second"}})

    await world.tick(first, seconds=1)

    assert not first.holds()


async def test_without_a_version_it_is_not_written(world: World) -> None:
    """A write without one would replace whatever another replica has written in between."""
    first = world.replica("first")
    world.server.stored = {"metadata": {}, "spec": {}}

    with pytest.raises(ApiError, match="no resourceVersion"):
        await first._try()

    assert not first.holds()


specs = st.none() | st.dictionaries(
    st.sampled_from(["holderIdentity", "leaseDurationSeconds", "leaseTransitions", "acquireTime", "renewTime"]),
    st.none() | st.integers() | st.floats() | st.sampled_from(["", "first", "second", "third"]) | st.lists(st.none()),
)
steps = st.lists(st.sampled_from(["first", "second"]) | specs | st.just("deleted") | st.integers(1, 8), max_size=40)


def claims_an_end(spec: Any) -> bool:
    """Whether it says in the holder's own way that it has given up the Lease, or handed it over."""
    holder, duration = (spec or {}).get("holderIdentity"), (spec or {}).get("leaseDurationSeconds")
    return holder in ("first", "second") or (not holder and duration == 1)


@settings(max_examples=50, deadline=None)
@given(steps)
async def test_whoever_writes_whatever_at_any_time_there_is_one_holder_at_most(taken: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World()
        monkeypatch.setattr("elt_operator.kube.lease.time.monotonic", lambda: world.time)
        replicas = {name: world.replica(name) for name in ("first", "second")}
        await world.tick(*replicas.values())
        for step in taken:
            if isinstance(step, int):
                await world.tick(seconds=step / 4)
            elif step == "deleted":
                world.server.stored = None
            elif isinstance(step, str):
                await world.tick(replicas[step], seconds=0)
            elif not claims_an_end(step):
                world.server.change({"spec": step})
            assert not all(replica.holds() for replica in replicas.values())
