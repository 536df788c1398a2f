"""The keeper, as a reader speaks to it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import ValidationError

from elt_operator.archive import exchange
from elt_operator.archive.exchange import Answer, Known, PodName, Sync
from elt_operator.errors import OperatorError
from elt_operator.kube.session import WithSession

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=5)
_OK, _CREATED, _NOT_FOUND, _CONFLICT, _GONE, _BAD, _TOO_LARGE = 200, 201, 404, 409, 410, 400, 413
_WORDS: Final = 300


class Away(OperatorError):
    """The keeper does not answer, or cannot store anything now: try again later."""


class Unwanted(OperatorError):
    """The keeper does not take a frame: it has another one, or none follows; ask it where to go on."""


class UnknownPod(OperatorError):
    """The keeper does not know the pod, or not yet."""


@dataclass
class Keeper(WithSession):
    """A connection to the keeper, open within ``async with``. Every call may raise ``Away``."""

    url: str
    token: Path
    """The file of our token, which is renewed while we run."""
    tls: ssl.SSLContext | None = None

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.tls or True)
        return aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector)

    async def sync(self, pods: Mapping[str, PodName]) -> Mapping[str, Known | None]:
        """Tell which pods' logs are here; return what the keeper has of each, ``None``: it does not know the pod."""
        code, body = await self._post(exchange.SYNC, Sync(pods=dict(pods)).model_dump_json().encode())
        if code != _OK:
            raise Away(f"the keeper answers {code}: {_words(body)}")
        try:
            return Answer.model_validate_json(body).pods
        except ValidationError as error:
            raise Away(f"the keeper's answer cannot be read: {error}") from error

    async def push(self, uid: str, frame: bytes) -> Known:
        """Hand over the next frame of a pod's log; raises ``Unwanted`` and ``UnknownPod``."""
        code, body = await self._post(exchange.FRAMES, frame, pod=uid)
        if code == _CREATED:
            try:
                return Known.model_validate_json(body)
            except ValidationError as error:
                raise Away(f"the keeper's answer cannot be read: {error}") from error
        if code == _GONE:
            return Known(closed=True)
        if code == _NOT_FOUND:
            raise UnknownPod(_words(body))
        if code in {_CONFLICT, _BAD, _TOO_LARGE}:
            raise Unwanted(_words(body))
        raise Away(f"the keeper answers {code}: {_words(body)}")

    async def _post(self, path: str, data: bytes, **query: str) -> tuple[int, bytes]:
        try:
            headers = {"Authorization": f"Bearer {self.token.read_text().strip()}"}
            async with self.session.post(
                f"{self.url}{path}", data=data, params=query, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Away(f"the keeper does not answer: {type(error).__name__}: {error}") from error


def _words(body: bytes) -> str:
    return body[:_WORDS].decode(errors="replace").strip()
