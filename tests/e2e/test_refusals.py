"""Wrong manifests are refused by the API server, with the field's path and words that help."""

import json
from typing import Any

import pytest
import yaml

from e2e.refused import ACCEPTED, BEYOND_BOUNDS, REFUSED, job, pipeline
from e2e.world import Namespace, Operator, Refused, ended, kubectl

pytestmark = pytest.mark.alone  # the API server refuses by itself; so they fill what others leave of the machine

LONG = "a" * 53


@pytest.mark.parametrize(
    ("manifest", "path", "words"),
    [
        pytest.param(
            pipeline(command=["x"], script="x"), "spec", "at most one of `actions`, `script` and", id="two ways"
        ),
        pytest.param(pipeline(image=None), "spec.image", "Required value", id="no image"),
        pytest.param(pipeline(polcy="x"), "spec.polcy", "unknown field", id="unknown field"),
        pytest.param(pipeline(pod={"hostNetwork": True}), "spec.pod.hostNetwork", "unknown field", id="host network"),
        pytest.param(pipeline(LONG), "metadata.name", "at most 52 characters", id="long name"),
        pytest.param(pipeline("a.b"), "metadata.name", "lower-case letters, digits and `-`", id="dotted name"),
        pytest.param(pipeline(properties={"Tap": "x"}), "spec.properties", "lower-case", id="upper-case property"),
        pytest.param(
            pipeline(properties={"tap-x.y": 1, "tap_x.y": 2}), "spec.properties", "same environment variable",
            id="colliding properties",
        ),
        pytest.param(pipeline(properties={"ld.preload": "x"}), "spec.properties", "reserved", id="LD_PRELOAD"),
        pytest.param(pipeline(properties={"path": "x"}), "spec.properties", "reserved", id="PATH"),
        pytest.param(pipeline(properties={"pythonpath": "x"}), "spec.properties", "reserved", id="PYTHONPATH"),
        pytest.param(
            pipeline(properties={"kubernetes.service_host": "x"}), "spec.properties", "reserved", id="KUBERNETES_*"
        ),
        pytest.param(
            pipeline(env=[{"name": "ELT_JOB", "value": "x"}]), "spec.env[0].name", "set by the operator", id="ELT_JOB"
        ),
        pytest.param(
            pipeline(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
            "spec.env[0]", "must not both be set", id="value twice",
        ),
        pytest.param(
            pipeline(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "namespace": "n"}}}]),
            "valueFrom.secretKeyRef.namespace", "unknown field", id="secret elsewhere",
        ),
        pytest.param(
            pipeline(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "other/s", "key": "k"}}}]),
            "spec.env[0].valueFrom.secretKeyRef.name", "should match", id="secret elsewhere, by its name",
        ),
        pytest.param(
            pipeline(volumes=[{"name": "v", "mountPath": "/v", "hostPath": {"path": "/"}}]),
            "spec.volumes[0].hostPath", "unknown field", id="host path",
        ),
        pytest.param(
            pipeline(volumes=[{"name": "v", "mountPath": "/v"}]), "spec.volumes[0]", "exactly one of", id="no source"
        ),
        pytest.param(
            pipeline(volumes=[{"name": "v", "mountPath": "v", "emptyDir": {}}]), "spec.volumes[0].mountPath",
            "should match", id="relative mount",
        ),
        pytest.param(
            pipeline(pod={"labels": {"elt-operator.io/pipeline": "other"}}), "spec.pod.labels", "are reserved,",
            id="stolen label",
        ),
        pytest.param(pipeline(maxRetries=-1), "spec.maxRetries", "greater than or equal to 0", id="negative retries"),
        pytest.param(pipeline(noRetryExitCodes=[0]), "spec.noRetryExitCodes[0]", "greater than", id="exit code 0"),
        pytest.param(pipeline(concurrencyPolicy="Allow"), "spec.concurrencyPolicy", "Unsupported", id="no such policy"),
        pytest.param(
            pipeline(command=None, actions=["meltano run a b"]), "spec.actions[0]", "leave out the word", id="meltano"
        ),
        pytest.param(
            pipeline(resources={"limits": {"memory": "much"}}), "spec.resources.limits.memory", "should match",
            id="no quantity",
        ),
        pytest.param(job(pipelineName=None), "spec.pipelineName", "Required value", id="Job of nothing"),
        pytest.param(job(pipelineName="other/x"), "spec.pipelineName", "should match", id="Pipeline elsewhere"),
        pytest.param(job("a" * 64), "metadata.name", "at most 63 characters", id="long Job name"),
        pytest.param(job(arguments=["x"] * 65), "spec.arguments", "Too many", id="many arguments"),
        pytest.param(job(properties={"home": "/"}), "spec.properties", "reserved", id="a Job's HOME"),
    ],
)  # fmt: skip
def test_is_refused(shared_namespace: Namespace, manifest: dict[str, Any], path: str, words: str) -> None:
    without_empty = {**manifest, "spec": {name: value for name, value in manifest["spec"].items() if value is not None}}

    with pytest.raises(Refused) as refusal:
        shared_namespace.apply(yaml.safe_dump(without_empty))

    assert path in str(refusal.value)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("manifest", "path", "words"),
    [pytest.param(*row, id=name) for name, row in (REFUSED | BEYOND_BOUNDS).items()],
)
def test_is_refused_by_rule_or_bound(
    shared_namespace: Namespace, manifest: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(Refused) as refusal:
        shared_namespace.try_out(manifest)

    assert path in str(refusal.value)
    assert words in str(refusal.value)


@pytest.mark.parametrize("manifest", [pytest.param(manifest, id=name) for name, manifest in ACCEPTED.items()])
def test_is_accepted(shared_namespace: Namespace, manifest: dict[str, Any]) -> None:
    shared_namespace.try_out(manifest)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param({"pipelineName": "other"}, "spec.pipelineName", id="another Pipeline"),
        pytest.param({"arguments": ["x"]}, "spec.arguments", id="arguments appear"),
        pytest.param({"properties": {"a.b": 1}}, "spec.properties", id="properties appear"),
        pytest.param({"fullRefresh": True}, "spec.fullRefresh", id="another kind of load"),
    ],
)
def test_a_jobs_spec_cannot_be_changed(shared_namespace: Namespace, change: dict[str, Any], path: str) -> None:
    shared_namespace.apply(job("fixed"))

    with pytest.raises(Refused) as refusal:
        shared_namespace.apply(job("fixed", **change))

    assert path in str(refusal.value)
    assert "create a new Job" in str(refusal.value)


def test_what_is_right_is_accepted_with_its_defaults(shared_namespace: Namespace) -> None:
    shared_namespace.apply(pipeline("defaults", properties={"tap-x.y": "1", "tap-x.z": 2}))
    shared_namespace.apply(job("fresh", pipelineName="nothing-there"))

    assert shared_namespace.get("defaults", "eltpipelines")["spec"]["concurrencyPolicy"] == "Queue"
    fresh = shared_namespace.get("fresh")
    assert fresh["status"]["phase"] == "QUEUED"
    assert "trigger" not in fresh["spec"]


def test_a_job_that_has_ended_cannot_be_stopped(namespace: Namespace, operator: Operator) -> None:
    operator.start()
    namespace.pipeline()
    job = namespace.run()
    assert ended(job)

    with pytest.raises(Refused, match=r"spec.stop: Forbidden: the Job has ended, so there is nothing left to stop"):
        kubectl(
            "patch",
            "eltjob",
            "job-1",
            f"--namespace={namespace.name}",
            "--type=merge",
            '--patch={"spec":{"stop":true}}',
        )

    kubectl("label", "eltjob", "job-1", f"--namespace={namespace.name}", "kept=yes")  # all else can be


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"phase": "QUEUED"}, id="phase"),
        pytest.param({"phase": "ERROR", "reason": "Forged"}, id="another end"),
        pytest.param({"exitCode": 3}, id="exit code"),
        pytest.param({"endTime": "2026-01-01T00:00:00Z"}, id="time"),
        pytest.param({"conditions": []}, id="conditions"),
        pytest.param({"logTail": "forged"}, id="log"),
        pytest.param(None, id="the whole status"),
    ],
)
def test_the_end_of_a_job_cannot_be_changed(ended_job: Namespace, change: dict[str, Any] | None) -> None:
    before = ended_job.get("job-1")["status"]

    with pytest.raises(Refused, match=r"status: Forbidden: the Job has ended, so its status can no longer change"):
        patch_status(ended_job, change)

    patch_status(ended_job, before)  # the same again is none
    assert ended_job.get("job-1")["status"] == before


@pytest.fixture(scope="module")
def ended_job(shared_namespace: Namespace) -> Namespace:
    """A namespace with a Job that has ended, by the word of its status: no operator looks at it any more."""
    shared_namespace.apply(job("job-1", pipelineName="nothing-there"))
    told = {"phase": "COMPLETE", "reason": "Completed", "exitCode": 0, "endTime": "2026-01-02T00:00:00Z"}
    condition = {"type": "Succeeded", "status": "True", "reason": "Completed", "message": "It ended."}
    told["conditions"] = [{**condition, "lastTransitionTime": "2026-01-02T00:00:00Z"}]
    patch_status(shared_namespace, told)
    return shared_namespace


def patch_status(namespace: Namespace, status: dict[str, Any] | None) -> None:
    kubectl(
        "patch", "eltjob", "job-1", f"--namespace={namespace.name}", "--subresource=status", "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )  # fmt: skip
