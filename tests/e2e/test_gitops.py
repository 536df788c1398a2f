"""What a GitOps tool does over and over: apply what is there already."""

from typing import Any

import yaml

from e2e.clock import DAILY
from e2e.world import GROUP, IMAGE, VERSION, Body, Namespace, ended, kubectl

TIMES = 60


def test_what_is_applied_again_changes_nothing_and_starts_nothing(namespace: Namespace) -> None:
    manifests = yaml.safe_dump_all(
        [
            a("Pipeline", "weather", image=IMAGE, command=["sleep", "5"], schedule=DAILY),
            a("Job", "backfill", pipelineName="weather"),
        ]
    )

    for _ in range(TIMES):  # the Job starts and ends meanwhile
        namespace.apply(manifests)
    namespace.wait("backfill", ended)
    namespace.wait("weather", lambda body: "lastJob" in body["status"], plural="eltpipelines")
    apply_server_side(namespace, manifests)
    before = versions(namespace)
    for _ in range(TIMES):
        apply_server_side(namespace, manifests)

    assert versions(namespace) == before
    assert {body["metadata"]["generation"] for body in managed(namespace)} == {1}
    assert [len(found) for found in (namespace.jobs(), namespace.runs(), namespace.pods())] == [1, 1, 1]


def a(kind: str, name: str, **spec: Any) -> Body:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def apply_server_side(namespace: Namespace, manifests: str) -> None:
    kubectl(
        "apply", "--server-side", "--field-manager=a-tool", f"--namespace={namespace.name}", "-f", "-", stdin=manifests
    )


def managed(namespace: Namespace) -> list[Body]:
    """Return what is applied, and the CronJob that the operator makes of it."""
    return [namespace.get("weather", "eltpipelines"), *namespace.jobs(), *namespace.cron_jobs()]


def versions(namespace: Namespace) -> list[str]:
    bodies = [*managed(namespace), *namespace.runs()]
    return [body["metadata"]["resourceVersion"] for body in bodies]
