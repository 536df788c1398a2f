"""Resource types of an older version: the operator says what is missing, waits, and goes on once they are renewed."""

import json

import pytest
import yaml

from chart.helm import CHART, ROOT
from e2e.world import Namespace, kubectl
from helm.release import NAMESPACE, OF_CHART, Release, log

pytestmark = pytest.mark.timeout(300)


def older(plural: str) -> str:
    """Return a resource type without one of its fields, and without the rules that mention it."""
    body = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    status = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["properties"].pop("logTail", None)
    status.pop("x-kubernetes-validations", None)
    return yaml.safe_dump(body)


def ready() -> list[bool]:
    found = json.loads(kubectl("get", "pods", f"--namespace={NAMESPACE}", OF_CHART, "--output=json"))["items"]
    return [one["ready"] for pod in found for one in pod["status"].get("containerStatuses", [])]


def test_older_resource_types_are_told_and_renewed(release: Release, namespace: Namespace) -> None:
    for plural in ("eltpipelines", "eltjobs"):
        kubectl("apply", "--server-side", "--filename=-", stdin=older(plural))

    release.install(CHART, crds={"enabled": False})
    namespace.until(lambda: ready() == [False] and "eltjobs.status.logTail" in log())
    assert "kubectl apply --server-side -f crds/" in log()

    # They are kubectl's; with these words Helm takes them over.
    conflicts = ["--force-conflicts"] if release.version == 4 else []
    release.upgrade(CHART, "--take-ownership", *conflicts)

    namespace.pipeline(command=["echo", "hello"])
    assert namespace.run()["status"]["logTail"] == "hello"
