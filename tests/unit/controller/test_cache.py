"""The cache remembers what is newest, and only what is still of use."""

from dataclasses import replace
from typing import Any

import builders
from builders import KEY, START, a_pod, a_run
from elt_operator.controller import snapshots
from elt_operator.controller.cache import Cache, Store
from elt_operator.core.model import Job, PipelineKey, PodLog, Refusal
from elt_operator.kube.foreign import Body
from elt_operator.resources import names


def a_job(version: int, phase: str = "QUEUED", *, pipeline: str = KEY.pipeline, uid: str = "uid") -> dict[str, Any]:
    return {
        "metadata": {"name": "job-1", "namespace": KEY.namespace, "uid": uid, "resourceVersion": str(version)},
        "spec": {"pipelineName": pipeline},
        "status": {"phase": phase},
    }


def phases(cache: Cache) -> list[str]:
    return [job.status.phase.value for job in cache.jobs.of(KEY)]


def test_the_newest_version_stays() -> None:
    cache = Cache()

    assert cache.jobs.take(a_job(5, "RUNNING")) == {KEY}
    cache.jobs.take(a_job(4, "QUEUED"))

    assert phases(cache) == ["RUNNING"]


def test_an_ended_job_goes_and_an_older_word_does_not_bring_it_back() -> None:
    cache = Cache()
    cache.jobs.take(a_job(5, "RUNNING"))

    assert cache.jobs.take(a_job(6, "COMPLETE")) == {KEY}, "so that its Pipeline is looked at"
    cache.jobs.take(a_job(5, "RUNNING"))

    assert phases(cache) == []


def test_a_deleted_object_goes() -> None:
    cache = Cache()
    cache.jobs.take(a_job(5))

    assert cache.jobs.take_event({"type": "DELETED", "object": a_job(5)}) == {KEY}
    assert cache.jobs.take_event({"type": "DELETED", "object": a_job(5)}) == set()
    assert cache.all_keys() == set()


def test_a_late_answer_does_not_bring_back_what_is_gone() -> None:
    cache = Cache()
    cache.jobs.take(a_job(5))

    cache.jobs.take_event({"type": "DELETED", "object": a_job(8)})

    assert cache.jobs.take(a_job(7)) == set()
    assert cache.jobs.take(a_job(9)) == {KEY}, "its label was taken away, and put on again"


def test_what_cannot_be_read_any_more_stays_as_it_was_known() -> None:
    told: list[str] = []
    known = builders.a_job()

    def read(body: Body) -> Job:
        return replace(known, uid="uid", name=body["metadata"]["name"], generation=1 // len(body["spec"]))

    store: Store[Job] = Store(read, lambda _body, why: told.append(why))
    store.take(a_job(5))

    assert store.take({**a_job(6), "spec": {}}) == set()
    assert told == ["ZeroDivisionError"]
    assert [job.name for job in store.of(KEY)] == ["job-1"]


def test_an_object_that_moves_to_another_pipeline_leaves_the_first() -> None:
    cache = Cache()
    cache.jobs.take(a_job(5))

    moved = cache.jobs.take(a_job(6, pipeline="other"))

    assert {key.pipeline for key in moved} == {KEY.pipeline, "other"}, "the first has one Job less"
    assert cache.jobs.of(KEY) == []


def test_an_object_may_concern_several_pipelines() -> None:
    other = PipelineKey(KEY.namespace, "other")
    store: Store[Job] = Store(snapshots.job, concerned=lambda job: {job.key, other})

    assert store.take(a_job(5)) == {KEY, other}
    assert store.take(a_job(6)) == {KEY, other}
    assert [job.resource_version for job in (*store.of(KEY), *store.of(other))] == ["6", "6"]
    assert len(list(store.all())) == 1
    assert store.forget("uid") == {KEY, other}
    assert store.keys() == set()


def a_deleted_pod(version: int, due: str, grace_seconds: int) -> Body:
    """A pod whose process ended at 06:00:20, as its deletions tell of themselves: they give it until ``due``."""
    ended = {"exitCode": 0, "startedAt": "2026-01-05T06:00:02Z", "finishedAt": "2026-01-05T06:00:20Z"}
    run = {"kind": "Job", "apiVersion": "batch/v1", "name": "weather-r1", "uid": "run-1-uid", "controller": True}
    return {
        "metadata": {
            "name": "weather-r1-abcde",
            "namespace": KEY.namespace,
            "uid": "pod-uid",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-05T06:00:01Z",
            "deletionTimestamp": f"2026-01-05T{due}Z",
            "deletionGracePeriodSeconds": grace_seconds,
            "labels": {names.PIPELINE_LABEL: KEY.pipeline, names.RUN_NUMBER_LABEL: "1"},
            "ownerReferences": [run],
        },
        "status": {
            "phase": "Succeeded",
            "containerStatuses": [{"name": names.CONTAINER, "state": {"terminated": ended}}],
        },
    }


def test_a_pod_that_the_kubelet_removes_was_being_ended_before_that() -> None:
    cache = Cache()
    cache.pods.take(a_deleted_pod(5, "06:00:49", 30))
    assert [pod.interrupted for pod in cache.pods.of(KEY)] == [True]

    removed = a_deleted_pod(6, "06:00:21", 0)
    cache.pods.take(removed)
    assert [pod.interrupted for pod in cache.pods.of(KEY)] == [True]
    cache.take_event("pods", {"type": "DELETED", "object": removed})

    assert [(pod.interrupted, pod.gone) for pod in cache.departed_pods.of(KEY)] == [(True, True)]


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    cache = Cache()
    body = a_job(0)
    body["metadata"]["resourceVersion"] = "opaque"

    cache.jobs.take(body)

    assert phases(cache) == ["QUEUED"]


def remember(cache: Cache, key: PipelineKey, uid: str) -> None:
    """Remember what the operator learns besides about a Pipeline, and about an object."""
    cache.caused_jobs[key] = {uid: True}
    cache.last_logs[key] = {uid: PodLog("the end")}
    cache.pipelines_missed[key] = START
    cache.taken_numbers[key] = {7}
    cache.ended_jobs[key] = {"job-uid": builders.a_job()}
    cache.refusals[uid] = Refusal("exceeded quota", START)
    cache.departed_runs.add(replace(a_run(), key=key))
    cache.departed_pods.add(replace(a_pod(), key=key))


def remembered(cache: Cache) -> list[set[Any]]:
    by_key = (cache.caused_jobs, cache.last_logs, cache.pipelines_missed, cache.taken_numbers, cache.ended_jobs)
    departed = ({key for key in (KEY, GONE) if store.of(key)} for store in (cache.departed_runs, cache.departed_pods))
    return [*(set(table) for table in by_key), set(cache.refusals), *departed]


GONE = PipelineKey(KEY.namespace, "gone")


def test_nothing_is_remembered_about_what_is_gone() -> None:
    cache = Cache()
    cache.jobs.take(a_job(5))
    remember(cache, KEY, "uid")
    remember(cache, GONE, "another")

    cache.forget_gone()

    assert remembered(cache) == [*[{KEY}] * 5, {"uid"}, {KEY}, {KEY}]
