"""What each store has to do, one sentence a check: run against every one of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

import pytest

from elt_operator.logs.store import Missing, Store

Check = Callable[[Store], Awaitable[None]]

MIB = 1024 * 1024
TWO_PARTS_AND_MORE = 11
"""So many MiB are uploaded to S3 in three parts."""


class Broken(Exception):
    """What makes an object comes to no end."""


async def parts(mebibytes: int, error: Exception | None = None) -> AsyncIterator[bytes]:
    """Yield an object in pieces of a MiB; at its end, raise ``error``."""
    for number in range(mebibytes):
        yield bytes([number]) * MIB
    if error:
        raise error


async def an_object_is_read_as_it_was_written(store: Store) -> None:
    data = bytes(range(256)) * 5

    assert await store.put("v1/ids/a", data)

    assert await store.get("v1/ids/a") == data


async def an_object_may_be_empty(store: Store) -> None:
    await store.put("a", b"")

    assert (await store.get("a"), await store.keys("")) == (b"", [("a", 0)])


async def a_part_of_an_object_is_read(store: Store) -> None:
    await store.put("v1/a", b"0123456789")

    assert await store.get("v1/a", 3, 4) == b"3456"
    assert await store.get("v1/a", 0, 1) == b"0"
    assert await store.get("v1/a", 7) == b"789"
    assert await store.get("v1/a", 7, 100) == b"789"


async def an_object_that_does_not_exist_is_missing(store: Store) -> None:
    await store.put("v1/a", b"1")

    for key in ("v1/b", "v2/a"):
        with pytest.raises(Missing, match=f"^{key} does not exist$"):
            await store.get(key)
        with pytest.raises(Missing, match=f"^{key} does not exist$"):
            await store.get(key, 5, 5)


async def an_object_is_replaced(store: Store) -> None:
    await store.put("v1/a", b"the first")

    assert await store.put("v1/a", b"2")

    assert await store.get("v1/a") == b"2"


async def a_new_object_is_stored_once(store: Store) -> None:
    assert await store.put("v1/a", b"the first", new=True)

    assert not await store.put("v1/a", b"2", new=True)

    assert await store.get("v1/a") == b"the first"


async def of_many_that_store_the_same_new_object_one_does(store: Store) -> None:
    stored = await asyncio.gather(*(store.put("v1/a", bytes([number]), new=True) for number in range(20)))

    assert stored.count(True) == 1
    assert await store.get("v1/a") == bytes([stored.index(True)])


async def an_object_in_parts_appears_as_a_whole(store: Store) -> None:
    visible: list[tuple[str, int]] = []

    async def watched() -> AsyncIterator[bytes]:
        async for part in parts(TWO_PARTS_AND_MORE):
            visible.extend(await store.keys("v1"))
            yield part
        yield b"the end"

    await store.put_all("v1/a", watched())

    assert visible == []
    assert await store.keys("v1") == [("v1/a", TWO_PARTS_AND_MORE * MIB + 7)]
    assert await store.get("v1/a", 6 * MIB - 1, 2) == b"\x05\x06"
    assert await store.get("v1/a", TWO_PARTS_AND_MORE * MIB) == b"the end"


async def a_small_object_in_parts_appears_as_a_whole(store: Store) -> None:
    async def few() -> AsyncIterator[bytes]:
        for part in (b"one", b"", b"two"):
            yield part

    await store.put_all("v1/a", few())

    assert await store.get("v1/a") == b"onetwo"


async def an_object_in_parts_replaces_another(store: Store) -> None:
    await store.put("v1/a", b"the first")

    await store.put_all("v1/a", parts(1))

    assert await store.keys("v1") == [("v1/a", MIB)]


async def nothing_appears_of_an_object_whose_parts_fail(store: Store) -> None:
    for number in (0, 1, TWO_PARTS_AND_MORE):
        with pytest.raises(Broken):
            await store.put_all("v1/a", parts(number, Broken()))

    assert await store.keys("") == []


async def an_object_stays_if_the_parts_of_its_successor_fail(store: Store) -> None:
    await store.put("v1/a", b"the first")

    with pytest.raises(Missing, match=r"^v1/frame does not exist$"):
        await store.put_all("v1/a", parts(TWO_PARTS_AND_MORE, Missing("v1/frame does not exist")))

    assert await store.get("v1/a") == b"the first"


async def nothing_appears_of_an_object_whose_writer_is_cancelled(store: Store) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for part in parts(TWO_PARTS_AND_MORE):
            yield part
        waiting.set()
        await asyncio.Event().wait()

    writer = asyncio.create_task(store.put_all("v1/a", endless()))
    await waiting.wait()
    writer.cancel()
    with suppress(asyncio.CancelledError):
        await writer

    assert writer.cancelled()
    assert await store.keys("") == []


async def the_keys_of_a_folder_are_those_below_it(store: Store) -> None:
    keys = ["v1/open/abc/p/1", "v1/open/abc/p/2", "v1/open/abc/q", "v1/open/abcd/p/1", "v1/open/ab", "v1/ids/abc"]
    for size, key in enumerate(keys):
        await store.put(key, b"x" * size)

    below = [("v1/open/abc/p/1", 0), ("v1/open/abc/p/2", 1), ("v1/open/abc/q", 2)]
    assert await store.keys("v1/open/abc") == below
    assert await store.keys("v1/open/abc/") == below
    assert [key for key, _ in await store.keys("v1/open")] == sorted(key for key in keys if "open" in key)
    assert [key for key, _ in await store.keys("")] == sorted(keys)


async def a_folder_that_does_not_exist_has_no_keys(store: Store) -> None:
    await store.put("v1/a", b"1")

    assert await store.keys("v1/b") == []
    assert await store.keys("v1/a") == []


async def a_deleted_object_is_gone(store: Store) -> None:
    await store.put("v1/open/a/1", b"1")
    await store.put("v1/open/b/1", b"1")

    await store.delete("v1/open/a/1")

    assert [key for key, _ in await store.keys("")] == ["v1/open/b/1"]
    with pytest.raises(Missing):
        await store.get("v1/open/a/1")
    assert await store.put("v1/open/a/1", b"2", new=True)


async def what_is_gone_can_be_deleted(store: Store) -> None:
    await store.put("v1/a", b"1")

    for _ in range(2):
        await store.delete("v1/a")
    await store.delete("v2/nobody/has/written/this")

    assert await store.keys("") == []


async def keys_may_be_odd(store: Store) -> None:
    keys = sorted(
        [
            "0", "-", "_", "v1/.hidden", "v1/..a/...", "v1/a..b/-_.", "v1/A/a", "v1/a/A", "v1/1.zst.tmp", "v1/CON",
            f"v1/{'x' * 200}/{'y' * 200}",
        ]
    )  # fmt: skip
    for key in keys:
        assert await store.put(key, key.encode(), new=True)

    assert await store.keys("") == [(key, len(key)) for key in keys]
    for key in keys:
        assert await store.get(key) == key.encode()
        await store.delete(key)
    assert await store.keys("") == []


CONTRACT: Sequence[Check] = (
    an_object_is_read_as_it_was_written,
    an_object_may_be_empty,
    a_part_of_an_object_is_read,
    an_object_that_does_not_exist_is_missing,
    an_object_is_replaced,
    a_new_object_is_stored_once,
    of_many_that_store_the_same_new_object_one_does,
    an_object_in_parts_appears_as_a_whole,
    a_small_object_in_parts_appears_as_a_whole,
    an_object_in_parts_replaces_another,
    nothing_appears_of_an_object_whose_parts_fail,
    an_object_stays_if_the_parts_of_its_successor_fail,
    nothing_appears_of_an_object_whose_writer_is_cancelled,
    the_keys_of_a_folder_are_those_below_it,
    a_folder_that_does_not_exist_has_no_keys,
    a_deleted_object_is_gone,
    what_is_gone_can_be_deleted,
    keys_may_be_odd,
)


async def many_objects_are_all_listed(store: Store) -> None:
    """For stores that list a thousand objects at once."""
    keys = [f"v1/open/{number:04}" for number in range(1_050)]
    await asyncio.gather(*(store.put(key, b"1") for key in keys))

    assert await store.keys("v1") == [(key, 1) for key in keys]
