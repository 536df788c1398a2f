"""The values' schema refuses what the chart does not know."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml

from chart.helm import CHART, helm

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
FREE = {
    "commonLabels", "nodeSelector", "podLabels", "podAnnotations", "labels", "annotations", "requests", "limits",
    "serviceAccountAnnotations", "volume",
}  # fmt: skip


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
        pytest.param("networkPolicy.storePorts=[]", "/networkPolicy/storePorts", id="no port of the store"),
        pytest.param('logs.source="sidecar"', "/logs/source", id="an unknown source of logs"),
        pytest.param("logs.retentionDays=0", "/logs/retentionDays", id="logs that are not kept"),
        pytest.param('logs.retentionDays="90"', "/logs/retentionDays", id="days as a string"),
        pytest.param('logs.store.url="/logs"', "/logs/store/url", id="a folder as a bucket"),
        pytest.param('logs.store.url="s3://"', "/logs/store/url", id="no bucket"),
        pytest.param('logs.store.url="https://s3.example.com/logs"', "/logs/store/url", id="an endpoint as a bucket"),
        pytest.param('logs.store.size="0Gi"', "/logs/store/size", id="a volume without room"),
        pytest.param('logs.store.volume="data"', "/logs/store/volume", id="a volume that is a word"),
        pytest.param('logs.maskPatterns=[""]', "/logs/maskPatterns/0", id="a pattern that hides everything"),
        pytest.param(f"logs.maskPatterns={json.dumps(['x'] * 21)}", "/logs/maskPatterns", id="too many patterns"),
        pytest.param(
            'logs.keeper.env=[{"name":"ELT_OPERATOR_STORE"}]', "/logs/keeper/env/0/name", id="a setting of the keeper"
        ),
        pytest.param("logs.reader.spoolBytes=1048576", "/logs/reader/spoolBytes", id="a spool that is too small"),
        pytest.param('logs.reader.podLogs="var/log/pods"', "/logs/reader/podLogs", id="a path without its root"),
        pytest.param(
            'logs.reader.tolerations=[{"efect":"x"}]',
            "/logs/reader/tolerations/0",
            id="a misspelt toleration of readers",
        ),
        pytest.param("api.replicas=-1", "/api/replicas", id="less than no API"),
        pytest.param('api.replicas="2"', "/api/replicas", id="replicas as a string"),
        pytest.param("api.readsPerSecond=0", "/api/readsPerSecond", id="no reads"),
        pytest.param('api.changesPerSecond="10"', "/api/changesPerSecond", id="a rate as a string"),
        pytest.param('api.corsOrigins="https://a"', "/api/corsOrigins", id="one origin that is no list"),
        pytest.param('api.corsOrigins=["*"]', "/api/corsOrigins/0", id="every origin"),
        pytest.param('api.corsOrigins=["https://a/b"]', "/api/corsOrigins/0", id="an origin with a path"),
        pytest.param('api.service.annotations={"a":1}', "/api/service/annotations/a", id="a number as an annotation"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(argument: str, path: str) -> None:
    assert f"'{path}'" in refusal(argument)


def test_an_alert_that_could_never_fire_is_refused_in_words() -> None:
    said = refusal('prometheusRule={"enabled":true,"staleSeconds":60}')

    assert "prometheusRule.staleSeconds needs settings.pipelineMetrics: true" in said


PLACES = {
    "url": "s3://logs/elt",
    "existingClaim": "logs",
    "volume": {"nfs": {"server": "nfs.example.com", "path": "/"}},
}


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("places", [*combinations(PLACES, 2), tuple(PLACES)], ids=" and ".join)
def test_two_places_for_logs_are_refused_in_words(places: tuple[str, ...], version: int) -> None:
    store = {place: PLACES[place] for place in places}

    said = refusal(f"logs={json.dumps({'enabled': True, 'store': store})}", version)

    assert "only one of logs.store.url, logs.store.existingClaim and logs.store.volume can be set" in said
