"""What the audit learns from the lists that the watches make."""

import pytest

from elt_operator.core.situation import Key
from elt_operator.kube.audit import Audit
from elt_operator.kube.cache import Cache
from elt_operator.kube.queue import WorkQueue

FIRST_LISTS = [
    "/apis/elt-operator.io/v1alpha1/eltpipelines",
    "/apis/elt-operator.io/v1alpha1/eltjobs",
    "/apis/batch/v1/cronjobs",
    "/apis/batch/v1/jobs",
    "/api/v1/pods",
]


@pytest.fixture
def restarted() -> list[str]:
    """The plurals of the watches that were said to have been restarted."""
    return []


@pytest.fixture
def audit(restarted: list[str]) -> Audit:
    queue: WorkQueue[Key] = WorkQueue()
    return Audit(None, Cache(), queue, [], 300, restarted=restarted.append)  # type: ignore[arg-type]  # it lists nothing here


def test_all_watches_run_once_each_has_listed(audit: Audit, restarted: list[str]) -> None:
    for path in FIRST_LISTS:
        assert not audit.watching.is_set()
        audit.listed_anew(path)

    assert audit.watching.is_set()
    assert restarted == []


def test_a_watch_that_lists_anew_was_restarted_once(audit: Audit, restarted: list[str]) -> None:
    for path in [*FIRST_LISTS, "/apis/batch/v1/jobs"]:
        audit.listed_anew(path)

    assert restarted == ["jobs"]
