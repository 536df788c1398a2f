"""Requests that change something: create, stop and delete a Job."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from elt_operator.api import models
from elt_operator.api.asked import (
    Details,
    HalResponse,
    Id,
    PartsOf,
    Token,
    job_of,
    limit_changes,
    need_knowledge,
    pipeline_of,
    told,
    told_as,
)
from elt_operator.api.hal import BASE, dumped
from elt_operator.api.refusals import Refusal, Refused, bad
from elt_operator.resources import names

ROUTER: Final = APIRouter(dependencies=[Depends(limit_changes), Depends(need_knowledge)], responses=told_as(403))
_BODY: Final = {"requestBody": {"content": {"application/json": {
    "schema": {"anyOf": [{"$ref": "#/components/schemas/NewJob"}, {"type": "null"}]},
}}}}  # fmt: skip
_BODY_SECONDS: Final = 30.0
_KEY: Final = "Any text: a second request with it is answered with the Job of the first."


@dataclass(frozen=True)
class _How:
    """How a Job is to be created."""

    queue: Annotated[bool, Query(description="Create it although another one has not ended.")] = False
    key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255, description=_KEY)] = None
    details: Details = False


_CREATE: Final[dict[str, Any]] = {
    "summary": "Create a Job", "status_code": 201, "response_model": models.Job, "openapi_extra": _BODY,
    "responses": {
        200: {"model": models.Job, "description": "The Job that this Idempotency-Key has made before."},
        **told_as(201, 409, 413),
    },
}  # fmt: skip


@ROUTER.post("/pipelines/{id}/jobs", **_CREATE)
@ROUTER.post("/pipeline/{id}/jobs", **_CREATE)
async def create_job(
    request: Request, parts: PartsOf, token: Token, uid: Id, how: Annotated[_How, Depends()]
) -> Response:  # fmt: skip
    """Run a Pipeline. While another Job of it is RUNNING or QUEUED, this is a conflict, unless it is to queue."""
    entry = await pipeline_of(parts, token, uid)
    if not await parts.rights.may(token, "create", names.JOBS, entry.namespace):
        raise Refused(Refusal(403, f"You may not create Jobs (eltjobs) in namespace {entry.namespace}."))
    with parts.bodies.taking(token):
        wanted = await _new_job(request)
    names_jobs = await parts.rights.may(token, "get", names.JOBS, entry.namespace)
    created, new = await parts.writes.create(
        token, entry, wanted, queue=how.queue, key=how.key or "", names_jobs=names_jobs
    )
    body = dumped(await told(parts, token, created, details=how.details))
    return HalResponse(body, 201 if new else 200, {"Location": f"{BASE}/jobs/{created.uid}"})


async def _new_job(request: Request) -> models.NewJob:
    """Return what is to be created. It is read only once it is known who asks, and that they may do it."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await request.body()
    except (ClientDisconnect, TimeoutError) as error:
        raise bad("body", "has no end") from error
    if not body.strip():
        return models.NewJob()
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise bad("Content-Type", "must be application/json")
    try:
        return models.NewJob.model_validate_json(body) if body.strip() != b"null" else models.NewJob()
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False, include_input=False)]
        raise RequestValidationError(found) from error


@ROUTER.put(
    "/jobs/{id}/stopped", summary="Stop a Job", status_code=202, response_model=models.Job, responses=told_as(202, 409)
)
async def stop_job(parts: PartsOf, token: Token, uid: Id, *, details: Details = False) -> Response:
    """Tell a Job to stop. It is STOPPED when its process has ended."""
    entry = await parts.writes.stop(token, await job_of(parts, token, uid))
    return HalResponse(dumped(await told(parts, token, entry, details=details)), 202)


@ROUTER.delete("/jobs/{id}", summary="Delete a Job", status_code=204, responses=told_as(204))
async def delete_job(parts: PartsOf, token: Token, uid: Id) -> Response:
    """Stop a Job and delete it. Its log stays, if logs are kept."""
    await parts.writes.delete(token, await job_of(parts, token, uid))
    return Response(status_code=204)
