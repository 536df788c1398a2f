"""Warnings about objects, from one list for each namespace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration

from elt_operator.controller import warnings
from elt_operator.controller.warnings import NewestWarnings
from elt_operator.kube.client import Client


def an_event(uid: str, message: str, **times: Any) -> dict[str, Any]:
    return {"metadata": {}, "involvedObject": {"uid": uid}, "message": message, **times}


EVENTS = [
    an_event("pod-1", "newer", lastTimestamp="2026-01-05T06:01:00Z"),
    an_event("pod-1", "older", eventTime="2026-01-05T06:00:00Z"),
    an_event("pod-2", "told again", series={"lastObservedTime": "2026-01-05T06:02:00Z"}, lastTimestamp=None),
    an_event("pod-4", "a\n\x1b[31mb \u202e\x07 " + "c" * 5000),
]


@pytest_asyncio.fixture
async def asked() -> AsyncIterator[tuple[NewestWarnings, list[str]]]:
    """Warnings behind a small HTTP server, and the selectors that it was asked with."""
    selectors: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        selectors.append(request.query["fieldSelector"])
        if request.match_info["name"] == "forbidden":
            return web.json_response({"reason": "Forbidden", "message": "no right to events"}, status=403)
        return web.json_response({"items": EVENTS, "metadata": {}})

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{name}/events", answer)
    async with TestServer(app) as server, Client(Configuration(host=str(server.make_url(""))), "test") as client:
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


async def test_what_cannot_be_read_explains_nothing(
    asked: tuple[NewestWarnings, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    newest, selectors = asked

    assert await newest.about("forbidden", "pod-1") == ""
    assert await newest.about("forbidden", "pod-2") == ""

    assert "the warnings in namespace forbidden cannot be read: 403 Forbidden: no right to events" in caplog.text
    assert len(selectors) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            {"lastTimestamp": "2026-01-05T06:00:00Z"}, {"eventTime": "2026-01-05T06:00:00.5Z"}, id="fractions"
        ),
        pytest.param({}, {"lastTimestamp": "2026-01-05T06:00:00Z"}, id="no time"),
        pytest.param({"lastTimestamp": 9}, {"lastTimestamp": "2026-01-05T06:00:00Z"}, id="a number"),
        pytest.param({"series": "odd"}, {"lastTimestamp": "2026-01-05T06:00:00Z"}, id="an odd series"),
        pytest.param({"metadata": None}, {"eventTime": "2026-01-05T06:00:00Z"}, id="odd metadata"),
    ],
)
def test_of_two_events_the_later_one_is_told(first: dict[str, Any], second: dict[str, Any]) -> None:
    older, newer = an_event("pod", "older", **first), an_event("pod", "newer", **second)

    for events in ([older, newer], [newer, older]):
        assert warnings._with_newer({}, events)["pod"].message == "newer"


async def test_a_message_is_one_line_of_bounded_length(asked: tuple[NewestWarnings, list[str]]) -> None:
    newest, _ = asked

    told = await newest.about("default", "pod-4")

    assert told.startswith("a b c")
    assert len(told) <= 1024
    assert told.isprintable()


def test_of_very_many_objects_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "_MOST_OBJECTS", 3)
    events = [an_event(f"pod-{n}", "no", lastTimestamp=f"2026-01-05T06:00:{n:02}Z") for n in range(20)]

    known = warnings._with_newer(warnings._with_newer({}, events[10:]), events[:10])

    assert known.keys() == {"pod-17", "pod-18", "pod-19"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud83d"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["uid", "lastObservedTime", "creationTimestamp"]), inner, max_size=2)
    ),
    max_leaves=4,
)
fields = ["involvedObject", "message", "metadata", "series", "lastTimestamp", "eventTime"]


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(fields), values), max_size=6))
@example([{"involvedObject": {"uid": "a"}, "lastTimestamp": 1}, {"involvedObject": {"uid": "a"}, "message": 7}])
def test_events_of_any_shape_can_be_read(events: list[dict[str, Any]]) -> None:
    for uid, warning in warnings._with_newer({}, events).items():
        assert uid.encode()
        assert len(warning.message.encode()) <= 4096
