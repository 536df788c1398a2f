"""Who somebody is, and what they may do: the API server is asked, never anybody else."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.errors import ApiError

_IDENTITIES: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_RIGHTS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_YES_SECONDS: Final = 30.0
_NO_SECONDS: Final = 10.0
_MOST_REMEMBERED: Final = 10_000
_UNAUTHORIZED: Final = 401
_NODE: Final = "authentication.kubernetes.io/node-name"
"""Where a bound token says on which node its pod is
(https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens)."""


class BadToken(Exception):
    """The token is nobody's."""


@dataclass(frozen=True)
class Identity:
    """Whose token it is."""

    user: str
    node: str
    """The node of the pod that it is bound to; empty: it is bound to none."""


@dataclass
class Reviews:
    """Asks the API server, and remembers its answers for seconds."""

    client: Client
    _known: dict[Any, tuple[float, Any]] = field(default_factory=dict)
    """By what was asked, until when an answer is good; tokens are in it as their hashes."""

    async def identity(self, token: str, audience: str) -> Identity:
        """Return whose ``token`` for ``audience`` it is; raises ``BadToken``, and ``ApiError`` where nobody knows."""
        asked = ("identity", _hash(token), audience)
        found: Identity | None = self._remembered(asked)
        if found is None:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                    "spec": {"token": token, "audiences": [audience]}}  # fmt: skip
            status = foreign.part(await self.client.request("POST", _IDENTITIES, body), "status")
            found = _identity(status, audience)
            self._remember(asked, found, _YES_SECONDS if found.user else _NO_SECONDS)
        if not found.user:
            raise BadToken
        return found

    async def may(self, token: str, attributes: Mapping[str, str]) -> bool:
        """Return whether the bearer of ``token`` may do something (ResourceAttributes).

        Raises ``BadToken``, and ``ApiError`` where nobody knows.
        """
        asked = ("may", _hash(token), *sorted(attributes.items()))
        found = self._remembered(asked)
        if found is None:
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": {"resourceAttributes": dict(attributes)}}  # fmt: skip
            try:
                answer = await self.client.request("POST", _RIGHTS, body, token=token)
            except ApiError as error:
                if error.code == _UNAUTHORIZED:
                    raise BadToken from error
                raise
            allowed = foreign.part(answer, "status").get("allowed") is True
            self._remember(asked, allowed, _YES_SECONDS if allowed else _NO_SECONDS)
            return allowed
        return bool(found)

    def _remembered(self, asked: Any) -> Any:
        until, answer = self._known.get(asked, (0.0, None))
        return answer if time.monotonic() < until else None

    def _remember(self, asked: Any, answer: Any, seconds: float) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[asked] = (time.monotonic() + seconds, answer)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _identity(status: foreign.Body, audience: str) -> Identity:
    audiences = status.get("audiences")
    if status.get("authenticated") is not True or not isinstance(audiences, list) or audience not in audiences:
        return Identity("", "")
    user = foreign.part(status, "user")
    nodes = foreign.part(user, "extra").get(_NODE)
    node = nodes[0] if isinstance(nodes, list) and len(nodes) == 1 else ""
    return Identity(foreign.text(user.get("username")), foreign.text(node))
