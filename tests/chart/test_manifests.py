"""What `kubectl apply` and kustomize install is what the chart renders."""

from typing import Any

import pytest

from chart.helm import API, LOGS, ROOT, Manifest, objects, of_kind, rendered, run, tool

OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by")
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def without_helm(body: Any) -> Any:
    """Return ``body`` without what only Helm's own installation has: its labels, and its word on what it leaves."""
    if isinstance(body, list):
        return [without_helm(item) for item in body]
    if not isinstance(body, dict):
        return body
    kept = {key: without_helm(value) for key, value in body.items() if key not in OF_HELM}
    return {key: value for key, value in kept.items() if value != {"helm.sh/resource-policy": "keep"}}


def charts_own(*arguments: str) -> list[Manifest]:
    """Return what the chart renders of the image that the plain manifests name."""
    return [without_helm(body) for body in objects(rendered("--skip-tests", "--set=image.tag=dev", *arguments))]


def without_namespace(text: str) -> list[Manifest]:
    """Return the objects of plain manifests but the namespace, which Helm makes by itself."""
    return [without_helm(body) for body in objects(text) if body["kind"] != "Namespace"]


def without_labels_of_crds(bodies: list[Manifest]) -> list[Manifest]:
    """Return ``bodies`` with the CRDs as they are in crds/."""
    for crd in of_kind(bodies, "CustomResourceDefinition"):
        crd["metadata"].pop("labels", None)
    return bodies


@pytest.mark.parametrize("mode", ["cluster", "namespaced", "logs", "everything"])
def test_the_plain_manifests_are_up_to_date(mode: str) -> None:
    made = run(ROOT / "charts" / "plain", tool("helm4"), mode)

    assert made.stdout == (ROOT / "manifests" / "install" / f"{mode}.yaml").read_text(), "run `make manifests`"


@pytest.mark.parametrize(
    ("mode", "arguments"),
    [
        pytest.param("cluster", [], id="cluster"),
        pytest.param("namespaced", ["--set=namespaces={default}"], id="namespaced"),
        pytest.param("logs", [LOGS], id="logs"),
        pytest.param("everything", [LOGS, API], id="everything"),
    ],
)
def test_the_plain_manifests_are_what_helm_installs(mode: str, arguments: list[str]) -> None:
    plain = (ROOT / "manifests" / "install" / f"{mode}.yaml").read_text()

    assert without_namespace(plain) == charts_own("--set=crds.enabled=false", *arguments)


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        pytest.param("base", [], id="base"),
        pytest.param("namespaced", ["--set=namespaces={default}"], id="namespaced"),
        pytest.param(
            "digest",
            ["--set=image.repository=registry.example.com/elt-operator", f"--set=image.digest={DIGEST}"],
            id="digest",
        ),
    ],
)
def test_kustomize_builds_what_helm_installs(folder: str, arguments: list[str]) -> None:
    built = run(tool("kustomize"), "build", ROOT / "manifests" / "kustomize" / folder)

    assert built.returncode == 0, built.stdout
    assert without_namespace(built.stdout) == without_labels_of_crds(charts_own(*arguments))


@pytest.mark.parametrize(
    ("mode", "admitted"),
    [("cluster", "restricted"), ("namespaced", "restricted"), ("logs", "privileged"), ("everything", "privileged")],
)
def test_the_plain_namespace_admits_no_more_than_its_pods_need(mode: str, admitted: str) -> None:
    (namespace,) = of_kind(objects((ROOT / "manifests" / "install" / f"{mode}.yaml").read_text()), "Namespace")

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == admitted


@pytest.mark.parametrize("mode", ["cluster", "namespaced", "logs", "everything"])
def test_the_plain_manifests_have_no_word_of_helm(mode: str) -> None:
    assert "helm" not in (ROOT / "manifests" / "install" / f"{mode}.yaml").read_text().lower()
