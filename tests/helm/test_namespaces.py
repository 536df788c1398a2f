"""A release for some namespaces only: nothing of its rights is cluster-wide."""

import pytest

from chart.helm import CHART
from e2e.clock import now
from e2e.demo import demo
from e2e.world import Namespace, kubectl
from helm.release import OF_CHART, Release
from helm.test_life import asked

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def other_namespace() -> Namespace:
    return Namespace.create("not-looked-after")


def test_it_looks_after_its_namespaces_and_has_no_cluster_role(
    release: Release, namespace: Namespace, other_namespace: Namespace
) -> None:
    begun = now()
    release.install(CHART, "--wait", "--timeout=120s", namespaces=[namespace.name])
    assert "Phase:          Succeeded" in release.helm("test", "--timeout=60s")

    other_namespace.pipeline()
    other_namespace.job("not-ours")
    namespace.pipeline("quick")
    assert namespace.run(pipeline="quick")["status"]["phase"] == "COMPLETE"
    demo(DEMO_LOADS_IN=namespace.name)
    assert "conditions" not in other_namespace.get("not-ours")["status"]

    assert kubectl("get", "clusterroles,clusterrolebindings", OF_CHART, "--output=name") == ""
    assert asked(begun, code=403) == set()
    other_namespace.delete()
