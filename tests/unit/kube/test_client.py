"""The API client against a small HTTP server."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from elt_operator.errors import NotLeading
from elt_operator.kube.client import LOG_BYTES, ApiError, Client, Conflict, Forbidden, Invalid, NotFound

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


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        configuration = Configuration(host=str(server.make_url("")))
        configuration.api_key["BearerToken"] = "Bearer token-1"
        async with Client(configuration) as made:
            yield made


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, Invalid),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
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
        await client.log("default", pod)


async def test_of_a_long_log_the_end_is_kept(client: Client) -> None:
    log = await client.log("default", "pod")

    assert log.endswith("\nlast\n")
    assert "first" not in log


async def test_each_request_is_counted_the_one_for_a_log_too(client: Client) -> None:
    counted: list[tuple[str, int]] = []
    client.count = lambda verb, code: counted.append((verb, code))

    await client.log("default", "pod-1")
    with pytest.raises(NotFound):
        await client.request("PATCH", "/404", {})

    assert counted == [("GET", 200), ("PATCH", 404)]


async def test_who_does_not_lead_sends_no_write(client: Client) -> None:
    client.may_write = lambda: False

    with pytest.raises(NotLeading):
        await client.request("DELETE", "/404")
    with pytest.raises(NotFound):
        await client.request("GET", "/404")
