"""The reflector goes from version to version, and lists anew only when it has to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any

import aiohttp
import pytest

from builders import KEY
from elt_operator.controller.cache import Cache
from elt_operator.controller.intake import Intake, Unreadable
from elt_operator.core.model import PipelineKey
from elt_operator.kube import reflector
from elt_operator.kube.errors import Expired, Forbidden
from elt_operator.kube.reflector import Backoff, Reflector
from elt_operator.resources import names

Event = dict[str, Any]


class Streams:
    """Answers each watch with the next of these streams, then waits for ever. An error in it breaks it."""

    def __init__(self, *streams: Sequence[Event | Exception]) -> None:
        self.left = list(streams)
        self.asked: list[str] = []
        self.all_read = asyncio.Event()

    async def watch(self, version: str) -> AsyncIterator[Event]:
        self.asked.append(version)
        if not self.left:
            self.all_read.set()
            await asyncio.Event().wait()
        for event in self.left.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


class World:
    """One reflector, until it has read all that there is."""

    def __init__(self, *streams: Sequence[Event | Exception]) -> None:
        self.cache, self.streams = Cache(), Streams(*streams)
        self.woken: list[PipelineKey] = []
        self.refused: list[Exception] = []
        self.unreadable: list[str] = []
        self.lists = 0

    async def _list(self) -> str:
        self.lists += 1
        return f"{self.lists}00"

    async def run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Backoff, "__iter__", lambda _: iter([0.0] * 9))
        monkeypatch.setattr(reflector, "_BUG_SECONDS", 0)
        intake = Intake(self.cache, self.woken.append, Unreadable(self.unreadable.append).tell)
        watcher = Reflector(
            "/jobs", self._list, self.streams.watch, lambda event: intake.take_event("jobs", event), self.refused.append
        )
        task = asyncio.create_task(watcher.run())
        await asyncio.wait_for(self.streams.all_read.wait(), 5)
        task.cancel()


def an_event(kind: str, version: str) -> Event:
    """Return an event about a run of the Pipeline ``KEY``."""
    owner = {"apiVersion": names.API_VERSION, "kind": "Job", "name": "job-1", "uid": "job-uid", "controller": True}
    metadata = {
        "name": f"{KEY.pipeline}-r1",
        "namespace": KEY.namespace,
        "uid": "run-uid",
        "resourceVersion": version,
        "creationTimestamp": "2026-01-05T06:00:00Z",
        "labels": {names.PIPELINE_LABEL: KEY.pipeline},
        "ownerReferences": [owner],
    }
    return {"type": kind, "object": {"metadata": metadata}}


def a_bookmark(version: str) -> Event:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}


async def test_a_watch_that_ends_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([an_event("ADDED", "101")], [a_bookmark("150")], [aiohttp.ClientPayloadError("cut off")], [])

    await world.run(monkeypatch)

    assert world.streams.asked == ["100", "101", "150", "150", "150"]
    assert world.lists == 1
    assert world.woken == [KEY]
    assert len(world.cache.runs.of(KEY)) == 1


async def test_a_version_that_is_too_old_has_everything_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([an_event("ADDED", "101"), Expired(410, "Expired", "too old resource version")], [])

    await world.run(monkeypatch)

    assert world.streams.asked == ["100", "200", "200"]
    assert world.lists == 2


async def test_what_is_deleted_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([an_event("ADDED", "101"), an_event("DELETED", "102")])

    await world.run(monkeypatch)

    assert world.cache.runs.of(KEY) == []
    assert [run.gone for run in world.cache.departed_runs.of(KEY)] == [True]


@pytest.mark.parametrize("missing", ["uid", "namespace", "resourceVersion", "name"])
async def test_an_object_that_cannot_be_read_does_not_hide_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    strange = an_event("ADDED", "101")
    del strange["object"]["metadata"][missing]
    after = an_event("ADDED", "102")
    after["object"]["metadata"]["uid"] = "another"
    world = World([strange, {"type": "ADDED"}, after])

    await world.run(monkeypatch)

    assert "another" in {run.uid for run in world.cache.runs.of(KEY)}
    assert world.streams.asked == ["100", "102"]
    assert "Traceback" not in caplog.text


async def test_a_bug_does_not_end_a_watch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world = World([ValueError("odd")], [an_event("ADDED", "301"), ValueError("odd")], [])

    await world.run(monkeypatch)

    assert world.lists == 3, "after a bug everything is listed anew"
    assert len(world.cache.runs.of(KEY)) == 1
    assert caplog.text.count("Traceback") == 1


async def test_a_watch_that_is_refused_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([Forbidden(403, "Forbidden", "jobs is forbidden")], [an_event("ADDED", "101")])

    await world.run(monkeypatch)

    assert [str(error) for error in world.refused] == ["403 Forbidden: jobs is forbidden"]
    assert len(world.cache.runs.of(KEY)) == 1


def test_patience_has_no_end() -> None:
    assert list(islice(Backoff(), 100))[-1] == 5.0
