"""What holds for each program of the chart: whose pods are whose, labels, and the variables that all have."""

from pathlib import Path

import pytest

from chart.helm import (
    API,
    LOGS,
    Manifest,
    component,
    container,
    objects,
    of_kind,
    pod,
    rendered,
    set_variables,
    value_set,
    workload,
)
from elt_operator.settings import api, controller, log_reader, logs

PROGRAMS = {
    "operator": controller.Settings,
    "api": api.Settings,
    "logs": logs.Settings,
    "log-reader": log_reader.Settings,
}


@pytest.mark.parametrize("values", [None, value_set("labels"), value_set("names")], ids=["plain", "labels", "names"])
def test_no_selector_finds_pods_of_another_program(values: Path | None) -> None:
    options = ("serviceMonitor.enabled", "networkPolicy.enabled", "podDisruptionBudget.enabled")
    text = rendered(API, LOGS, *(f"--set={option}=true" for option in options), values=values)
    bodies = objects(text)
    labels = {program: workload(text, program)["spec"]["template"]["metadata"]["labels"] for program in PROGRAMS}
    labels["test"] = of_kind(bodies, "Pod")[0]["metadata"]["labels"]

    for body in bodies:
        for selector in selectors(body):
            found = [program for program, its in labels.items() if selector.items() <= its.items()]
            assert found == [component(body)], (body["kind"], body["metadata"]["name"])


def selectors(body: Manifest) -> list[dict[str, str]]:
    """Return by what an object chooses pods."""
    spec = body.get("spec", {})
    match body["kind"]:
        case "Service":
            return [spec["selector"]]
        case "NetworkPolicy":
            return [spec["podSelector"]["matchLabels"]]
        case "DaemonSet" | "Deployment" | "PodDisruptionBudget":
            return [spec["selector"]["matchLabels"]]
        case _:
            return []


def test_labels_of_ones_own_are_on_all_pods() -> None:
    text = rendered(API, LOGS, values=value_set("labels"))

    for program in PROGRAMS:
        metadata = workload(text, program)["spec"]["template"]["metadata"]
        assert metadata["labels"]["team"] == "data-platform"
        assert metadata["annotations"]["prometheus.io/port"] == "8080"


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_services_variable_is_taken_for_a_setting(program: str) -> None:
    # The Service elt-operator-api alone would set ELT_OPERATOR_API_PORT=tcp://…
    assert pod(rendered(API, LOGS), program)["enableServiceLinks"] is False


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_logs_as_it_is_told(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, rendered(API, LOGS, "--set=settings.logLevel=DEBUG,settings.logFormat=text"), program)
    settings = PROGRAMS[program]()

    assert (settings.log_level, settings.log_format) == ("DEBUG", "text")


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_variable_is_there_twice(program: str) -> None:
    given = '--set-json=logs.keeper.env=[{"name":"TZ","value":"UTC"},{"name":"AWS_REGION","value":"eu-central-1"}]'
    everything = (API, LOGS, given, "--set=api.tls.secretName=a,api.corsOrigins={https://a},logs.tls.secretName=b")
    names = [
        variable["name"] for variable in container(rendered(*everything, values=value_set("settings")), program)["env"]
    ]

    assert len(names) == len(set(names))
