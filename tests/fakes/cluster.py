"""A cluster in memory: an API server with names, UIDs and versions, and the controllers and kubelet that act on runs.

Nothing happens by itself: a test says which of its parts moves next, and how much of what happened each watcher sees.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builders import KEY, at
from elt_operator.core import render
from elt_operator.core.events import Event
from elt_operator.core.findings import Finding
from elt_operator.core.model import CronJob, EndedJob, Job, Pipeline, PipelineKey, Pod, PodLog, Run, Slot
from elt_operator.errors import Refused, Stale
from elt_operator.resources import names

Body = dict[str, Any]


PLURALS = {
    "pipelines": names.PIPELINES,
    "jobs": names.JOBS,
    "cron_jobs": "cronjobs",
    "slots": "jobs",
    "runs": "jobs",
    "pods": "pods",
}
"""The resource that each kind of object here is of."""


class Crash(BaseException):
    """The operator is killed here."""


@dataclass
class Fault:
    """Kill the operator at its n-th write from now, before or after the API server has stored it."""

    writes_left: int
    stored: bool


def _merged(target: Body, patch: Mapping[str, Any]) -> Body:
    """Apply a JSON merge patch (RFC 7386)."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


@dataclass
class FakeCluster:
    """Objects by kind and name in one namespace, and the history that watchers replay."""

    objects: dict[tuple[str, str], Body] = field(default_factory=dict)
    history: list[tuple[str, str, Body]] = field(default_factory=list)
    """Event type, kind, object."""
    runs_created: dict[str, int] = field(default_factory=dict)
    """How many runs were ever created, by the UID of their Job."""
    created: list[tuple[str, str]] = field(default_factory=list)
    """Kind and name of each CronJob, and each Job for a slot, that was ever created."""
    events: list[tuple[str, str]] = field(default_factory=list)
    """UID of the object and reason of each event that was posted."""
    writes: int = 0
    fault: Fault | None = None
    quota_full: bool = False
    followed: set[str] = field(default_factory=set)
    """UIDs of the pods whose log is followed to its end."""
    refused_statuses: set[str] = field(default_factory=set)
    """Names of the objects whose status is refused, whatever it says."""
    minutes: int = 0
    """How much time has passed besides what happened."""
    _version: int = 0

    @property
    def now(self) -> datetime:
        """The present: a second for each thing that happened."""
        return at(self._version + self.minutes * 60)

    # --- what users, controllers and the kubelet do

    def store(self, kind: str, body: Body, event: str = "MODIFIED") -> Body:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.objects[kind, body["metadata"]["name"]] = body
        self.history.append((event, kind, copy.deepcopy(body)))
        return copy.deepcopy(body)

    def create(self, kind: str, name: str, /, **content: Any) -> Body:
        metadata = {
            "name": name,
            "namespace": KEY.namespace,
            "uid": f"{kind}-{name}-{self._version}",
            "generation": 1,
            "creationTimestamp": self.now.isoformat(),
            **content.pop("metadata", {}),
        }
        return self.store(kind, {"metadata": metadata, **content}, "ADDED")

    def delete(self, kind: str, name: str) -> None:
        body = self.objects.pop((kind, name))
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.history.append(("DELETED", kind, copy.deepcopy(body)))

    def all(self, kind: str) -> list[Body]:
        return [body for (of_kind, _), body in self.objects.items() if of_kind == kind]

    def get(self, kind: str, name: str) -> Body | None:
        return copy.deepcopy(self.objects.get((kind, name)))

    def collect_garbage(self) -> bool:
        """Delete one object whose owner is gone; return whether there was one."""
        uids = {body["metadata"]["uid"] for body in self.objects.values()}
        for (kind, name), body in list(self.objects.items()):
            owners = body["metadata"].get("ownerReferences", [])
            if not owners or any(owner["uid"] in uids for owner in owners) or "deletionTimestamp" in body["metadata"]:
                continue
            if kind == "pods" and body["status"]["phase"] == "Running":
                self.tell_to_end(body)
            else:
                self.delete(kind, name)
            return True
        return False

    def tell_to_end(self, pod: Body) -> None:
        """Delete a pod as the batch Job controller does: the kubelet ends its process first."""
        self.store("pods", {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": at(10**6).isoformat()}})

    def batch_controller_acts(self) -> None:
        """Do one thing for each run that is not closed: take it up, make its pod, end its pods, or close it."""
        for run in self.all("runs"):
            pods = [pod for pod in self.all("pods") if owner(pod) == run["metadata"]["uid"]]
            phases = [pod["status"]["phase"] for pod in pods if pod["status"]["phase"] in {"Succeeded", "Failed"}]
            spec, status = run["spec"], run.get("status", {})
            if "conditions" in status:
                continue
            if spec.get("suspend") or (status and spec.get("activeDeadlineSeconds")):
                self._conclude(run, "Suspended" if spec.get("suspend") else "FailureTarget")
                for pod in pods:
                    self.tell_to_end(pod)
            elif not status:
                self.store("runs", {**run, "status": {"startTime": self.now.isoformat()}})
            elif not pods:
                self.create("pods", f"{run['metadata']['uid']}-pod", **pod_of(run))
            elif phases:
                self._conclude(run, "Complete" if phases[0] == "Succeeded" else "Failed")

    def _conclude(self, run: Body, kind: str) -> None:
        condition = {"type": kind, "status": "True", "reason": "x", "lastTransitionTime": self.now.isoformat()}
        self.store("runs", {**run, "status": {**run.get("status", {}), "conditions": [condition]}})

    def kubelet_acts(self, exit_code: int) -> dict[str, int]:
        """Do one thing for each pod: start it, end it, or let it go; return the exit codes, by the UID of its run."""
        codes = {}
        for pod in self.all("pods"):
            told, now = "deletionTimestamp" in pod["metadata"], self.now.isoformat()
            if pod["status"]["phase"] == "Pending" and not told:
                state: Body = {"running": {"startedAt": now}}
                self.store("pods", {**pod, "status": _of_container("Running", state)})
            elif pod["status"]["phase"] == "Running":
                code = codes[owner(pod)] = 143 if told else exit_code
                state = {"terminated": {"exitCode": code, "finishedAt": now}}
                self.store("pods", {**pod, "status": _of_container("Failed" if code else "Succeeded", state)})
            elif told:
                self.delete("pods", pod["metadata"]["name"])
        return codes

    # --- the Protocol

    def _write(self, act: Any) -> Body:
        """Perform a write; here the operator can be killed."""
        self.writes += 1
        if self.fault:
            self.fault.writes_left -= 1
            if self.fault.writes_left < 0:
                stored, self.fault = self.fault.stored, None
                if stored:
                    act()
                raise Crash
        done: Body = act()
        return done

    def _created(self, kind: str, manifest: Body) -> Body:
        """Perform the creation of what has a name of its own, as ``manifest`` says."""

        def act() -> Body:
            name = manifest["metadata"]["name"]
            if (kind, name) in self.objects:
                raise Stale(f'{kind} "{name}" already exists')
            self.created.append((kind, name))
            return self.create(kind, name, **copy.deepcopy(manifest))

        return self._write(act)

    async def create_job(self, key: PipelineKey, manifest: Body) -> Body:
        assert key == KEY
        return self._created("jobs", manifest)

    async def create_cron_job(self, key: PipelineKey, manifest: Body) -> Body:
        assert key == KEY
        return self._created("cron_jobs", _merged({}, manifest))

    async def change_cron_job(self, cron_job: CronJob, manifest: Body) -> Body:
        def act() -> Body:
            body = self.objects.get(("cron_jobs", cron_job.key.pipeline))
            if body is None or body["metadata"]["uid"] != cron_job.uid:
                raise Stale(f"CronJob {cron_job.key.pipeline} is gone")
            return self.store("cron_jobs", _merged(body, manifest))

        return self._write(act)

    async def delete_cron_job(self, cron_job: CronJob) -> None:
        self._removed("cron_jobs", cron_job.key.pipeline, cron_job.uid)

    async def cron_job(self, key: PipelineKey) -> Body | None:
        assert key == KEY
        return self.get("cron_jobs", key.pipeline)

    async def delete_slot(self, slot: Slot) -> None:
        self._removed("slots", slot.name, slot.uid)

    async def create_run(self, key: PipelineKey, manifest: Body) -> Body:
        def act() -> Body:
            name = manifest["metadata"]["name"]
            if self.quota_full:
                raise Refused("exceeded quota: jobs, used: count/jobs.batch=1, limited: count/jobs.batch=1")
            if ("runs", name) in self.objects:
                raise Stale(f'jobs.batch "{name}" already exists')
            owner = manifest["metadata"]["ownerReferences"][0]["uid"]
            self.runs_created[owner] = self.runs_created.get(owner, 0) + 1
            content = copy.deepcopy(manifest)
            return self.create("runs", name, **content)

        assert key == KEY
        return self._write(act)

    def _patched(self, kind: str, name: str, version: str, patch: Body) -> Body:
        def act() -> Body:
            body = self.objects.get((kind, name))
            if body is None or body["metadata"]["resourceVersion"] != version:
                raise Stale(f"{kind} {name}: the object has been modified")
            if name in self.refused_statuses:
                raise Refused(f"{kind} {name}: spec.trigger.scheduledTime is no time")
            return self.store(kind, {**body, "status": _merged(body.get("status", {}), patch)})

        return self._write(act)

    async def stop_run(self, run: Run, why: Finding) -> Body:
        def act() -> Body:
            body = self.objects.get(("runs", run.name))
            if body is None or body["metadata"]["uid"] != run.uid:
                raise Stale(f"run {run.name} is gone")
            if run.resource_version not in {"", body["metadata"]["resourceVersion"]}:
                raise Stale(f"run {run.name}: the object has been modified")
            words = {names.STOP_REASON_ANNOTATION: why.reason.value, names.STOP_MESSAGE_ANNOTATION: why.message}
            metadata = _merged(body["metadata"], {"annotations": words})
            return self.store("runs", {**body, "metadata": metadata, "spec": {**body["spec"], **render.end_of(run)}})

        return self._write(act)

    def _removed(self, kind: str, name: str, uid: str) -> None:
        def act() -> Body:
            body = self.objects.get((kind, name))
            if body and body["metadata"]["uid"] == uid:
                self.delete(kind, name)
            return {}

        self._write(act)

    async def delete_run(self, run: Run) -> None:
        self._removed("runs", run.name, run.uid)

    async def delete_job(self, job: EndedJob) -> None:
        self._removed("jobs", job.name, job.uid)

    async def post_event(self, about: Job | Pipeline, event: Event, now: datetime) -> None:
        def act() -> Body:
            self.events.append((about.uid, event.reason))
            return {}

        assert now.tzinfo
        self._write(act)

    async def post_own_event(self, namespace: str, pod_name: str, event: Event, now: datetime) -> None:
        def act() -> Body:
            self.events.append((f"{namespace}/{pod_name}", event.reason))
            return {}

        assert now.tzinfo
        self._write(act)

    async def write_job_status(self, namespace: str, name: str, version: str, patch: Body) -> Body:
        assert namespace == KEY.namespace
        return self._patched("jobs", name, version, patch)

    async def write_pipeline_status(self, namespace: str, name: str, version: str, patch: Body) -> Body:
        assert namespace == KEY.namespace
        return self._patched("pipelines", name, version, patch)

    async def run(self, namespace: str, name: str) -> Body | None:
        assert namespace == KEY.namespace
        return self.get("runs", name)

    async def job(self, namespace: str, name: str) -> Body | None:
        assert namespace == KEY.namespace
        return self.get("jobs", name)

    async def runs_of_job(self, namespace: str, job_name: str) -> list[Body]:
        assert namespace == KEY.namespace
        runs = self.all("runs")
        return [copy.deepcopy(run) for run in runs if run["metadata"]["labels"][names.JOB_LABEL] == job_name]

    async def pods_of_run(self, namespace: str, run_name: str) -> list[Body]:
        assert namespace == KEY.namespace
        pods = self.all("pods")
        return [copy.deepcopy(pod) for pod in pods if pod["metadata"]["ownerReferences"][0]["name"] == run_name]

    async def pod(self, namespace: str, name: str) -> Body | None:
        assert namespace == KEY.namespace
        return self.get("pods", name)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        def act() -> Body:
            body = self.objects.get(("pods", name))
            if body and body["metadata"]["uid"] == uid and "deletionTimestamp" not in body["metadata"]:
                self.tell_to_end(body)
            return {}

        assert namespace == KEY.namespace
        self._write(act)

    def follow_log(self, pod: Pod) -> None:
        assert pod.key.namespace == KEY.namespace
        self.followed.add(pod.uid)

    async def log(self, pod: Pod) -> PodLog:
        assert pod.key.namespace == KEY.namespace
        read = ("pods", pod.name) in self.objects or pod.uid in self.followed
        return PodLog(f"log of {pod.name}" if read else None)

    async def newest_warning(self, namespace: str, uid: str) -> str:
        assert namespace == KEY.namespace
        return f"warning about {uid}"


def owner(body: Body) -> str:
    """Return the UID of the first owner."""
    return str(body["metadata"]["ownerReferences"][0]["uid"])


def _of_container(phase: str, state: Body) -> Body:
    return {"phase": phase, "containerStatuses": [{"name": "elt", "state": state}]}


def pod_of(run: Body) -> dict[str, Any]:
    """Return what the batch Job controller creates for a run."""
    return {
        "metadata": {
            "labels": {names.PIPELINE_LABEL: KEY.pipeline},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "controller": True,
                    "name": run["metadata"]["name"],
                    "uid": run["metadata"]["uid"],
                }
            ],
        },
        "status": {"phase": "Pending"},
    }
