"""What others do to a run and its Job: containers that they add, finalizers that they set, times that they take."""

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.world import IMAGE, Namespace, ended, kubectl, message, phase

FINALIZER = "example.com/hook-finalizer"

SAFE = (
    "securityContext: Object.spec.{kind}.securityContext{{allowPrivilegeEscalation: false, capabilities: "
    "Object.spec.{kind}.securityContext.capabilities{{drop: ['ALL']}}}}"
)
PROXY = "name: 'proxy', image: '{image}', imagePullPolicy: 'IfNotPresent', command: ['bash', '-c', \"{script}\"]"
ENDLESS = "trap 'sleep {takes}; exit {code}' TERM; while true; do sleep 0.5; done"


def container(kind: str, takes: int, code: int, more: str = "") -> str:
    script = ENDLESS.format(takes=takes, code=code)
    words = f"{PROXY.format(image=IMAGE, script=script)}, {SAFE.format(kind=kind)}"
    return f"Object.spec.{kind}{{{more}{words}}}"


NOT_READY = (
    "readinessProbe: Object.spec.containers.readinessProbe{exec: "
    "Object.spec.containers.readinessProbe.exec{command: ['false']}}, "
)
BROKEN = f"name: 'vault', image: '{IMAGE}', imagePullPolicy: 'IfNotPresent', command: ['bash', '-c', 'exit 2'], "


ABSENT = "name: 'proxy', image: 'localhost/no-such-image:1', imagePullPolicy: 'Never', "


def add(place: str, value: str) -> str:
    return f"JSONPatch{{op: 'add', path: '/spec/{place}', value: {value}}}"


def prepare(value: str) -> str:
    """Return the patches that put a container before all others."""
    return f"{add('initContainers', '[]')}, {add('initContainers/-', value)}"


ADDED = {
    "plain": add("containers/-", container("containers", 0, 0)),
    "rude": add("containers/-", container("containers", 0, 1)),
    "slow": add("containers/-", container("containers", 25, 0)),
    "native": prepare(container("initContainers", 6, 0, "restartPolicy: 'Always', ")),
    "unready": add("containers/-", container("containers", 0, 0, NOT_READY)),
    "absent": add("containers/-", f"Object.spec.containers{{{ABSENT}{SAFE.format(kind='containers')}}}"),
    "broken": prepare(f"Object.spec.initContainers{{{BROKEN}{SAFE.format(kind='initContainers')}}}"),
}
"""Patches of a pod, as a mesh or an agent for secrets makes them, by the value of the pod's label `mesh`."""


def policy(namespace: Namespace, name: str, patch: str) -> list[dict[str, Any]]:
    own = f"{namespace.name}-{name}"
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": own, "labels": {"test": namespace.name}},
            "spec": {
                "failurePolicy": "Ignore",
                "reinvocationPolicy": "Never",
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
                    ]
                },
                "matchConditions": [
                    {"name": "mine", "expression": f"object.?metadata.labels['mesh'].orValue('') == '{name}'"}
                ],
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{patch}]"}}],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": own, "labels": {"test": namespace.name}},
            "spec": {
                "policyName": own,
                "matchResources": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
                },
            },
        },
    ]


@pytest.fixture
def mesh(namespace: Namespace) -> Iterator[Namespace]:
    """A namespace in which others add containers to pods."""
    for name, patch in ADDED.items():
        for body in policy(namespace, name, patch):
            namespace.apply(body)
    namespace.until(lambda: added(namespace))
    yield namespace
    kinds = "mutatingadmissionpolicybinding,mutatingadmissionpolicy"
    kubectl("delete", kinds, "--selector", f"test={namespace.name}")


def added(namespace: Namespace) -> bool:
    """Whether the API server has taken notice of the last of the policies."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try", "labels": {"mesh": "broken"}},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "try",
                    "image": IMAGE,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    return "initContainers" in namespace.apply(pod, "--dry-run=server", "-o", "yaml")


def gone(namespace: Namespace, name: str) -> bool:
    """Whether no pod of a Job is at work any more."""
    of_job = [pod for pod in namespace.pods() if pod["metadata"]["labels"].get("elt-operator.io/job") == name]
    return all(pod["status"]["phase"] in {"Succeeded", "Failed"} for pod in of_job)


def pipeline(namespace: Namespace, mesh: str, script: str, **spec: Any) -> None:
    namespace.pipeline(mesh, script=script, pod={"labels": {"mesh": mesh}}, **spec)


def test_the_work_decides_whatever_containers_others_have_added(mesh: Namespace) -> None:
    pipeline(mesh, "plain", "echo 5 rows", timeoutSeconds=60)
    pipeline(mesh, "rude", "echo loading; sleep 14; echo 5 rows", pendingTimeoutSeconds=8)
    pipeline(mesh, "native", "sleep 3; echo no such table; exit 3", pendingTimeoutSeconds=8)
    pipeline(mesh, "unready", "sleep 12", timeoutSeconds=60)
    pipeline(mesh, "absent", "echo 5 rows", timeoutSeconds=60)
    pipeline(mesh, "broken", "echo never")
    names = [name for name in ADDED if name != "slow"]
    for name in names:
        mesh.job(f"{name}-1", name)
    mesh.job("plain-2", "plain")

    unready = mesh.wait("unready-1", lambda body: body["status"].get("reason") == "Running")
    jobs = {name: mesh.wait(f"{name}-1", ended, timeout=90) for name in names}

    assert "Running as" in message(unready) or "is running this Job" in message(unready)
    statuses = {name: job["status"] for name, job in jobs.items()}
    told = {name: (end["phase"], end["reason"], end.get("exitCode")) for name, end in statuses.items()}
    assert told == {
        "plain": ("COMPLETE", "Completed", 0),
        "rude": ("COMPLETE", "Completed", 0),
        "native": ("ERROR", "ApplicationError", 3),
        "unready": ("COMPLETE", "Completed", 0),
        "absent": ("COMPLETE", "Completed", 0),
        "broken": ("ERROR", "PreparationFailed", None),
    }
    assert "Init container vault ended with exit code 2" in message(jobs["broken"])
    assert "no such table" in mesh.log(jobs["native"]), "the kubelet ends a native sidecar, so the pod and its log stay"
    assert statuses["native"]["errorMessage"] == "no such table"
    assert mesh.wait("plain-2", ended, timeout=90)["status"]["phase"] == "COMPLETE", "it waited for the first one's pod"
    mesh.until(lambda: all(gone(mesh, f"{name}-1") for name in names))


def test_a_failed_attempt_that_others_keep_alive_is_followed_by_the_next(mesh: Namespace) -> None:
    pipeline(mesh, "plain", "echo no such table; exit 3", maxRetries=1, timeoutSeconds=120)
    mesh.job("job-1", "plain")

    job = mesh.wait("job-1", ended, timeout=120)

    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("ERROR", 3)
    assert [attempt["exitCode"] for attempt in job["status"]["attempts"]] == [3, 3]
    mesh.until(lambda: gone(mesh, "job-1"))


def test_a_failure_without_a_further_attempt_is_told_while_others_go_on(mesh: Namespace) -> None:
    pipeline(mesh, "slow", "exit 4", maxRetries=2, noRetryExitCodes=[4], timeoutSeconds=120)
    mesh.job("job-1", "slow")

    job = mesh.wait("job-1", ended, timeout=60)

    assert not gone(mesh, "job-1")
    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("ERROR", 4)
    mesh.until(lambda: gone(mesh, "job-1"), timeout=60)
    assert mesh.pods_made() == 1


def test_a_run_that_works_longer_than_it_may_wait_for_its_start_ends_as_any_other(namespace: Namespace) -> None:
    namespace.pipeline("fails", script="sleep 7; echo no such table; exit 3", maxRetries=1, pendingTimeoutSeconds=5)
    namespace.pipeline("works", script="sleep 7; echo 5 rows loaded", pendingTimeoutSeconds=5)
    namespace.job("fails-1", "fails")
    namespace.job("works-1", "works")

    works, fails = namespace.wait("works-1", ended, timeout=90), namespace.wait("fails-1", ended, timeout=120)

    assert works["status"]["phase"] == "COMPLETE"
    assert (fails["status"]["reason"], len(fails["status"]["attempts"])) == ("ApplicationError", 2), message(fails)
    assert fails["status"]["errorMessage"] == "no such table"
    assert "5 rows loaded" in namespace.log(works)
    assert not any(run["spec"].get("suspend") for run in namespace.runs())


def test_deleted_jobs_that_a_finalizer_keeps_tell_their_end_and_hold_up_nobody(namespace: Namespace) -> None:
    namespace.pipeline(script="sleep 8; echo done")
    names = ("job-1", "job-2")
    namespace.job("job-1")
    namespace.wait("job-1", phase("RUNNING"))
    namespace.job("job-2")
    namespace.job("job-3")
    for name in names:
        namespace.patch(name, {"metadata": {"finalizers": [FINALIZER]}})
        namespace.delete_job(name)

    try:
        first, second, third = (namespace.wait(name, ended, timeout=90) for name in (*names, "job-3"))
    finally:
        for name in names:
            namespace.patch(name, {"metadata": {"finalizers": []}})

    assert (first["status"]["phase"], first["status"]["exitCode"]) == ("COMPLETE", 0)
    assert (second["status"]["phase"], message(second)) == ("STOPPED", "The Job was deleted before it started.")
    assert third["status"]["phase"] == "COMPLETE"
