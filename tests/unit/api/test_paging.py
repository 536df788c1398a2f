"""Pages of a list that changes meanwhile: no Job twice, and none missing that was there all the time."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_operator.api import catalog as catalog_module
from elt_operator.api.catalog import Catalog, Scope
from elt_operator.api.paging import SORTED_BY, Query, page_of
from elt_operator.api.refusals import Refused
from unit.api.world import a_job

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PHASES = ("QUEUED", "RUNNING", "COMPLETE", "ERROR")


def put(catalog: Catalog, number: int, minutes: int, phase: str) -> None:
    body = a_job(f"weather-{number}", phase=phase)
    moment = (BEGIN + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    body["metadata"]["creationTimestamp"] = moment
    if phase != "QUEUED":
        body["status"]["startTime"] = moment
    catalog.take_job(body)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["create", "delete", "change"]),
        st.integers(0, 40),
        st.integers(0, 100),
        st.sampled_from(PHASES),
    ),
    max_size=6,
)


def happen(catalog: Catalog, what: str, number: int, minutes: int, phase: str) -> None:
    """Have something happen to a Job."""
    uid = f"uid-of-team-a-weather-{number}"
    if what == "delete":
        catalog.drop_job(uid)
    elif what == "create" and f"uid-of-team-a-weather-{100 + number}" not in catalog.jobs:
        put(catalog, 100 + number, minutes, phase)
    elif what == "change" and uid in catalog.jobs:
        put(catalog, number, minutes, phase)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from(PHASES)), max_size=30), st.integers(1, 7),
    st.sampled_from(SORTED_BY), st.booleans(), st.lists(CHANGES, max_size=12), st.booleans(),
)  # fmt: skip
def test_no_job_comes_twice_and_none_is_missing(
    begun: list[tuple[int, str]], size: int, sort: str, descending: bool, later: list[list[tuple[str, int, int, str]]],
    other_replica: bool,
) -> None:  # fmt: skip
    catalog = Catalog()
    for number, (minutes, phase) in enumerate(begun):
        put(catalog, number, minutes, phase)
    at_first, seen = set(catalog.jobs), list[str]()
    query = Query(size=size, sort=sort, descending=descending)
    changes = iter(later)
    while True:
        page = page_of(catalog, Scope("team-a"), query, "/workspaces/team-a/jobs")
        seen += [job.uid for job in page.jobs]
        if "next" not in page.links:
            break
        for what, number, minutes, phase in next(changes, []):
            if what != "change" or not other_replica:
                happen(catalog, what, number, minutes, phase)
        if other_replica:
            catalog._orders.clear()  # another one remembers other orders
        asked = parse_qs(urlsplit(page.links["next"]).query)
        query = Query(
            page=int(asked["page"][0]), size=size, sort=sort, descending=descending, view=asked["view"][0],
            after=asked["after"][0],
        )  # fmt: skip

    assert len(seen) == len(set(seen))
    assert at_first & set(catalog.jobs) <= set(seen)


def test_a_page_beyond_the_last_one_is_empty() -> None:
    catalog = Catalog()
    put(catalog, 1, 0, "COMPLETE")

    page = page_of(catalog, Scope("team-a"), Query(page=7), "/x")

    assert (page.jobs, page.total, page.pages) == ([], 1, 1)
    assert set(page.links) == {"self", "first", "last", "prev"}


def test_an_order_that_is_followed_is_not_forgotten_for_newer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "_MOST_PLACES", 200)
    catalog, seen = Catalog(), list[str]()
    for number in range(20):
        put(catalog, number, 100, "QUEUED")
    query = Query(size=1)
    while True:
        page = page_of(catalog, Scope("team-a"), query, "/x")
        seen += [job.uid for job in page.jobs]
        if "next" not in page.links:
            break
        put(catalog, len(seen) - 1, 1, "RUNNING")  # it has begun, and would come last now
        page_of(catalog, Scope("team-a"), Query(), "/x")
        asked = parse_qs(urlsplit(page.links["next"]).query)
        query = Query(page=int(asked["page"][0]), size=1, view=asked["view"][0], after=asked["after"][0])

    assert sorted(seen) == sorted(catalog.jobs)
    assert catalog._places <= 200


def test_a_forged_place_in_an_order_is_a_place_or_refused() -> None:
    catalog = Catalog()
    for number in range(5):
        put(catalog, number, number, "COMPLETE")
    first = page_of(catalog, Scope("team-a"), Query(size=2), "/x")
    view = parse_qs(urlsplit(first.links["next"]).query)["view"][0]
    catalog.drop_job(first.jobs[0].uid)

    query = Query(page=1, size=2, view=view, after="999999999999.000000~y")
    assert set(page_of(catalog, Scope("team-a"), query, "/x").jobs) <= set(catalog.jobs.values())
    other = page_of(catalog, Scope("team-a"), Query(page=1, size=2, sort="status", after=query.after), "/x")
    by_number = page_of(catalog, Scope("team-a"), Query(page=1, size=2, sort="status"), "/x")
    assert other.jobs == by_number.jobs, "of another order"
    for after in ("x", "x~", "~x", "~", "9999999999~y", "2026-11-28", first.links["next"].rpartition("~")[0]):
        with pytest.raises(Refused, match="after: is not from a `next` link of a list"):
            page_of(catalog, Scope("team-a"), Query(page=1, size=2, view=view, after=after), "/x")
