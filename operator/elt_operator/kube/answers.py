"""What the API server answers, or what stands before it does: whatever comes is an object, or an ``ApiError``."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from elt_operator import text as texts
from elt_operator.kube import foreign
from elt_operator.kube.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Redirected,
    TooLarge,
    Unreadable,
)

MESSAGE_CHARACTERS: Final = 2_000
LINE_BYTES: Final = 16 * 1024 * 1024
"""How long a line of a watch may be; an object of 1.5 MiB, which is etcd's limit, is far from it."""
_BEGINNING_CHARACTERS: Final = 200
_REASON_CHARACTERS: Final = 100
_LARGEST_CODE: Final = 999


_BY_CODE: Final[Mapping[int, type[ApiError]]] = {
    400: Invalid,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    413: TooLarge,
    422: Invalid,
}

_REFUSES_A_SIZE: Final = frozenset({400, 413, 422, 500, 503})
_SAYS_TOO_LARGE: Final = (
    "request is too large",  # etcd (server/v3/etcdserver/api/v3rpc/rpctypes/error.go)
    "trying to send message larger than max",  # gRPC, on the way to etcd
    "request entity too large",  # the API server, or a proxy before it
    "limit is 3145728",  # the API server (apiserver/pkg/endpoints/handlers/rest.go)
)


def printable(value: Any, characters: int) -> str:
    """Return the text that ``value`` is as one line that can be printed and encoded, cut; empty where it is none."""
    line = foreign.text(value)
    if not line.isprintable():
        line = " ".join("".join(letter if letter.isprintable() else " " for letter in texts.clean(line)).split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def error(code: int, answer: bytes) -> ApiError:
    """Return the error for an answer; the API server's own words where it gave any."""
    try:
        status = foreign.mapping(orjson.loads(answer))
    except ValueError:
        status = {}
    beginning = answer[: 4 * MESSAGE_CHARACTERS].decode(errors="replace")
    return _error_of(code, status, printable(beginning, MESSAGE_CHARACTERS))


def _error_of(code: int, status: Mapping[str, Any], otherwise: str) -> ApiError:
    """Return the error for a Status; ``otherwise`` is its message where it gives none."""
    reason = printable(status.get("reason"), _REASON_CHARACTERS) or "Unknown"
    message = printable(status.get("message"), MESSAGE_CHARACTERS) or otherwise
    kind = _BY_CODE.get(code, ApiError)
    if code in _REFUSES_A_SIZE and any(words in message.lower() for words in _SAYS_TOO_LARGE):
        kind = TooLarge
    if kind is TooLarge:
        message = f"the object is too large for the API server: {message}; make properties, arguments or script smaller"
    found = kind(code, reason, message)
    found.causes = [
        (printable(cause.get("field"), _REASON_CHARACTERS), printable(cause.get("message"), MESSAGE_CHARACTERS))
        for cause in foreign.items(foreign.part(status, "details").get("causes"))
    ]
    return found


def redirected(code: int, location: str) -> Redirected:
    """Return the error for an answer that sends us elsewhere; what follows a question mark may be secret."""
    place = printable(location.partition("?")[0], _BEGINNING_CHARACTERS) or "nowhere"
    return Redirected(code, "Redirect", f"the API server redirects to {place}; check the address of the API server")


def _unreadable(what: str, answer: bytes | bytearray) -> Unreadable:
    beginning = printable(answer[: 4 * _BEGINNING_CHARACTERS].decode(errors="replace"), _BEGINNING_CHARACTERS)
    return Unreadable(200, "Unreadable", f"the API server sent an answer that is {what}: {beginning}")


def json_object(answer: bytes | bytearray) -> dict[str, Any]:
    """Return the object that a good answer is; raises ``Unreadable``."""
    try:
        value = orjson.loads(answer)
    except ValueError:
        raise _unreadable("not JSON", answer) from None
    if not isinstance(value, dict):
        raise _unreadable("not an object", answer)
    return value


class Page(NamedTuple):
    """A part of a collection."""

    items: list[dict[str, Any]]
    version: str
    """The resourceVersion of the whole list."""


def page(answer: bytes | bytearray) -> tuple[Page, str]:
    """Return a part of a collection and the token for the next one, empty on the last; raises ``Unreadable``."""
    body = json_object(answer)
    items, metadata = body.get("items", ""), body.get("metadata")
    items = [] if items is None else items  # null, when only metadata is asked for and there is nothing
    if not isinstance(metadata, dict) or not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise _unreadable("not a list of objects", answer)
    return Page(items, foreign.text(metadata.get("resourceVersion"))), foreign.text(metadata.get("continue"))


async def lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytearray]:
    """Yield the lines of a stream, without what comes after the last line's end; raises ``Unreadable``."""
    line = bytearray()
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        line += first
        if len(line) > LINE_BYTES:
            raise _unreadable(f"a line of more than {LINE_BYTES} bytes", line)
        for following in others:
            yield line
            line = bytearray(following)


def watch_event(line: bytes | bytearray) -> dict[str, Any]:
    """Return what a line of a watch tells; raises ``Unreadable``, or the error that it tells of."""
    event = json_object(line)
    kind, told = event.get("type"), event.get("object")
    if kind == "ERROR":
        status = foreign.mapping(told)
        code = foreign.integer(status.get("code"))
        raise _error_of(code if 0 < code <= _LARGEST_CODE else 0, status, "the watch ended without a reason")
    if not isinstance(kind, str) or not isinstance(told, dict):
        raise _unreadable("not an event of a watch", line)
    return event
