"""What can be in a request, how it is checked, and what of it may be seen."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Receive, Scope, Send

from elt_operator.api import hal, models, paging, refusals
from elt_operator.api.entries import JobEntry, PipelineEntry
from elt_operator.api.hal import Allowed, Json
from elt_operator.api.parts import Parts
from elt_operator.api.refusals import NOT_FOUND, Refused
from elt_operator.api.rights import EVERYWHERE
from elt_operator.kube.reviews import bearer
from elt_operator.resources import names

T = TypeVar("T")
_WORDS: Final = {
    200: "What was asked for.",
    201: "It was created; `Location` says where it is.",
    202: "It was told to stop.",
    204: "It was deleted.",
    304: "Nothing has changed since the answer with the ETag in `If-None-Match`.",
    400: "The request is wrong; `errors` says which field.",
    401: "The token is missing, invalid or expired.",
    403: "You may see it, but not do this.",
    404: "There is no such thing, or you may not see it.",
    409: "It cannot be done now.",
    413: "The body is too large.",
    429: "Too many requests.",
    503: "Something that is needed does not answer.",
}
_FRESH: Final = {
    "ETag": "Send it as `If-None-Match` to get 304 as long as nothing has changed.",
    "Age": "For how many seconds at most the answer may have been outdated.",
    "X_As_Of": "At which moment it was right for certain.",
}
_AGAIN: Final = {"Retry_After": "After how many seconds to try again."}
_HEADERS: Final = {200: _FRESH, 201: {"Location": "Where the Job is."}, 304: _FRESH, 429: _AGAIN, 503: _AGAIN}
_FIRST_ERROR: Final = 400
_BEARER: Final = HTTPBearer(
    auto_error=False, scheme_name="token",
    description="A token that the API server accepts: of a service account (`kubectl create token`), or of your login.",
)  # fmt: skip


class HalResponse(JSONResponse):
    """JSON with links; its content is written already."""

    media_type = "application/hal+json"

    def render(self, content: bytes) -> bytes:
        """Return it as it is."""
        return content


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]


async def _token(_described: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)], request: Request) -> str:
    return bearer(request.headers.get("authorization", ""))


Token = Annotated[str, Depends(_token)]


async def need_knowledge(parts: PartsOf, _token: Token) -> None:
    """Answer nothing from what is not known yet, or is too old: not even that something is not there."""
    parts.freshness()


async def limit_reads(parts: PartsOf, token: Token) -> None:
    """Count a request that changes nothing."""
    parts.reads.take(token)


async def limit_changes(parts: PartsOf, token: Token) -> None:
    """Count a request that changes something."""
    parts.changes.take(token)


Id = Annotated[str, Path(alias="id", description="A UID.", max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
WorkspaceId = Annotated[str, Path(description="The name of a namespace, or its UID.", max_length=63)]
Details = Annotated[
    bool, Header(alias="enable-task-details", description="Whether a Job is told with all that is known of it.")
]


@dataclass(frozen=True)
class ListQuery:
    """The parameters of a list of Jobs."""

    page: Annotated[int, Query(ge=0, le=1_000_000, description="Which page, from 0.")] = 0
    size: Annotated[int, Query(ge=1, le=paging.MOST, description="How many on a page.")] = 20
    sort: Annotated[
        str,
        Query(
            pattern=rf"^({'|'.join(paging.SORTED_BY)})(,(asc|desc))?$",
            description="By what, then `asc` or `desc`. What has not begun, or not ended, counts as the latest.",
        ),
    ] = "startTime,desc"
    status: Annotated[list[models.Status] | None, Query(description="Only with this status; may be repeated.")] = None
    view: Annotated[str, Query(max_length=64, description="From a `next` link: the order that the list had.")] = ""
    after: Annotated[
        str,
        Query(
            max_length=128,
            description="From a `next` link: the Job before this page.",
            json_schema_extra={"pattern": f"{paging.AFTER}|^$"},
        ),
    ] = ""

    def query(self) -> paging.Query:
        """Return which page it is."""
        sort, _, order = self.sort.partition(",")
        statuses = frozenset(self.status or ())
        return paging.Query(self.page, self.size, sort, order != "asc", statuses, self.view, self.after)


Wanted = Annotated[ListQuery, Depends()]


@dataclass(frozen=True)
class PageQuery:
    """The parameters of a list of a few things."""

    page: Annotated[int, Query(ge=0, le=1_000_000, description="Which page, from 0.")] = 0
    size: Annotated[int, Query(ge=1, le=paging.MOST, description="How many on a page.")] = paging.MOST

    def of(self, things: Sequence[T]) -> Sequence[T]:
        """Return what is on the page."""
        return things[self.page * self.size : (self.page + 1) * self.size]

    def which(self, total: int) -> paging.Numbering:
        """Return which page it is, of so many things."""
        return paging.Numbering(self.page, self.size, total)


PageWanted = Annotated[PageQuery, Depends()]


def told_as(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return what the description says of answers with ``codes``, and with those that every request can have."""
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    return {
        code: {"description": _WORDS[code], "headers": in_headers(**_HEADERS.get(code, {})),
               **(error if code >= _FIRST_ERROR else {})}
        for code in (*codes, 400, 401, 404, 429, 503)
    }  # fmt: skip


def in_headers(**words: str) -> dict[str, Any]:
    """Return what the description says of headers: by their names, with `_` for `-`."""
    return {name.replace("_", "-"): {"description": one, "schema": {"type": "string"}} for name, one in words.items()}


def answer(parts: Parts, request: Request, token: str, body: Json) -> Response:
    """Return an answer, or 304 if whoever asks has it already."""
    data = hal.dumped(body)
    tag = f'"{refusals.fingerprint(data)}"'
    headers = {
        **parts.freshness(), "ETag": tag, "Cache-Control": "private, no-cache",
        "Vary": "Authorization, enable-task-details",
    }  # fmt: skip
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return _Page(data, headers, parts.unread.taking(token, len(data)))


class _Page(HalResponse):
    """An answer that holds its share of what is not read yet; raises ``Refused`` if there is none left."""

    def __init__(self, data: bytes, headers: Mapping[str, str], held: AbstractContextManager[None]) -> None:
        super().__init__(data, headers=headers)
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and let go of what is held for it."""
        with self.held:
            await super().__call__(scope, receive, send)


def _has(request: Request, tag: str) -> bool:
    """Return whether whoever asks has the answer with this tag; on the way it may have become a weak one."""
    known = ",".join(request.headers.getlist("if-none-match")).split(",")
    return not {"*", tag}.isdisjoint(one.strip().removeprefix("W/") for one in known)


async def job_of(parts: Parts, token: str, uid: str, resource: str = names.JOBS) -> JobEntry:
    """Return a Job that somebody may see; raises ``Refused`` with the same 404 if there is none, or they may not."""
    entry = parts.catalog.jobs.get(uid)
    await parts.rights.need(token, "get", resource, *((entry.namespace, entry.name) if entry else (EVERYWHERE, "")))
    if entry is None:
        raise Refused(NOT_FOUND)
    parts.need_served(entry.namespace)
    return entry


async def pipeline_of(
    parts: Parts, token: str, uid: str, verb: str = "get", resource: str = names.PIPELINES
) -> PipelineEntry:
    """Return a Pipeline if somebody may do something there; raises as ``job_of`` does."""
    entry = parts.catalog.pipelines.get(uid)
    name = entry.name if entry and verb == "get" else ""
    await parts.rights.need(token, verb, resource, entry.namespace if entry else EVERYWHERE, name)
    if entry is None:
        raise Refused(NOT_FOUND)
    parts.need_served(entry.namespace)
    return entry


async def namespace_of(parts: Parts, token: str, workspace: str, resource: str = names.JOBS) -> str:
    """Return the name of a namespace in which somebody may list; raises ``Refused`` if there is none."""
    known = parts.watching.workspaces
    by_uid = next((name for name, uid in known.items() if uid == workspace), workspace)
    namespace = workspace if workspace in known else by_uid
    await parts.rights.need(token, "list", resource, namespace)
    if namespace not in (parts.watching.namespaces or known):
        raise Refused(NOT_FOUND)
    parts.need_served(namespace)
    return namespace


async def allowed(parts: Parts, token: str, namespace: str, name: str = "") -> Allowed:
    """Return what somebody may do with the Jobs of a namespace, or with one of them.

    Who may see all of them is not asked about by name: that would be two questions for each Job that they look at.
    """
    if name and await parts.rights.may(token, "get", names.JOBS, namespace):
        name = ""
    pipeline, logs, stop, delete = await asyncio.gather(
        parts.rights.may(token, "get", names.PIPELINES, namespace),
        parts.rights.may(token, "get", f"{names.JOBS}/log", namespace, name),
        *(parts.rights.may(token, verb, names.JOBS, namespace, name) for verb in ("patch", "delete")),
    )
    return Allowed(pipeline, stop, delete, logs)


async def newest_job(parts: Parts, token: str, pipeline: PipelineEntry) -> JobEntry | None:
    """Return the Job of a Pipeline that was created last, if somebody may see it."""
    may = await parts.rights.may(token, "get", names.JOBS, pipeline.namespace)
    return parts.catalog.newest_job(pipeline) if may else None


async def told(parts: Parts, token: str, entry: JobEntry, *, details: bool) -> Json:
    """Return a Job, as somebody may see it."""
    may = await allowed(parts, token, entry.namespace, entry.name)
    return hal.job(entry, parts.catalog.pipeline(entry.namespace, entry.pipeline), may, details=details)
