"""Whatever happens in whatever order, and wherever the operator is killed: one run per Job, and the right end."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import KEY
from elt_operator.controller import snapshots
from elt_operator.controller.cache import Cache
from elt_operator.controller.queue import WorkQueue
from elt_operator.controller.reconciler import Reconciler
from elt_operator.core import cron
from elt_operator.core.model import PipelineKey
from elt_operator.core.situation import Limits
from fakes.cluster import PLURALS, Crash, FakeCluster, Fault, owner

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
        for kind in ("pipelines", "jobs", "cron_jobs", "slots", "runs", "pods"):
            for body in self.cluster.all(kind):
                getattr(self.cache, kind).take(body)

    def deliver(self, count: int) -> None:
        for event, kind, body in self.cluster.history[self.seen : self.seen + count]:
            told = {"type": event, "object": body}
            self.cache.take_event(PLURALS[kind], told)
        self.seen = min(self.seen + count, len(self.cluster.history))

    def reconcile(self) -> None:
        """Look at the Pipeline once; an error that the operator calls a bug fails the test."""
        now = self.cluster.now
        queue: WorkQueue[PipelineKey] = WorkQueue()
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
        self.last_slot: dict[str, datetime] = {}
        self.slots_made: dict[str, bool] = {}

    @rule(schedule=st.sampled_from(["*/10 * * * *", "0 * * * *", "61 * * * *", None]), suspend=st.booleans())
    def the_schedule_changes(self, schedule: str | None, suspend: bool) -> None:
        (pipeline,) = self.cluster.all("pipelines")
        spec = {name: value for name, value in pipeline["spec"].items() if name != "schedule"}
        spec |= {"suspend": suspend} | ({"schedule": schedule} if schedule else {})
        metadata = {**pipeline["metadata"], "generation": pipeline["metadata"]["generation"] + 1}
        self.cluster.store("pipelines", {**pipeline, "metadata": metadata, "spec": spec})

    @rule()
    def the_cron_job_controller_acts(self) -> None:
        """Make the slot of the newest time that has come, unless there is one still (Forbid)."""
        for cron_job in self.cluster.all("cron_jobs"):
            uid, spec = cron_job["metadata"]["uid"], cron_job["spec"]
            created = datetime.fromisoformat(cron_job["metadata"]["creationTimestamp"])
            times = cron.parse(spec["schedule"], spec["timeZone"]).between(
                self.last_slot.get(uid, created), self.cluster.now + timedelta(seconds=1)
            )
            newest = max(times, default=None)
            if newest and not spec["suspend"] and not self.slots_of(uid):
                self.last_slot[uid] = newest
                stamp = {"batch.kubernetes.io/cronjob-scheduled-timestamp": newest.isoformat()}
                self.make_slot(cron_job, f"{KEY.pipeline}-{newest.timestamp() // 60:.0f}", stamp)

    @precondition(lambda self: self.cluster.all("cron_jobs"))
    @rule()
    def somebody_makes_a_batch_job_from_it(self) -> None:
        self.jobs += 1
        (cron_job,) = self.cluster.all("cron_jobs")
        self.make_slot(cron_job, f"by-hand-{self.jobs}", {"cronjob.kubernetes.io/instantiate": "manual"})

    def make_slot(self, cron_job: dict[str, Any], name: str, annotations: dict[str, str]) -> None:
        template, metadata = cron_job["spec"]["jobTemplate"], cron_job["metadata"]
        reference = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True}
        made = self.cluster.create(
            "slots",
            name,
            metadata={
                "labels": template["metadata"]["labels"],
                "annotations": {**template["metadata"]["annotations"], **annotations},
                "ownerReferences": [{**reference, "name": metadata["name"], "uid": metadata["uid"]}],
            },
        )
        slot = snapshots.slot(made)
        assert slot
        self.slots_made[name] = slot.time is not None and slot.time >= slot.since

    def slots_of(self, cron_job_uid: str) -> list[dict[str, Any]]:
        by_clock = "batch.kubernetes.io/cronjob-scheduled-timestamp"
        slots = (slot for slot in self.cluster.all("slots") if owner(slot) == cron_job_uid)
        return [slot for slot in slots if by_clock in slot["metadata"]["annotations"]]

    @rule()
    def a_job_is_created(self) -> None:
        self.jobs += 1
        name = f"job-{self.jobs}"
        self.cluster.create("jobs", name, spec={"pipelineName": KEY.pipeline})

    def jobs_without_slot(self) -> list[dict[str, Any]]:
        """Return the Jobs whose slot is gone; of one that was deleted before that no trace would be left."""
        slots = {slot["metadata"]["name"] for slot in self.cluster.all("slots")}
        return [job for job in self.cluster.all("jobs") if job["metadata"]["name"] not in slots]

    @precondition(lambda self: self.jobs_without_slot())
    @rule(data=st.data())
    def a_job_is_deleted(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs_without_slot()))
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
        jobs = self.cluster.all("jobs")
        told = {(job["metadata"]["uid"], job.get("status", {}).get("taskName")) for job in jobs}
        return [run for run in self.cluster.all("runs") if (owner(run), run["metadata"]["name"]) in told]

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
        self.cluster.batch_controller_acts()

    @rule(exit_code=st.sampled_from([0, 0, 1, 137]))
    def the_kubelet_acts(self, exit_code: int) -> None:
        self.exit_codes |= self.cluster.kubelet_acts(exit_code)

    @invariant()
    def a_job_never_has_two_runs(self) -> None:
        assert all(count == 1 for count in self.cluster.runs_created.values())

    @invariant()
    def a_slot_never_makes_two_jobs(self) -> None:
        made = [name for kind, name in self.cluster.created if kind == "jobs"]
        assert len(made) == len(set(made))

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
        (pipeline,) = self.cluster.all("pipelines")
        with_job = {name for kind, name in self.cluster.created if kind == "jobs"}
        lost = {name for name, promised in self.slots_made.items() if promised} - with_job
        assert not self.cluster.all("slots")
        assert len(lost) <= pipeline["status"].get("skippedSlots", 0), lost
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
