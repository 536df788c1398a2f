"""The cluster as the tests see it: through kubectl and the `kubernetes` package, never through the operator's code."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import yaml
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from e2e.clock import text

GROUP, VERSION = "elt-operator.io", "v1alpha1"
IMAGE = f"{os.environ.get('IMAGES_FROM', 'localhost')}/elt-test:dev"
TERMINAL = {"COMPLETE", "ERROR", "STOPPED", "UNKNOWN"}

USER = "system:serviceaccount:elt-operator:elt-operator"
"""The operator, as the API server knows it."""

PLURALS = {"Pipeline": "eltpipelines", "Job": "eltjobs"}
ALREADY_THERE = 409

Body = dict[str, Any]
Until = Callable[[Body], bool]


class Refused(Exception):
    """kubectl failed; its words are the message."""


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Return what kubectl prints; raises ``Refused``."""
    ended = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False, input=stdin)
    if ended.returncode:
        raise Refused(ended.stderr)
    return ended.stdout


@cache
def api() -> client.ApiClient:
    """Return the connection to the API server, as its administrator."""
    return config.new_client_from_config(os.environ["KUBECONFIG"])


def custom() -> client.CustomObjectsApi:
    return client.CustomObjectsApi(api())


def core() -> client.CoreV1Api:
    return client.CoreV1Api(api())


def batch() -> client.BatchV1Api:
    return client.BatchV1Api(api())


def plain(thing: Any) -> Any:
    """Return a typed object as the JSON that the API server sent."""
    return api().sanitize_for_serialization(thing)


def manifest(kind: str, name: str, **spec: Any) -> Body:
    """Return a Pipeline, or a Job."""
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def scale_operator(replicas: int) -> None:
    """Have so many pods of the installed operator; with 0, return when none is left."""
    kubectl("scale", "--namespace=elt-operator", "deployment/elt-operator", f"--replicas={replicas}")
    if replicas == 0:
        kubectl("wait", "--namespace=elt-operator", "pod", "--selector=app.kubernetes.io/component=operator",
                "--for=delete", "--timeout=60s")  # fmt: skip


def phase(*phases: str) -> Until:
    """Return whether a Job is in one of ``phases``."""
    return lambda body: body.get("status", {}).get("phase") in phases


def reason(word: str) -> Until:
    """Return whether a Job gives ``word`` as its reason."""
    return lambda body: body.get("status", {}).get("reason") == word


ended = phase(*TERMINAL)


def message(job: Body) -> str:
    """Return the message of a Job's condition Succeeded."""
    found = [condition["message"] for condition in job["status"]["conditions"] if condition["type"] == "Succeeded"]
    return str(found[0])


def did_the_work(pod: Body) -> bool:
    """Return whether a pod's own container has succeeded; its pod may have failed by those that others have added."""
    statuses = pod["status"].get("containerStatuses", [])
    ends = {one["name"]: one.get("state", {}).get("terminated") or {} for one in statuses}
    if len(ends) > 1 or "initContainerStatuses" in pod["status"]:
        return ends.get("elt", {}).get("exitCode") == 0
    return bool(pod["status"]["phase"] == "Succeeded")


@contextmanager
def words_of_a_refusal() -> Iterator[None]:
    """Raise ``Refused`` with the API server's words when it refuses something."""
    try:
        yield
    except ApiException as error:
        raise Refused(json.loads(error.body or "{}").get("message", error.reason)) from error


@dataclass
class Namespace:
    """A namespace and what is in it."""

    name: str
    leftovers_allowed: bool = False
    """Whether Jobs may be unfinished at the end of the test."""

    @classmethod
    def create(cls, of_test: str) -> "Namespace":
        words = re.sub("[^a-z0-9]+", "-", of_test.lower()).strip("-")[:40].strip("-")
        name = f"e2e-{words}-{uuid.uuid4().hex[:6]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        core().create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name, labels=labels)))
        return cls(name)

    def delete(self) -> None:
        core().delete_namespace(self.name)

    def admit(self, level: str) -> None:
        """Admit pods of another PodSecurity level than `restricted`."""
        labels = {"pod-security.kubernetes.io/enforce": level}
        core().patch_namespace(self.name, {"metadata": {"labels": labels}})

    # --- making things

    def apply(self, body: Body | str, *options: str) -> str:
        """Apply a manifest as a user would; raises ``Refused`` with what the user reads."""
        text = body if isinstance(body, str) else yaml.safe_dump(body)
        return kubectl("apply", "--namespace", self.name, *options, "-f", "-", stdin=text)

    def try_out(self, body: Body) -> None:
        """Create a Pipeline or a Job, but for storing it; raises ``Refused`` with the API server's words."""
        with words_of_a_refusal():
            custom().create_namespaced_custom_object(
                GROUP, VERSION, self.name, PLURALS[body["kind"]], body, dry_run="All", field_validation="Strict"
            )

    def pipeline(self, name: str = "weather", **spec: Any) -> None:
        """Create a Pipeline, or give it another spec; by default it runs the small image and does nothing."""
        what: Body = {} if spec.keys() & {"actions", "script", "command"} else {"command": ["true"]}
        body = manifest("Pipeline", name, **{"image": IMAGE, "imagePullPolicy": "IfNotPresent", **what, **spec})
        place = (GROUP, VERSION, self.name, "eltpipelines")
        with words_of_a_refusal():
            try:
                custom().create_namespaced_custom_object(*place, body, field_validation="Strict")
            except ApiException as error:
                if error.status != ALREADY_THERE:
                    raise
                change: Any = [{"op": "replace", "path": "/spec", "value": body["spec"]}]
                custom().patch_namespaced_custom_object(
                    *place, name, change, field_validation="Strict", _content_type="application/json-patch+json"
                )

    def job(self, name: str = "job-1", pipeline: str = "weather", **spec: Any) -> None:
        """Create a Job."""
        body = manifest("Job", name, pipelineName=pipeline, **spec)
        custom().create_namespaced_custom_object(GROUP, VERSION, self.name, "eltjobs", body)

    def own_job(self, name: str, pipeline: str = "weather") -> None:
        """Create a Job as the operator does for a schedule."""
        owner = self.get(pipeline, "eltpipelines")["metadata"]
        reference = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Pipeline", "name": owner["name"], "uid": owner["uid"]}
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/managed-by": "elt-operator"},
                "annotations": {"elt-operator.io/slot-name": name},
                "ownerReferences": [{**reference, "controller": True}],
            },
            "spec": {"pipelineName": pipeline, "trigger": {"type": "Schedule"}},
        }
        custom().create_namespaced_custom_object(GROUP, VERSION, self.name, "eltjobs", body)

    def cron_job(self, name: str = "weather") -> Body | None:
        """Return a CronJob; ``None``: there is none."""
        found = [body for body in self.cron_jobs() if body["metadata"]["name"] == name]
        return found[0] if found else None

    def cron_jobs(self) -> list[Body]:
        items: list[Body] = plain(batch().list_namespaced_cron_job(self.name))["items"]
        return items

    def slot(self, moment: datetime, pipeline: str = "weather") -> str:
        """Create what the CronJob controller creates at ``moment``, in force for a day then; return its name."""
        self.until(lambda: self.cron_job(pipeline) is not None)
        cron_job = self.cron_job(pipeline) or {}
        template, name = cron_job["spec"]["jobTemplate"], f"{pipeline}-{int(moment.timestamp()) // 60}"
        time = {
            "batch.kubernetes.io/cronjob-scheduled-timestamp": text(moment),
            "elt-operator.io/since": text(moment - timedelta(days=1)),
        }
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": pipeline, "uid": cron_job["metadata"]["uid"]}
        metadata = {
            "name": name,
            "labels": template["metadata"]["labels"],
            "annotations": {**template["metadata"].get("annotations", {}), **time},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        }
        self.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
        return name

    def run(self, name: str = "job-1", timeout: int = 60, pipeline: str = "weather", **spec: Any) -> Body:
        """Create a Job and return it when it has ended."""
        self.job(name, pipeline, **spec)
        return self.wait(name, ended, timeout)

    def patch(self, name: str, body: Body) -> None:
        """Change a Job, as `kubectl patch --type=merge` does."""
        custom().patch_namespaced_custom_object(GROUP, VERSION, self.name, "eltjobs", name, body)

    def restore_status(self, name: str, status: Body) -> None:
        """Give a Job a status, as a tool that restores a backup does."""
        arguments = (GROUP, VERSION, self.name, "eltjobs", name, {"status": status})
        custom().patch_namespaced_custom_object_status(*arguments)

    def suspend_run(self, name: str, suspend: bool) -> None:
        """Suspend or resume a batch Job, as somebody might by hand."""
        batch().patch_namespaced_job(name, self.name, {"spec": {"suspend": suspend}})

    def evict(self, pod: str) -> None:
        """Evict a pod, as `kubectl drain` does."""
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod, namespace=self.name))
        core().create_namespaced_pod_eviction(pod, self.name, eviction)

    def delete_job(self, name: str) -> None:
        custom().delete_namespaced_custom_object(GROUP, VERSION, self.name, "eltjobs", name)

    # --- looking at things

    def wait(self, name: str, until: Until, timeout: int = 60, plural: str = "eltjobs") -> Body:
        """Return an object as soon as ``until`` holds; fails with its last state after ``timeout`` seconds."""
        last: Body = {}
        stream = watch.Watch().stream(
            custom().list_namespaced_custom_object,
            GROUP, VERSION, self.name, plural, field_selector=f"metadata.name={name}", timeout_seconds=timeout,
        )  # fmt: skip
        with closing(stream):
            for event in stream:
                last = event["object"]
                if until(last):
                    return last
        raise AssertionError(f"{plural} {name} did not get there in {timeout} s: {json.dumps(last, indent=1)}")

    def changes(self, seconds: int) -> Iterator[Body]:
        """Yield the Jobs as they are and as they change, for so long at most."""
        list_ = custom().list_namespaced_custom_object
        stream = watch.Watch().stream(list_, GROUP, VERSION, self.name, "eltjobs", timeout_seconds=seconds)
        with closing(stream):
            yield from (event["object"] for event in stream)

    def wait_for_pod(self, until: Until, timeout: int = 60) -> Body:
        """Return the first pod for which ``until`` holds."""
        stream = watch.Watch().stream(core().list_namespaced_pod, self.name, timeout_seconds=timeout)
        with closing(stream):
            for event in stream:
                body: Body = plain(event["object"])
                if until(body):
                    return body
        raise AssertionError(f"no pod got there in {timeout} s: {self.pods()}")

    def until(self, holds: Callable[[], bool], timeout: int = 60) -> None:
        """Wait for what no single object shows; fails after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, f"it did not get there in {timeout} s: {self.jobs()} {self.runs()}"
            time.sleep(0.3)

    def get(self, name: str, plural: str = "eltjobs") -> Body:
        body: Any = custom().get_namespaced_custom_object(GROUP, VERSION, self.name, plural, name)
        found: Body = body
        return found

    def jobs(self) -> list[Body]:
        found: Any = custom().list_namespaced_custom_object(GROUP, VERSION, self.name, "eltjobs")
        items: list[Body] = found["items"]
        return items

    def runs(self) -> list[Body]:
        return [body for body in self.batch_jobs() if f"{GROUP}/job" in body["metadata"].get("labels", {})]

    def slots(self) -> list[Body]:
        """Return the batch Jobs that CronJobs have made."""
        owned = [(body, owner) for body in self.batch_jobs() for owner in body["metadata"].get("ownerReferences", [])]
        return [body for body, owner in owned if owner["kind"] == "CronJob"]

    def batch_jobs(self) -> list[Body]:
        items: list[Body] = plain(batch().list_namespaced_job(self.name))["items"]
        return sorted(items, key=lambda body: str(body["metadata"]["creationTimestamp"]))

    def pods(self) -> list[Body]:
        items: list[Body] = plain(core().list_namespaced_pod(self.name))["items"]
        return items

    def pods_made(self) -> int:
        """Return how many pods were ever made for runs, by the batch Job controller's own account."""
        events = plain(core().list_namespaced_event(self.name, field_selector="reason=SuccessfulCreate"))["items"]
        made = [event for event in events if event["involvedObject"]["kind"] == "Job"]
        return sum(event.get("count") or 1 for event in made)

    def events(self, name: str, kind: str = "Job") -> list[Body]:
        """Return what was told about a Job, or a Pipeline."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name},source=elt-operator"
        items: list[Body] = plain(core().list_namespaced_event(self.name, field_selector=selector))["items"]
        return items

    def wait_for_event(self, name: str, kind: str, reason: str) -> None:
        """Wait until this was told about a Job; an event follows the status that it explains."""
        self.until(lambda: (kind, reason) in [(event["type"], event["reason"]) for event in self.events(name)])

    def log(self, job: Body) -> str:
        """Return the whole log of a Job's run, as kubectl reads it from the kubelet."""
        return kubectl("logs", "--namespace", self.name, f"job/{job['status']['taskName']}")

    # --- what must always hold

    def check_invariants(self) -> None:
        """One run for each Job, no run without its Job, an end that agrees with the run, one pod at a time."""
        jobs, runs, pods = self.jobs(), self.runs(), self.pods()
        owners = [run["metadata"]["ownerReferences"][0]["uid"] for run in runs]
        assert len(owners) == len(set(owners)), "two runs of one Job"
        by_owner = dict(zip(owners, runs, strict=True))
        for job in jobs:
            assert self.leftovers_allowed or ended(job), f"Job {job['metadata']['name']} has not ended: {job}"
            run = by_owner.get(job["metadata"]["uid"])
            if run and ended(job):
                # The batch controller closes a run a second after its pod has ended; the pod knows at once.
                of_run = {"batch.kubernetes.io/job-name": run["metadata"]["name"]}.items()
                done = [did_the_work(pod) for pod in pods if of_run <= pod["metadata"]["labels"].items()]
                assert job["status"]["phase"] != "COMPLETE" or not done or any(done), (job["status"], pods)
                assert job["status"]["phase"] != "ERROR" or not any(done), (job["status"], pods)
        self._check_one_at_a_time()

    def _check_one_at_a_time(self) -> None:
        """Check by the kubelet's own times that no two containers of a Pipeline ran at once."""
        spans: dict[str, list[tuple[str, str]]] = {}
        for pod in self.pods():
            pipeline = pod["metadata"].get("labels", {}).get(f"{GROUP}/pipeline")
            for container in pod.get("status", {}).get("containerStatuses", []):
                over = container.get("state", {}).get("terminated")
                if pipeline and over and over.get("startedAt"):
                    spans.setdefault(pipeline, []).append((over["startedAt"], over["finishedAt"]))
        for of_pipeline in spans.values():
            ordered = sorted(of_pipeline)
            assert all(before[1] <= after[0] for before, after in pairwise(ordered)), ordered


@cache
def credentials(_cluster: str) -> str:
    """Return a kubeconfig with exactly the installed operator's rights, which lasts as long as the tests do.

    Each cluster has its own: ``_cluster`` is the administrator's kubeconfig.
    """
    token = kubectl("create", "token", "--namespace=elt-operator", "elt-operator", "--duration=2h").strip()
    settings = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    settings["users"][0]["user"] = {"token": token}
    return json.dumps(settings)


class Process(Protocol):
    """What an operator runs in, as far as tests deal with it."""

    pid: int

    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...
    def wait(self) -> object: ...
    def poll(self) -> object: ...  # ``None`` while it runs


def started(environment: Mapping[str, str], log: Path) -> Process:
    """Start an operator, which appends what it says to ``log``."""
    with log.open("ab") as output:
        command = [sys.executable, "-m", "elt_operator"]
        return subprocess.Popen(command, stdout=output, stderr=output, env=dict(environment))


@dataclass
class Operator:
    """An operator process of a test's own, outside of the cluster."""

    namespace: str
    server: str = ""
    """Where it finds the API server; the real place when empty."""
    settings: dict[str, str] = field(default_factory=dict)
    """Environment variables, without their prefix."""
    identity: str = "elt-operator"
    """Its name as a replica."""
    code: Path | None = None
    """Folder of its package; that of the working tree when there is none."""
    launch: Callable[[Mapping[str, str], Path], Process] = started
    process: Process | None = None
    begun_at: int = 0
    """How long its log was when it was started last."""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="elt-e2e-")))

    def prepare(self) -> None:
        """Get its credentials, so that its start takes no longer than it has to."""
        self._kubeconfig()

    def start(self) -> None:
        """Start it; what it says is in ``log()``."""
        self.begun_at = len(self.log())
        self.process = self.launch(self._environment(), self.folder / "log")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBECONFIG": str(self._kubeconfig()),
            "ELT_OPERATOR_WATCH_NAMESPACES": self.namespace,
            "ELT_OPERATOR_HEALTH_PORT": "0",
            "ELT_OPERATOR_WORKERS": "4",
            "ELT_OPERATOR_LOG_FORMAT": "text",
            "POD_NAME": self.identity,
            **{f"ELT_OPERATOR_{name}": value for name, value in self.settings.items()},
            **({"PYTHONPATH": str(self.code)} if self.code else {}),
        }

    def _kubeconfig(self) -> Path:
        path = self.folder / "kubeconfig"
        if not path.exists():
            settings = json.loads(credentials(Path(os.environ["KUBECONFIG"]).read_text()))
            if self.server:
                settings["clusters"][0]["cluster"] = {"server": self.server}
            path.write_text(yaml.safe_dump(settings))
        return path

    def kill(self) -> None:
        """Kill it, as the kernel would."""
        if self.process:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process
        self.process.send_signal(number)

    def wait_for_line(self, words: str, timeout: int = 30) -> None:
        """Wait until its log says this, since it was started last."""
        deadline = time.monotonic() + timeout
        while words not in self.log()[self.begun_at :]:
            assert time.monotonic() < deadline, f"{words!r} is not in its log after {timeout} s:\n{self.log()[-3000:]}"
            time.sleep(0.1)  # a log has no watch

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def log(self) -> str:
        """Return all that it has said, before it was killed too."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


def audit_events(of_namespace: str = "") -> Iterator[Body]:
    """Yield what the API server's audit log tells of a namespace; empty: of the whole cluster."""
    tool = [sys.executable, "-m", "cluster", "audit-log"]
    tests = Path(__file__).resolve().parent.parent
    place = subprocess.run(tool, capture_output=True, text=True, check=True, cwd=tests).stdout.strip()
    with Path(place).open() as lines:
        for line in lines:
            event = json.loads(line)
            if of_namespace in {"", event.get("objectRef", {}).get("namespace")}:
                yield event
