"""Requests whose answers may go on: logs, and what happens in a workspace."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from elt_operator.api.asked import Id, PartsOf, Token, job_of, limit_reads, namespace_of, need_knowledge, told_as
from elt_operator.api.feed import MOST_LISTENERS
from elt_operator.api.logs import EVENTS, KINDS, Wanted, kind_of
from elt_operator.api.parts import OLDEST_SECONDS, Parts
from elt_operator.api.refusals import KNOWN, Refusal, Refused
from elt_operator.resources import names

ROUTER: Final = APIRouter(dependencies=[Depends(limit_reads)], responses=told_as())
_TEXT: Final = {"schema": {"type": "string"}}
_ASK_AGAIN_SECONDS: Final = 30.0
_MOST: Final = 1_000
_MOST_DIGITS: Final = 15
_TOO_MANY: Final = Refusal(503, "Too many streams are open. Try again later.", headers={"Retry-After": "30"})


@dataclass(frozen=True)
class _Which:
    """Which part of a log."""

    sequence: Annotated[int, Query(ge=0, le=2**53, description="The number of the first line, from 0.")] = 0
    limit: Annotated[int | None, Query(ge=0, le=2**53, description="At most so many lines.")] = None
    tail: Annotated[int | None, Query(ge=0, le=2**53, description="Only the last so many lines.")] = None
    follow: Annotated[bool, Query(description="Also what comes, until the log is complete.")] = False


@ROUTER.get("/jobs/{id}/logs", summary="View a Job's log", response_class=Response, responses={
    200: {"description": "The log, or the part of it that was asked for.", "content": dict.fromkeys(KINDS, _TEXT)},
    204: {"description": "There is no line from there on, or not yet."},
})  # fmt: skip
async def view_log(
    request: Request, parts: PartsOf, token: Token, uid: Id, which: Annotated[_Which, Depends()]
) -> Response:
    """Text, or a JSON object for each line: `sequence`, `timestamp`, `attempt` and `message`, as `Accept` says."""
    kind = kind_of(request.headers.get("accept", ""))
    last = request.headers.get("last-event-id", "") if kind == EVENTS else ""
    first = int(last) if last.isascii() and last.isdigit() and len(last) <= _MOST_DIGITS else which.sequence
    wanted = Wanted(first, which.limit, which.tail, which.follow, kind)
    if not parts.logs.keeper:
        parts.freshness()
        await job_of(parts, token, uid, f"{names.JOBS}/log")
    found = await parts.logs.of(token, uid, parts.catalog.jobs.get(uid), wanted)
    headers = {**found.headers, "Vary": "Authorization, Accept", "X-Accel-Buffering": "no"}
    if found.chunks is None:
        return Response(status_code=204, headers=headers)
    return _stream(parts, found.chunks, kind, headers)


@ROUTER.get("/events", summary="Follow what happens in a workspace", response_class=Response,
            dependencies=[Depends(need_knowledge)], responses={
    200: {"description": "Server-sent events.", "content": {EVENTS: _TEXT}},
})  # fmt: skip
async def follow_events(
    parts: PartsOf,
    token: Token,
    workspace: Annotated[str, Query(description="The name of a namespace, or its UID.", max_length=63)],
    last: Annotated[str, Header(alias="Last-Event-ID", max_length=64)] = "",
) -> Response:
    """Each change of a Job: `job` with the Job, or `deleted` with its id. After `reset`, list the Jobs anew."""
    namespace = await namespace_of(parts, token, workspace)
    if parts.feed.listeners >= MOST_LISTENERS:
        raise Refused(_TOO_MANY)
    chunks = _while_allowed(parts, token, namespace, parts.feed.listen(namespace, last))
    return _stream(parts, chunks, EVENTS, {"X-Accel-Buffering": "no", "Cache-Control": "no-store"})


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


def _stream(parts: Parts, chunks: AsyncGenerator[bytes, None], kind: str, headers: Mapping[str, str]) -> Response:
    if parts.streams >= _MOST:
        raise Refused(_TOO_MANY)

    async def counted() -> AsyncGenerator[bytes, None]:
        parts.streams += 1
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            parts.streams -= 1
            await chunks.aclose()

    return StreamingResponse(counted(), headers=dict(headers), media_type=kind)
