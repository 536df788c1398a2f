"""The door: readers bring frames, and people read logs, each with a token of their own."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson
from aiohttp import hdrs, web
from pydantic import BaseModel

from elt_operator.archive import exchange, frames
from elt_operator.archive.exchange import AUDIENCE, Answer, Known, Sync
from elt_operator.archive.manifest import Whose
from elt_operator.kube.reviews import BadToken, Reviews, bearer
from elt_operator.kube.troubles import OUTAGES
from elt_operator.logs import refusals
from elt_operator.logs.followers import Followers
from elt_operator.logs.jobs import PodFacts
from elt_operator.logs.metrics import Metrics
from elt_operator.logs.open_logs import OpenAttempt, OpenLogs
from elt_operator.logs.readers import NotTheirs, Readers, Unknown
from elt_operator.logs.reading import Line, Place, View
from elt_operator.logs.refusals import BadParameter, NotFound, Renumbered, TooMany
from elt_operator.logs.store import Missing, StoreError
from elt_operator.logs.views import Views
from elt_operator.resources import names

logger = logging.getLogger(__name__)

_BATCH_BYTES: Final = 64 * 1024
"""How much of a log is sent at a time. As JSON it may have six times as much."""
_ASK_AGAIN_SECONDS: Final = 15.0
_TAKE_SECONDS: Final = 60.0
"""How long somebody may take for a batch."""
_MOST_BODIES: Final = 16
_MOST_BODIES_OF_A_NODE: Final = 8
"""How many frames are taken at a time; a reader sends no more than eight."""
_MOST_ANSWERS: Final = 300
"""How many people may be reading: of each answer up to a megabyte is in memory."""
_DIGITS: Final = 15
_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What is asked of the store: whatever else somebody has put into a path is no log."""
_NDJSON: Final = ("application/x-ndjson", "application/stream+json")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Door:
    """Answers readers and people."""

    reviews: Reviews
    readers: Readers
    open_logs: OpenLogs
    views: Views
    followers: Followers
    reader_user: str
    """The name of the readers' service account, as the API server says it."""
    metrics: Metrics
    now: Callable[[], datetime]
    is_current: Callable[[], bool] = lambda: True
    """Whether a pod that is not known does not exist."""
    is_open: bool = False
    """Whether what is unknown does not exist: all was listed."""
    _bodies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_BODIES))
    _bodies_of: Counter[str] = field(default_factory=Counter)
    """How many frames each node's reader is sending."""
    _answers: int = 0
    """How many answers are being sent."""

    def app(self) -> web.Application:
        """Return what serves the door."""
        app = web.Application(client_max_size=frames.MOST_BYTES, middlewares=[self._in_words])
        app.router.add_post(exchange.SYNC, self.sync)
        app.router.add_post(exchange.FRAMES, self.take)
        app.router.add_get("/v1/logs/{job}", self.read)
        return app

    @web.middleware
    async def _in_words(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer errors in words; whoever may not know of a log hears what one hears of a log that does not exist."""
        if not self.is_open:
            return refusals.response(refusals.STARTING)
        try:
            return await handler(request)
        except Exception as error:
            found = refusals.refusal(error)
            if found is None:
                raise
            if isinstance(error, (StoreError, *OUTAGES)):
                logger.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            if found.counted:
                self.metrics.refused.labels(found.counted).inc()
            return refusals.response(found, error)

    # -- readers -------------------------------------------------------------------------------------------------------

    async def _node(self, request: web.Request) -> str:
        """Return the node of the reader that asks; raises ``BadToken``."""
        who = await self.reviews.identity(_token(request), AUDIENCE)
        if not self.reader_user or who.user != self.reader_user or not who.node:
            raise BadToken
        return who.node

    async def sync(self, request: web.Request) -> web.Response:
        """Tell a reader how far the logs are that it has."""
        node = await self._node(request)
        asked = Sync.model_validate_json(await request.read())
        self.readers.hear(node, asked.pods)
        known: dict[str, Known | None] = {}
        for uid in asked.pods:
            try:
                known[uid] = await self._known(self.readers.pod(node, uid))
            except NotTheirs:
                known[uid] = None
            except Unknown:
                if self.is_current():  # else it may be known in a moment
                    known[uid] = None
            except StoreError as error:  # one log must not hold up the others
                self.metrics.refused.labels("store").inc()
                logger.warning("the log of pod %s: %s", uid, error)
        return _json(200, Answer(pods=known))

    async def _known(self, pod: PodFacts) -> Known:
        """Return what there is of the log of a pod; raises ``Unknown`` where its Job is none of ours."""
        job = self.readers.watched.of(pod.job)
        if job is None or not pod.belongs_to(job):
            if await self.views.is_whole(pod.job):
                return Known(closed=True)
            raise Unknown(f"pod {pod.uid} is of a Job that is unknown, or whose log is not wanted")
        log = await self.open_logs.of(pod.job)
        return self._state(log.attempts.get(pod.uid) or OpenAttempt(pod.uid), pod)

    def _state(self, attempt: OpenAttempt, pod: PodFacts) -> Known:
        return Known(
            number=attempt.number, position=attempt.position, last_time=attempt.last_time, closed=attempt.closed,
            ended=pod.has_ended(self.now()), followed=self.followers.has(pod.job),
        )  # fmt: skip

    async def take(self, request: web.Request) -> web.Response:
        """Take a frame."""
        node = await self._node(request)
        pod = self.readers.pod(node, request.query.get("pod", ""))
        with self._body_of(node):
            async with self._bodies, asyncio.timeout(_TAKE_SECONDS):
                data = await request.read()
            return await self._taken(node, pod, data)

    @contextmanager
    def _body_of(self, node: str) -> Iterator[None]:
        """Count a body of a node's reader; raises ``TooMany`` if it sends more at a time than readers do."""
        if self._bodies_of[node] >= _MOST_BODIES_OF_A_NODE:
            raise TooMany
        self._bodies_of[node] += 1
        try:
            yield
        finally:
            self._bodies_of[node] -= 1

    async def _taken(self, node: str, pod: PodFacts, data: bytes) -> web.Response:
        if await self.views.is_whole(pod.job):
            return web.Response(status=410, text="the log is settled; nothing more is taken\n")
        job = self.readers.watched.of(pod.job)
        if job is None or not pod.belongs_to(job):
            raise Unknown(f"pod {pod.uid} is of a Job that is unknown, or whose log is not wanted")
        attempt = await self.open_logs.take(
            Whose(job=job.name, pod=pod.name, node=node, created=pod.created), pod.uid, data
        )
        return _json(201, self._state(attempt, pod))

    # -- people --------------------------------------------------------------------------------------------------------

    async def read(self, request: web.Request) -> web.StreamResponse:
        """Send a log, or a part of it, as text or as JSON lines; with ``follow``, until it is complete."""
        token, job = _token(request), request.match_info["job"]
        wanted = Wanted.of(request)
        await self._allowed(token, job)
        view = await self.views.of(job)
        if view is None:
            raise NotFound
        if self._answers >= _MOST_ANSWERS:
            raise TooMany
        first = wanted.first(view.lines)
        if first >= view.lines and not (wanted.follow and view.state == "Collecting"):
            return web.Response(status=204, headers=_headers(view, first))
        response = web.StreamResponse(headers=_headers(view, first))
        response.content_type = wanted.content_type
        response.charset = "utf-8"
        self._answers += 1
        try:
            await response.prepare(request)
            with self.followers.one_of(job) if wanted.follow else nullcontext():
                await self._send(request, response, view, wanted)
            await response.write_eof()
        except Exception as error:  # noqa: BLE001 - the answer has begun; it must not look as if this were its end
            logger.info("the log of Job %s: an answer was broken off: %s: %s", job, type(error).__name__, error)
            if request.transport:
                request.transport.abort()
        finally:
            self._answers -= 1
        return response

    async def _allowed(self, token: str, job: str) -> None:
        """Raise 404 unless the bearer of ``token`` may read the log of ``job``: also where there is none."""
        name = await self.views.name_of(job) if _UID.fullmatch(job) else None
        attributes = {
            "group": names.GROUP, "resource": names.JOBS, "subresource": "log", "verb": "get",
            "namespace": name.namespace if name else "", "name": name.name if name else "",
        }  # fmt: skip
        # Where there is no such log, too: a bad token is told, and an answer takes as long.
        if not await self.reviews.may(token, attributes) or name is None:
            raise NotFound

    async def _send(self, request: web.Request, response: web.StreamResponse, view: View, wanted: "Wanted") -> None:
        first = wanted.first(view.lines)
        place, end = Place(first), first + wanted.limit
        while True:
            try:
                part, following = await view.read(place, end=end, size=_BATCH_BYTES)
            except Missing:
                if view.state != "Collecting" or place.within:
                    raise
                self.open_logs.read_anew(request.match_info["job"])  # or its frames have become one object
                later = await self._later(request, view)
                if later is None:
                    return
                view, place = later, Place(place.line)
                continue
            if part:
                data = b"".join(map(_as_json, part.lines())) if wanted.as_json else part.text
                async with asyncio.timeout(_TAKE_SECONDS):
                    await response.write(data)
                place = following
                await asyncio.sleep(0)  # many may follow the same log
            elif place.line >= end or not wanted.follow or view.state != "Collecting":
                return
            else:
                grown = await self._grown(request, view)
                if grown is None:
                    return
                view = grown

    async def _grown(self, request: web.Request, before: View) -> View | None:
        """Return a log once it has more lines than ``before``, or is settled; who may read it is asked again.

        ``None``: there is none, nor will there be one, because nothing of the run has ever started.
        """
        while True:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("whoever followed it has gone")
            changed = self.open_logs.changed(request.match_info["job"])  # before the look: nothing is missed in between
            view = await self._later(request, before)
            if view is None:
                return None
            if view.lines > before.lines or view.state != "Collecting":
                return view
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_AGAIN_SECONDS):
                    await changed.wait()

    async def _later(self, request: web.Request, before: View) -> View | None:
        """Return a log as it is now; raises ``Renumbered``, and what a new request would raise.

        ``None``: it had no line, and its Job is gone, or has ended without one.
        """
        token, job = _token(request), request.match_info["job"]
        if not before.lines and await self.views.name_of(job) is None:
            return None
        await self._allowed(token, job)
        view = await self.views.of(job)
        if view is None:
            if not before.lines:
                return None
            raise NotFound
        if not before.goes_on_as(view):
            raise Renumbered("an earlier attempt has got more lines")
        return view


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to read."""

    sequence: int
    limit: int
    tail: int | None
    follow: bool
    as_json: bool

    @classmethod
    def of(cls, request: web.Request) -> "Wanted":
        """Return what a request asks for; raises 400 with the parameter's name."""
        accepted = request.headers.get(hdrs.ACCEPT, "")
        return cls(
            sequence=_number(request, "sequence", 0),
            limit=_number(request, "limit", 2**53),
            tail=_number(request, "tail", 0) if "tail" in request.query else None,
            follow=_flag(request, "follow"),
            as_json=any(kind in accepted for kind in _NDJSON),
        )

    @property
    def content_type(self) -> str:
        """The media type of the answer."""
        return _NDJSON[0] if self.as_json else "text/plain"

    def first(self, lines: int) -> int:
        """Return the first line, of so many, that is wanted."""
        return self.sequence if self.tail is None else max(self.sequence, lines - self.tail)


def _as_json(line: Line) -> bytes:
    moment = datetime.fromtimestamp(line.time / 1_000_000, UTC)
    told = {
        "sequence": line.sequence,
        "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "attempt": line.attempt,
        "message": line.text.decode(errors="replace").removesuffix("\n"),
    }
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _headers(view: View, first: int) -> Mapping[str, str]:
    return {
        "X-Log-State": view.state,
        "X-Log-Lines": str(view.lines),
        "X-First-Sequence": str(first),
        "X-Log-Gaps": str(view.gaps),
        "X-Accel-Buffering": "no",
    }


def _token(request: web.Request) -> str:
    return bearer(request.headers.get(hdrs.AUTHORIZATION, ""))


def _number(request: web.Request, name: str, otherwise: int) -> int:
    text = request.query.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise BadParameter(f"{name} must be a whole number of at least 0, not {text[:40]!r}")
    return int(text)


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise BadParameter(f"{name} must be true or false, not {text[:40]!r}")
    return text == "true"


def _json(status: int, content: BaseModel) -> web.Response:
    return web.Response(status=status, body=content.model_dump_json().encode(), content_type="application/json")
