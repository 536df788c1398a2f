"""What is deleted and made anew under the same name, while the news of each resource comes at its own pace."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from builders import KEY
from elt_operator.controller.cache import Cache
from elt_operator.controller.gather import from_cache
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.reconciler import Reconciler
from elt_operator.core.model import PipelineKey
from elt_operator.core.situation import Limits
from fakes.cluster import PLURALS, FakeCluster, owner, pod_of

RESOURCES = sorted(set(PLURALS.values()))
TERMINAL = {"COMPLETE", "ERROR", "STOPPED", "UNKNOWN"}
Body = dict[str, Any]


def phase(job: Body) -> str:
    return str(job.get("status", {}).get("phase", "QUEUED"))


@dataclass
class Operator:
    """One operator; what its watch of a resource has told stands in ``seen``."""

    cluster: FakeCluster
    cache: Cache = field(default_factory=Cache)
    seen: dict[str, int] = field(default_factory=dict)

    def hear(self, plural: str, count: int = 10**6) -> None:
        """Take the next events of one resource."""
        place = self.seen.get(plural, 0)
        for event, kind, body in self.cluster.history[place:]:
            if count <= 0:
                break
            place += 1
            if PLURALS[kind] == plural:
                count -= 1
                self.cache.take_event(plural, {"type": event, "object": body})
        self.seen[plural] = place

    def hear_all(self, but: str = "") -> None:
        for plural in RESOURCES:
            if plural != but:
                self.hear(plural)

    def look(self, times: int = 1) -> None:
        now = self.cluster.now
        reconciler = Reconciler(self.cluster, self.cache, WorkQueue[PipelineKey](), lambda: now, Limits())
        for _ in range(times):
            asyncio.run(reconciler.look_at(KEY))


class World:
    """A cluster whose Pipeline has a Job at work."""

    def __init__(self, **spec: Any) -> None:
        self.cluster = FakeCluster()
        self.cluster.create("pipelines", KEY.pipeline, spec={"image": "elt:1", "command": ["true"], **spec})
        self.cluster.create("jobs", "load", spec={"pipelineName": KEY.pipeline})
        self.operator = Operator(self.cluster)
        self.settle()
        (self.run,) = self.cluster.all("runs")

    def settle(self, but: str = "") -> None:
        for _ in range(5):
            self.operator.hear_all(but=but)
            self.operator.look()

    def starts_pod(self, name: str = "a", state: str = "running", **more: Body) -> Body:
        self._says(startTime=self.cluster.now.isoformat())
        status = {"phase": "Running", "containerStatuses": [{"name": "elt", "state": {state: {"exitCode": 0}}}]}
        return self.cluster.create("pods", name, **{**pod_of(self.run), "status": {**status, **more}})

    def ends_pod(self, name: str = "a", exit_code: int = 0, **more: Any) -> None:
        pod = self.cluster.objects["pods", name]
        state = {"terminated": {"exitCode": exit_code, "finishedAt": self.cluster.now.isoformat()}}
        status = {
            "phase": "Failed" if exit_code else "Succeeded",
            "containerStatuses": [{"name": "elt", "state": state}],
        }
        self.cluster.store("pods", {**pod, "status": {**status, **more}})

    def job_is_made_anew(self) -> None:
        self.cluster.delete("jobs", "load")
        self.cluster.create("jobs", "load", spec={"pipelineName": KEY.pipeline})

    def is_told_to_stop(self) -> None:
        job = self.cluster.objects["jobs", "load"]
        self.cluster.store("jobs", {**job, "spec": {**job["spec"], "stop": True}})
        self.settle(but="pods")
        self.has_no_further_pod()

    def has_no_further_pod(self) -> None:
        """Have the batch Job controller say that it makes none."""
        self._says(conditions=[{"type": "FailureTarget", "status": "True"}])

    def _says(self, **status: Any) -> None:
        run = self.cluster.objects["runs", self.run["metadata"]["name"]]
        self.cluster.store("runs", {**run, "status": {**run.get("status", {}), **status}})

    def others(self) -> list[Body]:
        return [run for run in self.cluster.all("runs") if run["metadata"]["uid"] != self.run["metadata"]["uid"]]


def the_watch_says_so(world: World) -> None:
    world.cluster.delete("runs", "weather-r1")


def an_audit_finds_it_missing(world: World) -> None:
    world.cluster.delete("runs", "weather-r1")
    world.operator.cache.forget("jobs", world.run["metadata"]["uid"])


def stopping_it_finds_it_missing(world: World) -> None:
    world.cluster.delete("runs", "weather-r1")
    world.operator.hear("eltjobs")
    world.operator.look(2)


@pytest.mark.parametrize(
    "goes",
    [the_watch_says_so, an_audit_finds_it_missing, stopping_it_finds_it_missing],
    ids=lambda goes: goes.__name__.replace("_", " "),
)
@pytest.mark.parametrize("pipeline_too", [False, True], ids=["the Job", "Pipeline and Job"])
def test_a_job_made_anew_waits_for_a_pod_that_the_watch_has_not_told_of(
    goes: Callable[[World], None], pipeline_too: bool
) -> None:
    world = World()
    world.starts_pod()
    world.job_is_made_anew()
    if pipeline_too:
        spec = world.cluster.objects["pipelines", KEY.pipeline]["spec"]
        world.cluster.delete("pipelines", KEY.pipeline)
        world.cluster.create("pipelines", KEY.pipeline, spec=spec)
    goes(world)

    world.settle(but="pods")
    assert not world.others()

    world.ends_pod()
    world.settle()
    (run,) = world.others()
    assert owner(run) == world.cluster.objects["jobs", "load"]["metadata"]["uid"]


def test_a_job_made_anew_waits_for_an_unseen_pod_of_a_run_that_was_stopped() -> None:
    world = World()
    world.starts_pod()
    world.is_told_to_stop()
    world.job_is_made_anew()

    world.settle(but="pods")
    assert not world.others()

    world.ends_pod(exit_code=143)
    world.settle()
    assert world.others()


def test_a_deleted_run_is_over_only_once_the_pod_of_its_newest_attempt_is() -> None:
    world = World(maxRetries=2)
    world.starts_pod("a")
    world.ends_pod("a", exit_code=1)
    world.settle()
    world.starts_pod("b")
    world.cluster.delete("runs", "weather-r1")

    world.settle(but="pods")
    assert phase(world.cluster.objects["jobs", "load"]) == "RUNNING"

    world.ends_pod("b", exit_code=143)
    world.settle()
    assert world.cluster.objects["jobs", "load"]["status"]["reason"] == "RunDeleted"


def test_an_end_that_is_proven_is_not_asked_for_at_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(), list[str]()
    world.starts_pod()
    world.is_told_to_stop()
    world.ends_pod(exit_code=143)
    world.settle()
    read = world.cluster.pods_of_run

    async def counted(namespace: str, name: str) -> list[Body]:
        asked.append(name)
        return await read(namespace, name)

    monkeypatch.setattr(world.cluster, "pods_of_run", counted)
    world.cluster.quota_full = True
    world.cluster.create("jobs", "next", spec={"pipelineName": KEY.pipeline})
    for _ in range(3):
        world.settle()
        world.operator.cache.refusals.clear()
    world.cluster.quota_full = False
    world.settle()

    assert phase(world.cluster.objects["jobs", "load"]) == "STOPPED"
    assert world.others()
    assert asked == ["weather-r1"]


def test_of_two_pipelines_of_a_name_the_newest_counts() -> None:
    world = World()
    old = world.cluster.objects["pipelines", KEY.pipeline]
    new = {**old, "metadata": {**old["metadata"], "uid": "new", "resourceVersion": "900"}}
    for bodies in ((old, new), (new, old)):
        cache = Cache()
        for body in bodies:
            cache.pipelines.take(body)
        pipeline = from_cache(cache, KEY, world.cluster.now, Limits()).pipeline
        assert pipeline
        assert pipeline.uid == "new"


def test_work_that_is_done_is_not_done_again_when_another_container_fails_its_pod() -> None:
    world = World(maxRetries=1)
    world.starts_pod()
    ended = {"exitCode": 0, "finishedAt": world.cluster.now.isoformat()}
    states = [("elt", {"terminated": ended}), ("proxy", {"terminated": {**ended, "exitCode": 1}})]
    statuses = [{"name": name, "state": state} for name, state in states]
    world.ends_pod(phase="Failed", containerStatuses=statuses)
    world.cluster.create("jobs", "next", spec={"pipelineName": KEY.pipeline})
    world.settle()

    assert phase(world.cluster.objects["jobs", "load"]) == "COMPLETE"
    assert world.cluster.objects["runs", "weather-r1"]["spec"]["activeDeadlineSeconds"] == 1
    assert not world.others(), "a further attempt may have been on its way"

    world.has_no_further_pod()
    again = world.starts_pod("b")
    world.settle(but="pods")
    assert not world.others(), "and it was"

    world.ends_pod(again["metadata"]["name"], exit_code=143)
    world.settle()
    assert world.others()


class MadeAnew(RuleBasedStateMachine):
    """Pipelines and Jobs come and go under three names; each watch is as late as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = FakeCluster()
        self.operator = Operator(self.cluster)
        self.codes: dict[str, int] = {}
        self.told = set[str]()
        self.pipeline_is_made_anew()

    @rule()
    def pipeline_is_made_anew(self) -> None:
        if self.cluster.get("pipelines", KEY.pipeline):
            self.cluster.delete("pipelines", KEY.pipeline)
        self.cluster.create("pipelines", KEY.pipeline, spec={"image": "elt:1", "command": ["true"]})

    @rule(name=st.sampled_from(["job-1", "job-2", "job-3"]), kept=st.booleans())
    def a_job_is_made_or_deleted(self, name: str, kept: bool) -> None:
        """A finalizer of somebody else's may keep what is deleted for a while."""
        job = self.cluster.get("jobs", name)
        if job is None:
            self.cluster.create("jobs", name, spec={"pipelineName": KEY.pipeline})
        elif kept and "deletionTimestamp" not in job["metadata"]:
            metadata = {**job["metadata"], "deletionTimestamp": self.cluster.now.isoformat()}
            self.cluster.store("jobs", {**job, "metadata": metadata})
        else:
            self.cluster.delete("jobs", name)

    @rule(plural=st.sampled_from(RESOURCES), count=st.integers(1, 5))
    def news_come(self, plural: str, count: int) -> None:
        self.operator.hear(plural, count)

    @rule()
    def the_operator_looks(self) -> None:
        self.operator.look()

    @rule()
    def the_operator_restarts(self) -> None:
        self.operator = Operator(self.cluster, seen=dict.fromkeys(RESOURCES, len(self.cluster.history)))
        for kind in PLURALS:
            for body in self.cluster.all(kind):
                getattr(self.operator.cache, kind).take(body)

    @rule()
    def garbage_is_collected(self) -> None:
        self.cluster.collect_garbage()

    @rule()
    def the_batch_controller_acts(self) -> None:
        self.cluster.batch_controller_acts()

    @rule(exit_code=st.sampled_from([0, 0, 3]))
    def the_kubelet_acts(self, exit_code: int) -> None:
        self.codes |= self.cluster.kubelet_acts(exit_code)

    @invariant()
    def no_two_are_at_work(self) -> None:
        alive = [pod for pod in self.cluster.all("pods") if pod["status"]["phase"] not in {"Succeeded", "Failed"}]
        assert len(alive) <= 1

    @invariant()
    def each_job_has_one_run_and_tells_its_end(self) -> None:
        assert all(count == 1 for count in self.cluster.runs_created.values())
        for job in self.cluster.all("jobs"):
            uid, status = job["metadata"]["uid"], job.get("status", {})
            if phase(job) not in TERMINAL or uid in self.told:
                continue
            self.told.add(uid)
            runs = (body for _, kind, body in self.cluster.history if kind == "runs")
            its = {run["metadata"]["uid"] for run in runs if owner(run) == uid}
            codes = {self.codes[run] for run in its if run in self.codes}
            assert phase(job) != "COMPLETE" or codes == {0}
            assert status.get("exitCode") is None or codes == {status["exitCode"]}

    def teardown(self) -> None:
        for _ in range(30):
            while self.cluster.collect_garbage():
                pass
            self.the_batch_controller_acts()
            self.the_kubelet_acts(0)
            self.operator.hear_all()
            self.operator.cache.refusals.clear()
            self.operator.look()
        assert [job for job in self.cluster.all("jobs") if phase(job) not in TERMINAL] == []


TestMadeAnew = MadeAnew.TestCase
TestMadeAnew.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
