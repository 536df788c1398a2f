"""What goes on: events of a workspace, logs, and how old an answer may be."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from elt_operator.api import feed, kept_logs, pod_logs, streams, wanted
from elt_operator.kube.errors import ApiError, Forbidden
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
async def listening(
    world: World, path: str = "/api/events?workspace=team-a", last: str = "", who: str = "viewer"
) -> AsyncIterator[Any]:
    """Listen to a workspace; give its events, one by one."""
    headers = {
        "Authorization": f"Bearer {who}",
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


@pytest.mark.parametrize("last", ["another-5", "nonsense", "-", "HERE-²", "HERE-99999", "HERE--1", "HERE-"])
async def test_who_comes_from_elsewhere_lists_anew(world: World, last: str) -> None:
    async with listening(world, last=last.replace("HERE", world.parts.catalog.started)) as events:
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


async def test_what_is_remembered_is_little(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_MOST_BYTES", 2_000)
    monkeypatch.setattr(feed, "_GATHER_SECONDS", 0.001)
    async with listening(world) as events:
        await anext(events)
        for number in range(2, 8):
            world.put(names.JOBS, a_job(f"weather-{number}"))
            assert (await anext(events)).told["name"] == f"weather-{number}"
        assert world.parts.feed._workspaces["team-a"].size <= 2_000
    monkeypatch.setattr(feed, "_MOST_IDLE", 0)
    await world.until(lambda: world.parts.feed.listeners == 0)
    async with listening(world, "/api/events?workspace=team-b", who="admin") as events:
        await anext(events)
        assert set(world.parts.feed._workspaces) == {"team-b"}


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
    await world.until(lambda: world.parts.feed.listeners == 0 and not world.parts.streams.taken)


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


LINES = b"".join(b"2026-01-01T00:00:0%d.000000000Z line %d\n" % (number, number) for number in range(5))


def with_a_pod(world: World, log: bytes = LINES, *, then: Callable[[], Awaitable[object]] | None = None) -> list[bool]:
    """Have a pod with a log, of which no more comes until ``then`` has returned; return who reads it now."""
    reading: list[bool] = []

    async def log_stream(*_where: str, token: str, **query: str) -> AsyncIterator[bytes]:
        assert token == "viewer"
        if "limitBytes" in query:
            yield log[:1]
            return
        reading.append(True)
        try:
            for start in range(0, len(log), 50_000):
                yield log[start : start + 50_000]
            if then:
                await then()
        finally:
            reading.pop()

    world.parts.logs.pods.client.log_stream = log_stream  # type: ignore[assignment,method-assign]  # the kubelet's
    world.put("pods", {"metadata": {"namespace": "team-a", "name": "weather-r1-x"}})
    return reading


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "01234"), ("?sequence=1&limit=2", "12"), ("?tail=1", "4"), ("?tail=2&limit=1", "3"),
        ("?tail=9&sequence=4", "4"), ("?limit=5", "01234"), ("?sequence=5", ""), ("?tail=0", ""),
        ("?follow=true&limit=2", "01"), ("?follow=true", "01234"), ("?follow=true&tail=2", "34"),
    ],
)  # fmt: skip
async def test_without_a_keeper_the_log_is_that_of_the_living_pod(world: World, query: str, text: str) -> None:
    with_a_pod(world)

    answer = await world.get(f"/api/jobs/{JOB}/logs{query}", "viewer")

    assert answer.body.decode() == "".join(f"line {number}\n" for number in text)
    assert (answer.code, answer.headers["X-Log-State"]) == (200 if text else 204, "Incomplete")


async def test_a_line_of_a_pod_as_json(world: World) -> None:
    with_a_pod(world)
    tail = await world.get(f"/api/jobs/{JOB}/logs?tail=1", "viewer", Accept="application/x-ndjson")
    assert tail.json == {"sequence": 4, "timestamp": "2026-01-01T00:00:04.000000Z", "attempt": 1, "message": "line 4"}


async def test_a_long_line_of_a_pod_comes_in_pieces(world: World) -> None:
    text = b"x" * 1_000_000
    with_a_pod(world, b"2026-01-01T00:00:00.000000000Z " + text + b"\n" + LINES)

    assert (await world.get(f"/api/jobs/{JOB}/logs?limit=1", "viewer")).body == text + b"\n"
    lines = (await world.get(f"/api/jobs/{JOB}/logs", "viewer", Accept="application/x-ndjson")).body.splitlines()
    told = [json.loads(line) for line in lines]
    assert "".join(one["message"] for one in told if one["sequence"] == 0) == text.decode()
    assert {one["timestamp"] for one in told if one["sequence"] == 0} == {"2026-01-01T00:00:00.000000Z"}
    assert [one["message"] for one in told if one["sequence"] > 0] == [f"line {number}" for number in range(5)]


async def test_a_long_line_of_a_pod_is_not_cut_within_a_character(world: World) -> None:
    text = "x" + "ä€😀" * 30_000
    with_a_pod(world, b"2026-01-01T00:00:00.000000000Z " + text.encode() + b"\n")

    lines = (await world.get(f"/api/jobs/{JOB}/logs", "viewer", Accept="application/x-ndjson")).body.splitlines()

    assert "".join(json.loads(line)["message"] for line in lines) == text


async def test_a_line_of_a_pod_that_has_no_end_counts(world: World) -> None:
    with_a_pod(world, LINES + b"2026-01-01T00:00:05.000000000Z 50 %")
    for query in ("?tail=2", "?tail=2&follow=true", "?sequence=4"):
        assert (await world.get(f"/api/jobs/{JOB}/logs{query}", "viewer")).body == b"line 4\n50 %"


@pytest.mark.parametrize(("error", "code"), [(Forbidden(403, "Forbidden", "no pods/log"), 403),
                                             (ApiError(500, "InternalError", "dial tcp: refused"), 503)])  # fmt: skip
async def test_a_log_that_may_not_be_read_is_not_told_as_empty(world: World, error: ApiError, code: int) -> None:
    async def log_stream(*_where: str, **_query: str) -> AsyncIterator[bytes]:
        raise error
        yield b""

    world.put("pods", {"metadata": {"namespace": "team-a", "name": "weather-r1-x"}})
    world.parts.logs.pods.client.log_stream = log_stream  # type: ignore[method-assign]  # the kubelet's
    for query in ("", "?tail=1", "?follow=true"):
        assert (await world.get(f"/api/jobs/{JOB}/logs{query}", "viewer")).code == code


async def test_the_end_of_a_large_log_of_a_pod(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_pod(world, LINES * 20_000)
    tail = await world.get(f"/api/jobs/{JOB}/logs?tail=50000", "viewer")
    assert tail.body.count(b"\n") == 50_000
    monkeypatch.setattr(pod_logs, "MOST_TAIL", 700)
    assert (await world.get(f"/api/jobs/{JOB}/logs?tail=50000", "viewer")).body.count(b"\n") == 100
    world.parts.unread.most_of_one = 0
    assert (await world.get(f"/api/jobs/{JOB}/logs?tail=1", "viewer")).code == 429


async def test_the_end_of_a_log_begins_with_a_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_logs, "MOST_TAIL", 250_000)
    with_a_pod(world, (b"2026-01-01T00:00:00.000000000Z " + b"x" * 100_000 + b"\n") * 5)
    answer = await world.get(f"/api/jobs/{JOB}/logs?tail=4", "viewer")
    assert answer.body == (b"x" * 100_000 + b"\n") * 2


async def test_a_log_that_does_not_begin_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_logs, "_PATIENCE_SECONDS", 0.1)

    async def log_stream(*_where: str, **_query: str) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    world.put("pods", {"metadata": {"namespace": "team-a", "name": "weather-r1-x"}})
    world.parts.logs.pods.client.log_stream = log_stream  # type: ignore[method-assign]  # the kubelet's
    for query in ("", "?tail=1", "?follow=true"):
        assert (await world.get(f"/api/jobs/{JOB}/logs{query}", "viewer")).code == 503
    assert not world.parts.streams.taken
    assert not world.parts.unread.taken


async def test_who_leaves_a_silent_pod_is_noticed(world: World) -> None:
    reading = with_a_pod(world, b"", then=asyncio.Event().wait)
    headers = {"Authorization": "Bearer viewer"}
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"{world.url}/api/jobs/{JOB}/logs?follow=true", headers=headers) as answer:
                assert answer.status == 200
                await world.until(lambda: bool(reading and world.parts.streams.taken))
            async with asyncio.timeout(1):
                await world.until(lambda: not reading and not world.parts.streams.taken)


async def test_a_pod_that_has_not_started_has_no_log_yet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_logs, "_STARTING_SECONDS", 0.01)
    tries = iter(range(100))

    async def log_stream(*_where: str, **_query: str) -> AsyncIterator[bytes]:
        if next(tries) < 3:
            raise ApiError(400, "BadRequest", "container is waiting to start: ContainerCreating")
        yield LINES

    world.put("pods", {"metadata": {"namespace": "team-a", "name": "weather-r1-x"}})
    world.parts.logs.pods.client.log_stream = log_stream  # type: ignore[method-assign]  # the kubelet's
    assert (await world.get(f"/api/jobs/{JOB}/logs", "viewer")).code == 204
    assert (await world.get(f"/api/jobs/{JOB}/logs?follow=true", "viewer")).body.count(b"\n") == 5


async def test_one_token_does_not_take_all_streams(world: World) -> None:
    world.parts.streams.most, world.parts.streams.most_of_one = 3, 2
    async with listening(world), listening(world):
        answer = await world.get("/api/events?workspace=team-a", "viewer")
        assert (answer.code, "Retry-After" in answer.headers) == (429, True)
        async with listening(world, who="editor"):
            answer = await world.get("/api/events?workspace=team-a", "admin")
            assert (answer.code, "Retry-After" in answer.headers) == (503, True)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", wanted.TEXT), ("*/*", wanted.TEXT), ("text/html", wanted.TEXT), ("Text/Event-Stream", wanted.EVENTS),
        ("text/plain;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson; q=0.5, */*", "application/x-ndjson"),
        ("text/plain, application/x-ndjson", wanted.TEXT), ("application/x-ndjson;q=x", "application/x-ndjson"),
    ],
)  # fmt: skip
def test_which_form_is_liked_best(accept: str, kind: str) -> None:
    assert wanted.kind_of(accept) == kind


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
        await world.until(lambda: world.parts.streams.taken.total() == 2)
        chain.log.line(b"last")
        chain.end()
        await chain.finish()
        assert (await following).body == chain.log.text
        told = (await events).body.decode()
        assert told.startswith("id: 5\nevent: line\ndata: ")
        assert told.endswith("event: end\ndata: {}\n\n")


async def test_a_keeper_that_says_nothing_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_logs, "_PATIENCE_SECONDS", 0.1)
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    world.parts.logs.kept.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    answer = await world.get(f"/api/jobs/{JOB}/logs", "viewer")

    assert (answer.code, answer.headers["Retry-After"]) == (503, "5")
    for writer in writers:
        writer.close()
    server.close()


async def test_a_log_that_breaks_off_is_not_taken_for_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with with_a_keeper(tmp_path) as (world, chain):
        following = asyncio.create_task(world.get(f"/api/jobs/{chains.JOB}/logs?follow=true", "alice"))
        await world.until(lambda: world.parts.streams.taken.total() == 1)
        await chain.stop_keeper()
        with pytest.raises(aiohttp.ClientPayloadError):
            await following

    assert "a log was broken off: ClientPayloadError" in caplog.text
    assert "Traceback" not in caplog.text


async def test_who_leaves_a_log_is_noticed_at_the_keeper(tmp_path: Path) -> None:
    async with with_a_keeper(tmp_path) as (world, chain):
        headers = {"Authorization": "Bearer alice"}
        url = f"{world.url}/api/jobs/{chains.JOB}/logs?follow=true"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            await answer.content.readany()
            assert chain.parts.door.followers.has(chains.JOB)
        async with asyncio.timeout(5):
            while world.parts.streams.taken or chain.parts.door.followers.has(chains.JOB):
                await asyncio.sleep(0.05)
                chain.parts.keeper.open_logs._tell(chains.JOB)


async def test_who_falls_behind_in_the_middle_of_a_batch_gets_no_other_ones_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_MOST_BATCHES", 2)
    told = world.parts.feed.listen("team-a", f"{world.parts.catalog.started}-{world.parts.feed._last}")
    first = asyncio.ensure_future(anext(told))
    await world.until(lambda: world.parts.feed.listeners == 1)
    there, last = world.parts.feed._workspaces["team-a"], world.parts.feed._last
    there.add(feed._Batch(last + 1, b"a" * 100_000))
    assert set(await first) == set(b"a")
    there.add(feed._Batch(last + 2, b"b" * 100_000))
    assert set(await anext(told)) == set(b"a"), "it is remembered still"
    there.add(feed._Batch(last + 3, b"c" * 100_000))
    with pytest.raises(StopAsyncIteration):
        await anext(told)
