"""Requests that change something: create, stop and delete a Job."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Response

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

ROUTER: Final = APIRouter(dependencies=[Depends(limit_changes), Depends(need_knowledge)], responses=told_as(403))
_KEY: Final = "Any text: a second request with it is answered with the Job of the first."


@dataclass(frozen=True)
class _How:
    """How a Job is to be created."""

    queue: Annotated[bool, Query(description="Create it although another one has not ended.")] = False
    key: Annotated[str, Header(alias="Idempotency-Key", max_length=255, description=_KEY)] = ""
    details: Details = False


@ROUTER.post("/pipelines/{id}/jobs", summary="Create a Job", status_code=201, response_model=models.Job, responses={
    200: {"model": models.Job, "description": "The Job that this Idempotency-Key has made before."},
    **told_as(201, 409, 413),
})  # fmt: skip
@ROUTER.post("/pipeline/{id}/jobs", summary="Create a Job", status_code=201, response_model=models.Job, responses={
    200: {"model": models.Job, "description": "The Job that this Idempotency-Key has made before."},
    **told_as(201, 409, 413),
})  # fmt: skip
async def create_job(
    parts: PartsOf, token: Token, uid: Id, how: Annotated[_How, Depends()], wanted: models.NewJob | None = None
) -> Response:
    """Run a Pipeline. While another Job of it is RUNNING or QUEUED, this is a conflict, unless it is to queue."""
    entry = await pipeline_of(parts, token, uid)
    created, new = await parts.writes.create(token, entry, wanted or models.NewJob(), queue=how.queue, key=how.key)
    body = dumped(await told(parts, token, created, details=how.details))
    return HalResponse(body, 201 if new else 200, {"Location": f"{BASE}/jobs/{created.uid}"})


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
