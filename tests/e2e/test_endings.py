"""How Jobs end, on a real kubelet: phase, reason, exit code and words."""

from typing import Any

import pytest

from e2e.world import Namespace, message, reason

# Python as the main process takes memory until the kernel kills it; below bash it is a child, and bash lives on.
HOG = "python3 -c 'hog = [bytearray(1 << 20) for _ in range(500)]'"
LIMIT = {"limits": {"memory": "64Mi"}}


@pytest.mark.parametrize(
    ("spec", "phase", "why", "exit_code", "words"),
    [
        pytest.param({"script": "echo hello"}, "COMPLETE", "Completed", 0, "exit code 0.", id="exit 0"),
        pytest.param(
            {"script": "echo source is closed; exit 3"}, "ERROR", "ApplicationError", 3, "source is closed", id="exit 3"
        ),
        pytest.param({"command": ["false"]}, "ERROR", "ApplicationError", 1, "exit code 1", id="silent exit 1"),
        pytest.param(
            {"script": "nosuch --flag"}, "ERROR", "ApplicationError", 127, "nosuch: command not found", id="exit 127"
        ),
        pytest.param(
            {"script": "kill -9 $$"}, "ERROR", "ApplicationError", 137, "exit code 137", id="SIGKILL"
        ),
        pytest.param(
            {"command": ["bash", "-c", f"exec {HOG}"], "resources": LIMIT},
            "ERROR", "OutOfMemory", 137, "limits.memory", id="main process out of memory",
        ),
        pytest.param(
            {"script": f"{HOG} || exit 1", "resources": LIMIT},
            "ERROR", "OutOfMemory", 1, "limits.memory", id="child out of memory",
        ),
        pytest.param(
            {"script": """echo '{"event":"Block run completed","exit_codes":{"extractors":-9}}'; exit 1"""},
            "ERROR", "OutOfMemory", 1, "extractors were killed", id="child out of memory by Meltano's word",
        ),
        pytest.param(
            {"command": ["/no/such/program"]}, "ERROR", "StartError", None, "/no/such/program", id="no such program"
        ),
        pytest.param(
            {"script": "sleep 60", "timeoutSeconds": 2}, "ERROR", "TimedOut", 143, "timeoutSeconds", id="too slow"
        ),
        pytest.param(
            {"actions": ["run tap-x target-y"]}, "ERROR", "ApplicationError", 127, "meltano: command not found",
            id="no Meltano in the image",
        ),
    ],
)  # fmt: skip
def test_a_job_ends(
    namespace: Namespace, spec: dict[str, Any], phase: str, why: str, exit_code: int | None, words: str
) -> None:
    namespace.pipeline(**spec)

    job = namespace.run()

    status = job["status"]
    assert (status["phase"], status["reason"], status.get("exitCode")) == (phase, why, exit_code), status
    assert words in message(job)
    assert status["startTime"] <= status["endTime"]
    assert len(namespace.pods()) == 1


def test_a_job_tells_what_its_process_said(namespace: Namespace) -> None:
    namespace.pipeline(script="seq 1000; echo -n '1000 rows' > /dev/termination-log")

    job = namespace.run()

    assert job["status"]["exitMessage"] == "1000 rows"
    assert "errorMessage" not in job["status"]
    assert job["status"]["logTail"].splitlines()[-1] == "1000"
    assert len(job["status"]["logTail"]) <= 4096
    assert namespace.log(job).splitlines() == [str(number) for number in range(1, 1001)]


def test_a_retried_job_tells_each_attempt(namespace: Namespace) -> None:
    namespace.apply(CLAIM)
    namespace.pipeline(
        script="[ -e /state/seen ] || { touch /state/seen; echo first try fails; exit 9; }",
        volumes=[{"name": "state", "mountPath": "/state", "persistentVolumeClaim": {"claimName": "state"}}],
        pod={"fsGroup": 65532},
        maxRetries=2,
    )

    job = namespace.run(timeout=90)

    attempts = [(attempt["number"], attempt["exitCode"]) for attempt in job["status"]["attempts"]]
    assert attempts == [(1, 9), (2, 0)]
    assert "after 1 failed attempt" in message(job)


# --- runs that cannot start: said while they wait, and they go on by themselves

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: state}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: warehouse}
stringData: {password: canary-4711}
"""
BY_ENV = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "warehouse", "key": "password"}}}]
BY_FILE = [{"name": "keys", "mountPath": "/keys", "secret": {"secretName": "warehouse"}}]
BY_CLAIM = [{"name": "state", "mountPath": "/state", "persistentVolumeClaim": {"claimName": "state"}}]


@pytest.mark.parametrize(
    ("spec", "why", "words", "cure"),
    [
        pytest.param({"env": BY_ENV}, "StartError", 'secret "warehouse" not found', SECRET, id="secret in env"),
        pytest.param({"volumes": BY_FILE}, "Starting", 'secret "warehouse" not found', SECRET, id="secret as files"),
        pytest.param(
            {"volumes": BY_CLAIM, "pod": {"fsGroup": 65532}}, "Unschedulable", '"state" not found', CLAIM, id="claim"
        ),
    ],
)
def test_what_is_missing_is_named_until_it_is_there(
    namespace: Namespace, spec: dict[str, Any], why: str, words: str, cure: str
) -> None:
    namespace.pipeline(**spec)
    namespace.job()
    waiting = namespace.wait("job-1", lambda job: reason(why)(job) and words in message(job))
    assert waiting["status"]["phase"] == "RUNNING"

    namespace.apply(cure)

    assert namespace.wait("job-1", reason("Completed"), timeout=180)["status"]["exitCode"] == 0


def test_an_image_that_cannot_be_pulled_is_named(namespace: Namespace) -> None:
    namespace.leftovers_allowed = True
    namespace.pipeline(image="localhost/no-such-image:1", imagePullPolicy="Never")

    namespace.job()

    job = namespace.wait("job-1", reason("ImagePullFailed"))
    assert "localhost/no-such-image:1" in message(job)
    assert job["status"]["phase"] == "RUNNING"


def test_an_image_that_wants_to_be_root_is_named(namespace: Namespace) -> None:
    namespace.leftovers_allowed = True
    namespace.admit("baseline")  # `restricted` refuses such a pod before the kubelet sees it
    namespace.pipeline(pod={"runAsUser": 0})

    namespace.job()

    assert "non-root policy" in message(namespace.wait("job-1", reason("StartError")))


def test_a_job_waits_for_its_pipeline(namespace: Namespace) -> None:
    namespace.job()
    waiting = namespace.wait("job-1", reason("PipelineNotFound"))
    assert waiting["status"]["phase"] == "QUEUED"
    assert "There is no Pipeline weather" in message(waiting)

    namespace.pipeline()

    assert namespace.wait("job-1", reason("Completed"))["status"]["exitCode"] == 0


def test_a_full_quota_is_told_and_waited_for(namespace: Namespace) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    namespace.apply(quota)
    namespace.pipeline()
    namespace.job()
    waiting = namespace.wait("job-1", reason("Rejected"))
    assert waiting["status"]["phase"] == "QUEUED"
    assert "exceeded quota: none" in message(waiting)

    quota["spec"] = {"hard": {"count/jobs.batch": "5"}}
    namespace.apply(quota)

    assert namespace.wait("job-1", reason("Completed"), timeout=90)["status"]["exitCode"] == 0


def test_a_pod_that_the_namespace_forbids_is_told(namespace: Namespace) -> None:
    namespace.leftovers_allowed = True
    namespace.pipeline(pod={"runAsNonRoot": False})

    namespace.job()

    waiting = namespace.wait("job-1", reason("Rejected"))
    assert 'violates PodSecurity "restricted' in message(waiting)


def test_protected_properties_stay_as_they_are(namespace: Namespace) -> None:
    namespace.pipeline(properties={"target-postgres.host": "warehouse"}, protectedProperties=["target-postgres.host"])

    job = namespace.run(properties={"target_postgres.host": "evil.example.com"})

    assert (job["status"]["phase"], job["status"]["reason"]) == ("ERROR", "InvalidConfiguration")
    assert namespace.runs() == []
