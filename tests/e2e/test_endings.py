"""How Jobs end, on a real kubelet: phase, reason, exit code and words."""

import os
import time
from collections.abc import Iterable
from typing import Any

import pytest

from e2e.endings import BY_ENV, BY_FILE, CLAIM, ENDINGS, ON_CLAIM, QUOTA, SECRET, Ending
from e2e.kills import SEED, Outage, moment_in, to_be_killed
from e2e.recorder import Recorder
from e2e.world import Body, Namespace, Operator, message, reason


def rows(endings: Iterable[Ending]) -> list[Any]:
    return [pytest.param(ending, id=ending.name.replace(" ", "-")) for ending in endings]


def check_without_the_pod(ending: Ending, job: Body) -> None:
    """Compare what the Job says with what can be known when nobody saw a pod of it end: all, or less; nothing else."""
    status = job["status"]
    seen = (status["phase"], status["reason"])
    if "exitCode" in status:
        assert (*seen, status["exitCode"]) == (ending.phase, ending.reason, ending.exit_code), status
        assert ending.words in message(job) or ending.attempts, "an attempt may have gone unseen before the last one"
    else:
        assert seen in {(ending.phase, ending.reason), ("UNKNOWN", "ResultLost")}, status


def check(ending: Ending, job: Body, *, attempts_unseen: bool = False) -> None:
    """Compare what the Job says with what it should."""
    status = job["status"]
    seen = (status["phase"], status["reason"], status.get("exitCode"))
    assert seen == (ending.phase, ending.reason, ending.exit_code), status
    assert ending.words in message(job)
    assert status.get("startTime", status["endTime"]) <= status["endTime"]
    assert ending.log in status.get("logTail", "")
    if ending.attempts is not None:
        tried = [(attempt["reason"], attempt.get("exitCode")) for attempt in status.get("attempts", [])]
        assert tried == list(ending.attempts) or (attempts_unseen and not tried), status
    if ending.looked_at == "job-1":
        conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
        wanted = {"Succeeded": "True"} if ending.phase == "COMPLETE" else {"Succeeded": "False", "Stalled": "True"}
        assert conditions == wanted


@pytest.mark.parametrize("ending", rows(ENDINGS.values()))
def test_a_job_ends(namespace: Namespace, ending: Ending) -> None:
    namespace.leftovers_allowed = True  # the other Job of two
    with Recorder(namespace, ending, os.environ.get("RECORD_ENDINGS")):
        job = ending.bring_about(namespace)

    check(ending, job)
    if ending.name != "Replace":  # whose second pod is just being made
        assert namespace.pods_made() == ending.pods
    if ending.phase in {"ERROR", "STOPPED"}:
        kind = "Warning" if ending.phase == "ERROR" else "Normal"
        namespace.wait_for_event(ending.looked_at, kind, ending.reason)


@pytest.mark.alone
@pytest.mark.parametrize("ending", rows(to_be_killed(ENDINGS.values())))
def test_a_job_ends_though_the_operator_is_killed(namespace: Namespace, operator: Operator, ending: Ending) -> None:
    namespace.leftovers_allowed = True  # the other Job of two
    operator.start()
    with Outage(operator, moment_in(ending)) as outage:
        ending.begin(namespace)
        ending.act(namespace)
        acted = time.monotonic()
        job = ending.end(namespace)
        ended = time.monotonic()

    if ending.fleeting and outage.fell_between(acted, ended):
        check_without_the_pod(ending, job)
    else:
        # It takes away itself the pod of a run that does not start in time; killed then, it cannot tell of that pod.
        check(ending, job, attempts_unseen="pendingTimeoutSeconds" in ending.pipeline)
    if ending.name != "Replace":
        assert namespace.pods_made() == ending.pods, f"killed after {outage.moment:.1f} s, CRASHES_SEED={SEED}"
    assert "Traceback" not in operator.log()


def test_a_job_tells_what_its_process_said(namespace: Namespace) -> None:
    namespace.pipeline(script="seq 1000; echo -n '1000 rows' > /dev/termination-log")

    job = namespace.run()

    assert job["status"]["exitMessage"] == "1000 rows"
    assert "errorMessage" not in job["status"]
    assert job["status"]["logTail"].splitlines()[-1] == "1000"
    assert len(job["status"]["logTail"]) <= 4096
    assert namespace.log(job).splitlines() == [str(number) for number in range(1, 1001)]


# --- runs that cannot start: said while they wait, and they go on by themselves


@pytest.mark.parametrize(
    ("spec", "why", "words", "cure"),
    [
        pytest.param({"env": BY_ENV}, "StartError", 'secret "warehouse" not found', SECRET, id="secret in env"),
        pytest.param({"volumes": BY_FILE}, "Starting", 'secret "warehouse" not found', SECRET, id="secret as files"),
        pytest.param(ON_CLAIM, "Unschedulable", '"state" not found', CLAIM, id="claim"),
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
    namespace.apply(QUOTA)
    namespace.pipeline()
    namespace.job()
    waiting = namespace.wait("job-1", reason("Rejected"))
    assert waiting["status"]["phase"] == "QUEUED"
    assert "exceeded quota: none" in message(waiting)

    namespace.apply(QUOTA.replace('"0"', '"5"'))

    assert namespace.wait("job-1", reason("Completed"), timeout=90)["status"]["exitCode"] == 0


def test_a_pod_that_the_namespace_forbids_is_told(namespace: Namespace) -> None:
    namespace.leftovers_allowed = True
    namespace.pipeline(pod={"runAsNonRoot": False})

    namespace.job()

    waiting = namespace.wait("job-1", reason("Rejected"))
    assert 'violates PodSecurity "restricted' in message(waiting)
