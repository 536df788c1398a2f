"""What kustomize makes of Pipelines and Jobs with the configuration that users copy."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import ROOT, objects, of_kind, run, tool

CONFIGURATION = ROOT / "gitops" / "kustomize" / "elt-operator.yaml"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"

KUSTOMIZATION: dict[str, Any] = {
    "namePrefix": "staging-",
    "labels": [{"pairs": {"team": "shop"}, "includeTemplates": True, "includeSelectors": False}],
    "resources": ["all.yaml"],
    "configMapGenerator": [{"name": "sql", "literals": ["load.sql=select 1"]}],
    "secretGenerator": [{"name": "warehouse", "literals": ["password=no-secret"]}],
    "images": [
        {"name": "shop/load", "newTag": "7"},
        {"name": "git", "newTag": "3"},
        {"name": "proxy", "digest": DIGEST},
    ],
    "configurations": [CONFIGURATION.name],
}

ENV = {
    "env": [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "warehouse", "key": "password"}}},
        {"name": "SQL", "valueFrom": {"configMapKeyRef": {"name": "sql", "key": "load.sql"}}},
        {"name": "PLAIN", "value": "sql"},
    ],
    "envFrom": [{"secretRef": {"name": "warehouse"}}, {"configMapRef": {"name": "sql"}}],
}


def named(kind: str, name: str, api_version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **more}


ALL = [
    named("ServiceAccount", "loader"),
    named("PersistentVolumeClaim", "state", spec={}),
    named("LocalQueue", "nightly", "kueue.x-k8s.io/v1beta1", spec={}),
    named("PriorityClass", "nightly", "scheduling.k8s.io/v1", value=1),
    named(
        "Pipeline",
        "orders",
        "elt-operator.io/v1alpha1",
        spec={
            "image": "shop/load:6",
            "imagePullSecrets": [{"name": "warehouse"}],
            **ENV,
            "volumes": [
                {"name": "sql", "mountPath": "/sql", "configMap": {"name": "sql"}},
                {"name": "keys", "mountPath": "/keys", "secret": {"secretName": "warehouse"}},
                {"name": "state", "mountPath": "/state", "persistentVolumeClaim": {"claimName": "state"}},
            ],
            "initContainers": [{"name": "fetch", "image": "git:2", **ENV}],
            "queueName": "nightly",
            "sidecars": [{"name": "proxy", "image": "proxy:1", **ENV}],
            "pod": {"serviceAccountName": "loader", "priorityClassName": "nightly"},
        },
    ),
    named("Job", "orders-backfill", "elt-operator.io/v1alpha1", spec={"pipelineName": "orders"}),
]


@pytest.fixture
def built(tmp_path: Path) -> list[dict[str, Any]]:
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(KUSTOMIZATION))
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(ALL))
    (tmp_path / CONFIGURATION.name).write_bytes(CONFIGURATION.read_bytes())
    made = run(tool("kustomize"), "build", tmp_path)
    assert made.returncode == 0, made.stdout
    return objects(made.stdout)


def test_a_pipeline_names_what_kustomize_has_renamed(built: list[dict[str, Any]]) -> None:
    names = {body["kind"]: body["metadata"]["name"] for body in built}
    sql, warehouse = names["ConfigMap"], names["Secret"]
    assert sql.startswith("staging-sql-")
    assert warehouse.startswith("staging-warehouse-")
    env = {
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": warehouse, "key": "password"}}},
            {"name": "SQL", "valueFrom": {"configMapKeyRef": {"name": sql, "key": "load.sql"}}},
            {"name": "PLAIN", "value": "sql"},
        ],
        "envFrom": [{"secretRef": {"name": warehouse}}, {"configMapRef": {"name": sql}}],
    }

    (pipeline,) = of_kind(built, "Pipeline")

    assert pipeline["spec"] == {
        "image": "shop/load:7",
        "imagePullSecrets": [{"name": warehouse}],
        **env,
        "volumes": [
            {"name": "sql", "mountPath": "/sql", "configMap": {"name": sql}},
            {"name": "keys", "mountPath": "/keys", "secret": {"secretName": warehouse}},
            {"name": "state", "mountPath": "/state", "persistentVolumeClaim": {"claimName": "staging-state"}},
        ],
        "initContainers": [{"name": "fetch", "image": "git:3", **env}],
        "queueName": "staging-nightly",
        "sidecars": [{"name": "proxy", "image": f"proxy@{DIGEST}", **env}],
        "pod": {"serviceAccountName": "staging-loader", "priorityClassName": "staging-nightly"},
    }


def test_a_job_names_the_renamed_pipeline_and_gets_no_template(built: list[dict[str, Any]]) -> None:
    (job,) = of_kind(built, "Job")

    assert job["metadata"] == {"name": "staging-orders-backfill", "labels": {"team": "shop"}}
    assert job["spec"] == {"pipelineName": "staging-orders"}


REFERENCES = {
    "configMapKeyRef/name", "configMapRef/name", "configMap/name", "secretKeyRef/name", "secretRef/name",
    "imagePullSecrets/name", "secret/secretName", "persistentVolumeClaim/claimName", "pod/serviceAccountName",
    "pod/priorityClassName", "spec/pipelineName", "spec/queueName",
}  # fmt: skip


def fields(schema: dict[str, Any], path: str = "spec") -> dict[str, str]:
    """Return the paths of all fields below ``path``, as kustomize writes them: without lists."""
    schema = schema.get("items", schema)
    found = {path: schema.get("type", "")}
    for name, value in schema.get("properties", {}).items():
        found |= fields(value, f"{path}/{name}")
    return found


def test_kustomize_knows_each_reference_and_image_of_the_resource_types() -> None:
    config = yaml.safe_load(CONFIGURATION.read_text())
    known = {spec["path"] for kind in config["nameReference"] for spec in kind["fieldSpecs"]}
    images = {spec["path"] for spec in config["images"]}
    paths: set[str] = set()
    for file in ("eltpipelines.yaml", "eltjobs.yaml"):
        crd = yaml.safe_load((ROOT / "crds" / file).read_text())
        paths |= set(fields(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]))

    assert known == {path for path in paths if "/".join(path.split("/")[-2:]) in REFERENCES}
    known_to_all = {"spec/initContainers/image"}
    assert images == {path for path in paths if path.endswith("/image")} - known_to_all
