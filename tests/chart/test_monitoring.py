"""Alerts and dashboard ask for metrics that there are, in a language that Prometheus understands."""

import json
import re

import promql_parser
import pytest

from builders.metrics import queried_metrics
from chart.helm import API, CHART, FOLLOW, LOGS, container, objects, of_kind, rendered
from elt_operator.api.parts import OLDEST_SECONDS

METRICS = queried_metrics()
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
NAMED = "--set=settings.pipelineMetrics=true"
"""Without it there are no metrics of single Pipelines."""
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SHOWN = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


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
    for name, expression in alerts("--set=prometheusRule.staleSeconds=90000", NAMED, LOGS, API).items():
        promql_parser.parse(expression)
        assert metrics_of(expression) <= METRICS, name


def test_the_alerts_on_the_jobs_api_are_about_all_replicas_and_about_each() -> None:
    found = alerts(API)

    assert found["EltApiAbsent"] == "absent(elt_operator_jobs_api_age_seconds)"
    assert (
        found["EltApiBehind"] == f"max by (namespace, pod) (elt_operator_jobs_api_age_seconds) > {OLDEST_SECONDS:.0f}"
    )


@pytest.mark.parametrize(("seconds", "there"), [(0, False), (90_000, True)])
def test_the_alert_on_stale_pipelines_is_an_option(seconds: int, there: bool) -> None:
    assert ("EltPipelineStale" in alerts(f"--set=prometheusRule.staleSeconds={seconds}", NAMED)) is there


@pytest.mark.parametrize(
    ("arguments", "programs"),
    [
        pytest.param([], set(), id="the operator alone"),
        pytest.param([FOLLOW], {"EltLogs", "EltLogKeeper"}, id="followed"),
        pytest.param([LOGS], {"EltLogs", "EltLogKeeper", "EltLogReader"}, id="read on the nodes"),
        pytest.param([API], {"EltApi"}, id="the Jobs API"),
    ],
)
def test_there_are_alerts_on_the_programs_that_there_are(arguments: list[str], programs: set[str]) -> None:
    found = (re.match("EltLog(s|Keeper|Reader)|EltApi", name) for name in alerts(*arguments))

    assert {match[0] for match in found if match} == programs


@pytest.mark.parametrize(
    ("arguments", "programs"),
    [
        pytest.param([], {"operator"}, id="the operator alone"),
        pytest.param([FOLLOW], {"operator", "logs"}, id="followed"),
        pytest.param([LOGS], {"operator", "logs", "log-reader"}, id="read on the nodes"),
        pytest.param([API], {"operator", "api"}, id="the Jobs API"),
        pytest.param([API, LOGS], {"operator", "api", "logs", "log-reader"}, id="everything"),
    ],
)
def test_prometheus_finds_the_metrics_of_each_program(arguments: list[str], programs: set[str]) -> None:
    text = rendered("--set=serviceMonitor.enabled=true", *arguments)
    (monitor,) = of_kind(objects(text), "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    wanted = monitor["spec"]["selector"]["matchLabels"]

    found = set()
    for service in of_kind(objects(text), "Service"):
        ports = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
        if wanted.items() <= service["metadata"]["labels"].items() and endpoint["port"] in ports:
            program = service["spec"]["selector"]["app.kubernetes.io/component"]
            named = {port["name"]: port["containerPort"] for port in container(text, program)["ports"]}
            assert named[ports[endpoint["port"]]] == 8080
            assert service["spec"]["publishNotReadyAddresses"] is True
            found.add(program)

    assert found == programs
    assert endpoint["path"] == "/metrics"


def test_no_two_panels_share_a_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells

    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_grafana_gets_the_dashboard_as_it_is() -> None:
    (config,) = of_kind(objects(rendered("--set=dashboard.enabled=true")), "ConfigMap")

    assert json.loads(config["data"]["elt-operator.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
