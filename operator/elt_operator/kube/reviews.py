"""Who somebody is, and what they may do: the API server is asked, never anybody else."""

import asyncio
import base64
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError
from elt_operator.kube.troubles import OUTAGES

_IDENTITIES: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_RIGHTS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_SELF: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_YES_SECONDS: Final = 30.0
_NO_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 5.0
"""How long an answer may take."""
_AGAIN_SECONDS: Final = 5.0
"""How long an old answer is believed during an outage before the API server is asked again."""
_MOST_REMEMBERED: Final = 10_000
_MOST_CHARACTERS: Final = 16 * 1024
_UNAUTHORIZED: Final = 401
_REFUSALS: Final = frozenset(range(400, 500)) - {429}
"""With these codes the API server says no to the question itself, which is no outage."""
_NODE: Final = "authentication.kubernetes.io/node-name"
"""Where a bound token says on which node its pod is
(https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens)."""


class BadToken(Exception):
    """The token is nobody's."""

    def __init__(self, *, has_expired: bool = False) -> None:
        super().__init__("the token has expired" if has_expired else "the token is missing or invalid")
        self.has_expired = has_expired
        """Whether it says so itself."""


class Unanswered(ApiError):
    """The API server has answered, but not what it was asked: a review may be refused, too."""


class Person(NamedTuple):
    """Who somebody is, as the API server knows them."""

    name: str
    uid: str
    """Empty: they have none."""


@dataclass(frozen=True)
class Identity:
    """Whose token it is."""

    user: str
    node: str
    """The node of the pod that it is bound to; empty: it is bound to none."""


class _Answer(NamedTuple):
    """What the API server has answered."""

    at: float
    until: float
    """As long as this it is believed without asking."""
    found: Any


def bearer(authorization: str) -> str:
    """Return the token of an Authorization header; raises ``BadToken``.

    The API server reads no further than to the next blank: what is behind one would make many tokens of one here.
    """
    kind, _, token = authorization.partition(" ")
    token = token.strip()
    is_one = token.isascii() and token.isprintable() and len(token.split()) == 1
    if kind.lower() != "bearer" or not is_one or len(token) > _MOST_CHARACTERS:
        raise BadToken
    return token


@dataclass
class Reviews:
    """Asks the API server, and remembers its answers for seconds."""

    client: Client
    outage_seconds: float = 0.0
    """How old an answer may be that is still believed while the API server does not answer."""
    now: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time  # noqa: TID251 - a token says itself when it expires
    """Seconds since 1970, by which a token expires."""
    _known: "OrderedDict[Any, _Answer]" = field(default_factory=OrderedDict)
    """By what was asked, that of the longest ago first; tokens are in it as their hashes."""
    _asking: dict[Any, asyncio.Future[Any]] = field(default_factory=dict)
    """What is being asked: whoever asks the same waits for the same answer."""

    async def identity(self, token: str, audience: str) -> Identity:
        """Return whose ``token`` for ``audience`` it is; raises ``BadToken``, and ``ApiError`` where nobody knows."""

        async def ask() -> Identity:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                    "spec": {"token": token, "audiences": [audience]}}  # fmt: skip
            status = foreign.part(await self.client.request("POST", _IDENTITIES, body), "status")
            return _identity(status, audience)

        found: Identity = await self._answer(token, ("identity", audience), ask)
        if not found.user:
            raise BadToken
        return found

    async def may(self, token: str, attributes: Mapping[str, str]) -> bool:
        """Return whether the bearer of ``token`` may do something (ResourceAttributes).

        Raises ``BadToken``, and what keeps the API server from being asked.
        """

        async def ask() -> bool:
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": {"resourceAttributes": dict(attributes)}}  # fmt: skip
            answer = await self._as_bearer(token, _RIGHTS, body)
            return foreign.part(answer, "status").get("allowed") is True

        allowed: bool = await self._answer(token, ("may", *sorted(attributes.items())), ask)
        return allowed

    async def who_is(self, token: str) -> Person:
        """Return who the bearer of ``token`` is; raises as ``may`` does."""

        async def ask() -> Person:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            user = foreign.part(await self._as_bearer(token, _SELF, body), "status", "userInfo")
            return Person(foreign.text(user.get("username")), foreign.text(user.get("uid")))

        person: Person = await self._answer(token, ("who",), ask)
        return person

    async def _as_bearer(self, token: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await self.client.request("POST", path, body, token=token)
        except ApiError as error:
            if error.code == _UNAUTHORIZED:
                raise BadToken from error
            raise Unanswered(error.code, error.reason, error.message) from error

    async def _answer(self, token: str, question: tuple[Any, ...], ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return what was answered lately, or is answered now."""
        key = (hashed(token), *question)
        known = self._known.get(key)
        if known and self.now() < known.until:
            self._known.move_to_end(key)
            if known.found is BadToken:
                raise BadToken(has_expired=not self._left(token))
            return known.found
        try:
            found = await self._asked(key, ask)
        except BadToken as error:
            self._remember(key, BadToken, _NO_SECONDS)
            raise BadToken(has_expired=not self._left(token)) from error
        except OUTAGES as error:
            if isinstance(error, Unanswered) and error.code in _REFUSALS:
                raise
            left = min(known.at + self.outage_seconds - self.now(), self._left(token)) if known else 0.0
            if known is None or known.found is BadToken or left <= 0:
                raise
            self._known[key] = known._replace(until=self.now() + min(left, _AGAIN_SECONDS))
            return known.found
        self._remember(key, found, self._lasts(token, found))
        return found

    async def _asked(self, key: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask, once for all who ask the same at the same time."""

        async def in_time() -> Any:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await ask()

        if key not in self._asking:
            task = asyncio.ensure_future(in_time())
            self._asking[key] = task
            task.add_done_callback(lambda done: (self._asking.pop(key, None), done.cancelled() or done.exception()))
        return await asyncio.shield(self._asking[key])

    def _lasts(self, token: str, found: Any) -> float:
        good = bool(found.user) if isinstance(found, Identity) else bool(found)
        return min(self._left(token), _YES_SECONDS) if good else _NO_SECONDS

    def _left(self, token: str) -> float:
        """Return for how many seconds a token is good, as it says itself."""
        expires = _expiry(token)
        return math.inf if expires is None else max(0.0, expires - self.clock())

    def _remember(self, key: Any, found: Any, seconds: float) -> None:
        self._known[key] = _Answer(self.now(), self.now() + seconds, found)
        self._known.move_to_end(key)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)


def _expiry(token: str) -> float | None:
    """Return when a JSON Web Token expires, in seconds since 1970, as it says itself; ``None``: it does not say."""
    try:
        payload = token.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    expires = claims.get("exp") if isinstance(claims, dict) else None
    return float(expires) if isinstance(expires, (int, float)) else None


def hashed(token: str) -> str:
    """Return what is remembered instead of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _identity(status: foreign.Body, audience: str) -> Identity:
    audiences = status.get("audiences")
    if status.get("authenticated") is not True or not isinstance(audiences, list) or audience not in audiences:
        return Identity("", "")
    user = foreign.part(status, "user")
    nodes = foreign.part(user, "extra").get(_NODE)
    node = nodes[0] if isinstance(nodes, list) and len(nodes) == 1 else ""
    return Identity(foreign.text(user.get("username")), foreign.text(node))
