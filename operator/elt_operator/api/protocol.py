"""HTTP as uvicorn speaks it with h11, which bounds what stands before and behind a body; and no connection lingers.

uvicorn itself waits for ever for the end of a head, and for a client to take what it was sent before it left.
"""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_HEAD_BYTES: Final = 64 * 1024
"""Of a request's line and headers, tokens among them."""
IDLE_SECONDS: Final = 75.0
"""How long a connection may take for its next request, from the first byte to the end of its head."""
_MOST_CONNECTIONS: Final = 2_500
ABORT: Final = "elt_operator.abort"
"""Where a request's scope has what cuts its connection: `close` waits for a client that does not read."""
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})


class Protocol(H11Protocol):
    """A connection."""

    _answering: Any = None
    """The application."""
    _timer: asyncio.TimerHandle | None = None
    """Cuts the connection; ``None`` while a request is being answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Let the application cut the connection; cut it at once if there are too many."""
        super().connection_made(transport)
        self._answering, self.app = self.app, self._answer
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what has come; while a request is being answered, the application says how long that may take."""
        super().data_received(data)
        if self._is_answering:
            self._wait_no_more()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the client to take the answer."""
        self._wait_no_more()
        self._wait()
        super().on_response_complete()  # which may go on with a request that has come already
        if self._is_answering:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._wait_no_more()
        self.app = self._answering  # nothing points to itself, so that its memory is free at once

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        scope[ABORT] = self.transport.abort
        if {name for name, _ in scope["headers"]} >= _LENGTHS:
            self.cycle.keep_alive = False  # https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        await self._answering(scope, receive, send)

    def send_400_response(self, msg: str) -> None:
        """Say that a request is none, if there is no answer under way."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered as one without that wish."""

    @property
    def _is_answering(self) -> bool:
        """Whether the head of a request has come, and its answer is not at its end."""
        return bool(self.cycle) and not self.cycle.response_complete

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
