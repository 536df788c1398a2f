"""Requests that change nothing: workspaces, Pipelines and Jobs, from the catalog."""

import asyncio
from typing import Final

from fastapi import APIRouter, Depends, Request, Response

from elt_operator.api import hal, models, paging
from elt_operator.api.asked import (
    Details,
    Id,
    ListQuery,
    PageWanted,
    PartsOf,
    Token,
    Wanted,
    WorkspaceId,
    allowed,
    answer,
    job_of,
    limit_reads,
    namespace_of,
    need_knowledge,
    newest_job,
    pipeline_of,
    told,
    told_as,
)
from elt_operator.api.catalog import Scope
from elt_operator.api.entries import details_size
from elt_operator.api.hal import BASE
from elt_operator.api.parts import Parts
from elt_operator.api.refusals import bad
from elt_operator.api.rights import EVERYWHERE
from elt_operator.resources import names

ROUTER: Final = APIRouter(dependencies=[Depends(limit_reads), Depends(need_knowledge)], responses=told_as(200, 304))
_SIDE_BY_SIDE: Final = 10
_MOST_DETAILS: Final = 4 * 1024 * 1024
"""Bytes of the details on a page."""


@ROUTER.get("/workspaces", summary="List your workspaces", response_model=models.Workspaces)
async def list_workspaces(request: Request, parts: PartsOf, token: Token, wanted: PageWanted) -> Response:
    """The namespaces that have a Pipeline or a Job, and in which you may list Jobs."""
    found = sorted(name for name in parts.catalog.namespaces() if not parts.watching.is_left_out(name))
    turns = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def may(namespace: str) -> bool:
        async with turns:
            return await parts.rights.may(token, "list", names.JOBS, namespace)

    if not await may(EVERYWHERE):
        answers = await asyncio.gather(*(may(namespace) for namespace in found))
        found = [namespace for namespace, one in zip(found, answers, strict=True) if one]
    items = [hal.workspace(name, parts.watching.workspaces.get(name, "")) for name in wanted.of(found)]
    return answer(parts, request, token, hal.collection("workspaces", items, "/workspaces", wanted.which(len(found))))


@ROUTER.get("/workspaces/{workspace}", summary="View a workspace", response_model=models.Workspace)
async def view_workspace(request: Request, parts: PartsOf, token: Token, workspace: WorkspaceId) -> Response:
    """A namespace in which you may list Jobs."""
    name = await namespace_of(parts, token, workspace)
    return answer(parts, request, token, hal.workspace(name, parts.watching.workspaces.get(name, "")))


@ROUTER.get("/profiles", summary="View your profile", response_model=models.Profiles)
async def view_profile(request: Request, parts: PartsOf, token: Token) -> Response:
    """Whose token it is, as the API server says."""
    person = await parts.rights.reviews.who_is(token)
    body = hal.collection("profiles", [hal.profile(*person)], "/profiles", paging.Numbering(0, 1, 1))
    return answer(parts, request, token, body)


@ROUTER.get(
    "/workspaces/{workspace}/pipelines", summary="List a workspace's Pipelines", response_model=models.Pipelines
)
async def list_pipelines(
    request: Request, parts: PartsOf, token: Token, workspace: WorkspaceId, wanted: PageWanted
) -> Response:
    """All of them, by their names."""
    namespace = await namespace_of(parts, token, workspace, names.PIPELINES)
    may_create = await parts.rights.may(token, "create", names.JOBS, namespace)
    found = parts.catalog.pipelines_of(namespace)
    items = [hal.pipeline(one, await newest_job(parts, token, one), may_create=may_create) for one in wanted.of(found)]
    path = f"/workspaces/{workspace}/pipelines"
    return answer(parts, request, token, hal.collection("pipelines", items, path, wanted.which(len(found))))


@ROUTER.get("/workspaces/{workspace}/jobs", summary="List a workspace's Jobs", response_model=models.Jobs)
async def list_workspace_jobs(
    request: Request, parts: PartsOf, token: Token, workspace: WorkspaceId, wanted: Wanted, *, details: Details = False
) -> Response:
    """A page of the Jobs of all Pipelines."""
    namespace = await namespace_of(parts, token, workspace)
    return await _jobs(request, parts, token, Scope(namespace), wanted, details=details)


@ROUTER.get("/pipelines/{id}", summary="View a Pipeline", response_model=models.Pipeline)
async def view_pipeline(request: Request, parts: PartsOf, token: Token, uid: Id) -> Response:
    """A Pipeline, with its newest Job."""
    entry = await pipeline_of(parts, token, uid)
    may_create = await parts.rights.may(token, "create", names.JOBS, entry.namespace)
    last = await newest_job(parts, token, entry)
    return answer(parts, request, token, hal.pipeline(entry, last, may_create=may_create))


@ROUTER.get("/pipelines/{id}/jobs", summary="List a Pipeline's Jobs", response_model=models.Jobs)
@ROUTER.get("/pipeline/{id}/jobs", summary="List a Pipeline's Jobs", response_model=models.Jobs)
async def list_pipeline_jobs(
    request: Request, parts: PartsOf, token: Token, uid: Id, wanted: Wanted, *, details: Details = False
) -> Response:
    """A page of the Jobs of one Pipeline."""
    entry = await pipeline_of(parts, token, uid, "list", names.JOBS)
    return await _jobs(request, parts, token, Scope(entry.namespace, entry.name), wanted, details=details)


async def _jobs(
    request: Request, parts: Parts, token: str, scope: Scope, wanted: ListQuery, *, details: bool
) -> Response:
    query = wanted.query()
    page = paging.page_of(parts.catalog, scope, query, request.url.path.removeprefix(BASE))
    if details and sum(details_size(job) for job in page.jobs) > _MOST_DETAILS:
        raise bad("size", "so many Jobs with all details are too much at once; ask for fewer, or without details")
    may = await allowed(parts, token, scope.namespace)
    items = [
        hal.job(job, parts.catalog.pipeline(job.namespace, job.pipeline), may, details=details) for job in page.jobs
    ]
    return answer(parts, request, token, hal.jobs(page, items, size=query.size, number=query.page))


@ROUTER.get("/jobs/{id}", summary="View a Job", response_model=models.Job)
async def view_job(request: Request, parts: PartsOf, token: Token, uid: Id, *, details: Details = False) -> Response:
    """One execution of a Pipeline."""
    entry = await job_of(parts, token, uid)
    return answer(parts, request, token, await told(parts, token, entry, details=details))
