"""Plans carried out against a cluster that says no."""

import logging
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import KEY, at
from elt_operator.controller.cache import Cache
from elt_operator.controller.carry_out import merge_patch
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.reconciler import Reconciler
from elt_operator.core.model import PipelineKey, Run
from elt_operator.core.situation import Limits
from elt_operator.errors import Refused
from elt_operator.kube.errors import ApiError
from fakes.cluster import PLURALS, FakeCluster

VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
STATUS = st.dictionaries(
    st.sampled_from("abc"),
    VALUES.filter(lambda value: value is not None) | st.dictionaries(st.sampled_from("xyz"), st.integers()),
)


def applied(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch as RFC 7386 writes it down."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


@given(stored=STATUS, wanted=STATUS)
def test_a_patch_leads_from_one_status_to_the_other(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert applied(stored, merge_patch(stored, wanted)) == wanted


@given(status=STATUS)
def test_nothing_new_makes_an_empty_patch(status: dict[str, Any]) -> None:
    assert merge_patch(status, status) == {}


class World:
    """One operator before a fake cluster, at a time of its own."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cache = Cache()
        self.queue: WorkQueue[PipelineKey] = WorkQueue()
        self.now: datetime = at(100)
        self.cluster.create("pipelines", KEY.pipeline, spec={"image": "elt:1", "command": ["true"]})
        self.cluster.create("jobs", "job-1", spec={"pipelineName": KEY.pipeline})

    async def look(self) -> None:
        for event, kind, body in self.cluster.history:
            self.cache.take_event(PLURALS[kind], {"type": event, "object": body})
        self.cluster.history.clear()
        await Reconciler(self.cluster, self.cache, self.queue, lambda: self.now, Limits()).look_at(KEY)
        self.queue.close()

    def job(self) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.objects["jobs", "job-1"].get("status", {})
        return status


async def test_a_refused_run_is_told_then_asked_for_again() -> None:
    world = World()
    world.cluster.quota_full = True
    await world.look()
    await world.look()
    assert world.job()["reason"] == "Rejected"
    assert "exceeded quota" in world.job()["conditions"][0]["message"]

    world.cluster.quota_full, world.now = False, at(1010)
    await world.look()

    assert ("runs", "weather-r1") in world.cluster.objects


async def test_a_strangers_name_is_skipped() -> None:
    world = World()
    world.cluster.create("runs", "weather-r1", spec={})
    world.cluster.history.pop()  # it has no label of ours, so no watch tells of it

    await world.look()
    await world.look()

    assert world.cluster.objects["runs", "weather-r2"]["metadata"]["ownerReferences"]
    assert "ownerReferences" not in world.cluster.objects["runs", "weather-r1"]["metadata"]


async def test_our_own_run_is_found_again_behind_a_stale_cache() -> None:
    world = World()
    await world.look()
    world.cache.runs = Cache().runs  # as if its event had never come
    world.cluster.history.clear()

    await world.look()
    await world.look()

    assert world.cluster.runs_created == {world.cluster.objects["jobs", "job-1"]["metadata"]["uid"]: 1}
    assert world.job()["phase"] == "RUNNING"


async def test_a_job_that_somebody_else_has_started_is_not_started_again() -> None:
    """Another operator was first, and the run was deleted by hand; no event of either has come yet."""
    world = World()
    await world.look()
    await world.look()
    late = World()
    late.cluster, late.cache = world.cluster, Cache()
    for body in (world.cluster.objects["pipelines", KEY.pipeline], world.cluster.objects["jobs", "job-1"]):
        before = {name: value for name, value in body.items() if name != "status"}
        kind = "jobs" if "pipelineName" in body["spec"] else "pipelines"
        getattr(late.cache, kind).take({**before, "metadata": {**before["metadata"], "resourceVersion": "1"}})
    world.cluster.delete("runs", "weather-r1")
    world.cluster.history.clear()

    await late.look()

    assert world.cluster.runs_created == {world.cluster.objects["jobs", "job-1"]["metadata"]["uid"]: 1}
    assert (world.job()["phase"], world.job()["reason"]) == ("UNKNOWN", "ResultLost")


async def test_what_people_read_is_put_off_while_there_is_work_but_not_for_ever() -> None:
    world = World()
    for _ in range(2):
        await world.look()
    world.queue.add(PipelineKey("default", "busy"))
    reconciler = Reconciler(world.cluster, world.cache, world.queue, lambda: world.now, Limits())
    pipeline = world.cluster.objects["pipelines", KEY.pipeline]

    await reconciler.look_at(KEY)
    assert "status" not in pipeline

    world.now = at(160)
    await reconciler.look_at(KEY)
    world.queue.close()
    assert world.cluster.objects["pipelines", KEY.pipeline]["status"]["activeJob"]["name"] == "job-1"


async def test_a_status_that_changed_meanwhile_is_read_again() -> None:
    world = World()
    await world.look()
    job = world.cluster.objects["jobs", "job-1"]
    world.cluster.store("jobs", {**job, "metadata": {**job["metadata"], "annotations": {"touched": "yes"}}})
    world.cluster.history.clear()

    await world.look()
    await world.look()

    assert world.job()["phase"] == "RUNNING"


async def test_a_job_whose_status_is_refused_is_left_out_with_an_event_and_the_next_has_its_turn() -> None:
    world = World()
    world.cluster.refused_statuses.add("job-1")
    world.cluster.create("jobs", "job-2", spec={"pipelineName": KEY.pipeline})
    bad = world.cluster.objects["jobs", "job-1"]["metadata"]["uid"]

    for _ in range(9):
        await world.look()
        for run in world.cluster.all("runs"):
            complete = {"type": "Complete", "status": "True", "lastTransitionTime": at(50).isoformat()}
            world.cluster.store("runs", {**run, "status": {"conditions": [complete]}})

    assert world.cluster.events.count((bad, "OperatorError")) == 1
    assert world.cluster.objects["jobs", "job-2"]["status"]["phase"] == "COMPLETE"
    assert world.cluster.runs_created[bad] == 1


@pytest.mark.parametrize("name", ["job-1", KEY.pipeline])
async def test_a_status_that_is_refused_is_logged_once_and_once_more_when_it_is_set_aside(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.cluster.refused_statuses.add(name)
    for _ in range(12):
        if name != "job-1":
            world.queue = WorkQueue()  # nothing else waits
        await world.look()
        for run in world.cluster.all("runs"):
            complete = {"type": "Complete", "status": "True", "lastTransitionTime": at(50).isoformat()}
            world.cluster.store("runs", {**run, "status": {"conditions": [complete]}})

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    kind = "Job" if name == "job-1" else "Pipeline"
    assert len(errors) == 2
    assert f"Kubernetes rejects the status of {kind} {name}: " in errors[0]
    assert errors[0].endswith("(trying again)")
    assert f"The operator has set {kind} {name} aside: Kubernetes rejects its status: " in errors[1]
    assert "It tries again in a few minutes" in errors[1]


async def test_what_was_left_out_gets_another_chance_at_each_audit() -> None:
    world = World()
    world.cluster.refused_statuses.add("job-1")
    for _ in range(9):
        await world.look()
    assert not world.job()

    world.cluster.refused_statuses.clear()
    await world.look()
    assert not world.job(), "it is left out"
    world.cache.forget_gone()
    await world.look()

    assert world.job()["phase"] == "RUNNING"


async def test_a_pipeline_whose_status_is_refused_does_not_hold_up_its_jobs() -> None:
    world = World()
    world.cluster.refused_statuses.add(KEY.pipeline)

    for _ in range(9):
        world.queue = WorkQueue()  # nothing else waits
        await world.look()

    assert world.job()["phase"] == "RUNNING"
    assert [reason for _, reason in world.cluster.events].count("OperatorError") == 1


async def test_what_may_not_be_deleted_is_left_for_a_while_and_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    asked, delete = list[str](), world.cluster.delete_run

    async def guarded(run: Run) -> None:
        asked.append(run.name)
        if run.number == 1:
            raise Refused("batch Jobs of finance are kept")
        await delete(run)

    monkeypatch.setattr(world.cluster, "delete_run", guarded)
    queue: WorkQueue[PipelineKey] = WorkQueue()
    monkeypatch.setattr(queue, "is_idle", lambda **_: True)
    reconciler = Reconciler(world.cluster, world.cache, queue, lambda: world.now, Limits(run_retention=0))
    for number in (2, 3):
        world.cluster.create("jobs", f"job-{number}", spec={"pipelineName": KEY.pipeline})
    for _ in range(20):
        for event, kind, body in world.cluster.history:
            world.cache.take_event(PLURALS[kind], {"type": event, "object": body})
        world.cluster.history.clear()
        for run in world.cluster.all("runs"):
            complete = {"type": "Complete", "status": "True", "lastTransitionTime": at(50).isoformat()}
            run.get("status") or world.cluster.store("runs", {**run, "status": {"conditions": [complete]}})
        await reconciler.look_at(KEY)
    queue.close()

    assert [job["status"]["phase"] for job in world.cluster.all("jobs")] == ["COMPLETE"] * 3
    assert asked == ["weather-r1", "weather-r2", "weather-r3"]
    assert "weather-r1 cannot be deleted: batch Jobs of finance are kept" in caplog.text

    world.now = at(100 + 301)
    await reconciler.look_at(KEY)
    queue.close()
    assert asked[3:] == ["weather-r1"]


async def test_an_event_does_not_pass_the_back_off_by(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.cluster, "job", broken)
    reconciler = Reconciler(world.cluster, world.cache, world.queue, lambda: world.now, Limits())
    for event, kind, body in world.cluster.history:
        world.cache.take_event(PLURALS[kind], {"type": event, "object": body})

    await reconciler.look_at(KEY)
    world.queue.add(KEY)

    assert world.queue.depth == 0
    world.queue.close()


async def test_an_outage_is_a_line_and_a_later_look(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()

    async def away(*_: object) -> None:
        raise ApiError(503, "ServiceUnavailable", "apiserver is shutting down")

    monkeypatch.setattr(world.cluster, "create_run", away)

    with caplog.at_level(logging.WARNING):
        await world.look()

    (line,) = caplog.records
    assert "trying again in" in line.message
    assert "apiserver is shutting down" in line.message
    assert line.exc_info is None
