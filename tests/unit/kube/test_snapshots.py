"""From what the API server says to the few fields that decisions need; stored objects are hostile bytes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_operator.core.situation import Timetable
from elt_operator.kube import snapshots

WHEN = "2026-01-05T06:00:00Z"


def metadata(name: str = "weather-r1", **more: Any) -> dict[str, Any]:
    found = {"name": name, "namespace": "default", "uid": "uid", "resourceVersion": "7", "creationTimestamp": WHEN}
    return {**found, "labels": {"elt-operator.io/pipeline": "weather"}, **more}


def owner(kind: str = "Job", api_version: str = "batch/v1", *, name: str = "weather-r1") -> dict[str, Any]:
    reference = {"apiVersion": api_version, "kind": kind, "name": name, "uid": "owner-uid", "controller": True}
    return {"ownerReferences": [reference]}


OURS = owner(api_version="elt-operator.io/v1alpha1", name="job-1")


def a_pod(state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    containers = [{"name": "sidecar", "state": {"running": {}}}, {"name": "elt", "state": state or {}}]
    return {
        "metadata": metadata("weather-r1-x", **owner()),
        "status": {"phase": "Running", "containerStatuses": containers, **status},
    }


def test_a_pod_that_was_killed_for_its_memory() -> None:
    over = {"exitCode": 137, "reason": "OOMKilled", "startedAt": WHEN, "finishedAt": WHEN, "message": "m"}

    pod = snapshots.pod(a_pod({"terminated": over}, phase="Failed"))

    assert pod is not None
    assert pod.ended is not None
    assert (pod.run_name, pod.alive, pod.ended.exit_code, pod.ended.reason) == ("weather-r1", False, 137, "OOMKilled")
    assert pod.ended.end_time == datetime(2026, 1, 5, 6, tzinfo=UTC)


def test_a_pod_that_waits_for_its_image() -> None:
    pod = snapshots.pod(a_pod({"waiting": {"reason": "ErrImagePull", "message": "not found"}}, phase="Pending"))

    assert pod is not None
    assert (pod.alive, pod.waiting_reason, pod.waiting_message) == (True, "ErrImagePull", "not found")


def test_a_pod_without_a_node() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}

    pod = snapshots.pod(a_pod(phase="Pending", conditions=[condition]))

    assert pod is not None
    assert pod.unschedulable == "0/1 nodes"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": metadata("x"), "status": {}}, id="no owner"),
        pytest.param({"metadata": metadata("x", **owner("ReplicaSet", "apps/v1"))}, id="another kind of owner"),
        pytest.param({"metadata": metadata("x", **owner(name="other-r1"))}, id="the run of another Pipeline"),
        pytest.param({"metadata": metadata("x", labels={}, **owner())}, id="no label"),
    ],
)
def test_a_strangers_pod_is_none_of_ours(body: dict[str, Any]) -> None:
    assert snapshots.pod(body) is None


def test_a_run_that_failed() -> None:
    condition = {
        "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m", "lastTransitionTime": WHEN
    }  # fmt: skip
    annotations = {"elt-operator.io/pipeline-generation": "4"}

    run = snapshots.run(
        {"metadata": metadata("weather-r12", annotations=annotations, **OURS), "status": {"conditions": [condition]}}
    )

    assert run is not None
    assert run.finish is not None
    assert (run.number, run.job_name, run.job_uid, run.pipeline_generation) == (12, "job-1", "owner-uid", 4)
    assert (run.finish.succeeded, run.finish.reason) == (False, "BackoffLimitExceeded")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": metadata("weather-r1")}, id="no owner"),
        pytest.param({"metadata": metadata("weather-r1", **owner("CronJob", "batch/v1"))}, id="a CronJob's"),
        pytest.param({"metadata": metadata("by-hand", **OURS)}, id="another name"),
    ],
)
def test_a_strangers_batch_job_is_no_run(body: dict[str, Any]) -> None:
    assert snapshots.run(body) is None


def a_slot(*, name: str = "weather-29468280", **annotations: str) -> dict[str, Any]:
    meta = metadata(name, annotations=annotations, **owner("CronJob", name="weather"))
    return {"metadata": meta, "spec": {"suspend": True}}


SLOT_TIME = {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-05T07:00:00+01:00"}
SINCE = {"elt-operator.io/since": "2026-01-01T00:00:00Z"}


def test_a_slot_of_a_schedule() -> None:
    slot = snapshots.slot(a_slot(**SLOT_TIME, **SINCE))

    assert slot
    assert (slot.key.pipeline, slot.name, slot.deleting) == ("weather", "weather-29468280", False)
    assert slot.time == datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
    assert slot.since == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({"cronjob.kubernetes.io/instantiate": "manual"}, id="as kubectl says"),
        pytest.param({"cronjob.kubernetes.io/instantiate": "manual", **SLOT_TIME}, id="whatever else is said"),
        pytest.param({"batch.kubernetes.io/cronjob-scheduled-timestamp": "soon"}, id="nonsense for a time"),
    ],
)
def test_a_slot_made_by_hand_has_no_time(annotations: dict[str, str]) -> None:
    slot = snapshots.slot(a_slot(**annotations))

    assert slot
    assert slot.time is None
    assert slot.since == datetime(2026, 1, 5, 6, 0, tzinfo=UTC), "since it was made, where nothing better is said"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": metadata("x", labels={}, **owner("CronJob", name="weather"))}, id="no label"),
        pytest.param({"metadata": metadata("x", **owner("CronJob", name="other"))}, id="another CronJob's"),
        pytest.param({"metadata": metadata("x", **OURS)}, id="a run"),
        pytest.param({"metadata": metadata("x")}, id="nobody's"),
    ],
)
def test_a_batch_job_that_is_no_slot(body: dict[str, Any]) -> None:
    assert snapshots.slot(body) is None


def a_cron_job(**spec: Any) -> dict[str, Any]:
    annotations = {**SINCE, "elt-operator.io/schedule": "0 6 * * * UTC", "elt-operator.io/pipeline-generation": "3"}
    ours = owner("Pipeline", "elt-operator.io/v1alpha1", name="weather")
    template = {"spec": {"suspend": True}}
    said = {"schedule": "0 6 * * *", "timeZone": "UTC", "concurrencyPolicy": "Forbid", "jobTemplate": template}
    return {"metadata": metadata("weather", annotations=annotations, **ours), "spec": {**said, **spec}}


def test_a_cron_job_of_ours() -> None:
    found = snapshots.cron_job(a_cron_job(startingDeadlineSeconds=60, suspend=True))

    assert (found.key.pipeline, found.owner_uid, found.deleting) == ("weather", "owner-uid", False)
    assert found.timetable == Timetable(
        schedule="0 6 * * *",
        time_zone="UTC",
        suspend=True,
        starting_deadline_seconds=60,
        pipeline_generation=3,
        agreed="0 6 * * * UTC",
        since=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_cron_job_whose_batch_jobs_would_run_differs() -> None:
    assert not snapshots.cron_job(a_cron_job(jobTemplate={"spec": {}})).timetable.slots_suspended


def test_a_strangers_cron_job_has_no_owner_here() -> None:
    assert snapshots.cron_job({"metadata": metadata("weather"), "spec": {"schedule": "* * * * *"}}).owner_uid == ""


def test_a_spec_that_cannot_be_read_is_told_without_its_values() -> None:
    body = {"metadata": metadata("weather"), "spec": {"image": "x", "timeoutSeconds": "canary-4711"}}

    pipeline = snapshots.pipeline(body)

    assert pipeline.spec is None
    assert "spec.timeoutSeconds" in pipeline.problem
    assert "canary-4711" not in pipeline.problem


def test_fields_of_a_newer_schema_are_left_aside() -> None:
    body = {"metadata": metadata("weather"), "spec": {"image": "x", "command": ["a"], "fromTheFuture": 1}}

    assert snapshots.pipeline(body).spec is not None


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00Z"])
def test_nonsense_is_no_time(text: str | None) -> None:
    assert snapshots.time(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    spec=st.dictionaries(st.sampled_from(["pipelineName", "arguments", "properties", "image", "env"]), JSON),
    status=JSON,
)
def test_no_stored_spec_or_status_brings_the_operator_down(spec: dict[str, Any], status: Any) -> None:
    body = {"metadata": metadata("weather"), "spec": spec, "status": status}

    snapshots.pipeline(body)
    snapshots.job(body)
