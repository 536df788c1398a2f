"""What is answered, as HAL: objects with ``_links`` and ``_embedded``. Pure.

(https://datatracker.ietf.org/doc/html/draft-kelly-json-hal)
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from elt_operator.api.entries import NO_DETAILS, JobEntry, PipelineEntry, details_of
from elt_operator.api.paging import Numbering, Page

BASE: Final = "/api"
Json = dict[str, Any]


class Allowed(NamedTuple):
    """What whoever asks may do with a Job, besides seeing it."""

    pipeline: bool = False
    """See the Pipeline that it belongs to."""
    stop: bool = False
    delete: bool = False
    logs: bool = False


def dumped(told: Json) -> bytes:
    """Return an answer as JSON; times are RFC 3339, in UTC."""
    return orjson.dumps(told, option=orjson.OPT_UTC_Z)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def link(path: str, method: str = "") -> Json:
    """Return a link; ``method``: the one to use, if it is not GET."""
    return {"href": f"{BASE}{path}", **({"type": method} if method else {})}


def job(entry: JobEntry, pipeline: PipelineEntry | None, allowed: Allowed, *, details: bool) -> Json:
    """Return a Job; ``details`` also says what was started, and what came of it in words."""
    told: Json = {
        "id": entry.uid,
        "name": entry.name,
        "pipelineName": entry.pipeline,
        "created": _time(entry.created),
        "type": "PIPELINE_RUN",
        "maxAttempts": pipeline.max_attempts if pipeline and allowed.pipeline else None,
        "attempt": entry.attempt,
        "status": entry.phase,
        "reason": entry.reason or None,
        "exitCode": entry.exit_code,
        "startTime": _time(entry.start),
        "endTime": _time(entry.end),
        "log": entry.log or None,
    }
    told |= details_of(entry) if details else NO_DETAILS
    links = {"self": link(f"/jobs/{entry.uid}")}
    if allowed.logs:
        links["logs"] = link(f"/jobs/{entry.uid}/logs")
    if pipeline and allowed.pipeline:
        links["pipeline"] = link(f"/pipelines/{pipeline.uid}")
        told["_embedded"] = {"pipeline": {"id": pipeline.uid, "name": pipeline.name, "status": pipeline.status}}
    if allowed.stop and entry.is_active:
        links["stop job"] = link(f"/jobs/{entry.uid}/stopped", "PUT")
    if allowed.delete:
        links["delete job"] = link(f"/jobs/{entry.uid}", "DELETE")
    return told | {"_links": links}


def pipeline(entry: PipelineEntry, last: JobEntry | None, *, may_create: bool) -> Json:
    """Return a Pipeline, with its last Job."""
    path = f"/pipelines/{entry.uid}"
    told: Json = {
        "id": entry.uid,
        "name": entry.name,
        "created": entry.created,
        "status": entry.status,
        "message": entry.message or None,
        "schedule": entry.schedule or None,
        "timeZone": entry.time_zone or None,
        "suspended": entry.suspended,
        "maxAttempts": entry.max_attempts,
        "nextTime": entry.next_time,
        "lastJob": {"id": last.uid, "status": last.phase, "startTime": _time(last.start)} if last else None,
    }
    links = {"self": link(path), "jobs": link(f"{path}/jobs"), "workspace": link(f"/workspaces/{entry.namespace}")}
    if last:
        links["latest job"] = link(f"/jobs/{last.uid}")
    if may_create:
        links["create job"] = link(f"{path}/jobs", "POST")
    return told | {"_links": links}


def workspace(name: str, uid: str) -> Json:
    """Return a workspace: a namespace."""
    path = f"/workspaces/{name}"
    links = {"self": link(path), "pipelines": link(f"{path}/pipelines"), "jobs": link(f"{path}/jobs")}
    return {"id": uid or name, "name": name, "domains": [], "_links": links}


def profile(name: str, uid: str) -> Json:
    """Return who asks."""
    return {"id": uid or name, "name": name, "email": None, "_links": {"self": link("/profiles")}}


def collection(relation: str, items: Sequence[Json], path: str, which: Numbering) -> Json:
    """Return a page of a few things."""
    numbers, pages = {"self": which.number}, which.pages
    if pages:
        numbers |= {"first": 0, "last": pages - 1}
    if pages and which.number:
        numbers["prev"] = which.number - 1
    if which.number + 1 < pages:
        numbers["next"] = which.number + 1
    links = {name: link(f"{path}?page={one}&size={which.size}") for name, one in numbers.items()}
    return _page(relation, items, links, which)


def jobs(page: Page, items: Sequence[Json], *, size: int, number: int) -> Json:
    """Return a page of Jobs."""
    links = {relation: link(href) for relation, href in page.links.items()}
    return _page("jobs", items, links, Numbering(number, size, page.total))


def _page(relation: str, items: Sequence[Json], links: Json, which: Numbering) -> Json:
    place = {"size": which.size, "totalElements": which.total, "totalPages": which.pages, "number": which.number}
    return {"_embedded": {relation: items}, "_links": links, "page": place}
