"""What the operator writes, by the API server's own account."""

import pytest

from e2e.world import Namespace, Operator, audit_events, ended

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@pytest.mark.alone
def test_kopf_writes_nothing_and_the_operator_little(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    namespace.pipeline(script="echo hello")
    for name in ("job-1", "job-2", "job-3"):
        namespace.run(name)
    namespace.wait("weather", lambda body: body["status"]["lastJob"]["name"] == "job-3", plural="eltpipelines")
    operator.kill()

    ours = [
        event
        for event in audit_events(namespace.name)
        if event["verb"] in WRITES and event["user"]["username"] == "system:serviceaccount:elt-operator:elt-operator"
    ]
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
    changes = [
        event["objectRef"]["name"]
        for event in audit_events(namespace.name)
        if event["verb"] == "patch" and event["objectRef"]["name"] == "job-1"
    ]
    assert len(changes) == 2, "RUNNING and the end"
