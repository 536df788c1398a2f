"""Logs of pods that are about to end, followed for when the kubelet has removed them."""

import asyncio
from collections.abc import Callable

import pytest

from builders import at
from elt_operator.controller import last_logs
from elt_operator.controller.last_logs import LastLogs
from elt_operator.core.model import PodLog
from elt_operator.kube.errors import NotFound

FIRST, LAST = b"2026-01-05T07:00:00.5Z working\n", b"2026-01-05T07:00:01.5Z tidied up\n"
Take = Callable[[bytes], None]


class Kubelet:
    """Hands out a log: its first line at once, the last one when it is told to, and then what ends the answer."""

    def __init__(self, ends_with: Exception | None = None) -> None:
        self.goes_on = asyncio.Event()
        self.asked = 0
        self._ends_with = ends_with

    async def follow(self, take: Take) -> None:
        self.asked += 1
        take(FIRST)
        await self.goes_on.wait()
        take(LAST)
        if self._ends_with:
            raise self._ends_with


async def test_the_last_lines_are_there_once_the_process_has_ended() -> None:
    logs, kubelet = LastLogs(), Kubelet()
    logs.follow("uid", at(0), kubelet.follow)
    logs.follow("uid", at(0), kubelet.follow)
    await asyncio.sleep(0)

    kubelet.goes_on.set()
    read = await logs.end_of("uid")

    assert (read.text, read.complete, kubelet.asked) == ("working\ntidied up\n", False, 1)
    assert await logs.end_of("uid") == PodLog(None), "it is handed out once"


async def test_what_was_read_before_an_error_is_kept() -> None:
    logs, kubelet = LastLogs(), Kubelet(NotFound(404, "NotFound", "the container is gone"))
    logs.follow("uid", at(0), kubelet.follow)
    kubelet.goes_on.set()

    assert (await logs.end_of("uid")).text == "working\ntidied up\n"


async def test_a_log_that_does_not_end_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_logs, "_PATIENCE_SECONDS", 0.01)
    logs, kubelet = LastLogs(), Kubelet()
    logs.follow("uid", at(0), kubelet.follow)

    assert (await logs.end_of("uid")).text == "working\n"


async def test_a_log_of_which_nothing_came_is_followed_again() -> None:
    async def refused(_take: Take) -> None:
        raise NotFound(404, "NotFound", "not yet")

    logs, kubelet = LastLogs(), Kubelet()
    logs.follow("uid", at(0), refused)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    logs.follow("uid", at(0), kubelet.follow)
    kubelet.goes_on.set()

    assert (await logs.end_of("uid")).text == "working\ntidied up\n"


async def test_a_log_that_was_read_otherwise_is_followed_no_more() -> None:
    logs, kubelet = LastLogs(), Kubelet()
    logs.follow("uid", at(0), kubelet.follow)
    await asyncio.sleep(0)

    logs.forget("uid")

    assert await logs.end_of("uid") == PodLog(None)


async def test_a_log_that_nobody_followed_or_that_said_nothing_is_none() -> None:
    async def silent(_take: Take) -> None:
        raise NotFound(404, "NotFound", "no such pod")

    logs = LastLogs()
    logs.follow("silent", at(0), silent)

    assert await logs.end_of("silent") == await logs.end_of("unknown") == PodLog(None)


async def test_no_more_logs_are_followed_at_a_time_than_there_may_be_connections() -> None:
    logs, kubelets = LastLogs(), [Kubelet() for _ in range(last_logs.MOST_FOLLOWED + 1)]
    for number, kubelet in enumerate(kubelets):
        logs.follow(str(number), at(0), kubelet.follow)
    await asyncio.sleep(0)
    assert [kubelet.asked for kubelet in kubelets] == [1] * last_logs.MOST_FOLLOWED + [0]

    kubelets[0].goes_on.set()
    await logs.end_of("0")
    logs.follow("late", at(0), kubelets[-1].follow)
    await asyncio.sleep(0)

    assert kubelets[-1].asked == 1
    await logs.close()


async def test_logs_that_nobody_asks_for_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_logs, "_MOST_KEPT", 1)
    logs = LastLogs()
    for name in ("first", "second", "third"):
        kubelet = Kubelet()
        kubelet.goes_on.set()
        logs.follow(name, at(0), kubelet.follow)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    logs.follow("fourth", at(0), Kubelet().follow)

    assert await logs.end_of("first") == PodLog(None)
    assert (await logs.end_of("third")).text
    await logs.close()
