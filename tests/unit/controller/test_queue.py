"""Each key at most once in the queue, one worker for each, later and later after failures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from elt_operator.controller.queue import FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS, WorkQueue


@asynccontextmanager
async def workers(queue: WorkQueue[str], look_at: object, count: int = 3) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(queue.work(look_at)) for _ in range(count)]  # type: ignore[arg-type]  # a test's own
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_key_that_waits_is_looked_at_once() -> None:
    queue, seen, done = WorkQueue[str](), list[str](), asyncio.Event()

    async def look_at(key: str) -> None:
        seen.append(key)
        if key == "end":
            done.set()

    for key in ("a", "a", "b", "a", "end"):
        queue.add(key)
    assert not queue.is_idle()
    async with workers(queue, look_at, 1):
        await asyncio.wait_for(done.wait(), 5)

    assert seen == ["a", "b", "end"]
    assert queue.is_idle()


async def test_a_key_is_never_with_two_workers_but_looked_at_again_afterwards() -> None:
    queue, at_work, visits, done = WorkQueue[str](), 0, 0, asyncio.Event()

    async def look_at(key: str) -> None:
        nonlocal at_work, visits
        at_work, visits = at_work + 1, visits + 1
        assert at_work == 1
        if visits == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0)
        at_work -= 1
        if visits == 2:
            done.set()

    queue.add("a")
    async with workers(queue, look_at):
        await asyncio.wait_for(done.wait(), 5)

    assert visits == 2


async def test_what_is_put_off_waits_until_nothing_else_is_to_be_done() -> None:
    queue, seen, done = WorkQueue[str](), list[str](), asyncio.Event()
    go_on = asyncio.Event()

    async def look_at(key: str) -> None:
        seen.append(key)
        if key == "urgent":
            await go_on.wait()
            seen.append("urgent is done")
        if key == "c":
            done.set()

    queue.add("urgent")
    for key in "abc":
        queue.put_off(key, 60)
    async with workers(queue, look_at):
        await asyncio.sleep(0.01)
        assert seen == ["urgent"], "two workers are free, and leave the others alone"
        assert not queue.is_idle()
        assert queue.is_idle(but="urgent")
        go_on.set()
        await asyncio.wait_for(done.wait(), 5)
    queue.close()

    assert seen == ["urgent", "urgent is done", "a", "b", "c"]


async def test_what_is_put_off_has_its_turn_once_it_is_due_or_wanted_again() -> None:
    queue, seen = WorkQueue[str](), asyncio.Queue[str]()

    async def look_at(key: str) -> None:
        seen.put_nowait(key)
        if key == "endless":
            await asyncio.Event().wait()

    queue.add("endless")
    for key, seconds in (("due", 0.02), ("wanted", 60), ("later", 60)):
        queue.put_off(key, seconds)
    async with workers(queue, look_at):
        queue.add("wanted")
        found = [await asyncio.wait_for(seen.get(), 5) for _ in range(3)]
        await asyncio.sleep(0.01)
    queue.close()

    assert found == ["endless", "wanted", "due"]
    assert seen.empty()


async def test_a_look_replaces_what_was_planned_before_it() -> None:
    queue, seen = WorkQueue[str](), list[str]()

    async def look_at(key: str) -> None:
        seen.append(key)

    queue.add_after("a", 0.02)
    queue.add("a")
    async with workers(queue, look_at):
        await asyncio.sleep(0.05)

    assert seen == ["a"]


async def test_a_key_that_failed_is_left_alone_until_its_back_off_is_over_whatever_is_reported() -> None:
    queue: WorkQueue[str] = WorkQueue()
    looked = asyncio.Event()

    async def look_at(_key: str) -> None:
        looked.set()

    async with workers(queue, look_at):
        seconds = queue.failed("a")
        queue.add("a")
        queue.add("b")
        assert queue.depth == 1
        await asyncio.wait_for(looked.wait(), 5)
        looked.clear()
        began = asyncio.get_running_loop().time()
        await asyncio.wait_for(looked.wait(), 5)

    assert asyncio.get_running_loop().time() - began >= seconds / 2
    queue.close()


async def test_the_earlier_of_two_delays_counts() -> None:
    queue, done = WorkQueue[str](), asyncio.Event()

    async def look_at(_key: str) -> None:
        done.set()

    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 30)
    async with workers(queue, look_at):
        await asyncio.wait_for(done.wait(), 5)
    queue.close()


def test_back_off_doubles_up_to_a_minute_and_is_forgotten_after_a_success() -> None:
    queue = WorkQueue[str]()

    waits = [queue.back_off_seconds("a") for _ in range(12)]

    longest = [min(FIRST_BACK_OFF_SECONDS * 2**n, LONGEST_BACK_OFF_SECONDS) for n in range(12)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    queue.succeeded("a")
    assert queue.back_off_seconds("a") <= FIRST_BACK_OFF_SECONDS
