"""Kept logs: from the door of their keeper, with the token of whoever asks."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from elt_operator.api.refusals import NOT_FOUND, Refusal, Refused, bad
from elt_operator.api.wanted import LINES, TEXT, Found, Wanted
from elt_operator.kube.reviews import BadToken
from elt_operator.kube.session import WithSession

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_PATIENCE_SECONDS: Final = 10.0
"""How long the keeper may take to begin its answer."""
_AWAY: Final = Refusal(503, "The keeper of the logs does not answer. Try again later.", headers={"Retry-After": "5"})
_WORDS: Final = 500
_OK, _NOTHING = 200, 204


@dataclass
class KeptLogs(WithSession):
    """The keeper of the logs, asked within ``async with``."""

    url: str
    """Of its door; empty: there is none."""
    tls: ssl.SSLContext | None = None

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=self.tls or True)
        return aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector, auto_decompress=False)

    async def of(self, token: str, uid: str, wanted: Wanted) -> Found:
        """Return the log of the Job with this ``uid``; raises ``Refused`` and ``BadToken``."""
        query = {"sequence": str(wanted.sequence), "follow": "true" if wanted.follow else "false"}
        query |= {"limit": str(wanted.limit)} if wanted.limit is not None else {}
        query |= {"tail": str(wanted.tail)} if wanted.tail is not None else {}
        accept = TEXT if wanted.kind == TEXT else LINES[0]
        headers = {"Authorization": f"Bearer {token}", "Accept": accept}
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await self.session.get(
                    f"{self.url}/v1/logs/{uid}", params=query, headers=headers, allow_redirects=False
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Refused(_AWAY) from error
        if answer.status not in {_OK, _NOTHING}:
            async with answer:
                raise await _refused(answer)
        told = _headers(answer.headers, wanted)
        if answer.status == _NOTHING:
            answer.close()
            return Found(told, None)
        return Found(told, _passed_on(answer))


async def _refused(answer: aiohttp.ClientResponse) -> Exception:
    """Return what to raise for an answer of the keeper that is none."""
    words = (await answer.content.read(_WORDS)).decode(errors="replace").strip()
    match answer.status:
        case 401:
            return BadToken()
        case 404:
            return Refused(NOT_FOUND)
        case 400:
            return bad(words.partition(" ")[0], words)
        case 503 if words:
            return Refused(Refusal(503, f"The keeper of the logs says: {words}.", headers=_AWAY.headers))
        case _:
            return Refused(_AWAY)


async def _passed_on(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield what the keeper sends; an answer that it breaks off raises, so that ours is broken off, too."""
    async with answer:
        async for chunk in answer.content.iter_any():
            yield chunk


def _headers(told: Mapping[str, str], wanted: Wanted) -> Mapping[str, str]:
    headers = {name: told[name] for name in ("X-Log-State", "X-Log-Gaps") if name in told}
    first, lines = told.get("X-First-Sequence", ""), told.get("X-Log-Lines", "")
    if not wanted.follow and first.isdigit() and lines.isdigit():
        most = int(lines) if wanted.limit is None else min(int(lines), int(first) + wanted.limit)
        headers["X-Next-Sequence"] = str(max(int(first), most))
    return headers
