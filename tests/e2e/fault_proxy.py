"""A proxy between an operator and the API server that can stop the world at a chosen write."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
BEFORE, STORED, ANSWERED = "before it is sent", "stored but not answered", "after the answer"
PASSED_ON = {"Authorization", "Content-Type", "Accept", "User-Agent"}


@dataclass
class FaultProxy:
    """Passes requests on; calls ``strike`` at the n-th write, once."""

    server: str
    tls: Any
    strike: Callable[[], None]
    strike_at: int = -1
    """Number of the write, from 0; -1: never."""
    position: str = BEFORE
    writes: list[str] = field(default_factory=list)
    """Method and path of each write so far."""
    armed: bool = True
    """Whether it strikes at all."""
    severed: bool = False
    """Whether nothing passes: every stream has been cut, and new requests are not answered well."""
    _streams: set[asyncio.Task[Any]] = field(default_factory=set)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    async def start(self) -> str:
        """Listen on loopback; return the address."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.tls, limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        # A watch never ends by itself: it does when its operator has gone.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
        await asyncio.gather(*self._streams, return_exceptions=True)
        if self._session:
            await self._session.close()
            for _ in range(5):  # connections that were cut are closed in the loop's next turns
                await asyncio.sleep(0)

    def _strike(self) -> None:
        if self.armed:
            self.strike()

    def disarm(self) -> None:
        """Strike no more: a request on its way when a test ends would start the operator again."""
        self.armed = False

    def sever(self) -> None:
        """Cut all streams, and let nothing pass until ``heal``."""
        self.severed = True
        for stream in self._streams:
            stream.cancel()

    def heal(self) -> None:
        """Let requests pass again."""
        self.severed = False

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if self.severed:
            raise web.HTTPServiceUnavailable
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)
        number = len(self.writes)
        strikes = request.method in WRITES and number == self.strike_at
        if request.method in WRITES:
            self.writes.append(f"{request.method} {request.path}")
        if strikes and self.position == BEFORE:
            self._strike()
            raise web.HTTPBadGateway
        body = await request.read()
        assert self._session is not None
        async with self._session.request(
            request.method,
            self.server + request.raw_path,
            data=body or None,
            headers={name: value for name, value in request.headers.items() if name in PASSED_ON},
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            if strikes and self.position == STORED:
                await answer.read()
                self._strike()
                raise web.HTTPBadGateway
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
            with suppress(aiohttp.ClientConnectionResetError):  # the operator was killed
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
        if strikes:
            self._strike()
        return response
