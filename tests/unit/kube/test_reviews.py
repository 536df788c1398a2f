"""Reviews are asked for once, and believed for no longer than the token is good."""

import asyncio
import base64
import json
from typing import Any

import pytest

from elt_operator.kube import reviews as reviews_module
from elt_operator.kube.errors import ApiError
from elt_operator.kube.reviews import BadToken, Reviews, Unanswered, bearer

ATTRIBUTES = {"verb": "get", "resource": "eltjobs"}


class ApiServer:
    """Answers each review, after a moment, and counts them."""

    def __init__(self, *, allowed: bool = True, code: int = 0) -> None:
        self.allowed, self.code, self.asked, self.hangs = allowed, code, 0, False

    async def request(self, *_what: Any, **_how: Any) -> dict[str, Any]:
        self.asked += 1
        await asyncio.sleep(3600 if self.hangs else 0)
        if self.code:
            raise ApiError(self.code, "No", "no")
        return {"status": {"allowed": self.allowed}}


def reviews_of(api_server: ApiServer, clock: list[float]) -> Reviews:
    return Reviews(api_server, now=lambda: clock[0], clock=lambda: clock[0])  # type: ignore[arg-type]  # a client


def token(expires: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


async def test_who_ask_the_same_at_the_same_time_share_an_answer() -> None:
    api_server = ApiServer()
    reviews = reviews_of(api_server, [0.0])

    assert await asyncio.gather(*(reviews.may("alice", ATTRIBUTES) for _ in range(20))) == [True] * 20
    assert api_server.asked == 1


@pytest.mark.parametrize(("allowed", "seconds"), [(True, 30), (False, 10)])
async def test_an_answer_is_remembered_for_seconds(allowed: bool, seconds: int) -> None:
    api_server, clock = ApiServer(allowed=allowed), [0.0]
    reviews = reviews_of(api_server, clock)
    for clock[0] in (0.0, seconds - 0.1, seconds):
        assert await reviews.may("alice", ATTRIBUTES) is allowed
    assert api_server.asked == 2


@pytest.mark.parametrize(("expires", "asked"), [(12, 2), (1_000, 1), ("soon", 1), (None, 1)])
async def test_a_yes_is_not_believed_beyond_the_end_of_its_token(expires: object, asked: int) -> None:
    api_server, clock = ApiServer(), [0.0]
    reviews = reviews_of(api_server, clock)
    for clock[0] in (0.0, 11.9, 12.0):
        await reviews.may(token(expires), ATTRIBUTES)
    assert api_server.asked == asked


async def test_an_outage_makes_nobody_wait_who_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews_module, "_PATIENCE_SECONDS", 0.05)
    api_server, clock = ApiServer(), [0.0]
    reviews = reviews_of(api_server, clock)
    reviews.outage_seconds = 60.0
    await reviews.may("alice", ATTRIBUTES)
    api_server.hangs = True
    for clock[0] in (30.0, 34.9, 35.0, 59.9):
        assert await reviews.may("alice", ATTRIBUTES)
    assert api_server.asked == 4, "once in five seconds"
    clock[0] = 60.0
    with pytest.raises(TimeoutError):
        await reviews.may("alice", ATTRIBUTES)


async def test_an_outage_does_not_make_a_token_last_longer() -> None:
    api_server, clock = ApiServer(), [0.0]
    reviews = reviews_of(api_server, clock)
    reviews.outage_seconds = 60.0
    await reviews.may(token(40), ATTRIBUTES)
    api_server.code = 503
    clock[0] = 39.0
    assert await reviews.may(token(40), ATTRIBUTES)
    clock[0] = 40.0
    with pytest.raises(ApiError):
        await reviews.may(token(40), ATTRIBUTES)


@pytest.mark.parametrize("code", [403, 404, 409, 429, 503])
async def test_what_cannot_be_answered_is_not_remembered(code: int) -> None:
    api_server = ApiServer(code=code)
    reviews = reviews_of(api_server, [0.0])
    for _ in range(2):
        with pytest.raises(Unanswered):
            await reviews.may("alice", ATTRIBUTES)
    assert api_server.asked == 2


async def test_a_bad_token_is_not_asked_about_again_for_a_while() -> None:
    api_server, clock = ApiServer(code=401), [0.0]
    reviews = reviews_of(api_server, clock)
    for clock[0] in (0.0, 9.9, 10.0):
        with pytest.raises(BadToken):
            await reviews.may("alice", ATTRIBUTES)
    assert api_server.asked == 2


async def test_what_was_asked_lately_is_not_forgotten_for_what_others_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews_module, "_MOST_REMEMBERED", 10)
    api_server = ApiServer()
    reviews = reviews_of(api_server, [0.0])
    for number in range(30):
        await reviews.may("alice", ATTRIBUTES)
        await reviews.may("mallory", {**ATTRIBUTES, "name": str(number)})
    assert api_server.asked == 31
    assert len(reviews._known) == 10


@pytest.mark.parametrize(
    "header", ["", "Basic x", "Bearer", "Bearer ", "Bearer two words", "Bearer a\tb", "Bearer \u00e9"]
)
def test_what_is_no_token(header: str) -> None:
    with pytest.raises(BadToken):
        bearer(header)


@pytest.mark.parametrize("header", ["Bearer token", "bearer  token ", "BEARER token"])
def test_a_token(header: str) -> None:
    assert bearer(header) == "token"
