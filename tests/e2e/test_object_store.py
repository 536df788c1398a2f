"""The keeper's object store on a real S3: what it has to do, how fast it is, and what happens if the S3 is away."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from builders.stores import CONTRACT, MIB, TWO_PARTS_AND_MORE, many_objects_are_all_listed, parts
from e2e import s3
from e2e.s3 import S3
from elt_operator.logs.store import Store, StoreError
from elt_operator.logs.stores import opened

pytestmark = pytest.mark.timeout(900)  # the first time the S3 is built

LONGEST_CALL_SECONDS = 10.5
FRAME_BYTES = 50_000
READ_BYTES = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3.running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def new_store(server: S3, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
    """Return a part of the bucket that nothing is in."""
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return lambda: opened(f"s3://{s3.BUCKET}/{uuid.uuid4().hex}")


async def test_it_is_a_store(new_store: Callable[[], Store], subtests: pytest.Subtests) -> None:
    for check in (*CONTRACT, many_objects_are_all_listed):
        with subtests.test(check.__name__):
            await check(new_store())


async def test_nothing_hidden_remains_of_an_upload_that_failed(new_store: Callable[[], Store], server: S3) -> None:
    begun = []

    async def broken() -> AsyncIterator[bytes]:
        async for part in parts(TWO_PARTS_AND_MORE):
            yield part
        begun.extend(uploads(server))
        raise StoreError

    with pytest.raises(StoreError):
        await new_store().put_all("v1/a", broken())

    assert len(begun) == 1
    assert uploads(server) == []


def uploads(server: S3) -> list[str]:
    """Return the uploads in parts that have not ended."""
    return [path.name for path in server.bucket.glob(".sgwtmp/multipart/*/*")]


async def test_while_it_is_silent_calls_fail_in_time(new_store: Callable[[], Store], server: S3) -> None:
    store = new_store()
    await store.put("v1/a", b"1")
    server.freeze()
    try:
        seconds = await asyncio.gather(
            *(
                seconds_until_failure(call)
                for call in (
                    store.put("v1/b", b"1"),
                    store.put("v1/c", b"1", new=True),
                    store.put_all("v1/d", parts(1)),
                    store.get("v1/a"),
                    store.keys("v1"),
                    store.delete("v1/a"),
                )
            )
        )
    finally:
        server.thaw()

    assert max(seconds) < LONGEST_CALL_SECONDS
    assert await store.put("v1/e", b"1")


async def test_while_it_is_down_calls_fail_and_then_all_is_there(new_store: Callable[[], Store], server: S3) -> None:
    store = new_store()
    await store.put("v1/a", b"1")
    server.kill()
    try:
        seconds = [await seconds_until_failure(call) for call in (store.put("v1/b", b"1"), store.get("v1/a"))]
    finally:
        server.start()

    assert max(seconds) < LONGEST_CALL_SECONDS
    assert await store.keys("v1") == [("v1/a", 1)]
    assert await store.get("v1/a") == b"1"


async def seconds_until_failure(call: Awaitable[object]) -> float:
    begun = time.monotonic()
    with pytest.raises(StoreError):
        await call
    return time.monotonic() - begun


async def test_how_fast_it_is(new_store: Callable[[], Store]) -> None:
    """Nothing is expected: the figures are printed (pytest -rP)."""
    store, frame = new_store(), bytes(FRAME_BYTES)

    alone = await seconds_of(lambda number: store.put(f"v1/alone/{number:06}", frame, new=True), 500, at_once=1)
    at_once = await seconds_of(lambda number: store.put(f"v1/at-once/{number:06}", frame, new=True), 1_000, at_once=16)
    begun = time.monotonic()
    await store.put_all("v1/all", parts(64))
    whole = time.monotonic() - begun
    reads = await seconds_of(
        lambda number: store.get("v1/all", number * 7919 % (64 * MIB - READ_BYTES), READ_BYTES), 1_000, at_once=1
    )

    print(f"PUT of {FRAME_BYTES} bytes: {len(alone) / sum(alone):.0f} a second one after the other, "
          f"{16 * len(at_once) / sum(at_once):.0f} a second 16 at once")  # fmt: skip
    print(f"an object of 64 MiB in parts: {64 / whole:.0f} MiB a second")
    print(f"range GET of {READ_BYTES} bytes: p50 {at(reads, 0.5):.1f} ms, p99 {at(reads, 0.99):.1f} ms")


async def seconds_of(call: Callable[[int], Awaitable[object]], times: int, at_once: int) -> list[float]:
    """Return how long each of so many calls took."""
    numbers, seconds = iter(range(times)), []

    async def calls() -> None:
        for number in numbers:
            begun = time.monotonic()
            await call(number)
            seconds.append(time.monotonic() - begun)

    await asyncio.gather(*(calls() for _ in range(at_once)))
    return seconds


def at(seconds: list[float], quantile: float) -> float:
    """Return a quantile in milliseconds."""
    return sorted(seconds)[int(quantile * len(seconds))] * 1000
