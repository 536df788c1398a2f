"""What the repository promises to its readers and to those who install from it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from elt_operator.resources.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "manifests" / "install" / "cluster.yaml"
INSTALLED = [body for body in yaml.safe_load_all(INSTALL.read_text()) if body]
FORBIDDEN_RESOURCES = {"secrets", "pods/exec", "pods/attach", "roles", "clusterroles", "rolebindings", "nodes"}
FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate"}


def installed(kind: str) -> dict[str, Any]:
    (found,) = [body for body in INSTALLED if body["kind"] == kind]
    return dict(found)


def test_the_folder_operator_shadows_no_standard_module() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert list((ROOT / "operator").glob("*.py")) == []
    assert not (ROOT / "tests" / "operator").exists()


def test_the_rights_that_are_installed_are_few() -> None:
    for rule in (rule for body in INSTALLED if body["kind"] in {"ClusterRole", "Role"} for rule in body["rules"]):
        assert not FORBIDDEN_VERBS & set(rule["verbs"])
        assert not (FORBIDDEN_RESOURCES | {"*"}) & set(rule["resources"])
        assert not {"*", "rbac.authorization.k8s.io", "admissionregistration.k8s.io"} & set(rule["apiGroups"])


def test_the_operators_pod_is_restricted() -> None:
    pod = installed("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert installed("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_explained(reason: Reason) -> None:
    assert reason.sentence.endswith(".")
    assert f"`{reason}`" in (ROOT / "docs" / "job.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "manifests").rglob("*.yaml")), ids=lambda path: path.name)
def test_each_manifest_is_yaml(path: Path) -> None:
    assert all(body["kind"] for body in yaml.safe_load_all(path.read_text()))
