"""The CustomResourceDefinitions, made from the models: pydantic's JSON schema turned into a structural one.

Rules of structural schemas: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from elt_operator.resources import names
from elt_operator.resources.fields import DNS_LABEL, Fields, Json, rule
from elt_operator.resources.job import JobSpec, JobStatus
from elt_operator.resources.phases import TERMINAL_PHASES
from elt_operator.resources.pipeline import PipelineSpec, PipelineStatus

_SUCCEEDED_MESSAGE: Final = '.status.conditions[?(@.type=="Succeeded")].message'


@dataclass(frozen=True)
class Kind:
    """One custom resource: its models and what ``kubectl get`` shows of it."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[Fields]
    status: type[Fields]
    initial_status: Json
    longest_name: int
    columns: Sequence[tuple[str, str, str]]
    """Name, type and JSON path; a name that ends in ``+`` is shown by ``-o wide`` only."""
    selectable: Sequence[str]
    rules: Sequence[Json] = ()
    """About spec and status together."""


PIPELINE: Final = Kind(
    kind="Pipeline",
    plural=names.PIPELINES,
    short_name="eltp",
    description="A Pipeline defines what to run, with which settings, when and within which limits. "
    "One execution of it is a Job (kubectl explain eltjobs).",
    spec=PipelineSpec,
    status=PipelineStatus,
    initial_status={"observedGeneration": -1},
    longest_name=52,
    columns=(
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        ("Schedule", "string", ".spec.schedule"),
        ("Zone", "string", ".spec.timeZone"),
        ("Next", "string", ".status.nextScheduleTime"),
        ("Active", "string", ".status.activeJob.name"),
        ("Queued", "integer", ".status.queuedJobs"),
        ("Last Job", "string", ".status.lastJob.name"),
        ("Outcome", "string", ".status.lastJob.phase"),
        ("Age", "date", ".metadata.creationTimestamp"),
        ("Image+", "string", ".spec.image"),
        ("Message+", "string", '.status.conditions[?(@.type=="Ready")].message'),
    ),
    selectable=(),
)

JOB: Final = Kind(
    kind="Job",
    plural=names.JOBS,
    short_name="eltj",
    description="A Job is one execution of a Pipeline. Creating one starts it, as soon as no other Job of its Pipeline "
    "is active; deleting one stops it.",
    spec=JobSpec,
    status=JobStatus,
    # A Job that nobody has looked at yet is queued, and is not yet Current to kstatus (Helm, Flux).
    initial_status={"observedGeneration": -1, "phase": "QUEUED", "reason": "Queued"},
    longest_name=63,
    columns=(
        ("Pipeline", "string", ".spec.pipelineName"),
        ("Phase", "string", ".status.phase"),
        ("Reason", "string", ".status.reason"),
        ("Exit", "integer", ".status.exitCode"),
        ("Rows", "integer", ".status.result.rows"),
        ("Warn", "integer", ".status.warningCount"),
        ("Started", "date", ".status.startTime"),
        ("Ended", "date", ".status.endTime"),
        ("Age", "date", ".metadata.creationTimestamp"),
        ("Run+", "string", ".status.taskName"),
        ("Message+", "string", _SUCCEEDED_MESSAGE),
    ),
    selectable=(".status.phase", ".spec.pipelineName"),
    # Nobody looks at a Job that has ended: what changed in it then would never be told as seen.
    rules=(
        rule(
            "!has(oldSelf.status.phase) || "
            f"!(oldSelf.status.phase in {sorted(phase.value for phase in TERMINAL_PHASES)}) || "
            "self.spec.stop == oldSelf.spec.stop",
            "the Job has ended, so there is nothing left to stop",
            field=".spec.stop",
            reason="FieldValueForbidden",
        ),
    ),
)

KINDS: Final = (PIPELINE, JOB)


def _inlined(schema: Any, definitions: Json) -> Any:
    """Return ``schema`` with each reference replaced by what it names; words beside a reference win."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        return _inlined({**target, **{key: value for key, value in schema.items() if key != "$ref"}}, definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items() if key != "$defs"}


def _without_null(schema: Json) -> Json:
    """Return ``schema`` without the alternative ``null``: in Kubernetes a field that is not set is absent."""
    alternatives = schema.get("anyOf", [])
    others = [alternative for alternative in alternatives if alternative != {"type": "null"}]
    if len(others) == len(alternatives):
        return schema
    (only,) = others
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return _without_null({**only, **rest})


def _structural(schema: Json) -> Json:
    """Return one node, and all below it, as the API server wants it."""
    schema = _without_null(schema)
    kept = {
        key: value
        for key, value in schema.items()
        if key not in {"title", "propertyNames", "additionalProperties", "properties", "items", "default", "const"}
    }
    kept |= _values(schema)
    if "properties" in schema:
        kept["properties"] = {name: _structural(field) for name, field in schema["properties"].items()}
    if isinstance(additional := schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(additional)
    if "items" in schema:
        kept["items"] = _structural(schema["items"])
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    return kept


def _values(schema: Json) -> Json:
    """Return default and enum. Objects get no default: what the user did not write stays away from his manifest."""
    values: Json = {}
    if "const" in schema:
        values["enum"] = [schema["const"]]
    if isinstance(schema.get("default"), str | int | bool):
        values["default"] = schema["default"]
    return values


def _schema(model: type[Fields]) -> Json:
    """Return ``model`` as a structural schema."""
    generated = model.model_json_schema(by_alias=True)
    return _structural(_inlined(generated, generated.get("$defs", {})))


def _without_defaults(schema: Any) -> Any:
    """Return ``schema`` without defaults: in a status only what the operator wrote may stand."""
    if isinstance(schema, list):
        return [_without_defaults(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_defaults(value)
        for key, value in schema.items()
        if not (key == "default" and not isinstance(value, dict))
    }


def _column(name: str, kind: str, path: str) -> Json:
    wide = {"priority": 1} if name.endswith("+") else {}
    return {"name": name.rstrip("+"), "type": kind, "jsonPath": path, **wide}


def definition(kind: Kind) -> Json:
    """Return the CustomResourceDefinition of ``kind``."""
    name_rules = [
        rule(
            f"self.metadata.name.size() <= {kind.longest_name} && self.metadata.name.matches('{DNS_LABEL}')",
            f"the name must have at most {kind.longest_name} characters: lower-case letters, digits and `-`, "
            "with a letter or digit at both ends",
            field=".metadata.name",
        )
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.plural.removesuffix("s"),
                "shortNames": [kind.short_name],
                "categories": ["elt"],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in kind.columns],
                    **(
                        {"selectableFields": [{"jsonPath": path} for path in kind.selectable]}
                        if kind.selectable
                        else {}
                    ),
                    "schema": {
                        "openAPIV3Schema": {
                            "description": kind.description,
                            "type": "object",
                            "required": ["spec"],
                            "x-kubernetes-validations": [*name_rules, *kind.rules],
                            "properties": {
                                "apiVersion": {"type": "string", "description": f"{names.API_VERSION}."},
                                "kind": {"type": "string", "description": f"{kind.kind}."},
                                "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
                                "spec": _schema(kind.spec),
                                "status": {
                                    **_without_defaults(_schema(kind.status)),
                                    "default": kind.initial_status,
                                },
                            },
                        }
                    },
                }
            ],
        },
    }


def fields(schema: Json, path: str = "") -> set[str]:
    """Return the paths of all fields of a schema, such as ``spec.env[].name``."""
    found: set[str] = set()
    for name, field in schema.get("properties", {}).items():
        below = f"{path}.{name}".lstrip(".")
        found |= {below} | fields(field, below)
    if "items" in schema:
        found |= fields(schema["items"], f"{path}[]")
    return found


def fields_of(kind: Kind) -> set[str]:
    """Return the fields that a Pipeline's or Job's spec and status have in this version."""
    (version,) = definition(kind)["spec"]["versions"]
    whole = fields(version["schema"]["openAPIV3Schema"])
    return {field for field in whole if field.startswith(("spec.", "status."))}


def files() -> dict[str, str]:
    """Return the content of each file below ``crds/`` by its name."""
    return {
        f"{kind.plural}.yaml": "# Made from the models by `make crds`; do not edit.\n"
        + yaml.safe_dump(definition(kind), sort_keys=False, width=120, allow_unicode=True)
        for kind in KINDS
    }
