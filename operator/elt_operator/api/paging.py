"""Lists, page by page. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from elt_operator.api.catalog import Catalog, Order, Scope
from elt_operator.api.entries import JobEntry
from elt_operator.api.refusals import bad

MOST: Final = 1_000
SORTED_BY: Final = ("startTime", "endTime", "created", "status")
_LATEST: Final = 1e11
"""Seconds since 1970, in the year 5138."""
AFTER: Final = r"^(-?[0-9]{1,12}\.[0-9]{6}|[A-Z]{1,20})~[A-Za-z0-9-]{1,64}$"
"""The place of a Job: by what it is sorted, and its UID."""


@dataclass(frozen=True)
class Query:
    """Which page of which list."""

    page: int = 0
    size: int = 20
    sort: str = "startTime"
    descending: bool = True
    statuses: frozenset[str] = frozenset()
    """Empty: all."""
    view: str = ""
    """Of which order: that of an earlier page."""
    after: str = ""
    """Behind which Job, as ``_cursor`` says it: that order may be remembered no more, or only by another replica."""

    def link(self, path: str, page: int, view: str = "", after: str = "") -> str:
        """Return the address of a page."""
        query: list[tuple[str, str]] = [("page", str(page)), ("size", str(self.size))]
        query.append(("sort", f"{self.sort},{'desc' if self.descending else 'asc'}"))
        query += [("status", status) for status in sorted(self.statuses)]
        query += [("view", view)] if view else []
        query += [("after", after)] if after else []
        return f"{path}?{urlencode(query, safe=',')}"


class Numbering(NamedTuple):
    """Which page of how many."""

    number: int
    """From 0."""
    size: int
    total: int
    """Of what is on all pages."""

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return -(-self.total // self.size)


class Page(NamedTuple):
    """A page of a list."""

    jobs: Sequence[JobEntry]
    total: int
    pages: int
    links: Mapping[str, str]


def page_of(catalog: Catalog, scope: Scope, query: Query, path: str) -> Page:
    """Return a page of the Jobs of ``scope``; ``path`` is that of the list."""

    def arranged(jobs: Iterable[JobEntry]) -> list[str]:
        wanted = [job for job in jobs if not query.statuses or job.phase in query.statuses]
        wanted.sort(key=lambda job: job.uid)
        wanted.sort(key=lambda job: _key(job, query.sort), reverse=query.descending)
        return [job.uid for job in wanted]

    order = catalog.order(scope, (query.sort, query.descending, query.statuses), arranged, query.view)
    start = _start(catalog, order, query)
    there = (job for uid in islice(order.uids, start, None) if (job := catalog.jobs.get(uid)))
    found = list(islice(there, query.size))
    total = len(order.uids)
    pages = Numbering(query.page, query.size, total).pages
    links = {"self": query.link(path, query.page)}
    if pages:
        links["first"], links["last"] = query.link(path, 0), query.link(path, pages - 1)
    if query.page and total:
        links["prev"] = query.link(path, min(query.page - 1, pages - 1), order.name)
    following: JobEntry | None = next(there, None)
    if found and following:
        links["next"] = query.link(path, query.page + 1, order.name, _cursor(found[-1], query.sort))
    return Page(found, total, pages, links)


def _start(catalog: Catalog, order: Order, query: Query) -> int:
    """Return where a page begins in its order; raises ``Refused`` for a place that no link has."""
    if not query.after:
        return query.page * query.size
    if not re.fullmatch(AFTER, query.after):
        raise bad("after", "is not from a `next` link of a list; begin at the first page")
    key, _, uid = query.after.rpartition("~")
    if key.isalpha() is not (query.sort == "status"):  # of a list that was sorted by something else
        return query.page * query.size
    if query.view == order.name and uid in order.uids:
        return order.uids.index(uid) + 1
    there = ((number, job) for number, other in enumerate(order.uids) if (job := catalog.jobs.get(other)))
    behind = (number for number, job in there if _is_behind(_place(job, query.sort), (key, uid), query))
    return next(behind, len(order.uids))


def _place(job: JobEntry, sort: str) -> tuple[str, str]:
    """Return where a Job is in an order, as text that can be compared, and put into an address."""
    key = _key(job, sort)
    return f"{key:019.6f}" if isinstance(key, float) else key, job.uid


def _cursor(job: JobEntry, sort: str) -> str:
    return "~".join(_place(job, sort))


def _is_behind(place: tuple[str, str], cursor: tuple[str, str], query: Query) -> bool:
    (key, uid), (key_before, uid_before) = place, cursor
    return uid > uid_before if key == key_before else (key < key_before) is query.descending


def _key(job: JobEntry, sort: str) -> Any:
    """Return by what a Job is put in order; what has not begun, or not ended, counts as the latest."""
    match sort:
        case "created":
            return job.created
        case "endTime":
            return job.end or _LATEST
        case "status":
            return job.phase
        case _:
            return job.start or _LATEST
