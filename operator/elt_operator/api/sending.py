"""Sending answers to clients that may not read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from elt_operator.api.protocol import ABORT

logger = logging.getLogger(__name__)

PART_BYTES: Final = 32 * 1024
"""How much of an answer is copied, and waits for a client, at a time."""
_PATIENCE_SECONDS: Final = 60.0
"""How long a client may take for an answer, or for each piece of one that goes on."""

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Any, Send], Awaitable[None]]


class _TooSlow(Exception):
    """A client does not read what it has asked for."""


def patient(app: App) -> App:
    """Return an ASGI application that sends what ``app`` answers, and disconnects who does not take it."""

    async def serving(scope: Message, receive: Any, send: Send) -> None:
        too_slow = False

        async def sending(message: Message) -> None:
            nonlocal too_slow
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await _send(message, send)
            except TimeoutError as error:
                too_slow = True
                scope[ABORT]()
                raise _TooSlow from error

        try:
            await app(scope, receive, sending)
        except Exception:
            if not too_slow:
                raise
            logger.info("a client was disconnected: it did not take its answer within %.0f s", _PATIENCE_SECONDS)
            while (await receive())["type"] != "http.disconnect":
                pass

    return serving


async def _send(message: Message, send: Send) -> None:
    """Send a message, a large one in parts."""
    body, goes_on = message.get("body", b""), message.get("more_body", False)
    if len(body) <= PART_BYTES:
        await send(message)
        return
    for start in range(0, len(body), PART_BYTES):
        part, more = body[start : start + PART_BYTES], start + PART_BYTES < len(body)
        await send({**message, "body": part, "more_body": more or goes_on})
