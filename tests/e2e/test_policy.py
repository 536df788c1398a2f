"""The policy that SECURITY.md shows keeps Pipelines and Jobs out of the system's namespaces."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.world import IMAGE, Body, Namespace, Refused, kubectl, manifest

PAGE = Path(__file__).resolve().parents[2] / "SECURITY.md"
OURS = [manifest("Pipeline", "mine", image=IMAGE, command=["true"]), manifest("Job", "mine", pipelineName="mine")]


@pytest.fixture
def policy() -> Iterator[None]:
    """The page's policy and its binding, while a test lasts."""
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    kubectl("apply", "--server-side", "--filename=-", stdin=shown)
    yield
    kubectl("delete", "--filename=-", stdin=shown)


def refused(body: Body, namespace: str) -> bool:
    """Return whether the policy keeps ``body`` out of ``namespace``; nothing is stored."""
    try:
        kubectl("create", f"--namespace={namespace}", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(body))
    except Refused as error:
        return "do not belong in a namespace of the system" in str(error)
    return False


@pytest.mark.usefixtures("policy")
def test_the_system_has_no_pipelines_and_jobs(namespace: Namespace) -> None:
    cases = [(body, system) for body in OURS for system in ("elt-operator", "kube-system")]

    namespace.until(lambda: all(refused(body, system) for body, system in cases), 30)  # a policy takes a moment
    assert [body["kind"] for body in OURS if refused(body, namespace.name)] == []
