"""What is sent to the API is small: nobody fills its memory. The limit of FastAPI itself answers in plain text."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException

from elt_operator.api.protocol import ABORT

MOST: Final = 1024 * 1024
"""Bytes of a body: more than the largest Job that the API server stores can need."""
_TOO_LARGE: Final = 413

Message = MutableMapping[str, Any]


@dataclass
class SmallBodies:
    """An ASGI application that refuses larger bodies, whatever length they say that they have."""

    app: Callable[..., Awaitable[None]]

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        """Pass a request on."""
        left, started = MOST, False

        async def receiving() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                if started:  # it is too late for another answer
                    scope[ABORT]()
                    return {"type": "http.disconnect"}
                raise HTTPException(_TOO_LARGE, f"The body is larger than {MOST} bytes.")
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        await self.app(scope, receiving, sending)
