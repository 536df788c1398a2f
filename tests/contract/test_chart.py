"""What the chart says agrees with what it is about; tests/chart renders it, which needs Helm."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from elt_operator.kube.proxies import proxy_for
from elt_operator.settings import api, log_reader, logs
from elt_operator.settings.common import Common
from elt_operator.settings.controller import Settings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "elt-operator"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
INSTALL = (ROOT / "docs" / "install.md").read_text()
LOGS = (ROOT / "docs" / "logs.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()

GIVEN_OTHERWISE = {"watch_namespaces", "keep_logs", "health_port", "lease_namespace", "lease_name", "identity"}
"""Settings that are the values `namespaces` and `logs.enabled`, the chart's only port, the release's namespace and
name, and the pod's name."""

AS_A_WHOLE = {"requests", "limits", "labels"}
"""Values whose names below are Kubernetes' or the user's: each is documented as a whole."""


def camel_case(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def schemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each schema of an object below ``node`` with its path."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for name, below in node.items():
            yield from schemas(below, f"{path}/{name}")


@pytest.mark.parametrize("name", ["eltpipelines.yaml", "eltjobs.yaml"])
def test_the_charts_crds_are_those_of_the_repository(name: str) -> None:
    copied = (CHART / "files" / "crds" / name).read_text()

    assert copied == (ROOT / "crds" / name).read_text(), "run `make crds`"


def test_the_chart_is_of_the_operators_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert chart["appVersion"] == project["version"]
    assert chart["version"] == re.sub(r"\.dev\d+$", "-dev", project["version"])
    assert chart["description"] == project["description"]


@pytest.mark.parametrize(("path", "schema"), [pytest.param(*found, id=found[0] or "/") for found in schemas(SCHEMA)])
def test_each_table_of_values_is_closed(path: str, schema: dict[str, Any]) -> None:
    open_ones = ("/properties/global", "/definitions/kubernetes")  # a parent chart's; Kubernetes' own types

    assert path in open_ones or schema["additionalProperties"] in (False, {"type": "string"}) or "quantities" in path


def test_each_value_has_its_schema() -> None:
    assert VALUES.keys() == SCHEMA["properties"].keys() - {"global"}


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - GIVEN_OTHERWISE))
def test_each_setting_is_a_value_with_the_same_default(name: str) -> None:
    assert VALUES["settings"][camel_case(name)] == Settings.model_fields[name].default


def test_each_value_of_the_settings_is_one() -> None:
    settings = {camel_case(name) for name in Settings.model_fields}

    assert VALUES["settings"].keys() <= settings


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        pytest.param(VALUES["logs"]["source"], logs.Settings.model_fields["log_source"], id="source"),
        pytest.param(VALUES["logs"]["retentionDays"], logs.Settings.model_fields["retention_days"], id="retentionDays"),
        pytest.param(VALUES["logs"]["reader"]["podLogs"], log_reader.Settings.model_fields["pod_logs"], id="podLogs"),
        pytest.param(
            VALUES["logs"]["reader"]["spoolBytes"], log_reader.Settings.model_fields["spool_bytes"], id="spool"
        ),
        pytest.param(VALUES["api"]["readsPerSecond"], api.Settings.model_fields["reads_per_second"], id="reads"),
        pytest.param(VALUES["api"]["changesPerSecond"], api.Settings.model_fields["changes_per_second"], id="changes"),
    ],
)
def test_a_value_is_the_default_of_its_setting(value: object, setting: FieldInfo) -> None:
    assert str(value) == str(setting.default)


@pytest.mark.parametrize(
    ("path", "program", "name"),
    [
        pytest.param("logs/retentionDays", logs.Settings, "retention_days", id="retentionDays"),
        pytest.param("logs/reader/spoolBytes", log_reader.Settings, "spool_bytes", id="spoolBytes"),
        pytest.param("logs/maskPatterns", logs.Settings, "mask_patterns", id="maskPatterns"),
        pytest.param("api/readsPerSecond", api.Settings, "reads_per_second", id="readsPerSecond"),
        pytest.param("api/changesPerSecond", api.Settings, "changes_per_second", id="changesPerSecond"),
    ],
)
def test_the_bounds_of_a_value_are_those_of_its_setting(path: str, program: type[BaseModel], name: str) -> None:
    value, setting = SCHEMA, program.model_json_schema()["properties"][name]
    for part in path.split("/"):
        value = value["properties"][part]

    for bound in ("minimum", "exclusiveMinimum", "maximum", "maxItems"):
        assert value.get(bound) == setting.get(bound)


def documented(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the default of each value but the settings, which have a table of their own."""
    for name, value in values.items():
        path = f"{above}{name}"
        if not isinstance(value, dict) or not value or name in AS_A_WHOLE:
            yield path, value
        elif path != "settings":
            yield from documented(value, f"{path}.")


@pytest.mark.parametrize(("path", "default"), list(documented(VALUES)))
def test_a_value_is_documented_with_its_default(path: str, default: Any) -> None:
    assert f"| `{path}` | `{json.dumps(default)}` | " in INSTALL


@pytest.mark.parametrize("name", VALUES["settings"])
def test_a_setting_is_documented_with_its_variable(name: str) -> None:
    variable = "ELT_OPERATOR_" + re.sub(r"([A-Z])", r"_\1", name).upper()

    assert f"| `{variable}` | `settings.{name}` | " in INSTALL


@pytest.mark.parametrize(
    ("program", "page", "name"),
    [
        pytest.param(program, page, name, id=f"{program.__module__.rpartition('.')[2]} {name}")
        for program, page, elsewhere in (
            (logs.Settings, LOGS, {"identity"}),
            (log_reader.Settings, LOGS, {"identity"}),
            (api.Settings, API, Common.model_fields.keys()),  # install.md has them
        )
        for name in sorted(program.model_fields.keys() - elsewhere)
    ],
)
def test_a_setting_of_another_program_is_documented_with_its_default(
    program: type[BaseModel], page: str, name: str
) -> None:
    default = program.model_fields[name].get_default(call_default_factory=True)
    stated = [row.split(" | ")[2] for row in page.splitlines() if row.startswith(f"| `ELT_OPERATOR_{name.upper()}` | ")]

    assert stated
    assert default in ("", None) or program.model_fields[name].is_required() or str(default) in stated[0].strip("`")


@pytest.mark.parametrize(
    ("server", "proxy"),
    [
        pytest.param("https://10.96.0.1:443", None, id="as a pod is told of the API server"),
        pytest.param("https://kubernetes.default.svc", None, id="by its name"),
        pytest.param("https://api.example.com:6443", "http://proxy.example.com:3128", id="one elsewhere"),
    ],
)
def test_the_proxy_of_the_example_is_not_between_the_operator_and_its_own_cluster(
    server: str, proxy: str | None
) -> None:
    given = yaml.safe_load((CHART / "ci" / "proxy-values.yaml").read_text())["env"]
    variables = {entry["name"].lower().removesuffix("_proxy"): entry["value"] for entry in given}

    assert proxy_for(server, variables) == proxy
