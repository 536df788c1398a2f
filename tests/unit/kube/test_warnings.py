"""Warnings about objects, from one list for each namespace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from elt_operator.kube import warnings
from elt_operator.kube.client import Client
from elt_operator.kube.warnings import NewestWarnings


def an_event(uid: str, message: str, **times: Any) -> dict[str, Any]:
    return {"metadata": {}, "involvedObject": {"uid": uid}, "message": message, **times}


EVENTS = [
    an_event("pod-1", "newer", lastTimestamp="2026-01-05T06:01:00Z"),
    an_event("pod-1", "older", eventTime="2026-01-05T06:00:00Z"),
    an_event("pod-2", "told again", series={"lastObservedTime": "2026-01-05T06:02:00Z"}, lastTimestamp=None),
]


@pytest_asyncio.fixture
async def asked() -> AsyncIterator[tuple[NewestWarnings, list[str]]]:
    """Warnings behind a small HTTP server, and the selectors that it was asked with."""
    selectors: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        selectors.append(request.query["fieldSelector"])
        return web.json_response({"items": EVENTS, "metadata": {}})

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{name}/events", answer)
    async with TestServer(app) as server, Client(Configuration(host=str(server.make_url("")))) as client:
        yield NewestWarnings(client), selectors


async def test_the_newest_is_told_and_many_questions_are_one_request(
    asked: tuple[NewestWarnings, list[str]],
) -> None:
    newest, selectors = asked

    told = await asyncio.gather(*(newest.about("default", uid) for uid in ("pod-1", "pod-2", "pod-3")))

    assert told == ["newer", "told again", ""]
    assert selectors == ["type=Warning"]


async def test_an_old_answer_is_asked_for_again(
    asked: tuple[NewestWarnings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, selectors = asked
    await newest.about("default", "pod-1")
    monkeypatch.setattr(warnings, "MAX_AGE_SECONDS", -1.0)

    await newest.about("default", "pod-1")

    assert len(selectors) == 2


async def test_an_old_answer_about_another_namespace_is_dropped(
    asked: tuple[NewestWarnings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, _ = asked
    monkeypatch.setattr(warnings, "MAX_AGE_SECONDS", -1.0)

    for namespace in ("default", "other"):
        await newest.about(namespace, "pod-1")

    assert newest._known.keys() == {"other"}
