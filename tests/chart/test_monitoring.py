"""Alerts and dashboard ask for metrics that there are, in a language that Prometheus understands."""

import json
import re

import promql_parser
import pytest

from builders.metrics import queried_metrics
from chart.helm import CHART, objects, of_kind, rendered

METRICS = queried_metrics()
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
NAMED = "--set=settings.pipelineMetrics=true"
"""Without it there are no metrics of single Pipelines."""
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
    for name, expression in alerts("--set=prometheusRule.staleSeconds=90000", NAMED).items():
        promql_parser.parse(expression)
        assert metrics_of(expression) <= METRICS, name


@pytest.mark.parametrize(("seconds", "there"), [(0, False), (90_000, True)])
def test_the_alert_on_stale_pipelines_is_an_option(seconds: int, there: bool) -> None:
    assert ("EltPipelineStale" in alerts(f"--set=prometheusRule.staleSeconds={seconds}", NAMED)) is there


def test_grafana_gets_the_dashboard_as_it_is() -> None:
    (config,) = of_kind(objects(rendered("--set=dashboard.enabled=true")), "ConfigMap")

    assert json.loads(config["data"]["elt-operator.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
