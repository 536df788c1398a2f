"""What the API server answers with, as errors: one for each thing that can be done about it."""

from collections.abc import Sequence

import aiohttp

from elt_operator.errors import OperatorError


class ApiError(OperatorError):
    """The API server answered with an error."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.causes: Sequence[tuple[str, str]] = ()
        """What is wrong with which field, as far as the API server says it: field and words."""


class NotFound(ApiError):
    """There is no such object (404)."""


class Conflict(ApiError):
    """The object has changed since we read it, or one of that name exists already (409)."""


class Forbidden(ApiError):
    """RBAC, admission or a quota says no (403)."""


class Expired(ApiError):
    """The version to go on from is too old (410): everything has to be listed anew."""


class Invalid(ApiError):
    """The API server refuses what the object says (422, or 400)."""


class TooLarge(Invalid):
    """The object is larger than the API server, or etcd, takes (413, or words that say so)."""


class Unreadable(ApiError):
    """The answer is none that an API server gives: something else answers in its place, or it is broken."""


class TooMuch(Unreadable):
    """The answer is larger than what is held in memory: less has to be asked for."""


class Redirected(ApiError, aiohttp.ClientConnectionError):
    """The answer is a redirect (3xx), which is not followed. For kopf it is a broken connection: it tries again."""
