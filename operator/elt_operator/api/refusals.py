"""What is answered when a request cannot be done: in the body of the API that ours comes from."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from elt_operator.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound
from elt_operator.kube.reviews import BadToken, Unanswered
from elt_operator.kube.troubles import OUTAGES

_RETRY: Final[Mapping[str, str]] = {"Retry-After": "5"}


class FieldError(NamedTuple):
    """What is wrong with a field of a request."""

    field: str
    message: str


class Refusal(NamedTuple):
    """An answer to a request that cannot be done."""

    status: int
    message: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = {}

    def body(self, path: str, now: datetime) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "status": self.status,
            "error": HTTPStatus(self.status).phrase,
            "errors": [error._asdict() for error in self.errors],
            "message": self.message,
            "path": path,
        }


class Refused(Exception):
    """A request cannot be done."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


NOT_FOUND: Final = Refusal(404, "There is nothing here, or you may not see it. Pipelines and Jobs have UIDs as ids.")
BAD_TOKEN: Final = Refusal(
    401, "The token is missing, invalid or expired. Send it as `Authorization: Bearer TOKEN`.",
    headers={"WWW-Authenticate": "Bearer"},
)  # fmt: skip
EXPIRED: Final = BAD_TOKEN._replace(
    message="The token has expired. Get a new one, for example by `kubectl create token`."
)
BUG: Final = Refusal(500, "The API has a fault. Its log says more; please report it.")
AWAY: Final = Refusal(503, "The API server does not answer. Try again later.", headers=_RETRY)
BEHIND: Final = Refusal(503, "What is known is too old: the API server has not answered for a minute.", headers=_RETRY)
TOO_MANY: Final = Refusal(503, "Too many streams are open. Try again later.", headers={"Retry-After": "30"})
TOO_MANY_OF_ONE: Final = Refusal(
    429, "Too many streams of this token are open. Close some.", headers={"Retry-After": "30"}
)
TOO_MANY_BODIES: Final = Refusal(503, "Too many requests have bodies without an end. Try again later.", headers=_RETRY)
TOO_MANY_BODIES_OF_ONE: Final = Refusal(
    429, "Too many requests with this token have bodies without an end. Try again later.", headers=_RETRY
)
UNREAD: Final = Refusal(503, "Too many answers wait for clients that do not read. Try again later.", headers=_RETRY)
UNREAD_BY_ONE: Final = Refusal(
    429, "Too many answers wait to be read with this token. Read them, or try again later.", headers=_RETRY
)
LEFT_OUT: Final = Refusal(
    503,
    "The API may not read this namespace, or it is gone. Check its Role, and `namespaces` of the chart.",
    headers=_RETRY,
)
STARTING: Final = Refusal(503, "The API is starting. Try again in a moment.", headers={"Retry-After": "2"})


def bad(field: str, message: str) -> Refused:
    """Return the refusal of a request whose ``field`` cannot be used."""
    return Refused(Refusal(400, f"{field}: {message}", [FieldError(field, message)]))


_BY_ERROR: Final[Sequence[tuple[type[Exception], Callable[[Any], Refusal]]]] = (
    (Refused, lambda error: error.refusal),
    (BadToken, lambda error: EXPIRED if error.has_expired else BAD_TOKEN),
    (
        Unanswered,
        lambda error: Refusal(503, f"The API server does not say what you may do: {error.message}", headers=_RETRY),
    ),
    (NotFound, lambda _error: NOT_FOUND),
    (Forbidden, lambda error: Refusal(403, error.message)),
    (Conflict, lambda error: Refusal(409, error.message)),
    (Invalid, lambda error: Refusal(400, error.message, [FieldError(*cause) for cause in error.causes])),
    (ApiError, lambda error: _BY_CODE.get(error.code) or _of_a_code(error)),
    *((outage, lambda _error: AWAY) for outage in OUTAGES),
)
"""How errors are answered; the first that fits counts."""
_BY_CODE: Final[Mapping[int, Refusal]] = {
    401: BAD_TOKEN,
    429: Refusal(429, "The API server has too much to do. Try again later.", headers=_RETRY),
}
KNOWN: Final = tuple(kind for kind, _ in _BY_ERROR)
_CLIENT_ERRORS: Final = range(400, 500)


def of_error(error: Exception) -> Refusal:
    """Return how an error that is ``KNOWN`` is answered."""
    return next(refusal(error) for kind, refusal in _BY_ERROR if isinstance(error, kind))


def _of_a_code(error: ApiError) -> Refusal:
    """Return how another error of the API server is answered: an admission policy may give any code."""
    return Refusal(400, error.message) if error.code in _CLIENT_ERRORS else AWAY


def fingerprint(data: bytes) -> str:
    """Return what tells an answer from another one."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()
