"""A queue of Kueue that has room for one run at a time, in a namespace of its own."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from kubernetes import watch

from e2e.clock import sleep_until
from e2e.endings import working
from e2e.world import Body, Namespace, core, kubectl, message, phase, plain, reason
from kueue.install import object_of

NAME = "nightly"
RUN_LABEL = "batch.kubernetes.io/job-name"

WORK = "echo working; until [ -e /tmp/go ]; do sleep 0.2; done; echo done"
"""A run that is at work until it is let go."""


def room_for_one_run(name: str) -> list[Body]:
    """Return a flavor, and a queue of all namespaces in which a pod of higher priority drives out one of lower."""
    one_pod = {"name": name, "resources": [{"name": "pods", "nominalQuota": 1}]}
    return [
        object_of("ResourceFlavor", name),
        object_of(
            "ClusterQueue",
            name,
            namespaceSelector={},
            resourceGroups=[{"coveredResources": ["pods"], "flavors": [one_pod]}],
            preemption={"withinClusterQueue": "LowerPriority"},
        ),
    ]


def waits(job: Body) -> bool:
    """Whether a Job says that its run waits in the queue."""
    return phase("RUNNING")(job) and reason("Starting")(job) and f"is waiting for Kueue queue {NAME}" in message(job)


@dataclass
class Queue:
    """The queue, its namespace, and what was in that."""

    namespace: Namespace
    since: str = ""
    """The version of the cluster's objects when it was opened."""
    priorities: list[str] = field(default_factory=list)

    def open(self) -> None:
        """Make it, and wait until Kueue admits from it."""
        name = self.namespace.name
        for body in [*room_for_one_run(name), object_of("LocalQueue", NAME, clusterQueue=name)]:
            self.namespace.apply(body)
        kubectl("wait", f"--namespace={name}", "--for=condition=Active", f"localqueue/{NAME}")
        self.since = plain(core().list_namespaced_pod(name))["metadata"]["resourceVersion"]

    def delete(self) -> None:
        """Delete it: Kueue lets go of the queue when nothing is in it, and of the flavor when no queue has it."""
        kubectl("delete", "namespace", self.namespace.name, "--timeout=120s")
        kubectl("delete", "clusterqueue,resourceflavor", self.namespace.name, "--ignore-not-found", "--timeout=60s")
        for name in self.priorities:
            kubectl("delete", "priorityclass", name)

    def priority(self, value: int) -> str:
        """Make a class of pods of this priority, which drive out no pod by themselves; return its name."""
        name = f"{self.namespace.name}-{value}"
        head = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        self.namespace.apply({**head, "value": value, "preemptionPolicy": "Never"})
        self.priorities.append(name)
        return name

    def job(self, pipeline: str, **spec: Any) -> str:
        """Create a Pipeline, and a Job of the same name; return the name of its run, which is there."""
        self.namespace.pipeline(pipeline, **{"script": WORK, "queueName": NAME, **spec})
        self.namespace.job(pipeline, pipeline)
        job = self.namespace.wait(pipeline, lambda body: bool(body.get("status", {}).get("taskName")))
        return str(job["status"]["taskName"])

    def behind(self, run: str) -> None:
        """Wait until what is created now comes after ``run``: Kueue knows no more than the second."""
        (created,) = (body["metadata"]["creationTimestamp"] for body in self.namespace.runs() if is_named(body, run))
        sleep_until(datetime.fromisoformat(created) + timedelta(seconds=1))

    def at_work(self, run: str) -> str:
        """Return the pod in which the process of ``run`` is at work, and has written its first line."""
        pod = self.namespace.wait_for_pod(lambda body: body["metadata"]["labels"][RUN_LABEL] == run and working(body))
        name = str(pod["metadata"]["name"])
        self.namespace.until(lambda: "working" in kubectl("logs", f"--namespace={self.namespace.name}", name))
        return name

    def let_go(self, run: str) -> None:
        """Have the process of ``run`` come to its end."""
        kubectl("exec", f"--namespace={self.namespace.name}", self.at_work(run), "--", "touch", "/tmp/go")  # noqa: S108 - in the pod

    def pods_ever(self) -> dict[str, int]:
        """Return for each run how many pods it ever had, by the API server's own account."""
        made: dict[str, str] = {}
        stream = watch.Watch().stream(
            core().list_namespaced_pod, self.namespace.name, resource_version=self.since, timeout_seconds=1
        )
        with closing(stream):
            for event in stream:
                metadata = plain(event["object"])["metadata"]
                made[metadata["uid"]] = metadata["labels"][RUN_LABEL]
        return dict(Counter(made.values()))

    def ran_one_after_another(self, *jobs: str) -> bool:
        """Whether the process of each Job started after that of the one before it had ended, by the kubelet's times."""
        attempts = [self.namespace.get(name)["status"]["attempts"][-1] for name in jobs]
        return all(before["endTime"] <= after["startTime"] for before, after in pairwise(attempts))


def is_named(body: Body, name: str) -> bool:
    return bool(body["metadata"]["name"] == name)
