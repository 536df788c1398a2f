"""Whatever comes as an answer of the API server is an object, or an error with words."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elt_operator.kube import answers
from elt_operator.kube.answers import MESSAGE_CHARACTERS
from elt_operator.kube.errors import ApiError, Expired, Forbidden, TooLarge, Unreadable

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["items", "metadata", "continue", "type", "object", "code", "message", "reason"])
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
encoded = json_values.map(orjson.dumps)
anything = st.binary() | st.text().map(lambda text: text.encode(errors="replace"))


def a_status(code: int, message: str) -> bytes:
    return orjson.dumps({"kind": "Status", "code": code, "reason": "Because", "message": message})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (413, "Request entity too large: limit is 3145728"),
        (413, ""),
        (500, "etcdserver: request is too large"),
        (
            500,
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097388 vs. 2097152)",
        ),
        (503, "etcdserver: request is too large"),
        (400, "limit is 3145728"),
        (422, "Request entity too large"),
    ],
)
def test_too_large_is_a_refusal_that_says_what_to_do(code: int, message: str) -> None:
    found = answers.error(code, a_status(code, message))

    assert type(found) is TooLarge
    assert found.message.startswith(f"the object is too large for the API server: {message}")
    assert found.message.endswith("; make properties, arguments or script smaller")


@pytest.mark.parametrize("code", [403, 404, 409, 429])
def test_words_about_a_size_do_not_change_what_the_code_says(code: int) -> None:
    assert type(answers.error(code, a_status(code, "request is too large"))) is not TooLarge


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(b"bad gateway", "bad gateway", id="text"),
        pytest.param(
            b"<html>\n\x1b[31m\x07no</html>\xff", "<html> no</html>\ufffd", id="a page with control characters"
        ),
        pytest.param(b"[1]", "[1]", id="a list"),
        pytest.param(b'{"message": 7, "reason": {}}', '{"message": 7, "reason": {}}', id="odd fields"),
        pytest.param(b"[" * 100_000, "[" * (MESSAGE_CHARACTERS - 1) + "…", id="nested without end"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_an_error_that_is_no_status_is_told_as_it_is(answer: bytes, message: str) -> None:
    found = answers.error(502, answer)

    assert (type(found), found.reason, found.message) == (ApiError, "Unknown", message)


@settings(deadline=None)
@given(st.integers(), anything | encoded)
@example(500, b'{"message": "\\ud83d", "reason": "a"}')
@example(422, b'{"message": ["x"], "reason": "' + b"r" * 5000 + b'"}')
def test_an_error_can_be_made_of_any_bytes(code: int, answer: bytes) -> None:
    found = answers.error(code, answer)

    assert len(found.message) <= MESSAGE_CHARACTERS + 120
    assert f"{found}".isprintable()
    assert f"{found}".encode()


@pytest.mark.parametrize("read", [answers.json_object, answers.page, answers.watch_event])
@pytest.mark.parametrize("answer", [b"", b"null", b"[]", b"7", b"<html>", b"{", b"\xff\xfe", b'{"a": 1}garbage'])
def test_a_good_answer_that_is_no_object_is_an_error(read: Callable[[bytes], object], answer: bytes) -> None:
    with pytest.raises(Unreadable, match=r"the API server sent an answer that is not (JSON|an object): "):
        read(answer)


def test_of_what_cannot_be_read_the_beginning_is_told() -> None:
    with pytest.raises(Unreadable) as caught:
        answers.json_object(b"<html>\x1b[31m" + b"x" * 1000)

    assert caught.value.message == f"the API server sent an answer that is not JSON: <html>{'x' * 193}…"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": {}}, id="no items"),
        pytest.param({"items": []}, id="no metadata"),
        pytest.param({"items": {}, "metadata": {}}, id="items that are no list"),
        pytest.param({"items": [{}, 7], "metadata": {}}, id="an item that is no object"),
        pytest.param({"items": [], "metadata": 7}, id="metadata that is no object"),
    ],
)
def test_a_list_without_its_parts_is_an_error(body: Any) -> None:
    with pytest.raises(Unreadable, match="not a list of objects"):
        answers.page(orjson.dumps(body))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"object": {}}, id="no type"),
        pytest.param({"type": "ADDED"}, id="no object"),
        pytest.param({"type": 7, "object": {}}, id="an odd type"),
        pytest.param({"type": "ADDED", "object": []}, id="an odd object"),
    ],
)
def test_an_event_without_its_parts_is_an_error(event: Any) -> None:
    with pytest.raises(Unreadable, match="not an event of a watch"):
        answers.watch_event(orjson.dumps(event))


@pytest.mark.parametrize(
    ("told", "error", "code"),
    [
        pytest.param({"code": 410, "message": "too old"}, Expired, 410, id="a version that is too old"),
        pytest.param({"code": 403, "message": "no"}, Forbidden, 403, id="no right any more"),
        pytest.param({"code": "410"}, ApiError, 0, id="a code that is text"),
        pytest.param({"code": 10**18}, ApiError, 0, id="a code that is none"),
        pytest.param({"code": True}, ApiError, 0, id="a code that is true"),
        pytest.param(None, ApiError, 0, id="nothing"),
        pytest.param(["gone"], ApiError, 0, id="a list"),
    ],
)
def test_an_error_in_a_watch_is_an_error(told: Any, error: type[ApiError], code: int) -> None:
    with pytest.raises(ApiError) as caught:
        answers.watch_event(orjson.dumps({"type": "ERROR", "object": told}))

    assert (type(caught.value), caught.value.code) == (error, code)


@settings(deadline=None)
@given(anything | encoded)
@example(b'{"type": "ERROR", "object": ' + b'{"a":' * 500 + b"1" + b"}" * 501)
@example(b'{"items": [{}], "metadata": {"continue": 7, "resourceVersion": []}}')
def test_any_bytes_are_an_answer_or_an_error(answer: bytes) -> None:
    for read in (answers.json_object, answers.page, answers.watch_event):
        with suppress(ApiError):
            assert read(answer) is not None


async def in_chunks(stream: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    begin = 0
    for end in [*sorted(cuts), len(stream)]:
        yield stream[begin:end]
        begin = max(begin, end)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"a", b"\n", b"bc", b"\r"]), max_size=30).map(b"".join), st.lists(st.integers(0, 40)))
async def test_lines_are_the_same_however_they_come(stream: bytes, cuts: list[int]) -> None:
    found = [bytes(line) async for line in answers.lines(in_chunks(stream, cuts))]

    assert found == stream.split(b"\n")[:-1]


async def test_a_line_without_end_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LINE_BYTES", 1000)
    given_out = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given_out
        while True:
            given_out += 1
            yield b"x" * 100

    with pytest.raises(Unreadable, match="a line of more than 1000 bytes: xxx"):
        _ = [line async for line in answers.lines(endless())]

    assert given_out == 11
