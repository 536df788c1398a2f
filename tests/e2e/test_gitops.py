"""What a GitOps tool does over and over: apply what is there already."""

import yaml

from e2e.clock import DAILY
from e2e.kept import settled
from e2e.world import IMAGE, Body, Namespace, manifest

TIMES = 60
SERVER_SIDE = ("--server-side", "--field-manager=a-tool")


def test_what_is_applied_again_changes_nothing_and_starts_nothing(namespace: Namespace) -> None:
    manifests = yaml.safe_dump_all(
        [
            manifest("Pipeline", "weather", image=IMAGE, command=["sleep", "5"], schedule=DAILY),
            manifest("Job", "backfill", pipelineName="weather"),
        ]
    )

    for _ in range(TIMES):  # the Job starts and ends meanwhile
        namespace.apply(manifests)
    namespace.wait("backfill", settled)
    namespace.wait("weather", lambda body: "lastJob" in body["status"], plural="eltpipelines")
    namespace.apply(manifests, *SERVER_SIDE)
    before = versions(namespace)
    for _ in range(TIMES):
        namespace.apply(manifests, *SERVER_SIDE)

    assert versions(namespace) == before
    assert {body["metadata"]["generation"] for body in managed(namespace)} == {1}
    assert [len(found) for found in (namespace.jobs(), namespace.runs(), namespace.pods())] == [1, 1, 1]


def managed(namespace: Namespace) -> list[Body]:
    """Return what is applied, and the CronJob that the operator makes of it."""
    return [namespace.get("weather", "eltpipelines"), *namespace.jobs(), *namespace.cron_jobs()]


def versions(namespace: Namespace) -> list[str]:
    bodies = [*managed(namespace), *namespace.runs()]
    return [body["metadata"]["resourceVersion"] for body in bodies]
