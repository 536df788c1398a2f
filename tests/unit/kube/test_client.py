"""The API client against a small HTTP server."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from elt_operator.errors import NotLeading, NotSetUp
from elt_operator.kube import client as client_module
from elt_operator.kube.client import LOG_BYTES, Client
from elt_operator.kube.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Redirected,
    TooLarge,
    TooMuch,
    Unreadable,
)

Answer = Callable[[web.Request], Any]

PAGES = {
    "": {"items": [{"n": 1}, {"n": 2}], "metadata": {"continue": "more"}},
    "more": {"items": [{"n": 3}], "metadata": {}},
}


async def answer(request: web.Request) -> web.StreamResponse:
    assert request.headers["Authorization"] == "Bearer token-1"
    if request.path == "/list":
        assert request.query["limit"] == "500"
        return web.json_response(PAGES[request.query.get("continue", "")])
    if "/removed/" in request.path:
        return web.Response(text="unable to retrieve container logs for containerd://ae5c47")
    if "/unlinked/" in request.path:
        return web.Response(text='failed to try resolving symlinks in path "/0.log": lstat /0.log: no such file')
    if request.path.endswith("/log"):
        return web.Response(text="first\n" + "x" * LOG_BYTES + "\nlast\n")
    if request.path == "/plain":
        return web.Response(status=502, text="bad gateway")
    code = int(request.path.removeprefix("/"))
    return web.json_response({"reason": "Because", "message": "said so"}, status=code)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """Yield the address of a server that gives ``answer`` to everything."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def a_configuration(host: str) -> Configuration:
    configuration = Configuration(host=host)
    configuration.api_key["BearerToken"] = "Bearer token-1"
    return configuration


@asynccontextmanager
async def asking(answer: Answer, **hooks: Any) -> AsyncIterator[Client]:
    """Yield a client of a server that gives ``answer`` to everything."""
    async with serving(answer) as address, Client(a_configuration(address), "test", **hooks) as made:
        yield made


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    async with asking(answer) as made:
        yield made


def always(body: str | bytes, status: int = 200) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    return answer


def flowing(piece: bytes, *, pieces: int | None = None, ends: bool = True) -> Answer:
    """An answer that goes on; ``pieces``: how often; ``ends``: whether it ends after that."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while pieces is None:
            await response.write(piece)
        for _ in range(pieces):
            await response.write(piece)
        while not ends:
            await asyncio.sleep(0.05)
            await response.write(b"")
        return response

    return answer


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, Invalid),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, Invalid),
        (429, ApiError),
        (500, ApiError),
    ],
)
async def test_an_answer_is_an_error_by_its_code(client: Client, code: int, error: type[ApiError]) -> None:
    with pytest.raises(ApiError) as caught:
        await client.request("GET", f"/{code}")

    assert type(caught.value) is error
    assert str(caught.value) == f"{code} Because: said so"


async def test_an_answer_that_is_no_status_is_told_as_it_is(client: Client) -> None:
    with pytest.raises(ApiError, match="502 Unknown: bad gateway"):
        await client.request("GET", "/plain")


async def test_a_collection_is_read_page_by_page(client: Client) -> None:
    assert [item["n"] async for item in client.objects("/list")] == [1, 2, 3]


@pytest.mark.parametrize("pod", ["removed", "unlinked"])
async def test_what_the_kubelet_says_of_a_lost_log_is_no_log(client: Client, pod: str) -> None:
    with pytest.raises(NotFound):
        await client.log_end("default", pod, "elt")


async def test_of_a_long_log_the_end_is_kept(client: Client) -> None:
    log = await client.log_end("default", "pod", "elt")

    assert log.endswith("\nlast\n")
    assert "first" not in log


async def test_each_request_is_counted_the_one_for_a_log_too() -> None:
    counted: list[tuple[str, int]] = []

    async with asking(answer, count=lambda verb, code: counted.append((verb, code))) as client:
        await client.log_end("default", "pod-1", "elt")
        with pytest.raises(NotFound):
            await client.request("PATCH", "/404", {})

    assert counted == [("GET", 200), ("PATCH", 404)]


async def test_who_does_not_lead_sends_no_write() -> None:
    async with asking(answer, may_write=lambda: False) as client:
        with pytest.raises(NotLeading):
            await client.request("DELETE", "/404")
        with pytest.raises(NotFound):
            await client.request("GET", "/404")


# --- paths


async def test_a_path_arrives_as_it_was_written() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({})

    async with asking(answer) as client:
        await client.request("GET", "/a%20b/%2E%2E/c", labelSelector="a=b,c", name="x&watch=true #+ä")

    assert seen == ["/a%20b/%2E%2E/c?labelSelector=a%3Db%2Cc&name=x%26watch%3Dtrue%20%23%2B%C3%A4"]


# --- redirects


@pytest.mark.parametrize("code", [300, 302, 304, 307])
@pytest.mark.parametrize("whose", ["ours", "kopf's"])
async def test_a_redirect_is_not_followed(code: int, whose: str) -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.json_response({})

    async with serving(elsewhere) as other:

        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=code, headers={"Location": f"{other}/login?secret=1"})

        counted: list[tuple[str, int]] = []
        async with asking(answer, count=lambda verb, code: counted.append((verb, code))) as client:
            session = client.new_session("kopf")
            with pytest.raises(Redirected, match=f"{code} Redirect: the API server redirects to {other}/login; check"):
                await (client.request("GET", "/a") if whose == "ours" else session.get(f"{client.server}/a"))
            await session.close()

    assert asked == []
    assert counted == ([("GET", code)] if whose == "ours" else [])


# --- proxies


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[tuple[str, list[tuple[str, str, str]]]]:
    """A proxy, and what came by: the address that was asked for, and both kinds of credentials."""
    passed: list[tuple[str, str, str]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        passed.append((lines[0], headers.get("Authorization", ""), headers.get("Proxy-Authorization", "")))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{"by": "a proxy"}')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"{host}:{port}", passed


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


async def test_a_proxy_of_the_environment_is_used(
    proxy: tuple[str, list[tuple[str, str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, passed = proxy
    monkeypatch.setenv("HTTP_PROXY", f"http://user:pass%20word@{address}")

    async with Client(a_configuration("http://api.example.com:6443"), "test") as client:
        assert await client.request("GET", "/a%2Fb", limit="1") == {"by": "a proxy"}
        session = client.new_session("kopf")
        async with session.get(f"{client.server}/c"):
            pass
        await session.close()

    credentials = "Basic " + base64.b64encode(b"user:pass word").decode()
    assert passed == [
        ("GET http://api.example.com:6443/a%2Fb?limit=1 HTTP/1.1", "Bearer token-1", credentials),
        ("GET http://api.example.com:6443/c HTTP/1.1", "Bearer token-1", credentials),
    ]


async def test_a_tunnel_through_a_proxy_does_not_show_it_the_token(
    proxy: tuple[str, list[tuple[str, str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, passed = proxy
    monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")

    async with Client(a_configuration("https://10.96.0.1:443"), "test") as client:
        with pytest.raises(Exception):  # noqa: B017, PT011 - nothing speaks TLS behind it
            await client.request("GET", "/a")

    assert passed == [("CONNECT 10.96.0.1:443 HTTP/1.1", "", "")]


async def test_what_no_proxy_names_is_asked_directly(
    proxy: tuple[str, list[tuple[str, str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, passed = proxy
    monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,127.0.0.0/8")

    async with asking(always(b"{}")) as client:
        assert await client.request("GET", "/a") == {}

    assert passed == []


async def test_the_proxy_of_the_kubeconfig_comes_first(
    proxy: tuple[str, list[tuple[str, str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, passed = proxy
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    configuration = a_configuration("http://api.example.com")
    configuration.proxy = f"http://{address}"

    async with Client(configuration, "test") as client:
        assert await client.request("GET", "/a") == {"by": "a proxy"}

    assert len(passed) == 1


async def test_a_proxy_that_cannot_be_used_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy")

    with pytest.raises(NotSetUp, match="the proxy in HTTPS_PROXY cannot be used"):
        async with Client(a_configuration("https://api.example.com"), "test"):
            pass


async def test_no_password_of_a_netrc_is_sent(
    proxy: tuple[str, list[tuple[str, str, str]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, passed = proxy
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://{address}")

    for token in ("Bearer token-1", ""):
        configuration = Configuration(host="http://api.example.com")
        configuration.api_key["BearerToken"] = token
        async with Client(configuration, "test") as client:
            await client.request("GET", "/a")

    assert [credentials for _, *credentials in passed] == [["Bearer token-1", ""], ["", ""]]


# --- odd answers


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b'{"a": "\\ud83d"}', b"[" * 5000])
async def test_a_good_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    async with asking(always(body)) as client:
        with pytest.raises(Unreadable):
            await client.request("GET", "/a")
        with pytest.raises(Unreadable):
            _ = [item async for item in client.objects("/a")]


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "no-such-charset", "idna"])
async def test_an_error_of_any_charset_is_an_error_by_its_code(charset: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(
            status=403, body=b"\xff\xfe\x1b", headers={"Content-Type": f"text/plain; charset={charset}"}
        )

    async with asking(answer) as client:
        with pytest.raises(Forbidden, match="403 Unknown: \ufffd\ufffd"):
            await client.request("GET", "/a")


async def test_an_endless_error_is_read_in_part() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async with asking(answer) as client:
        with pytest.raises(ApiError, match="500 Unknown: xxx"):
            await client.request("GET", "/a")


async def test_an_endless_answer_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_ANSWER_BYTES", 100_000)

    async with asking(flowing(b"x" * 1000)) as client:
        with pytest.raises(TooMuch, match="more than 100000 bytes"):
            await client.request("GET", "/a")


# --- pages


@asynccontextmanager
async def holding(sizes: list[int]) -> AsyncIterator[tuple[Client, list[int]]]:
    """Yield a client of a server with a collection of objects of these sizes, and the limits that were asked for."""
    limits: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        begin, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        limits.append(limit)
        end = begin + limit
        more = {"continue": str(end)} if end < len(sizes) else {}
        items = [{"n": begin + n, "text": "x" * size} for n, size in enumerate(sizes[begin:end])]
        return web.json_response({"items": items, "metadata": {"resourceVersion": "7", **more}})

    async with asking(answer) as client:
        yield client, limits


@pytest.mark.parametrize(
    ("sizes", "limit", "limits"),
    [
        pytest.param([1] * 130, 50, [50, 50, 50], id="small ones"),
        pytest.param([1] * 130, 500, [500], id="one page"),
        pytest.param([10_000] * 30, 20, [20, 2, 8, 8, 8, 8], id="large ones"),
        pytest.param([1] * 40 + [10_000] * 20, 20, [20, 20, 20, 2, 8, 8, 8], id="large ones at the end"),
        pytest.param([90_000] * 3, 20, [20, 2, 1, 1, 1], id="one larger than a page"),
        pytest.param([], 50, [50], id="none"),
    ],
)
async def test_the_larger_objects_are_the_fewer_are_asked_for(
    sizes: list[int], limit: int, limits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_ANSWER_BYTES", 100_000)
    monkeypatch.setattr(client_module, "_PAGE_BYTES", 90_000)
    found: list[int] = []

    async with holding(sizes) as (client, asked):
        async for page in client.pages("/a", {}, limit=limit):
            assert page.version == "7"
            found += [item["n"] for item in page.items]

    assert found == list(range(len(sizes)))
    assert asked == limits


async def test_one_object_that_is_too_large_to_be_held_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_ANSWER_BYTES", 100_000)

    async with holding([1, 300_000]) as (client, _):
        with pytest.raises(TooMuch):
            _ = [item async for item in client.objects("/a")]


async def test_a_page_is_dropped_before_the_next_one_is_asked_for() -> None:
    async with holding([1, 1, 1]) as (client, _):
        pages = client.pages("/a", {}, limit=2)
        first = await anext(pages)
        assert len(first.items) == 2

        await anext(pages)

    assert first.items == []


# --- watches


async def told(client: Client) -> list[str]:
    return [event["object"]["name"] async for event in client.watch("/a", {}, "1")]


async def test_a_watch_tells_line_by_line_and_ends_with_its_stream() -> None:
    stream = (
        b'{"type": "ADDED", "object": {"name": "a"}}\n\n{"type": "BOOKMARK", "object": {"name": "b"}}\n{"type": "ADD'
    )

    async with asking(always(stream)) as client:
        assert await told(client) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [b"<html>", b"[]", b'{"type": "ADDED"}', b'{"object": {}}', b'{"type": "ADDED", "object": "odd"}', b"\xff"],
)
async def test_a_broken_line_ends_the_watch_with_an_error(line: bytes) -> None:
    async with asking(always(b'{"type": "ADDED", "object": {"name": "a"}}\n' + line + b"\n")) as client:
        with pytest.raises(Unreadable):
            await told(client)


async def test_an_error_in_a_watch_is_an_error_by_its_code() -> None:
    async with asking(always(b'{"type": "ERROR", "object": {"code": 410, "message": "too old"}}\n')) as client:
        with pytest.raises(Expired, match="410 Unknown: too old"):
            await told(client)


async def test_a_line_of_a_watch_without_end_is_read_in_part() -> None:
    async with asking(flowing(b"x" * 1_000_000)) as client:
        with pytest.raises(Unreadable, match="a line of more than"):
            await told(client)


# --- what is sent


@pytest.mark.parametrize(
    ("body", "arrived"),
    [
        pytest.param({"a": "ä"}, {"a": "ä"}, id="usual"),
        pytest.param({"a": "half \ud83d", "\udc80": [1]}, {"a": "half ?", "?": [1]}, id="half an emoji"),
        pytest.param({"a": 2**70}, {"a": 2**70}, id="a number of more than 64 bits"),
    ],
)
async def test_whatever_is_sent_arrives(body: dict[str, Any], arrived: dict[str, Any]) -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.json_response({})

    async with asking(answer) as client:
        await client.request("POST", "/a", body)

    assert seen == [arrived]


async def test_what_is_nested_without_end_is_refused_and_not_a_bug() -> None:
    body: dict[str, Any] = {}
    for _ in range(5000):
        body = {"a": body}

    async with asking(always(b"{}")) as client:
        with pytest.raises(Invalid, match="nested too deeply"):
            await client.request("POST", "/a", body)


async def test_too_large_is_an_error_of_its_own() -> None:
    async with asking(always(b'{"reason": "RequestEntityTooLarge", "message": "limit is 3145728"}', 413)) as client:
        with pytest.raises(TooLarge, match="; make properties, arguments or script smaller"):
            await client.request("POST", "/a", {})


# --- logs


async def test_a_log_is_handed_on_as_it_comes() -> None:
    taken = bytearray()
    async with asking(always(b"one\ntwo\n")) as client:
        assert await client.log("default", "pod", "elt", taken.extend, most_bytes=1_000)

    assert taken == b"one\ntwo\n"


async def test_a_log_is_handed_on_up_to_a_bound() -> None:
    taken = bytearray()
    async with asking(flowing(b"line\n" * 1000)) as client:
        assert not await client.log("default", "pod", "elt", taken.extend, most_bytes=100_000)

    assert 100_000 <= len(taken) <= 100_000 + LOG_BYTES


async def test_a_log_is_followed_as_it_grows() -> None:
    taken = bytearray()
    async with asking(flowing(b"line\n", pieces=3)) as client:
        await client.follow_log("default", "pod", "elt", taken.extend)

    assert taken == b"line\n" * 3


@pytest.mark.parametrize("pod", ["removed", "unlinked"])
async def test_what_the_kubelet_says_of_a_lost_log_is_not_followed(client: Client, pod: str) -> None:
    taken = bytearray()
    with pytest.raises(NotFound):
        await client.follow_log("default", pod, "elt", taken.extend)
    assert not taken


async def test_a_log_that_does_not_end_in_time_is_handed_on_as_far_as_it_came() -> None:
    taken = bytearray()
    async with asking(flowing(b"line\n", pieces=1, ends=False)) as client:
        assert not await client.log("default", "pod", "elt", taken.extend, most_bytes=100_000, seconds=0.3)
    assert taken == b"line\n"

    async with asking(flowing(b"", pieces=1, ends=False)) as client:
        with pytest.raises(TimeoutError):
            await client.log("default", "pod", "elt", taken.extend, most_bytes=100_000, seconds=0.3)


@pytest.mark.parametrize("pod", ["removed", "unlinked"])
async def test_what_the_kubelet_says_of_a_lost_log_is_not_handed_on(client: Client, pod: str) -> None:
    taken = bytearray()
    with pytest.raises(NotFound):
        await client.log("default", pod, "elt", taken.extend, most_bytes=1_000)
    assert not taken


async def test_of_a_log_without_end_some_megabytes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LOG_BYTES_READ", 200_000)

    async with asking(flowing(b"line\n" * 1000)) as client:
        log = await client.log_end("default", "pod", "elt")

    assert len(log) == LOG_BYTES
    assert "\nline\nline\n" in log


async def test_of_a_log_that_does_not_end_in_time_is_told_what_came() -> None:
    async with asking(flowing(b"line\n", pieces=1, ends=False)) as client:
        assert await client.log_end("default", "pod", "elt", 0.3) == "line\n"


async def test_a_log_that_does_not_come_in_time_is_none() -> None:
    async with asking(flowing(b"", pieces=1, ends=False)) as client:
        with pytest.raises(TimeoutError):
            await client.log_end("default", "pod", "elt", 0.3)


async def test_a_log_of_random_bytes_is_text() -> None:
    async with asking(always(bytes(range(256)) + b"\xed\xa0\xbd")) as client:
        log = await client.log_end("default", "pod", "elt")

    assert log.encode()
