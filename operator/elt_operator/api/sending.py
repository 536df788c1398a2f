"""Sending answers to clients that may not read: part by part, for so long, and only so much at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

logger = logging.getLogger(__name__)

_PART: Final = 32 * 1024
_PATIENCE_SECONDS: Final = 60.0
"""How long a client may take for a part."""
_MOST_UNSENT: Final = 64 * 1024 * 1024

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Any, Send], Awaitable[None]]


class _TooSlow(OSError):
    """A client does not read what it has asked for."""


@dataclass
class Sending:
    """What is being sent."""

    unsent: int = 0
    """Bytes of answers that are made and not sent."""

    @property
    def is_full(self) -> bool:
        """Whether so much waits for clients that no more may be made."""
        return self.unsent > _MOST_UNSENT

    def patient(self, app: App) -> App:
        """Return an ASGI application that sends what ``app`` answers, and disconnects who does not take it."""

        async def serving(scope: Message, receive: Any, send: Send) -> None:
            too_slow = False

            async def sending(message: Message) -> None:
                nonlocal too_slow
                try:
                    await self._send(message, send)
                except _TooSlow:
                    too_slow = True
                    raise

            try:
                await app(scope, receive, sending)
            except Exception:
                if not too_slow:
                    raise
                logger.info("a client was disconnected: it took no part of its answer for %.0f s", _PATIENCE_SECONDS)

        return serving

    async def _send(self, message: Message, send: Send) -> None:
        body = message.get("body", b"")
        if len(body) <= _PART:
            async with _in_time():
                await send(message)
            return
        self.unsent += len(body)
        left = len(body)
        try:
            for start in range(0, len(body), _PART):
                part = body[start : start + _PART]
                more = start + _PART < len(body) or message.get("more_body", False)
                async with _in_time():
                    await send({**message, "body": part, "more_body": more})
                left -= len(part)
                self.unsent -= len(part)
        finally:
            self.unsent -= left


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            yield
    except TimeoutError as error:
        raise _TooSlow from error
