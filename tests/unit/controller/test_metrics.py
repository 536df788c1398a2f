"""Docs, alerts and dashboard name the metrics that there are; and what those of the results say."""

import re
from pathlib import Path
from typing import Any

import pytest

from builders import KEY
from builders.metrics import documented_metrics, queried_metrics
from elt_operator.controller.cache import Cache
from elt_operator.controller.metrics import Metrics, State
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.resources.job import JobStatus

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "elt-operator"


def test_the_docs_list_each_metric() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()

    listed = re.findall(r"^\| `(elt_operator_\w+)` \|", text, re.MULTILINE)

    assert sorted(listed) == sorted(documented_metrics())


@pytest.mark.parametrize(
    "path",
    [CHART / "files" / "dashboard.json", CHART / "templates" / "prometheusrule.yaml", ROOT / "docs" / "operations.md"],
    ids=lambda path: path.name,
)
def test_a_metric_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"elt_operator_\w+", path.read_text()))

    assert named
    assert named <= queried_metrics() | documented_metrics()


# --- what a Pipeline did


def a_status(phase: str, rows: int | None, *warnings: str) -> JobStatus:
    result = None if rows is None else {"rows": rows, "rowsFrom": "Loader", "complete": True}
    told = [{"reason": reason, "message": "x"} for reason in warnings]
    return JobStatus.model_validate({"phase": phase, "reason": "x", "result": result, "warnings": told or None})


def exposed(metrics: Metrics, *names: str) -> dict[tuple[str, ...], float]:
    """Return the values of these families by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name in names
    }


@pytest.mark.parametrize("pipelines", [True, False])
def test_rows_and_warnings_of_jobs_that_completed_are_counted_where_series_may_name_pipelines(
    *, pipelines: bool
) -> None:
    metrics = Metrics(pipelines=pipelines)

    for status in (a_status("COMPLETE", 5, "Retried", "RowsDiffer"), a_status("COMPLETE", 7, "Retried")):
        metrics.count_result(KEY, status)
    metrics.count_result(KEY, a_status("COMPLETE", None))
    metrics.count_result(KEY, a_status("ERROR", 100))

    key = (KEY.namespace, KEY.pipeline)
    counted = {
        ("elt_operator_rows_total", *key): 12,
        ("elt_operator_warnings_total", *key, "Retried"): 2,
        ("elt_operator_warnings_total", *key, "RowsDiffer"): 1,
    }
    assert exposed(metrics, "elt_operator_rows_total", "elt_operator_warnings_total") == (counted if pipelines else {})


def a_stored_pipeline(name: str, status: Any) -> Any:
    metadata = {"namespace": "default", "name": name, "uid": f"{name}-uid", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {"image": "elt:1"}, "status": status}


@pytest.mark.parametrize("pipelines", [True, False])
def test_what_the_last_success_loaded_and_whether_the_data_is_as_expected(*, pipelines: bool) -> None:
    def jobs(*ends: tuple[str, int | None]) -> Any:
        return [{"name": "job", "phase": phase, "reason": "x", "rows": rows} for phase, rows in ends]

    def healthy(status: str, reason: str) -> Any:
        times = {"lastTransitionTime": "2026-01-05T06:00:00Z", "observedGeneration": 1}
        return [{"type": "DataHealthy", "status": status, "reason": reason, "message": "x", **times}]

    cache, metrics = Cache(), Metrics()
    for name, status in {
        "late": {"recentJobs": jobs(("ERROR", 1), ("COMPLETE", 0)), "conditions": healthy("False", "Late")},
        "fresh": {"recentJobs": jobs(("COMPLETE", 8), ("COMPLETE", 9)), "conditions": healthy("True", "Fresh")},
        "uncounted": {"recentJobs": jobs(("COMPLETE", None), ("COMPLETE", 9))},
        "new": {},
    }.items():
        cache.pipelines.take(a_stored_pipeline(name, status))
    metrics.registry.register(State(cache, WorkQueue(), lambda: True, Places([]), pipelines=pipelines))

    rows, unhealthy = "elt_operator_pipeline_last_rows", "elt_operator_pipeline_unhealthy"
    shown = {
        (rows, "default", "late"): 0,
        (rows, "default", "fresh"): 8,
        (unhealthy, "default", "late", "Late"): 1,
        (unhealthy, "default", "fresh", "Fresh"): 0,
    }
    assert exposed(metrics, rows, unhealthy) == (shown if pipelines else {})
