"""What the operator writes, by the API server's own account."""

import pytest

from e2e.world import USER, Body, Namespace, Operator, audit_events, ended

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def of_the_operator(namespace: Namespace) -> list[Body]:
    """Return its writes, in the order in which they were answered."""
    return [
        event for event in audit_events(namespace.name) if event["verb"] in WRITES and event["user"]["username"] == USER
    ]


@pytest.mark.alone
def test_kopf_writes_nothing_and_the_operator_little(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    namespace.pipeline(script="echo hello")
    for name in ("job-1", "job-2", "job-3"):
        namespace.run(name)
    namespace.wait("weather", lambda body: body["status"]["lastJob"]["name"] == "job-3", plural="eltpipelines")
    # A watch tells of a write before it is answered; the Pipeline's status is the last one.
    namespace.until(lambda: of_the_operator(namespace)[-1]["objectRef"]["resource"] == "eltpipelines")

    ours = of_the_operator(namespace)
    assert {event["userAgent"] for event in ours} == {"elt-operator"}, "kopf's own requests say elt-operator-watch"
    assert {event["responseStatus"]["code"] for event in ours} <= {200, 201}
    by_job = [event for event in ours if event["objectRef"]["resource"] != "eltpipelines"]
    assert len(by_job) == 3 * 3, [(event["verb"], event["objectRef"]["name"]) for event in by_job]
    assert len(ours) <= 3 * 6
    for job in namespace.jobs():
        assert ended(job)
        assert "finalizers" not in job["metadata"]
        assert not [name for name in job["metadata"].get("annotations", {}) if "kopf" in name]


@pytest.mark.alone
def test_an_operator_at_rest_writes_nothing(namespace: Namespace, operator: Operator) -> None:
    namespace.pipeline()
    operator.start()
    namespace.run()
    namespace.wait("weather", lambda body: "lastJob" in body["status"], plural="eltpipelines")
    before = namespace.get("job-1")["metadata"]["resourceVersion"]
    operator.kill()

    operator.start()  # looks at everything once more
    namespace.run("job-2")

    assert namespace.get("job-1")["metadata"]["resourceVersion"] == before
    changes = [event["verb"] for event in of_the_operator(namespace) if event["objectRef"]["name"] == "job-1"]
    assert changes == ["patch", "patch"], "RUNNING and the end"
