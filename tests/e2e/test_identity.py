"""Names come again, UIDs never: what is made anew under an old name has nothing to do with what had it before."""

import json

import pytest

from e2e.world import IMAGE, Namespace, ended, kubectl, manifest, message, phase

WORKS = 'echo "$MELTANO_RUN_ID begins"; trap "echo stopping; exit 0" TERM; for i in $(seq 8); do sleep 1; done'
"""A process that ends with 0 when it is told to end."""

PIPELINE = manifest("Pipeline", "weather", image=IMAGE, imagePullPolicy="IfNotPresent", script=WORKS)
JOB = manifest("Job", "job-1", pipelineName="weather")


def delete_and_apply(namespace: Namespace) -> None:
    kubectl("delete", "--namespace", namespace.name, "eltpipeline/weather", "eltjob/job-1")
    namespace.apply(PIPELINE)
    namespace.apply(JOB)


def replace_by_force(namespace: Namespace) -> None:
    for body in (PIPELINE, JOB):
        kubectl("replace", "--namespace", namespace.name, "--force", "-f", "-", stdin=json.dumps(body))


def make_only_the_job_anew(namespace: Namespace) -> None:
    kubectl("delete", "--namespace", namespace.name, "eltjob/job-1")
    namespace.apply(JOB)


@pytest.mark.parametrize("make_anew", [delete_and_apply, replace_by_force, make_only_the_job_anew])
def test_a_job_made_anew_while_it_works_tells_its_own_end(namespace: Namespace, make_anew: object) -> None:
    assert callable(make_anew)
    namespace.apply(PIPELINE)
    namespace.apply(JOB)
    namespace.wait_for_pod(lambda pod: pod["status"]["phase"] == "Running")
    before = namespace.wait("job-1", phase("RUNNING"))["metadata"]["uid"]

    make_anew(namespace)

    job = namespace.wait("job-1", lambda body: body["metadata"]["uid"] != before and ended(body), timeout=120)
    uid = job["metadata"]["uid"]
    assert (job["status"]["phase"], job["status"]["exitCode"]) == ("COMPLETE", 0), message(job)
    assert job["status"]["logTail"].splitlines() == [f"{uid} begins"], "the whole log of its own process, not stopped"
    assert len(job["status"]["attempts"]) == 1
    (run,) = [run for run in namespace.runs() if run["metadata"]["ownerReferences"][0]["uid"] == uid]
    assert not run["spec"].get("suspend")


def test_a_run_that_is_deleted_without_its_pod_is_told_once_its_process_has_ended(namespace: Namespace) -> None:
    namespace.pipeline(script="sleep 12; echo done")
    namespace.job("job-1")
    namespace.job("job-2")
    namespace.wait_for_pod(lambda pod: pod["status"]["phase"] == "Running")

    kubectl("delete", "--namespace", namespace.name, "job/weather-r1", "--cascade=orphan")

    first, second = namespace.wait("job-1", ended, timeout=60), namespace.wait("job-2", ended, timeout=90)
    assert (first["status"]["phase"], first["status"]["exitCode"]) == ("COMPLETE", 0), message(first)
    assert first["status"]["endTime"] <= second["status"]["startTime"]


def test_a_run_whose_labels_are_taken_away_still_holds_up_the_next_and_tells_its_end(namespace: Namespace) -> None:
    namespace.pipeline(script="sleep 12; echo done")
    namespace.job("job-1")
    namespace.job("job-2")
    pod = namespace.wait_for_pod(lambda pod: pod["status"]["phase"] == "Running")["metadata"]["name"]

    for thing in ("job/weather-r1", f"pod/{pod}"):
        kubectl("label", "--namespace", namespace.name, thing, "elt-operator.io/pipeline-")

    first, second = namespace.wait("job-1", ended, timeout=90), namespace.wait("job-2", ended, timeout=90)
    assert (first["status"]["phase"], first["status"]["exitCode"]) == ("COMPLETE", 0), message(first)
    assert first["status"]["endTime"] <= second["status"]["startTime"]
