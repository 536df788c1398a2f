"""What the CRDs promise: they are the models', bounded, described, small."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from elt_operator.resources import crd
from fakes.admission import complaints

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
LARGEST_BYTES = 200 * 1024


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each node of a schema with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for below, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if below in schema:
            yield from nodes(schema[below], path + mark)


NODES = [
    pytest.param(path, node, id=f"{kind.plural}{path}")
    for kind in crd.KINDS
    for part in ("spec", "status")
    for path, node in nodes(
        crd.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part], f".{part}"
    )
]


def test_the_files_are_the_models() -> None:
    assert {path.name: path.read_text() for path in CRDS.glob("*.yaml")} == crd.files(), "run `make crds`"


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.kind)
def test_a_crd_is_small_enough_for_client_side_apply(kind: crd.Kind) -> None:
    assert len(json.dumps(crd.definition(kind))) < LARGEST_BYTES


@pytest.mark.parametrize(("path", "node"), NODES)
def test_each_field_is_bounded(path: str, node: dict[str, Any]) -> None:
    kind = node.get("type")
    if node.get("x-kubernetes-int-or-string"):
        assert "maxLength" in node, path
    elif kind == "string":
        assert "maxLength" in node or "enum" in node or node.get("format") == "date-time", path
    elif kind == "integer":
        assert {"minimum", "maximum"} <= node.keys(), path
    elif kind == "array":
        assert "maxItems" in node, path
        assert node.get("x-kubernetes-list-type") in {"atomic", "set", "map"}, path
    elif "additionalProperties" in node:
        assert "maxProperties" in node, path


@pytest.mark.parametrize(("path", "node"), NODES)
def test_each_field_says_what_it_is(path: str, node: dict[str, Any]) -> None:
    for name, field in node.get("properties", {}).items():
        assert field.get("description", "").rstrip().endswith("."), f"{path}.{name}"


@pytest.mark.parametrize(("path", "node"), NODES)
def test_each_rule_helps_who_breaks_it(path: str, node: dict[str, Any]) -> None:
    for rule in node.get("x-kubernetes-validations", []):
        assert rule["message"], path
        assert rule["reason"] in {"FieldValueInvalid", "FieldValueForbidden"}, path


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("manifests/samples/**/*.yaml"), *ROOT.glob("demo/**/*.yaml")]),
    ids=lambda path: path.name,
)
def test_our_own_examples_break_no_rule(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        if (manifest or {}).get("apiVersion") == "elt-operator.io/v1alpha1":
            assert complaints(manifest) == []
