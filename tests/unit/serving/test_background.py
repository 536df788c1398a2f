"""A background task that ends is noticed at once."""

import asyncio

import pytest

from elt_operator.serving.background import Background


async def for_ever() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    return


async def fails() -> None:
    raise ValueError("no number")


@pytest.mark.parametrize(
    ("endless", "words"),
    [
        pytest.param(for_ever, "", id="goes on"),
        pytest.param(at_once, "audit has ended (no error was reported)", id="returns"),
        pytest.param(fails, "audit has ended (ValueError: no number)", id="fails"),
    ],
)
async def test_a_task_that_ends_is_told(endless: object, words: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Background() as background:
        background.start("audit", endless)  # type: ignore[arg-type]  # one of the three above
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert background.check() == words
        assert ("the background task 'audit' has ended" in caplog.text) is bool(words)


async def test_a_task_that_somebody_else_cancels_is_told() -> None:
    async with Background() as background:
        task = background.start("lease", for_ever)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert background.check() == "lease has ended (no error was reported)"


async def test_tasks_that_are_stopped_are_not_missed(caplog: pytest.LogCaptureFixture) -> None:
    begun = asyncio.Event()

    async def watch() -> None:
        begun.set()
        await for_ever()

    async with Background() as background:
        await background.run_until({"watch": watch}, begun.wait)  # type: ignore[arg-type]  # what it returns does not matter

        assert background.check() == ""
        background.start("until the end", for_ever)
        others = asyncio.all_tasks() - {asyncio.current_task()}

    assert all(task.done() for task in others)
    assert background.check() == ""
    assert caplog.text == ""


async def test_a_task_that_fails_while_others_run_is_told() -> None:
    done = asyncio.Event()
    async with Background() as background:
        running = asyncio.create_task(background.run_until({"one": fails, "other": for_ever}, done.wait))  # type: ignore[arg-type]  # what it returns does not matter
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert background.check() == "one has ended (ValueError: no number)"
        done.set()
        await running
