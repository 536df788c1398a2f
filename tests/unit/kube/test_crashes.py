"""Whatever happens in whatever order, and wherever the operator is killed: one run per Job, and the right end."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import KEY, at
from elt_operator.core.situation import Key
from elt_operator.kube.cache import Cache
from elt_operator.kube.queue import WorkQueue
from elt_operator.kube.reconciler import Reconciler
from fakes.cluster import Crash, FakeCluster, Fault, pod_of

TERMINAL = {"COMPLETE", "ERROR", "STOPPED", "UNKNOWN"}


def phase(job: dict[str, Any]) -> str:
    return str(job.get("status", {}).get("phase", "QUEUED"))


@dataclass
class Operator:
    """One operator process: its cache, and how far its watches have come."""

    cluster: FakeCluster
    cache: Cache = field(default_factory=Cache)
    seen: int = 0

    def __post_init__(self) -> None:
        """Start like the real one: list everything, then watch from there."""
        self.seen = len(self.cluster.history)
        for kind in ("pipelines", "jobs", "runs", "pods"):
            for body in self.cluster.all(kind):
                getattr(self.cache, kind).take(body)

    def deliver(self, count: int) -> None:
        for event, kind, body in self.cluster.history[self.seen : self.seen + count]:
            getattr(self.cache, kind).take_event({"type": event, "object": body})
        self.seen = min(self.seen + count, len(self.cluster.history))

    def reconcile(self) -> None:
        """Look at the Pipeline once; an error that the operator calls a bug fails the test."""
        now = at(len(self.cluster.history) + 1000)
        queue: WorkQueue[Key] = WorkQueue()
        reconciler = Reconciler(self.cluster, self.cache, queue, lambda: now, 3600)
        bugs: list[logging.LogRecord] = []
        watcher = logging.Handler(logging.ERROR)
        watcher.emit = bugs.append  # type: ignore[method-assign,assignment]  # a handler of one line
        logger = logging.getLogger(Reconciler.__module__)
        logger.addHandler(watcher)
        try:
            asyncio.run(reconciler.look_at(KEY))
        finally:
            logger.removeHandler(watcher)
        assert not bugs, bugs[0].exc_info


class Crashes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cluster = FakeCluster()
        self.cluster.create("pipelines", KEY.pipeline, spec={"image": "elt:1", "command": ["true"]})
        self.operators = [Operator(self.cluster), Operator(self.cluster)]
        self.jobs = 0
        self.ends: dict[str, str] = {}
        self.exit_codes: dict[str, int] = {}

    @rule()
    def a_job_is_created(self) -> None:
        self.jobs += 1
        name = f"job-{self.jobs}"
        self.cluster.create("jobs", name, spec={"pipelineName": KEY.pipeline})

    @precondition(lambda self: self.cluster.all("jobs"))
    @rule(data=st.data())
    def a_job_is_deleted(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.cluster.all("jobs")))
        self.cluster.delete("jobs", job["metadata"]["name"])

    @rule()
    def garbage_is_collected(self) -> None:
        self.cluster.collect_garbage()

    @rule(which=st.integers(0, 1), count=st.integers(1, 5))
    def events_arrive(self, which: int, count: int) -> None:
        self.operators[which].deliver(count)

    @rule(which=st.integers(0, 1))
    def an_operator_reconciles(self, which: int) -> None:
        self.operators[which].reconcile()

    @rule(which=st.integers(0, 1), write=st.integers(0, 2), stored=st.booleans())
    def an_operator_is_killed_at_a_write(self, which: int, write: int, stored: bool) -> None:
        self.cluster.fault = Fault(write, stored)
        try:
            self.operators[which].reconcile()
        except Crash:
            self.operators[which] = Operator(self.cluster)
        finally:
            self.cluster.fault = None

    @rule(which=st.integers(0, 1))
    def an_operator_restarts(self, which: int) -> None:
        self.operators[which] = Operator(self.cluster)

    @rule(full=st.booleans())
    def the_quota_changes(self, full: bool) -> None:
        self.cluster.quota_full = full

    @rule()
    def the_batch_controller_acts(self) -> None:
        for run in self.cluster.all("runs"):
            name = run["metadata"]["name"]
            pods = [pod for pod in self.cluster.all("pods") if pod["metadata"]["ownerReferences"][0]["name"] == name]
            if not pods and not run.get("status"):
                content = pod_of(run, 1)
                content.pop("number")
                self.cluster.create("pods", f"{name}-pod", **content)
            elif pods and not run.get("status") and pods[0]["status"]["phase"] in {"Succeeded", "Failed"}:
                kind = "Complete" if pods[0]["status"]["phase"] == "Succeeded" else "Failed"
                condition = {"type": kind, "status": "True", "reason": "x", "lastTransitionTime": at(5).isoformat()}
                self.cluster.store("runs", {**run, "status": {"conditions": [condition]}})

    @rule(exit_code=st.sampled_from([0, 0, 1, 137]))
    def the_kubelet_acts(self, exit_code: int) -> None:
        for pod in self.cluster.all("pods"):
            if pod["status"]["phase"] == "Pending":
                state = {"running": {"startedAt": at(3).isoformat()}}
                status = {"phase": "Running", "containerStatuses": [{"name": "elt", "state": state}]}
                self.cluster.store("pods", {**pod, "status": status})
            elif pod["status"]["phase"] == "Running":
                self.exit_codes[pod["metadata"]["ownerReferences"][0]["uid"]] = exit_code
                ended = {"terminated": {"exitCode": exit_code, "finishedAt": at(4).isoformat()}}
                status = {
                    "phase": "Failed" if exit_code else "Succeeded",
                    "containerStatuses": [{"name": "elt", "state": ended}],
                }
                self.cluster.store("pods", {**pod, "status": status})

    @invariant()
    def a_job_never_has_two_runs(self) -> None:
        assert all(count == 1 for count in self.cluster.runs_created.values())

    @invariant()
    def no_two_pods_of_a_pipeline_run_at_once(self) -> None:
        alive = [pod for pod in self.cluster.all("pods") if pod["status"]["phase"] not in {"Succeeded", "Failed"}]
        assert len(alive) <= 1

    @invariant()
    def an_end_never_changes(self) -> None:
        for job in self.cluster.all("jobs"):
            before = self.ends.get(job["metadata"]["uid"])
            assert before in {None, phase(job)}
            if phase(job) in TERMINAL:
                self.ends[job["metadata"]["uid"]] = phase(job)

    def teardown(self) -> None:
        """Let everything come to rest, then compare what the Jobs say with what happened."""
        self.cluster.quota_full = False
        for _ in range(10 * (self.jobs + 1)):
            while self.cluster.collect_garbage():
                pass
            self.the_batch_controller_acts()
            self.the_kubelet_acts(0)
            for operator in self.operators:
                operator.deliver(10**6)
                operator.cache.refusals.clear()
                operator.reconcile()
        owners = {run["metadata"]["ownerReferences"][0]["uid"]: run for run in self.cluster.all("runs")}
        for job in self.cluster.all("jobs"):
            run = owners[job["metadata"]["uid"]]
            exit_code = self.exit_codes[run["metadata"]["uid"]]
            assert (phase(job), job["status"]["exitCode"]) == ("ERROR" if exit_code else "COMPLETE", exit_code)
        before = self.cluster.writes
        for operator in self.operators:
            operator.deliver(10**6)
            operator.reconcile()
        assert self.cluster.writes == before, "an operator at rest writes nothing"


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # minutes of shrinking would help nobody in CI
    suppress_health_check=[HealthCheck.too_slow],
)
