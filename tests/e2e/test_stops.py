"""A stop grants the grace period and is final: nobody who resumes the batch Job, as Kueue does, undoes it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from kubernetes.client.exceptions import ApiException

from e2e.clock import now, sleep_until
from e2e.endings import stop, working
from e2e.world import IMAGE, Body, Namespace, core, ended, kubectl, message, plain, reason

TIDY = "trap 'sleep 3; echo tidied up; exit 7' TERM; echo working; sleep 300 & wait"


def condition(run: Body, kind: str) -> Body:
    """Return a condition of a batch Job that holds; empty: it does not."""
    held = [one for one in run.get("status", {}).get("conditions", []) if one["status"] == "True"]
    return next((one for one in held if one["type"] == kind), {})


def run_named(namespace: Namespace, name: str) -> Body:
    """Return a batch Job; empty when there is none."""
    return next((run for run in namespace.runs() if run["metadata"]["name"] == name), {})


def containers_started(namespace: Namespace) -> list[str]:
    """Return the pods of which the kubelet ever started a container."""
    events = plain(core().list_namespaced_event(namespace.name, field_selector="reason=Started"))["items"]
    return sorted({event["involvedObject"]["name"] for event in events})


def working_pods(namespace: Namespace) -> list[str]:
    """Return the pods that have written a line."""
    names = [pod["metadata"]["name"] for pod in namespace.pods() if working(pod)]
    return [name for name in names if core().read_namespaced_pod_log(name, namespace.name)]


def resume(namespace: Namespace, run: str) -> None:
    """Suspend and resume a batch Job, as who manages a queue does; one that is gone needs no more."""
    try:
        namespace.suspend_run(run, True)
        namespace.suspend_run(run, False)
    except ApiException as error:
        if error.status != 404:
            raise


def run_another(namespace: Namespace) -> None:
    """Run a further Job: when it has ended, what was to be started before it has been."""
    namespace.pipeline("other")
    assert namespace.run("other-1", pipeline="other")["status"]["phase"] == "COMPLETE"


def test_who_is_stopped_has_its_grace_period_and_is_never_started_again(namespace: Namespace) -> None:
    namespace.pipeline(script=TIDY, maxRetries=3, pod={"terminationGracePeriodSeconds": 20})
    namespace.job()
    stop(namespace)

    job = namespace.wait("job-1", ended)

    status = job["status"]
    assert (status["phase"], status["reason"], status["exitCode"]) == ("STOPPED", "Stopped", 7)
    assert message(job).endswith("its process ended with exit code 7.")
    assert status["logTail"].splitlines() == ["working", "tidied up"]
    namespace.until(lambda: bool(condition(run_named(namespace, "weather-r1"), "Failed")))
    resume(namespace, "weather-r1")
    run_another(namespace)
    assert namespace.pods_made() == 2, "one each"
    assert condition(run_named(namespace, "weather-r1"), "Failed")


def test_the_last_lines_of_many_runs_that_are_stopped_at_once_are_kept(namespace: Namespace) -> None:
    """The kubelet removes a log together with its process, and is quicker than a busy operator."""
    names = [f"p{number}" for number in range(8)]
    for name in names:
        namespace.pipeline(name, script="trap 'echo tidied up; exit 7' TERM; echo working; sleep 300 & wait")
        namespace.job(f"{name}-1", name)
    namespace.until(lambda: len(working_pods(namespace)) == len(names), timeout=120)

    for name in names:
        namespace.patch(f"{name}-1", {"spec": {"stop": True}})

    ends = {name: namespace.wait(f"{name}-1", ended)["status"] for name in names}
    kept = {name: (status.get("exitCode"), status.get("logTail")) for name, status in ends.items()}
    assert kept == dict.fromkeys(names, (7, "working\ntidied up"))


def test_a_stop_cannot_be_undone_while_the_process_has_its_grace_period(namespace: Namespace) -> None:
    namespace.pipeline(script=TIDY, pod={"terminationGracePeriodSeconds": 20})
    namespace.job()
    stop(namespace)
    namespace.until(lambda: bool(condition(run_named(namespace, "weather-r1"), "FailureTarget")))

    resume(namespace, "weather-r1")

    job = namespace.wait("job-1", ended)
    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("STOPPED", 7)
    assert job["status"]["logTail"].splitlines()[-1] == "tidied up"
    run_another(namespace)
    assert namespace.pods_made() == 2, "one each"


QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
SUSPEND = "[JSONPatch{op: 'add', path: '/spec/suspend', value: true}]"


def policy_and_binding(namespace: Namespace) -> list[Body]:
    """Return what suspends batch Jobs of a queue as they are created, as Kueue's webhook does."""
    head = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": f"{namespace.name}-queue", "labels": {"test": namespace.name}},
    }
    jobs = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
    in_a_queue = f"object.?metadata.labels['{QUEUE_LABEL}'].orValue('') != ''"
    in_the_namespace = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
    policy = {
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [jobs]},
        "matchConditions": [{"name": "queued", "expression": in_a_queue}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": SUSPEND}}],
    }
    binding = {
        "policyName": f"{namespace.name}-queue",
        "matchResources": {"namespaceSelector": in_the_namespace},
    }
    return [
        {**head, "kind": "MutatingAdmissionPolicy", "spec": policy},
        {**head, "kind": "MutatingAdmissionPolicyBinding", "spec": binding},
    ]


@pytest.fixture
def queue(namespace: Namespace) -> Iterator[Namespace]:
    """A namespace in which batch Jobs of a queue wait until somebody resumes them."""
    for body in policy_and_binding(namespace):
        namespace.apply(body)
    namespace.until(lambda: suspends(namespace))
    yield namespace
    kinds = "mutatingadmissionpolicybinding,mutatingadmissionpolicy"
    kubectl("delete", kinds, "--selector", f"test={namespace.name}")


def suspends(namespace: Namespace) -> bool:
    """Whether the API server has taken notice of the policy."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "try", "image": IMAGE}]}}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "try", "labels": {QUEUE_LABEL: "nightly"}},
        "spec": {"template": template},
    }
    return "suspend: true" in namespace.apply(body, "--dry-run=server", "-o", "yaml")


LONGEST_START = 6
"""Seconds that a run may wait for its pod's start, once it is admitted."""


def waits_in_queue(job: Body) -> bool:
    return reason("Starting")(job) and "waiting for Kueue queue nightly" in message(job)


def test_a_run_in_a_queue_waits_without_a_limit_and_starts_when_it_is_admitted(queue: Namespace) -> None:
    queue.pipeline(script="echo 5 rows", queueName="nightly", pendingTimeoutSeconds=LONGEST_START)
    queue.job()
    run = queue.wait("job-1", waits_in_queue)["status"]["taskName"]
    sleep_until(now() + timedelta(seconds=LONGEST_START + 3))
    assert waits_in_queue(queue.get("job-1"))
    assert queue.pods() == []

    queue.suspend_run(run, False)

    job = queue.wait("job-1", ended)
    assert (job["status"]["phase"], job["status"]["taskName"]) == ("COMPLETE", run)
    assert queue.log(job) == "5 rows\n"
    assert run_named(queue, run)["metadata"]["labels"][QUEUE_LABEL] == "nightly"


def test_a_run_that_is_stopped_in_a_queue_is_not_started_by_its_admission(queue: Namespace) -> None:
    queue.pipeline(script="echo working; sleep 300", queueName="nightly")
    queue.job()
    run = queue.wait("job-1", waits_in_queue)["status"]["taskName"]
    queue.patch("job-1", {"spec": {"stop": True}})

    job = queue.wait("job-1", ended)

    assert (job["status"]["phase"], job["status"]["reason"]) == ("STOPPED", "Stopped")
    assert "exitCode" not in job["status"]
    # Until it is gone its deadline of a second is all that is in the way of who resumes it.
    queue.until(lambda: run not in [each["metadata"]["name"] for each in queue.runs()], 5)
    resume(queue, run)
    run_another(queue)
    assert [pod for pod in containers_started(queue) if pod.startswith(f"{run}-")] == []


def test_an_admitted_run_that_is_stopped_is_not_started_by_another_admission(queue: Namespace) -> None:
    queue.pipeline(script=TIDY, queueName="nightly", pod={"terminationGracePeriodSeconds": 20})
    queue.job()
    run = queue.wait("job-1", waits_in_queue)["status"]["taskName"]
    queue.suspend_run(run, False)
    stop(queue)

    job = queue.wait("job-1", ended)
    resume(queue, run)

    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("STOPPED", 7)
    assert job["status"]["logTail"].splitlines() == ["working", "tidied up"]
    run_another(queue)
    assert len([pod for pod in containers_started(queue) if pod.startswith(f"{run}-")]) == 1
