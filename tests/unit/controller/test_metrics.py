"""Docs, alerts and dashboard name the metrics that there are."""

import re
from pathlib import Path

import pytest

from builders.metrics import documented_metrics, queried_metrics

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
