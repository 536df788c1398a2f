"""A Job of a user's chart, as a hook and among the other objects: what docs/gitops.md says of both Helms.

Whether an operator is there or not, no Job ends within the time that Helm has: one that waited for it would fail.
"""

import re
from pathlib import Path

import pytest

from chart.helm import ROOT
from e2e.world import IMAGE, Namespace, Refused, kubectl
from helm.release import Release

pytestmark = pytest.mark.timeout(120)

PAGE = (ROOT / "docs" / "gitops.md").read_text()
PIPELINE = f"""
apiVersion: elt-operator.io/v1alpha1
kind: Pipeline
metadata: {{name: orders}}
spec: {{image: {IMAGE}, command: [sleep, "60"]}}
"""
HOOK = """
apiVersion: elt-operator.io/v1alpha1
kind: Job
metadata: {name: orders-first, annotations: {helm.sh/hook: post-install}}
spec: {pipelineName: orders}
"""
QUICK = "--timeout=10s"


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def users(request: pytest.FixtureRequest, namespace: Namespace) -> Release:
    """A release that nothing is installed of yet, of somebody who uses the operator."""
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT / 'crds'}")
    return Release(request.param, "users", namespace.name)


def chart(folder: Path, job: str) -> Path:
    """Return a chart of a Pipeline and a Job."""
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: users, version: 1.0.0}")
    (folder / "templates" / "all.yaml").write_text(f"{PIPELINE}---\n{job}")
    return folder


def names(namespace: Namespace) -> set[str]:
    return {job["metadata"]["name"] for job in namespace.jobs()}


def test_a_hook_is_refused_by_helm_3_and_not_waited_for_by_helm_4(
    users: Release, namespace: Namespace, tmp_path: Path
) -> None:
    if users.version == 3:
        (said,) = re.findall(r"^\t\* (.*)$", PAGE, re.MULTILINE)
        with pytest.raises(Refused, match=re.escape(said)):
            users.helm("install", chart(tmp_path, HOOK), QUICK)
    else:
        users.helm("install", chart(tmp_path, HOOK), "--wait=hookOnly", QUICK)

    assert names(namespace) == {"orders-first"}


def test_the_job_of_the_page_is_made_anew_by_each_upgrade_and_none_is_deleted(
    users: Release, namespace: Namespace, tmp_path: Path
) -> None:
    (job,) = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "resource-policy" in block]
    made = chart(tmp_path, job)

    users.helm("install", made, QUICK)
    users.helm("upgrade", made, QUICK)
    users.helm("uninstall", QUICK)

    assert names(namespace) == {"orders-1", "orders-2"}
