"""From what the API server says to the few fields that decisions need; stored objects are hostile bytes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_operator.controller import pod_snapshots, snapshots
from elt_operator.core.model import CronJob, PipelineKey, Timetable
from elt_operator.kube import foreign

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

    pod = pod_snapshots.pod(a_pod({"terminated": over}, phase="Failed"))

    assert pod is not None
    assert pod.ended is not None
    assert (pod.run_name, pod.alive, pod.ended.exit_code, pod.ended.reason) == ("weather-r1", False, 137, "OOMKilled")
    assert pod.ended.end_time == datetime(2026, 1, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(("was", "began"), [("Running", True), ("", False)])
def test_a_container_that_the_kubelet_does_not_find_any_more_may_have_run(was: str, began: bool) -> None:
    """Its words about one that was evicted as it began; about one that it never made it says nothing."""
    gone = {"exitCode": 137, "finishedAt": None, "startedAt": None, "reason": "ContainerStatusUnknown"}
    body = a_pod({"terminated": gone}, phase="Failed", reason="Evicted")
    body["status"]["containerStatuses"][1]["lastState"] = {"terminated": gone} if was else {}

    pod = pod_snapshots.pod(body)

    assert pod is not None
    assert (pod.started is not None, pod.ended) == (began, None)


def test_a_pod_that_waits_for_its_image() -> None:
    pod = pod_snapshots.pod(a_pod({"waiting": {"reason": "ErrImagePull", "message": "not found"}}, phase="Pending"))

    assert pod is not None
    assert (pod.alive, pod.waiting_reason, pod.waiting_message) == (True, "ErrImagePull", "not found")


def test_a_pod_without_a_node() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}

    pod = pod_snapshots.pod(a_pod(phase="Pending", conditions=[condition]))

    assert pod is not None
    assert pod.unschedulable == "0/1 nodes"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": metadata("x"), "status": {}}, id="no owner, and no word that it lost one"),
        pytest.param({"metadata": metadata("x", **owner("ReplicaSet", "apps/v1"))}, id="another kind of owner"),
        pytest.param({"metadata": metadata("x", **owner(name="other-r1"))}, id="the run of another Pipeline"),
        pytest.param({"metadata": metadata("x", labels={}, **owner())}, id="no label"),
    ],
)
def test_a_strangers_pod_is_none_of_ours(body: dict[str, Any]) -> None:
    assert pod_snapshots.pod(body) is None


LOST = {
    "elt-operator.io/pipeline": "weather",
    "elt-operator.io/run-number": "1",
    "batch.kubernetes.io/job-name": "weather-r1",
    "batch.kubernetes.io/controller-uid": "run-uid",
}


def test_a_pod_whose_run_was_deleted_without_it_still_belongs_to_that_run() -> None:
    pod = pod_snapshots.pod({"metadata": metadata("weather-r1-x", labels=LOST), "status": {"phase": "Running"}})

    assert pod
    assert (pod.run_name, pod.run_uid, pod.alive) == ("weather-r1", "run-uid", True)


def test_a_pod_without_labels_is_known_where_it_was_looked_up_by_name() -> None:
    body = {"metadata": metadata("weather-r1-x", labels={}, **owner()), "status": {"phase": "Running"}}

    pod = pod_snapshots.pod(body, PipelineKey("default", "weather"))

    assert pod
    assert pod.run_uid == "owner-uid"


def test_what_others_added_to_a_pod_is_told_from_the_work() -> None:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": WHEN, "finishedAt": WHEN}
    pod = pod_snapshots.pod(a_pod({"terminated": ended}))

    assert pod
    assert (pod.lingering, pod.succeeded, pod.alive) == (["sidecar"], True, True)


@pytest.mark.parametrize(
    ("policy", "started", "unready"), [("Always", False, True), ("Always", True, False), (None, False, False)]
)
def test_a_sidecar_is_unready_until_its_startup_probe_succeeds(policy: str, started: bool, unready: bool) -> None:
    body = a_pod()
    body["spec"] = {"initContainers": [{"name": "proxy", "restartPolicy": policy}]}
    body["status"]["initContainerStatuses"] = [{"name": "proxy", "started": started, "state": {"running": {}}}]

    pod = pod_snapshots.pod(body)

    assert pod
    assert [other.unready for other in pod.others if other.name == "proxy"] == [unready]


@pytest.mark.parametrize(
    ("reason", "answers"), [("ContainersNotReady", True), ("", False)], ids=["the kubelet", "who gave up the node"]
)
def test_a_pod_that_is_not_ready_says_by_whose_word(reason: str, answers: bool) -> None:
    pod = pod_snapshots.pod(a_pod(conditions=[{"type": "Ready", "status": "False", "reason": reason}]))

    assert pod
    assert pod.answers is answers


def test_a_container_that_could_not_be_made_is_told_without_a_secrets_value() -> None:
    message = 'runc create failed: environment variable value can\'t contain null: "STORE=canary-4711"'
    state = {"terminated": {"reason": "StartError", "exitCode": 128, "message": message}}

    pod = pod_snapshots.pod(a_pod(state, phase="Failed"))

    assert pod
    assert pod.ended
    assert "can't contain null" in pod.ended.message
    assert "canary-4711" not in pod.ended.message


SAID_BY_A_RUNTIME = 'cannot make "canary 4711": my-store=canary-4711'


@pytest.mark.parametrize(
    "state",
    [
        {"waiting": {"reason": "CreateContainerError", "message": SAID_BY_A_RUNTIME}},
        {"waiting": {"reason": "RunContainerError", "message": SAID_BY_A_RUNTIME}},
        {"terminated": {"reason": "StartError", "exitCode": 128, "message": SAID_BY_A_RUNTIME}},
        {"terminated": {"reason": "Error", "exitCode": 128, "message": f"runc create failed: {SAID_BY_A_RUNTIME}"}},
    ],
)
def test_no_words_of_a_runtime_hold_what_stands_in_no_manifest(state: dict[str, Any]) -> None:
    containers = [{"name": "agent", "state": state}]
    body = a_pod(state, phase="Pending", initContainerStatuses=containers)
    body["status"]["containerStatuses"] += [{"name": "proxy", "state": state}]
    body["status"]["message"] = f"container create failed: {SAID_BY_A_RUNTIME}"

    pod = pod_snapshots.pod(body)

    assert pod
    own = [pod.message, pod.waiting_message, pod.ended.message if pod.ended else ""]
    told = " ".join([*own, *(other.message for other in pod.others)])
    assert "cannot make" in told
    assert "canary" not in told
    assert "4711" not in told


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


def test_a_generation_that_no_api_server_gives_is_none() -> None:
    body = {"metadata": {**metadata("weather"), "generation": -2}, "spec": {"pipelineName": "weather"}}

    job, pipeline = snapshots.job(body), snapshots.pipeline(body)

    assert job is not None
    assert pipeline is not None
    assert (job.generation, pipeline.generation) == (0, 0)


def test_a_run_that_was_told_to_stop_by_an_earlier_release_still_says_why() -> None:
    told = {"metadata": metadata("weather-r1", annotations=STOPPED, **OURS)}

    before = snapshots.run({**told, "spec": {"suspend": True}})
    now = snapshots.run({**told, "spec": {"activeDeadlineSeconds": 1}})
    forged = snapshots.run({**told, "spec": {"activeDeadlineSeconds": 60}})

    assert before
    assert now
    assert forged
    assert before.stop == now.stop
    assert (now.stop is None, forged.stop) == (False, None)


def test_a_run_knows_the_exit_codes_that_its_batch_job_does_not_retry() -> None:
    disruption = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    codes = {"containerName": "elt", "operator": "In", "values": [4, "5", None, True, 6]}
    rules = [disruption, {"action": "FailJob", "onExitCodes": codes}, {"action": "FailJob", "onExitCodes": "all"}]

    run = snapshots.run({"metadata": metadata("weather-r1", **OURS), "spec": {"podFailurePolicy": {"rules": rules}}})

    assert run is not None
    assert run.final_exit_codes == {4, 6}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": metadata("weather-r1")}, id="no owner"),
        pytest.param({"metadata": metadata("weather-r1", **owner("CronJob", "batch/v1"))}, id="a CronJob's"),
        pytest.param({"metadata": metadata("by-hand", **OURS)}, id="another name"),
        pytest.param({"metadata": metadata("weather-r9999999999", **OURS)}, id="a number that no run has"),
        pytest.param(
            {"metadata": metadata("weather-r1", **owner(api_version="elt-operator.io/v1alpha1", name="../../pods"))},
            id="an owner with a name that no Job has",
        ),
    ],
)
def test_a_strangers_batch_job_is_no_run(body: dict[str, Any]) -> None:
    assert snapshots.run(body) is None


STOPPED = {"elt-operator.io/stop-reason": "Stopped", "elt-operator.io/stop-message": "forged"}


@pytest.mark.parametrize("suspend", [True, False])
def test_a_reason_to_stop_counts_only_where_the_run_was_told_to(suspend: bool) -> None:
    run = snapshots.run(
        {"metadata": metadata("weather-r1", annotations=STOPPED, **OURS), "spec": {"suspend": suspend}, "status": {}}
    )

    assert run
    assert (run.stop is not None) is suspend


@pytest.mark.parametrize("text", ["9" * 5_000, "100000000000000", "²", "-1"])
def test_a_number_that_is_none_is_the_default(text: str) -> None:
    annotations = {"elt-operator.io/pending-timeout-seconds": text, "elt-operator.io/pipeline-generation": text}

    run = snapshots.run({"metadata": metadata("weather-r1", annotations=annotations, **OURS), "status": {}})

    assert run
    assert (run.pending_timeout_seconds, run.pipeline_generation) == (600, None)


@pytest.mark.parametrize("moment", ["0001-01-01", "2026-01-05T06:00:00", "9999-12-31T23:59:59-23:59", ["x"]])
def test_a_time_that_the_operator_never_writes_counts_as_absent(moment: Any) -> None:
    status = {"lastScheduleTime": moment, "lastSuccessfulTime": "2026-01-05T06:00:00Z", "skippedSlots": 3}

    pipeline = snapshots.pipeline({"metadata": metadata("weather"), "spec": {}, "status": status})

    assert pipeline
    assert pipeline.status.last_schedule_time is None
    assert pipeline.status.last_successful_time == datetime(2026, 1, 5, 6, tzinfo=UTC)
    assert pipeline.status.skipped_slots == 3


def test_a_status_keeps_what_can_be_read_of_it() -> None:
    status = {"phase": "COMPLETE", "exitCode": "zero", "taskName": "weather-r1"}

    job = snapshots.job({"metadata": metadata("job-1"), "spec": {"pipelineName": "weather"}, "status": status})

    assert job
    assert (job.ended, job.status.exit_code, job.status.task_name) == (True, None, "weather-r1")


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


GATED: dict[str, Any] = {"template": {"spec": {"schedulingGates": [{"name": "elt-operator.io/slot"}]}}}
BY_KUBECTL = owner("CronJob", name="weather")
CRON_JOB: dict[str, Any] = {**BY_KUBECTL["ownerReferences"][0], "controller": False}
ITS_OWNER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w", "uid": "w-uid"}


@pytest.mark.parametrize(
    ("owners", "owner_uid"),
    [
        pytest.param(BY_KUBECTL["ownerReferences"], "owner-uid", id="kubectl, Lens: its controller"),
        pytest.param([CRON_JOB], "owner-uid", id="Argo CD: an owner that is no controller"),
        pytest.param([{**CRON_JOB, "blockOwnerDeletion": True}], "owner-uid", id="k9s: the same"),
        pytest.param([ITS_OWNER, CRON_JOB], "owner-uid", id="beside another owner"),
        pytest.param([], "", id="a dashboard: none"),
        pytest.param(None, "", id="a dashboard: nothing at all"),
    ],
)
@pytest.mark.parametrize("suspended", [True, False])
def test_a_batch_job_from_our_template_is_a_wish(owners: Any, owner_uid: str, suspended: bool) -> None:
    meta = metadata("now", ownerReferences=owners)

    slot = snapshots.slot({"metadata": meta, "spec": {"suspend": suspended, **GATED}})

    assert slot
    assert (slot.key.pipeline, slot.time, slot.cron_job_uid) == ("weather", None, owner_uid)


@pytest.mark.parametrize(
    ("moment", "time"),
    [
        pytest.param("9999-12-31T23:59:59Z", datetime(3000, 1, 1, tzinfo=UTC), id="far ahead"),
        pytest.param("9999-12-31T23:59:59-23:59", datetime(3000, 1, 1, tzinfo=UTC), id="further than there are years"),
        pytest.param("0001-01-01T00:00:00+23:59", datetime(1970, 1, 1, tzinfo=UTC), id="before there are any"),
    ],
)
def test_a_slots_time_is_brought_within_bounds(moment: str, time: datetime) -> None:
    slot = snapshots.slot(a_slot(**{"batch.kubernetes.io/cronjob-scheduled-timestamp": moment}))

    assert slot
    assert (slot.time, slot.since) == (time, time)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"metadata": metadata("x", labels={}, **BY_KUBECTL)}, id="no label"),
        pytest.param({"metadata": metadata("x", **owner("CronJob", name="other"))}, id="another CronJob's"),
        pytest.param({"metadata": metadata("x", **OURS), "spec": GATED}, id="a run"),
        pytest.param({"metadata": metadata("x"), "spec": {"suspend": True}}, id="nobody's, without the gate"),
        pytest.param(
            {"metadata": metadata("x", ownerReferences=[CRON_JOB]), "spec": {"suspend": True}},
            id="of the CronJob, which does not control it, without the gate",
        ),
        pytest.param({"metadata": metadata("x", labels={}), "spec": GATED}, id="with the gate, without the label"),
        pytest.param({"metadata": metadata("x", ownerReferences=[ITS_OWNER]), "spec": GATED}, id="somebody else's"),
        pytest.param(
            {"metadata": metadata("x", ownerReferences=[CRON_JOB, {**ITS_OWNER, "controller": True}]), "spec": GATED},
            id="controlled by somebody else",
        ),
        pytest.param({"metadata": metadata("x", **owner("CronJob", name="other")), "spec": GATED}, id="another's"),
        pytest.param(
            {"metadata": metadata("x", ownerReferences=[{**CRON_JOB, "uid": None}]), "spec": GATED}, id="no UID"
        ),
    ],
)
def test_a_batch_job_that_is_no_slot(body: dict[str, Any]) -> None:
    assert snapshots.slot(body) is None


def a_cron_job(**spec: Any) -> dict[str, Any]:
    annotations = {**SINCE, "elt-operator.io/schedule": "0 6 * * * UTC", "elt-operator.io/pipeline-generation": "3"}
    ours = owner("Pipeline", "elt-operator.io/v1alpha1", name="weather")
    said = {"schedule": "0 6 * * *", "timeZone": "UTC", "concurrencyPolicy": "Forbid", "jobTemplate": a_template()}
    return {"metadata": metadata("weather", annotations=annotations, **ours), "spec": {**said, **spec}}


def a_template(*, suspend: bool = True, gates: Any = GATED, **meta: Any) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"elt-operator.io/pipeline": "weather"}}, **gates.get("template", {})}
    return {"metadata": metadata(**{"annotations": SINCE, **meta}), "spec": {"suspend": suspend, "template": pod}}


def cron_job(body: dict[str, Any]) -> CronJob:
    found = snapshots.cron_job(body)
    assert found
    return found


def test_a_cron_job_of_ours() -> None:
    found = cron_job(a_cron_job(startingDeadlineSeconds=60, suspend=True))

    assert (found.key.pipeline, found.owner_uid, found.deleting) == ("weather", "owner-uid", False)
    assert not found.left_behind
    assert found.timetable == Timetable(
        schedule="0 6 * * *",
        time_zone="UTC",
        suspend=True,
        starting_deadline_seconds=60,
        pipeline_generation=3,
        in_force="0 6 * * * UTC",
        since=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_cron_job_whose_batch_jobs_would_run_differs() -> None:
    assert not cron_job(a_cron_job(jobTemplate=a_template(suspend=False))).timetable.slots_suspended


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(a_template(labels={}), id="without our label nobody would see them"),
        pytest.param(a_template(gates={}), id="without the gate they could run"),
        pytest.param(a_template(annotations={}), id="without since when"),
        pytest.param(a_template(annotations={"elt-operator.io/since": WHEN}), id="since another time"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_cron_job_whose_batch_jobs_would_not_be_known_differs(template: dict[str, Any]) -> None:
    assert not cron_job(a_cron_job(jobTemplate=template)).timetable.slots_marked


def test_a_strangers_cron_job_has_no_owner_here() -> None:
    found = cron_job({"metadata": metadata("weather"), "spec": {"schedule": "* * * * *"}})

    assert (found.owner_uid, found.left_behind) == ("", False)


LABELS = {"elt-operator.io/pipeline": "weather", "app.kubernetes.io/managed-by": "elt-operator"}


@pytest.mark.parametrize(
    ("meta", "template", "left_behind"),
    [
        pytest.param({}, a_template(), True, id="ours, and nobody owns it"),
        pytest.param({"ownerReferences": []}, a_template(), True, id="the same, said otherwise"),
        pytest.param({"ownerReferences": [ITS_OWNER]}, a_template(), False, id="somebody owns it"),
        pytest.param({"labels": {"elt-operator.io/pipeline": "weather"}}, a_template(), False, id="not managed by us"),
        pytest.param({"labels": {**LABELS, "elt-operator.io/pipeline": "x"}}, a_template(), False, id="another's copy"),
        pytest.param({}, a_template(suspend=False), False, id="its batch Jobs run"),
        pytest.param({}, a_template(gates={}), False, id="without our gate"),
    ],
)
def test_a_cron_job_that_was_left_behind(meta: dict[str, Any], template: dict[str, Any], left_behind: bool) -> None:
    body = {"metadata": metadata("weather", **{"labels": LABELS, **meta}), "spec": {"jobTemplate": template}}

    assert cron_job(body).left_behind is left_behind


@pytest.mark.parametrize(
    ("name", "annotations", "ours"),
    [
        pytest.param("weather-29468280", {"elt-operator.io/slot-name": "weather-29468280"}, True, id="as it was made"),
        pytest.param("now", {"elt-operator.io/slot-name": "now"}, True, id="made for a wish"),
        pytest.param("again", {"elt-operator.io/slot-name": "weather-29468280"}, False, id="a copy"),
        pytest.param("weather-29468281", {"elt-operator.io/slot-name": "weather-29468280"}, False, id="a likely copy"),
        pytest.param("weather-29468280", {}, True, id="of an older release"),
        pytest.param("again", {}, False, id="a copy of one of an older release"),
        pytest.param("weather-2946828\u0665", {}, False, id="digits of another script"),
        pytest.param("weather-29468280", {"elt-operator.io/slot": ""}, False, id="not made for a slot"),
        pytest.param(
            "weather-29468280",
            {"elt-operator.io/slot-name": "weather-29468280", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            False,
            id="applied by somebody",
        ),
    ],
)
def test_only_what_the_operator_made_counts_as_its_own(name: str, annotations: dict[str, str], ours: bool) -> None:
    of_pipeline = owner("Pipeline", "elt-operator.io/v1alpha1", name="weather")
    meta = metadata(name, labels=LABELS, annotations={"elt-operator.io/slot": "slot-uid", **annotations}, **of_pipeline)

    assert (snapshots.ended_job({"metadata": meta}, succeeded=True) is not None) is ours


def test_a_spec_that_cannot_be_read_is_told_without_its_values() -> None:
    body = {"metadata": metadata("weather"), "spec": {"image": "x", "timeoutSeconds": "canary-4711"}}

    pipeline = snapshots.pipeline(body)

    assert pipeline
    assert pipeline.spec is None
    assert "spec.timeoutSeconds" in pipeline.problem
    assert "canary-4711" not in pipeline.problem


def test_fields_of_a_newer_schema_are_left_aside() -> None:
    body = {"metadata": metadata("weather"), "spec": {"image": "x", "command": ["a"], "fromTheFuture": 1}}

    pipeline = snapshots.pipeline(body)

    assert pipeline
    assert pipeline.spec is not None


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00Z"])
def test_nonsense_is_no_time(text: str | None) -> None:
    assert foreign.time(text) is None


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
