"""Whatever happens in whatever order, and wherever the operator is killed: one run per Job, and the right end."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import KEY, at
from elt_operator.core.situation import Key, Limits
from elt_operator.kube.cache import Cache
from elt_operator.kube.queue import WorkQueue
from elt_operator.kube.reconciler import Reconciler
from fakes.cluster import Crash, FakeCluster, Fault, pod_of

TERMINAL = {"COMPLETE", "ERROR", "STOPPED", "UNKNOWN"}


def owner(body: dict[str, Any]) -> str:
    return str(body["metadata"]["ownerReferences"][0]["uid"])


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
            told = {"type": event, "object": body}
            take = {"runs": self.cache.take_run_event, "pods": self.cache.take_pod_event}
            take.get(kind, getattr(self.cache, kind).take_event)(told)
        self.seen = min(self.seen + count, len(self.cluster.history))

    def reconcile(self) -> None:
        """Look at the Pipeline once; an error that the operator calls a bug fails the test."""
        now = at(len(self.cluster.history) + self.cluster.minutes * 60)
        queue: WorkQueue[Key] = WorkQueue()
        reconciler = Reconciler(self.cluster, self.cache, queue, lambda: now, Limits())
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

    @precondition(lambda self: self.cluster.all("jobs"))
    @rule(data=st.data())
    def a_job_is_told_to_stop(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.cluster.all("jobs")))
        self.cluster.store("jobs", {**job, "spec": {**job["spec"], "stop": True}})

    @precondition(lambda self: self.runs_told())
    @rule(data=st.data())
    def a_run_is_deleted_by_hand(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.runs_told()))
        self.cluster.delete("runs", run["metadata"]["name"])

    def runs_told(self) -> list[dict[str, Any]]:
        """Return the runs that their Job tells of; of others no trace would be left."""
        told = {job.get("status", {}).get("taskName") for job in self.cluster.all("jobs")}
        return [run for run in self.cluster.all("runs") if run["metadata"]["name"] in told]

    @rule(policy=st.sampled_from(["Queue", "Forbid", "Replace"]))
    def the_policy_changes(self, policy: str) -> None:
        (pipeline,) = self.cluster.all("pipelines")
        self.cluster.store("pipelines", {**pipeline, "spec": {**pipeline["spec"], "concurrencyPolicy": policy}})

    @rule()
    def ten_minutes_pass(self) -> None:
        self.cluster.minutes += 10

    @rule(full=st.booleans())
    def the_quota_changes(self, full: bool) -> None:
        self.cluster.quota_full = full

    @rule()
    def the_batch_controller_acts(self) -> None:
        for run in self.cluster.all("runs"):
            pods = [pod for pod in self.cluster.all("pods") if owner(pod) == run["metadata"]["uid"]]
            if run["spec"].get("suspend") and not run.get("status"):
                condition = {"type": "Suspended", "status": "True"}
                self.cluster.store("runs", {**run, "status": {"conditions": [condition]}})
                for pod in pods:
                    self.cluster.tell_to_end(pod)
            elif not pods and not run.get("status"):
                self.cluster.create("pods", f"{run['metadata']['name']}-pod", **pod_of(run))
            elif pods and not run.get("status") and pods[0]["status"]["phase"] in {"Succeeded", "Failed"}:
                kind = "Complete" if pods[0]["status"]["phase"] == "Succeeded" else "Failed"
                condition = {"type": kind, "status": "True", "reason": "x", "lastTransitionTime": at(5).isoformat()}
                self.cluster.store("runs", {**run, "status": {"conditions": [condition]}})

    @rule(exit_code=st.sampled_from([0, 0, 1, 137]))
    def the_kubelet_acts(self, exit_code: int) -> None:
        for pod in self.cluster.all("pods"):
            told = "deletionTimestamp" in pod["metadata"]
            if pod["status"]["phase"] == "Pending" and not told:
                state = {"running": {"startedAt": at(3).isoformat()}}
                status = {"phase": "Running", "containerStatuses": [{"name": "elt", "state": state}]}
                self.cluster.store("pods", {**pod, "status": status})
            elif pod["status"]["phase"] == "Running":
                code = 143 if told else exit_code
                self.exit_codes[owner(pod)] = code
                ended = {"terminated": {"exitCode": code, "finishedAt": at(4).isoformat()}}
                status = {
                    "phase": "Failed" if code else "Succeeded",
                    "containerStatuses": [{"name": "elt", "state": ended}],
                }
                self.cluster.store("pods", {**pod, "status": status})
            elif told:
                self.cluster.delete("pods", pod["metadata"]["name"])

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
        owners = {owner(run): run for run in self.cluster.all("runs")}
        for job in self.cluster.all("jobs"):
            run = owners.get(job["metadata"]["uid"])
            status = job["status"]
            assert phase(job) in TERMINAL, job
            if run and phase(job) in {"COMPLETE", "ERROR"} and status["reason"] in {"Completed", "ApplicationError"}:
                exit_code = self.exit_codes[run["metadata"]["uid"]]
                assert (phase(job), status["exitCode"]) == ("ERROR" if exit_code else "COMPLETE", exit_code)
            if run is None:
                assert phase(job) != "COMPLETE" or job["metadata"]["uid"] in self.cluster.runs_created
            if phase(job) == "STOPPED" and not status.get("taskName"):
                assert job["metadata"]["uid"] not in self.cluster.runs_created, "told never to have started"
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
