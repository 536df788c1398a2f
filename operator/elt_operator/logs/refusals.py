"""What the door answers when it cannot do what was asked."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from aiohttp import web
from pydantic import ValidationError

from elt_operator.archive import frames
from elt_operator.archive.frames import FrameError
from elt_operator.kube.reviews import BadToken
from elt_operator.kube.troubles import OUTAGES
from elt_operator.logs.open_logs import OutOfOrder
from elt_operator.logs.readers import NotTheirs, Unknown
from elt_operator.logs.store import StoreError

_WORDS: Final = 500


class BadParameter(Exception):
    """A parameter of a request cannot be used; the message says which, and why."""


class NotFound(Exception):
    """There is no such log, or none that the asker may read."""


class TooMany(Exception):
    """So many logs are being read that one more could take too much memory."""


class Renumbered(Exception):
    """The lines that were sent have other numbers now: a node has returned whose reader was given up."""


class Refusal(NamedTuple):
    """An answer to a request that fails."""

    status: int
    words: str = ""
    """Empty: the error's own."""
    headers: Mapping[str, str] = {}
    counted: str = ""
    """The reason by which it is counted; empty: it is not."""


_LATER: Final[Mapping[str, str]] = {"Retry-After": "5"}
_BY_ERROR: Final[Mapping[tuple[type[Exception], ...], Refusal]] = {
    (BadToken,): Refusal(401, "the token is missing, invalid or expired", {"WWW-Authenticate": "Bearer"}, "token"),
    (NotFound,): Refusal(404, "there is no such log, or you may not read it (get eltjobs/log in its namespace)"),
    (BadParameter,): Refusal(400),
    (TooMany,): Refusal(503, "too many logs are being read; try again later", _LATER),
    (web.HTTPRequestEntityTooLarge,): Refusal(413, f"a frame has {frames.MOST_BYTES} bytes at most", {}, "too large"),
    (FrameError, ValidationError): Refusal(400, "", {}, "unreadable"),
    (NotTheirs,): Refusal(403, "", {}, "not theirs"),
    (Unknown,): Refusal(404),
    (OutOfOrder,): Refusal(409),
    (StoreError,): Refusal(503, "the store of the logs does not answer; try again later", _LATER, "store"),
    OUTAGES: Refusal(503, "the API server does not answer, so nobody's rights are known; try again later", _LATER),
}
"""The first that fits counts."""

STARTING: Final = Refusal(503, "the keeper of the logs is starting; try again in a moment", {"Retry-After": "2"})


def refusal(error: Exception) -> Refusal | None:
    """Return how ``error`` is answered; ``None``: nobody has foreseen it."""
    return next((found for errors, found in _BY_ERROR.items() if isinstance(error, errors)), None)


def response(found: Refusal, error: object = "") -> web.Response:
    """Return the answer."""
    words = found.words or str(error)[:_WORDS]
    return web.Response(status=found.status, text=f"{words}\n", headers=found.headers)
