"""What the API knows: the newest of each Job, whatever order things are told in, and nothing of what is gone."""

from typing import Any

from elt_operator.api import entries
from elt_operator.api.catalog import Catalog, Change
from unit.api.world import a_job

UID = "uid-of-team-a-weather-1"


def told(version: int, phase: str = "RUNNING", **status: Any) -> dict[str, Any]:
    body = a_job(phase=phase, **status)
    body["metadata"]["resourceVersion"] = str(version)
    return body


def test_what_was_written_is_not_hidden_by_what_a_watch_tells_late() -> None:
    catalog = Catalog()
    catalog.take_job(told(1, "QUEUED"))
    catalog.take_written(told(5, "STOPPED"))
    catalog.take_job(told(3, "RUNNING"))
    assert catalog.jobs[UID].phase == "STOPPED"
    catalog.take_job(told(5, "STOPPED"))
    catalog.take_job(told(6, "ERROR"))
    assert catalog.jobs[UID].phase == "ERROR"
    assert not catalog._written


def test_an_answer_that_comes_late_hides_nothing() -> None:
    catalog = Catalog()
    catalog.take_job(told(12, "COMPLETE"))
    catalog.take_written(told(10, "RUNNING"))
    assert catalog.jobs[UID].phase == "COMPLETE"


def test_a_store_that_was_restored_is_believed() -> None:
    catalog = Catalog()
    catalog.take_job(told(500, "COMPLETE"))
    catalog.take_job(told(100, "RUNNING"))  # by a list
    assert catalog.jobs[UID].phase == "RUNNING"


def test_a_job_that_was_deleted_does_not_come_back() -> None:
    catalog = Catalog()
    catalog.take_job(told(1))
    catalog.drop_job(UID)
    catalog.take_written(told(2))
    assert not catalog.jobs
    catalog.take_job(told(3))  # a store that was restored
    assert set(catalog.jobs) == {UID}


def test_an_answer_that_comes_after_a_list_without_it_makes_no_ghost() -> None:
    for place in (None, "team-a"):
        catalog = Catalog()
        catalog.take_list(place, "11")
        catalog.take_written(told(10, "QUEUED"))
        assert not catalog.jobs
        catalog.take_written(told(12, "QUEUED"))
        assert set(catalog.jobs) == {UID}


def test_what_has_not_changed_is_no_change() -> None:
    changes: list[Change] = []
    catalog = Catalog(changed=changes.append)
    for _ in range(3):
        catalog.take_job(told(1))
    catalog.take_job(told(2))
    assert len(changes) == 1


def test_nothing_is_kept_of_jobs_that_are_gone() -> None:
    catalog = Catalog()
    for number in range(50):
        body = a_job(f"weather-{number}", errorMessage=f"{number}" + "x" * 100_000)
        body["spec"]["pipelineName"] = f"pipeline-{number}"
        catalog.take_job(body)
        catalog.drop_job(body["metadata"]["uid"])

    assert not catalog.jobs
    assert not catalog._versions
    assert not catalog.namespaces()
    assert all(len(details) <= 1_024 for details in entries._known)
