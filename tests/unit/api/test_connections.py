"""What comes and goes on a connection: how much of it, and where one request ends and the next begins."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from elt_operator.api import changes, program, protocol, reads, sending
from elt_operator.api.metrics import Metrics
from elt_operator.resources import names
from unit.api.world import World, a_job, a_world

PIPELINE = "uid-of-team-a-weather"
CREATE = f"POST /api/pipelines/{PIPELINE}/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
BAD_JSON = b'{"x": "%s"}'


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as one:
        yield one


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = world.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, object]]:
    """Return the code and the body of the next answer on a connection."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def test_heads_are_bounded(world: World) -> None:
    async with connected(world) as (reader, writer):
        with suppress(ConnectionError):
            writer.write(b"GET /api/profiles HTTP/1.1\r\nHost: x\r\n")
            for number in range(40):
                writer.write(b"X-%d: %s\r\n" % (number, b"x" * 8_000))
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("size", [10, 70_000, 140_000, 250_000, 900_000])
async def test_a_large_body_is_no_large_head(world: World, size: int) -> None:
    body = BAD_JSON % (b"x" * size)
    request = f"{CREATE}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    async with connected(world) as (reader, writer):
        for _ in range(3):
            writer.write(request)
            code, told = await answer(reader)
            assert (code, told["message"]) == (400, "x: there is no such field")


@pytest.mark.parametrize(
    "upgrade",
    ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"],
)
async def test_a_body_is_never_taken_for_a_request(world: World, upgrade: str) -> None:
    body = b"GET /api/jobs/uid-of-team-a-weather-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n"
    head = f"{CREATE}{upgrade}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with connected(world) as (reader, writer):
        writer.write(head.encode() + body)
        code, told = await answer(reader)
        assert (code, told["path"]) == (400, f"/api/pipelines/{PIPELINE}/jobs")
        writer.write(b"GET /api/jobs/unknown HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n")
        code, told = await answer(reader)
        assert (code, told["path"]) == (404, "/api/jobs/unknown")


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1", "Content-Length: 5, 6",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding : chunked",
    ],
)  # fmt: skip
async def test_a_body_of_which_the_end_is_in_doubt_is_refused(world: World, lengths: str) -> None:
    async with connected(world) as (reader, writer):
        writer.write(f"{CREATE}{lengths}\r\n\r\n".encode() + b"0\r\n\r\nGET /api/jobs/x HTTP/1.1\r\nHost: x\r\n\r\n")
        said = await reader.read()
        assert said.count(b"HTTP/1.1 ") == 1
        assert said.split()[1] in {b"400", b"501"}


async def test_what_follows_a_body_in_chunks_is_bounded(world: World) -> None:
    async with connected(world) as (reader, writer):
        writer.write(f"{CREATE}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        writer.write(b"2\r\n{}\r\n0\r\n")
        with suppress(ConnectionError):
            for number in range(40):
                writer.write(b"X-%d: %s\r\n" % (number, b"x" * 8_000))
                await writer.drain()
                await asyncio.sleep(0)
            await reader.read()
        assert writer.is_closing() or reader.at_eof()
    assert set(world.parts.catalog.jobs) == {"uid-of-team-a-weather-1", "uid-of-team-b-weather-1"}


async def test_a_request_that_breaks_off_is_no_fault(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(world) as (_, writer):
        writer.write(f"{CREATE}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n".encode() + b'{"argu')
        await world.until(lambda: bool(world.parts.bodies.taken))
        writer.transport.abort()
        await world.until(lambda: not world.parts.bodies.taken)
    assert (await world.get("/api/jobs/unknown")).code == 404
    assert "Traceback" not in caplog.text


async def test_who_does_not_read_is_disconnected(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(sending, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(reads, "_MOST_DETAILS", 1e9)
    world.parts.unread.most_of_one = 100_000
    for number in range(2, 9):
        world.put(names.JOBS, a_job(f"weather-{number}", errorMessage="x" * 1_000_000))
    await world.until(lambda: len(world.parts.catalog.jobs) == 9)
    path, details = "/api/workspaces/team-a/jobs", "enable-task-details: true\r\n"
    host, port = world.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer\r\n{details}\r\n".encode())
        await world.until(lambda: bool(world.parts.unread.taken))
        assert (await world.get(path, "viewer")).code == 429
        assert (await world.get(path, "editor")).code == 200
        world.parts.unread.most = 100_000
        assert (await world.get(path, "editor")).code == 503

        await world.until(lambda: not world.parts.unread.taken)
        assert (await world.get(path, "viewer", enable_task_details="true")).code == 200
        await world.until(lambda: "a client was disconnected" in caplog.text)
        silent.settimeout(10)
        assert read_all(silent) < 7_000_000, "of an answer of 8 MB"
    assert {record.levelname for record in caplog.records} == {"INFO"}


def read_all(connection: socket.socket) -> int:
    """Return how many bytes come until a connection is closed."""
    return sum(map(len, iter(lambda: connection.recv(1 << 20), b"")))


async def test_a_connection_that_asks_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.3)
    async with a_world() as world:
        for sent in (b"", b"GET /api/profiles HTTP/1.1\r\nX: "):
            async with connected(world) as (reader, writer):
                writer.write(sent)
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
        async with connected(world) as (reader, writer):  # and one that has an answer, and asks no more
            writer.write(b"GET /api/jobs/unknown HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n")
            assert (await answer(reader))[0] == 404
            async with asyncio.timeout(5):
                assert await reader.read() == b""


async def test_there_are_not_too_many_connections(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_MOST_CONNECTIONS", 1)
    async with connected(world) as (kept, writer):
        async with connected(world) as (refused, _):
            with suppress(ConnectionError):
                assert await refused.read() == b""
        writer.write(b"GET /api/jobs/unknown HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n")
        assert (await answer(kept))[0] == 404


async def test_a_body_has_to_come_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_BODY_SECONDS", 0.2)
    world.parts.bodies.most_of_one = 1
    async with connected(world) as (reader, writer):
        writer.write(f"{CREATE}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n".encode() + b'{"argu')
        await world.until(lambda: bool(world.parts.bodies.taken))
        assert (await world.ask("POST", f"/api/pipelines/{PIPELINE}/jobs")).code == 429
        code, told = await answer(reader)
        assert (code, told["message"]) == (400, "body: has no end")
    assert not world.parts.bodies.taken


@pytest.mark.parametrize("behind", [b"zz\r\n", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 2_000_000])
async def test_what_a_client_does_wrong_is_no_error_of_ours(
    world: World, caplog: pytest.LogCaptureFixture, behind: bytes
) -> None:
    for head in (
        "GET /api/events?workspace=team-a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n",
        "GET /api/events?workspace=team-a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
        "GET /api/events?workspace=team-a HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n",
        "GET /api/events?workspace=team-a HTTP/1.0\r\nHost: x\r\n",
    ):
        async with connected(world) as (reader, writer):
            writer.write(f"{head}Authorization: Bearer admin\r\n\r\n".encode())
            assert b" 200 " in await reader.readline()
            with suppress(ConnectionError):
                writer.write(behind)
                writer.write_eof()
                await reader.read()
    await world.until(lambda: not world.parts.streams.taken)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_two_lengths_are_one_too_many(world: World) -> None:
    async with connected(world) as (reader, writer):
        writer.write(f"{CREATE}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
        assert b" 201 " in await reader.readline()
        async with asyncio.timeout(5):
            await reader.read()  # to the end: the connection is closed


async def test_the_end_of_the_server_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_ANSWERS_END_SECONDS", 0.3)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(a_world())
        ask = b"GET /api/events?workspace=team-a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n"
        open_ones = [await stack.enter_async_context(connected(world)) for _ in range(5)]
        for reader, writer in open_ones:
            writer.write(ask)
            assert b" 200 " in await reader.readline()
        await stack.aclose()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_methods_that_nobody_has_are_counted_together() -> None:
    metrics = Metrics()

    async def nothing(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 405})

    async def sent(_message: object) -> None:
        pass

    for number in range(100):
        await metrics.counted(nothing)({"type": "http", "method": f"X{number}"}, None, sent)
    assert metrics.text().count(b"elt_operator_jobs_api_requests_total{") == 1
