"""What goes on: events of a workspace, logs, and how old an answer may be."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from elt_operator.api import feed, streams
from elt_operator.resources import names
from unit.api.world import PEOPLE, World, a_job, a_world
from unit.logs import chain as chains
from unit.logs.chain import Chain, running

JOB = "uid-of-team-a-weather-1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as one:
        yield one


class Event(dict[str, str]):
    """What is sent: its fields by name."""

    @property
    def told(self) -> Any:
        return json.loads(self["data"])


@asynccontextmanager
async def listening(world: World, path: str = "/api/events?workspace=team-a", last: str = "") -> AsyncIterator[Any]:
    """Listen to a workspace; give its events, one by one."""
    headers = {
        "Authorization": "Bearer viewer",
        "Accept": "text/event-stream",
        **({"Last-Event-ID": last} if last else {}),
    }

    async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        found = Event()
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            if not line and found:
                yield found
                found = Event()
            elif line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                found[name] = value

    async with aiohttp.ClientSession() as session, session.get(f"{world.url}{path}", headers=headers) as answer:
        assert answer.status == 200
        yield events(answer)


async def test_each_change_of_a_job_is_told(world: World) -> None:
    async with listening(world) as events:
        assert (await anext(events))["event"] == "reset"
        world.put(names.JOBS, a_job("weather-2", phase="RUNNING"))
        world.put(names.JOBS, a_job("weather-3", namespace="team-b", phase="RUNNING"))
        told = await anext(events)
        assert (told["event"], told.told["name"], told.told["status"]) == ("job", "weather-2", "RUNNING")
        world.api_server.remove(names.JOBS, "team-a", "weather-2")
        told = await anext(events)
        assert (told["event"], told.told) == ("deleted", {"id": "uid-of-team-a-weather-2"})


async def test_who_comes_back_misses_nothing(world: World) -> None:
    async with listening(world) as events:
        reset = await anext(events)
    for number in range(2, 5):
        world.put(names.JOBS, a_job(f"weather-{number}"))
    async with listening(world, last=reset["id"]) as events:
        assert {(await anext(events)).told["name"] for _ in range(3)} == {"weather-2", "weather-3", "weather-4"}


@pytest.mark.parametrize("last", ["another-5", "nonsense", "-"])
async def test_who_comes_from_elsewhere_lists_anew(world: World, last: str) -> None:
    async with listening(world, last=last) as events:
        assert (await anext(events))["event"] == "reset"


async def test_who_is_too_slow_lists_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_MOST_BATCHES", 2)
    monkeypatch.setattr(feed, "_GATHER_SECONDS", 0.001)
    async with listening(world) as events:
        first = await anext(events)
    for number in range(2, 8):
        world.put(names.JOBS, a_job(f"weather-{number}"))
        await world.until(lambda number=number: len(world.parts.catalog.jobs) == number + 1)
        await asyncio.sleep(0.02)
    async with listening(world, last=first["id"]) as events:
        assert (await anext(events))["event"] == "reset"


async def test_who_may_not_list_any_more_hears_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_ASK_AGAIN_SECONDS", 0.0)
    clock = [0.0]
    world.parts.rights.reviews.now = lambda: clock[0]
    async with listening(world) as events:
        assert (await anext(events))["event"] == "reset"
        world.api_server.people["viewer"] = PEOPLE["stranger"]
        clock[0] = 100.0  # nothing is remembered so long
        world.put(names.JOBS, a_job("weather-2"))
        with pytest.raises((StopAsyncIteration, aiohttp.ClientError)):
            await anext(events)


async def test_who_leaves_is_noticed(world: World) -> None:
    async with listening(world) as events:
        await anext(events)
        assert world.parts.feed.listeners == 1
    world.put(names.JOBS, a_job("weather-2"))
    await world.until(lambda: world.parts.feed.listeners == 0 and world.parts.streams == 0)


async def test_an_answer_says_how_old_it_is(world: World) -> None:
    clock = [0.0]
    world.parts.watching.now = lambda: clock[0]
    for path in world.parts.watching._agreed:
        world.parts.watching._agreed[path] = 0.0
    clock[0] = 42.5
    answer = await world.get(f"/api/jobs/{JOB}")
    assert (answer.code, answer.headers["Age"], answer.headers["X-As-Of"]) == (200, "42", "2026-01-01T05:59:17Z")
    clock[0] = 61.0
    answer = await world.get(f"/api/jobs/{JOB}")
    assert (answer.code, answer.headers["Retry-After"]) == (503, "5")


async def test_a_watch_that_has_expired_is_gone_on_from_by_a_list(world: World) -> None:
    world.api_server.break_watches()
    world.api_server.objects[world.api_server.path(names.JOBS, "team-a")].clear()
    world.put(names.JOBS, a_job("weather-2"))

    await world.until(lambda: set(world.parts.catalog.jobs) == {"uid-of-team-a-weather-2", "uid-of-team-b-weather-1"})


async def test_without_a_keeper_the_log_is_that_of_the_living_pod(world: World) -> None:
    lines = b"".join(b"2026-01-01T05:00:0%d.000000000Z line %d\n" % (number, number) for number in range(5))

    async def log_stream(*_where: str, token: str, **_query: str) -> AsyncIterator[bytes]:
        assert token == "viewer"
        for start in range(0, len(lines), 10):
            yield lines[start : start + 10]

    world.parts.logs.client.log_stream = log_stream  # type: ignore[assignment,method-assign]  # the kubelet's
    world.put("pods", {"metadata": {"namespace": "team-a", "name": "weather-r1-x"}})

    answer = await world.get(f"/api/jobs/{JOB}/logs?sequence=1&limit=2", "viewer")
    assert (answer.code, answer.headers["X-Log-State"], answer.body) == (200, "Incomplete", b"line 1\nline 2\n")
    tail = await world.get(f"/api/jobs/{JOB}/logs?tail=1", "viewer", Accept="application/x-ndjson")
    assert tail.json == {"sequence": 4, "timestamp": "2026-01-01T05:00:04.000000Z", "attempt": 1, "message": "line 4"}
    assert (await world.get(f"/api/jobs/{JOB}/logs?sequence=5", "viewer")).code == 204


@asynccontextmanager
async def with_a_keeper(folder: Path) -> AsyncIterator[tuple[World, Chain]]:
    """Have a real keeper, which has the log of a Job."""
    async with running(Chain(folder)) as chain:
        for number in range(5):
            chain.log.line(b"line %d" % number)
        for _ in range(3):
            await chain.turn(11)
        async with a_world(logs_url=chain.url) as world:
            yield world, chain


async def test_a_log_comes_from_the_keeper_with_the_token_of_whoever_asks(tmp_path: Path) -> None:
    async with with_a_keeper(tmp_path) as (world, chain):
        path = f"/api/jobs/{chains.JOB}/logs"
        answer = await world.get(f"{path}?sequence=1&limit=2", "alice")
        assert (answer.code, answer.body) == (200, b"line 1\nline 2\n")
        assert (answer.headers["X-Log-State"], answer.headers["X-Next-Sequence"]) == ("Collecting", "3")
        for kind in ("application/x-ndjson", "application/stream+json"):
            answer = await world.get(f"{path}?tail=1", "alice", Accept=kind)
            assert answer.headers["Content-Type"].startswith(kind)
            assert answer.json["message"] == "line 4"
        assert (await world.get(f"{path}?sequence=9", "alice")).code == 204
        assert (await world.get(path, "bob")).code == 404
        assert (await world.get(path, "nobody")).code == 401
        await chain.stop_keeper()
        answer = await world.get(path, "alice")
        assert (answer.code, answer.headers["Retry-After"]) == (503, "5")


async def test_a_log_that_is_followed_ends_with_the_run(tmp_path: Path) -> None:
    async with with_a_keeper(tmp_path) as (world, chain):
        path = f"/api/jobs/{chains.JOB}/logs?follow=true"
        following = asyncio.create_task(world.get(path, "alice"))
        events = asyncio.create_task(world.get(path, "alice", Accept="text/event-stream", Last_Event_ID="5"))
        await world.until(lambda: world.parts.streams == 2)
        chain.log.line(b"last")
        chain.end()
        await chain.finish()
        assert (await following).body == chain.log.text
        told = (await events).body.decode()
        assert told.startswith("id: 6\nevent: line\ndata: ")
        assert told.endswith("event: end\ndata: {}\n\n")


async def test_who_leaves_a_log_is_noticed_at_the_keeper(tmp_path: Path) -> None:
    async with with_a_keeper(tmp_path) as (world, chain):
        headers = {"Authorization": "Bearer alice"}
        url = f"{world.url}/api/jobs/{chains.JOB}/logs?follow=true"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            await answer.content.readany()
            assert chain.parts.door.followers.has(chains.JOB)
        async with asyncio.timeout(5):
            while world.parts.streams or chain.parts.door.followers.has(chains.JOB):
                await asyncio.sleep(0.05)
                chain.parts.keeper.open_logs._tell(chains.JOB)
