"""One Job of a Pipeline at a time, the oldest first; Pipelines side by side."""

import pytest

from e2e.world import Namespace, ended, message, phase, reason


def test_jobs_of_one_pipeline_run_one_by_one_the_oldest_first(namespace: Namespace) -> None:
    namespace.pipeline(script="sleep 1")
    names = ["job-0", *(f"job-{number}" for number in (3, 1, 4, 2))]
    for name in names:
        namespace.job(name)

    for name in names:
        assert namespace.wait(name, ended, timeout=90)["status"]["phase"] == "COMPLETE"

    started = sorted(namespace.jobs(), key=lambda job: str(job["status"]["taskName"]))
    created = [(job["metadata"]["creationTimestamp"], job["metadata"]["name"]) for job in started]
    assert created[0][1] == "job-0"
    assert created == sorted(created), "of one second, in the order of their names"


@pytest.mark.long(2)
def test_fifty_jobs_at_once_run_one_by_one(namespace: Namespace) -> None:
    namespace.pipeline(command=["true"])
    names = [f"job-{number:02}" for number in range(50)]
    for name in names:
        namespace.job(name)

    namespace.until(lambda: all(ended(job) for job in namespace.jobs()), timeout=240)

    jobs = namespace.jobs()
    by_run = sorted(jobs, key=lambda job: int(job["status"]["taskName"].rpartition("-r")[2]))
    assert [job["metadata"]["name"] for job in by_run] == names
    assert {job["status"]["phase"] for job in jobs} == {"COMPLETE"}


def test_a_waiting_job_says_behind_which(namespace: Namespace) -> None:
    namespace.leftovers_allowed = True
    namespace.pipeline(script="sleep 60")
    namespace.job("first")
    namespace.wait("first", phase("RUNNING"))
    namespace.job("second")

    waiting = namespace.wait("second", reason("PipelineBusy"))

    assert waiting["status"]["phase"] == "QUEUED"
    assert "waiting for Job first" in message(waiting)
    pipeline = namespace.wait("weather", lambda body: body["status"].get("queuedJobs") == 1, plural="eltpipelines")
    assert pipeline["status"]["activeJob"]["name"] == "first"


def test_pipelines_run_side_by_side(namespace: Namespace) -> None:
    for name in ("one", "two"):
        namespace.pipeline(name, script="sleep 8")
        namespace.job(name, name)

    jobs = [namespace.wait(name, ended) for name in ("one", "two")]

    first, second = sorted(job["status"]["startTime"] for job in jobs)
    assert second < min(job["status"]["endTime"] for job in jobs), (first, second)


def test_a_deleted_jobs_process_ends_before_the_next_job_starts(namespace: Namespace) -> None:
    namespace.pipeline(script="trap '' TERM; while true; do sleep 0.2; done", pod={"terminationGracePeriodSeconds": 5})
    namespace.job("first")
    namespace.wait_for_pod(lambda pod: pod["status"]["phase"] == "Running")
    namespace.pipeline(command=["true"])  # a queued Job takes the spec of the moment it starts
    namespace.job("second")
    namespace.delete_job("first")

    namespace.wait("second", phase("RUNNING", "COMPLETE"))
    left = [pod for pod in namespace.pods() if pod["metadata"]["labels"]["elt-operator.io/job"] == "first"]
    assert all(pod["status"]["phase"] == "Failed" for pod in left), "its process has ended, at the least"
    assert namespace.wait("second", ended)["status"]["phase"] == "COMPLETE"
