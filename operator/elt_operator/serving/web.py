"""The HTTP port: /livez, /readyz and /metrics. A probe that fails says why in its answer, and in the log."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from elt_operator.errors import NotSetUp
from elt_operator.serving.background import Background

logger = logging.getLogger(__name__)

Check = Callable[[], str]
"""Return what is wrong; empty: nothing. A ``Note`` is told, too, but nothing is wrong."""


class Note(str):
    """What whoever reads an answer may want to know, though nothing fails."""

    __slots__ = ()


LONGEST_LAG_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 1.0


@dataclass
class Lag:
    """How late the event loop is; a loop that something blocks answers no probe at all."""

    worst_seconds: float = 0.0
    """The most of the last minute."""
    _recent: list[float] = field(default_factory=list)

    async def measure(self) -> None:
        """Measure it for ever."""
        while True:
            due = time.monotonic() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self._recent = [*self._recent[-59:], time.monotonic() - due]
            self.worst_seconds = max(self._recent)

    def check(self) -> str:
        """Return whether the loop is too late."""
        late = self._recent[-1] if self._recent else 0.0
        return f"the event loop is {late:.1f} s late" if late > LONGEST_LAG_SECONDS else ""


def _probe(checks: Mapping[str, Check]) -> Callable[[web.Request], object]:
    async def answer(request: web.Request) -> web.Response:
        told = {name: check() for name, check in checks.items()}
        wrong = {name: words for name, words in told.items() if words and not isinstance(words, Note)}
        if wrong:
            logger.warning("%s fails: %s", request.path, "; ".join(wrong.values()))
        lines = [
            f"[-] {name}: {words}" if name in wrong else f"[+] {name}: ok{words and f'; {words}'}"
            for name, words in told.items()
        ]
        return web.Response(text="\n".join(lines) + "\n", status=500 if wrong else 200)

    return answer


@asynccontextmanager
async def serving(
    port: int,
    background: Background,
    *,
    live: Mapping[str, Check],
    ready: Mapping[str, Check],
    metrics: Callable[[], bytes],
) -> AsyncIterator[None]:
    """Answer on ``port`` of all addresses for as long as the context lasts; 0: not at all."""
    if not port:
        yield
        return

    async def metrics_text(_request: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    lag = Lag()
    app = web.Application()
    app.router.add_get("/livez", _probe({"event loop": lag.check, **live}))  # type: ignore[arg-type]  # a handler
    app.router.add_get("/readyz", _probe(ready))  # type: ignore[arg-type]  # a handler
    app.router.add_get("/metrics", metrics_text)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        raise NotSetUp(f"port {port}, for probes and metrics, cannot be opened: {error.strerror}") from error
    background.start("lag", lag.measure)
    try:
        yield
    finally:
        await runner.cleanup()
