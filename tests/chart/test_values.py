"""The values' schema refuses what the chart does not know."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart.helm import CHART, helm

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
FREE = {"commonLabels", "nodeSelector", "podLabels", "podAnnotations", "labels", "annotations", "requests", "limits"}


def tables(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each table of values whose keys are the chart's, with a dot at its end."""
    yield path
    for name, value in values.items():
        if isinstance(value, dict) and name not in FREE:
            yield from tables(value, f"{path}{name}.")


def refusal(argument: str, version: int = 4) -> str:
    printed = helm(version, "template", CHART, f"--set-json={argument}")
    assert printed.returncode != 0, f"not refused: {argument}"
    return printed.stdout


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("table", list(tables(VALUES)))
def test_a_misspelt_name_is_refused(table: str, version: int) -> None:
    assert "misspelt" in refusal(f"{table}misspelt=1", version)


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        pytest.param('replicaCount="two"', "/replicaCount", id="a number in words"),
        pytest.param("replicaCount=-1", "/replicaCount", id="less than none"),
        pytest.param('namespaces="team-a"', "/namespaces", id="one namespace that is no list"),
        pytest.param('namespaces=["Team"]', "/namespaces/0", id="no name of a namespace"),
        pytest.param('namespaces=["a","a"]', "/namespaces", id="a namespace twice"),
        pytest.param('image.digest="sha256:1"', "/image/digest", id="half a digest"),
        pytest.param('image.repository=""', "/image/repository", id="no image"),
        pytest.param('image.repository="elt@sha256:1"', "/image/repository", id="a digest in the repository"),
        pytest.param('settings.logLevel="debug"', "/settings/logLevel", id="a level in lower case"),
        pytest.param("settings.workers=0", "/settings/workers", id="no worker"),
        pytest.param('settings.auditSeconds="300"', "/settings/auditSeconds", id="a number as a string"),
        pytest.param('env=[{"name":"ELT_OPERATOR_WORKERS","value":"1"}]', "/env/0/name", id="a setting as a variable"),
        pytest.param('env=[{"name":"A","valeu":"1"}]', "/env/0", id="a misspelt field of a variable"),
        pytest.param(
            'podLabels={"app.kubernetes.io/name":"x"}',
            "/podLabels/app.kubernetes.io~1name",
            id="a label the operator is found by",
        ),
        pytest.param('podLabels={"a":true}', "/podLabels/a", id="a label that is no string"),
        pytest.param("podSecurityContext.runAsUser=0", "/podSecurityContext/runAsUser", id="root"),
        pytest.param('serviceMonitor.interval="30"', "/serviceMonitor/interval", id="an interval without a unit"),
        pytest.param('tolerations=[{"efect":"NoExecute"}]', "/tolerations/0", id="a misspelt field of a toleration"),
        pytest.param('affinity={"podAfinity":{}}', "/affinity", id="a misspelt affinity"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(argument: str, path: str) -> None:
    assert f"'{path}'" in refusal(argument)


def test_an_alert_that_could_never_fire_is_refused_in_words() -> None:
    said = refusal('prometheusRule={"enabled":true,"staleSeconds":60}')

    assert "prometheusRule.staleSeconds needs settings.pipelineMetrics: true" in said
