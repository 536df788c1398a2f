"""Requests whose answers may go on: logs, and what happens in a workspace."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from elt_operator.api.asked import (
    Id,
    PartsOf,
    Token,
    in_headers,
    job_of,
    limit_reads,
    namespace_of,
    need_knowledge,
    told_as,
)
from elt_operator.api.parts import OLDEST_SECONDS, Parts
from elt_operator.api.pod_logs import MOST_TAIL
from elt_operator.api.refusals import KNOWN, NOT_FOUND, Refused
from elt_operator.api.wanted import EVENTS, KINDS, Found, Wanted, kind_of
from elt_operator.kube.troubles import OUTAGES
from elt_operator.resources import names

logger = logging.getLogger(__name__)

ROUTER: Final = APIRouter(dependencies=[Depends(limit_reads)], responses=told_as())
_TEXT: Final = {"schema": {"type": "string"}}
_ASK_AGAIN_SECONDS: Final = 1.0
"""Nearly always, the answer is remembered."""
_MOST_DIGITS: Final = 15


Last = Annotated[
    str, Header(alias="Last-Event-ID", max_length=64, description="The `id` of the last event, to go on from there.")
]


@dataclass(frozen=True)
class _Which:
    """Which part of a log."""

    sequence: Annotated[int, Query(ge=0, le=10**15 - 1, description="The number of the first line, from 0.")] = 0
    limit: Annotated[int | None, Query(ge=0, le=10**15 - 1, description="At most so many lines.")] = None
    tail: Annotated[int | None, Query(ge=0, le=10**15 - 1, description="Only the last so many lines.")] = None
    follow: Annotated[bool, Query(description="Also what comes, until the log is complete.")] = False


@ROUTER.get("/jobs/{id}/logs", summary="View a Job's log", response_class=Response, responses={
    200: {"description": "The log, or the part of it that was asked for.", "content": dict.fromkeys(KINDS, _TEXT),
          "headers": in_headers(X_Log_State="Collecting, Kept or Incomplete.",
                                X_Log_Gaps="In how many places something is missing.",
                                X_Next_Sequence="Where to go on; not with `follow`.")},
    204: {"description": "There is no line from there on, or not yet, or the Job has no log."}, **told_as(403),
})  # fmt: skip
async def view_log(
    request: Request, parts: PartsOf, token: Token, uid: Id, which: Annotated[_Which, Depends()], last: Last = ""
) -> Response:
    """Text, or a JSON object for each line: `sequence`, `timestamp`, `attempt` and `message`, as `Accept` says."""
    kind = kind_of(request.headers.get("accept", ""))
    goes_on = kind == EVENTS and last.isascii() and last.isdecimal() and len(last) <= _MOST_DIGITS
    first, tail = (int(last), None) if goes_on else (which.sequence, which.tail)
    wanted = Wanted(first, which.limit, tail, which.follow, kind)
    if not parts.logs.kept.url:
        parts.freshness()
        await job_of(parts, token, uid, f"{names.JOBS}/log")
    async with AsyncExitStack() as stack:
        stack.enter_context(parts.streams.taking(token))
        if which.tail is not None and not parts.logs.kept.url:
            stack.enter_context(parts.unread.taking(token, MOST_TAIL))
        found = await _found(parts, token, uid, wanted)
        headers = {**found.headers, "Vary": "Authorization, Accept", "X-Accel-Buffering": "no"}
        if found.chunks is None:
            return Response(status_code=204, headers=headers)
        return _Stream(found.chunks, stack.pop_all(), headers, kind)


async def _found(parts: Parts, token: str, uid: str, wanted: Wanted) -> Found:
    """Return a log; that of a Job of which nothing ever started is empty. Raises ``Refused``, and what logs raise."""
    job = parts.catalog.jobs.get(uid)
    try:
        return await parts.logs.of(token, uid, job, wanted)
    except Refused as error:
        if error.refusal is not NOT_FOUND or job is None:
            raise
        await job_of(parts, token, uid, f"{names.JOBS}/log")
        return Found({}, None)


@ROUTER.get("/events", summary="Follow what happens in a workspace", response_class=Response,
            dependencies=[Depends(need_knowledge)], responses={
    200: {"description": "Server-sent events.", "content": {EVENTS: _TEXT}},
})  # fmt: skip
async def follow_events(
    parts: PartsOf,
    token: Token,
    workspace: Annotated[str, Query(description="The name of a namespace, or its UID.", max_length=63)],
    last: Last = "",
) -> Response:
    """Each change of a Job: `job` with the Job, or `deleted` with its id. After `reset`, list the Jobs anew."""
    namespace = await namespace_of(parts, token, workspace)
    async with AsyncExitStack() as stack:
        stack.enter_context(parts.streams.taking(token))
        chunks = _while_allowed(parts, token, namespace, parts.feed.listen(namespace, last))
        return _Stream(chunks, stack.pop_all(), {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}, EVENTS)


async def _while_allowed(
    parts: Parts, token: str, namespace: str, chunks: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield what is sent for as long as whoever listens may list there; it ends when that is not known any more."""
    now = asyncio.get_running_loop().time
    due = now() + _ASK_AGAIN_SECONDS
    try:
        async for chunk in chunks:
            if now() >= due:
                await parts.rights.need(token, "list", names.JOBS, namespace)
                due = now() + _ASK_AGAIN_SECONDS
            if parts.watching.age_seconds() > OLDEST_SECONDS or parts.watching.is_left_out(namespace):
                return
            yield chunk or b": nothing has happened\n\n"
    except KNOWN:
        return  # whoever asks again is told why
    finally:
        await chunks.aclose()


class _Stream(StreamingResponse):
    """An answer that is broken off where what it comes from breaks off: whoever reads it must not take it for whole."""

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], held: AsyncExitStack, headers: Mapping[str, str], kind: str
    ) -> None:  # fmt: skip
        super().__init__(chunks, headers=dict(headers), media_type=kind)
        self.chunks = chunks
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and let go of what is held for it."""
        async with self.held, aclosing(self.chunks):
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send all of it, or leave it without an end, at which the server closes the connection."""
        try:
            await super().stream_response(send)
        except OUTAGES as error:
            logger.warning("a log was broken off: %s: %s", type(error).__name__, error)
