"""Alerts and dashboard ask for metrics that there are, in a language that Prometheus understands."""

import json
import re

import promql_parser
import pytest

from chart.helm import CHART, objects, of_kind, rendered

METRICS = {
    "elt_operator_api_requests_total",
    "elt_operator_jobs",
    "elt_operator_jobs_ended_total",
    "elt_operator_leader",
    "elt_operator_pipeline_last_success_timestamp_seconds",
    "elt_operator_queue_depth",
    "elt_operator_queue_oldest_seconds",
    "elt_operator_queue_wait_seconds_bucket",
    "elt_operator_reconcile_seconds_bucket",
    "elt_operator_run_duration_seconds_bucket",
    "elt_operator_slots_skipped_total",
    "elt_operator_watch_restarts_total",
}
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
SHOWN = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]


def alerts(*arguments: str) -> dict[str, str]:
    (rule,) = of_kind(objects(rendered("--set=prometheusRule.enabled=true", *arguments)), "PrometheusRule")
    return {alert["alert"]: alert["expr"] for group in rule["spec"]["groups"] for alert in group["rules"]}


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"elt_operator_\w+", expression))


@pytest.mark.parametrize(("title", "expression"), SHOWN)
def test_a_panel_can_be_drawn(title: str, expression: str) -> None:
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))

    assert metrics_of(expression) <= METRICS, title


def test_the_dashboard_shows_each_metric() -> None:
    assert set().union(*(metrics_of(expression) for _, expression in SHOWN)) == METRICS


def test_an_alert_can_be_evaluated() -> None:
    for name, expression in alerts("--set=prometheusRule.staleSeconds=90000").items():
        promql_parser.parse(expression)
        assert metrics_of(expression) <= METRICS, name


@pytest.mark.parametrize(("seconds", "there"), [(0, False), (90_000, True)])
def test_the_alert_on_stale_pipelines_is_an_option(seconds: int, there: bool) -> None:
    assert ("EltPipelineStale" in alerts(f"--set=prometheusRule.staleSeconds={seconds}")) is there


def test_grafana_gets_the_dashboard_as_it_is() -> None:
    (config,) = of_kind(objects(rendered("--set=dashboard.enabled=true")), "ConfigMap")

    assert json.loads(config["data"]["elt-operator.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
