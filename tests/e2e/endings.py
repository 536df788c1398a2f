"""The ways in which a Job can end: how each is brought about, and what the Job then says."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.world import Body, Namespace, core, ended, kubectl, phase, reason

# Python as the main process takes memory until the kernel kills it; below bash it is a child, and bash lives on.
HOG = "python3 -c 'hog = [bytearray(1 << 20) for _ in range(500)]'"
LITTLE_MEMORY = {"limits": {"memory": "64Mi"}}
NO_IMAGE = {"image": "localhost/no-such-image:1", "imagePullPolicy": "Never"}
IN_NO_TIME = {"pendingTimeoutSeconds": 7}
ONE_SECOND_OF_GRACE = {"terminationGracePeriodSeconds": 1}
SLEEP = "echo working; sleep 300"
STUBBORN = "trap '' TERM; echo working; while true; do sleep 0.1; done"
FAILS_ONCE = "[ -e /state/seen ] || { touch /state/seen; echo first try fails; exit 9; }; echo second try"
SLEEPS_ONCE = "[ -e /state/seen ] || { touch /state/seen; sleep 300; }; echo second try"

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: state}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
"""
ON_CLAIM: Body = {
    "volumes": [{"name": "state", "mountPath": "/state", "persistentVolumeClaim": {"claimName": "state"}}],
    "pod": {"fsGroup": 65532},
}
BY_ENV = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "warehouse", "key": "password"}}}]
BY_FILE = [{"name": "keys", "mountPath": "/keys", "secret": {"secretName": "warehouse"}}]

Act = Callable[[Namespace], object]


def nothing(_namespace: Namespace) -> None:
    """Let it run."""


def working(pod: Body) -> bool:
    """Whether the pod's process is at work, and not just about to be."""
    states = pod["status"].get("containerStatuses", [])
    return pod["status"]["phase"] == "Running" and bool(states) and "running" in states[0]["state"]


def under_way(namespace: Namespace) -> Body:
    """Return the pod of the Job once its process is at work and has written its first line."""
    pod = namespace.wait_for_pod(working)
    deadline = time.monotonic() + 30
    while not core().read_namespaced_pod_log(pod["metadata"]["name"], namespace.name) and time.monotonic() < deadline:
        time.sleep(0.2)  # the log has no watch
    return pod


def stop(namespace: Namespace) -> None:
    under_way(namespace)
    namespace.patch("job-1", {"spec": {"stop": True}})


def stop_before_it_starts(namespace: Namespace) -> None:
    namespace.wait("job-1", phase("RUNNING"))
    namespace.patch("job-1", {"spec": {"stop": True}})


def delete_run(namespace: Namespace) -> None:
    under_way(namespace)
    kubectl("delete", "--namespace", namespace.name, "job", "weather-r1", "--wait=false")


def delete_pod(namespace: Namespace) -> None:
    pod = under_way(namespace)
    kubectl("delete", "--namespace", namespace.name, "pod", pod["metadata"]["name"], "--wait=false")


def delete_first_pod(namespace: Namespace) -> None:
    pod = namespace.wait_for_pod(working)
    kubectl("delete", "--namespace", namespace.name, "pod", pod["metadata"]["name"], "--wait=false")


def evict(namespace: Namespace) -> None:
    namespace.evict(namespace.wait_for_pod(working)["metadata"]["name"])


def evict_before_it_starts(namespace: Namespace) -> None:
    pod = namespace.wait_for_pod(lambda pod: "containerStatuses" in pod["status"])
    namespace.evict(pod["metadata"]["name"])
    namespace.wait_for_pod(lambda other: other["metadata"]["uid"] != pod["metadata"]["uid"])
    namespace.apply(SECRET)


def suspend_and_resume(namespace: Namespace) -> None:
    namespace.wait_for_pod(working)
    namespace.suspend_run("weather-r1", True)
    namespace.wait("job-1", reason("Starting"))
    # An operator that is killed now may not see the pod end.
    namespace.until(lambda: "attempts" in namespace.get("job-1")["status"] or not namespace.pods())
    namespace.suspend_run("weather-r1", False)


def delete_pipeline(namespace: Namespace) -> None:
    under_way(namespace)
    kubectl("delete", "--namespace", namespace.name, "eltpipeline", "weather")


def change_pipeline(namespace: Namespace) -> None:
    under_way(namespace)
    namespace.pipeline(script="echo changed; exit 5")


def another_job(namespace: Namespace) -> None:
    under_way(namespace)
    namespace.job("job-2")


def free_the_quota(namespace: Namespace) -> None:
    namespace.wait("job-1", reason("Rejected"))
    namespace.apply(QUOTA.replace('"0"', '"5"'))


SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: warehouse}
stringData: {password: canary-4711}
"""
QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: none}
spec: {hard: {count/jobs.batch: "0"}}
"""


@dataclass(frozen=True)
class Ending:
    """One way to end."""

    name: str
    pipeline: Body
    phase: str
    reason: str
    exit_code: int | None
    words: str
    """Part of the message of the condition Succeeded."""
    pods: int = 1
    """How many were made for the Job."""
    attempts: Sequence[tuple[str, int | None]] | None = None
    """Reason and exit code of each attempt, where there is more to say than of the Job."""
    job: Body = field(default_factory=dict)
    first: str = ""
    """What has to be there before the Pipeline."""
    act: Act = nothing
    """What somebody does, once the Job is created."""
    looked_at: str = "job-1"
    log: str = ""
    """What the end of the log says, as far as it has to be known."""

    @property
    def file_name(self) -> str:
        """What its record is called, without what says that it is JSON."""
        return self.name.lower().replace(" ", "-")

    @property
    def fleeting(self) -> bool:
        """Whether the end is gone together with the pod: an operator that is away in that second cannot tell of it."""
        return self.act in {
            stop,
            stop_before_it_starts,
            delete_run,
            delete_pod,
            delete_first_pod,
            evict,
            evict_before_it_starts,
            suspend_and_resume,
            another_job,
        }

    def bring_about(self, namespace: Namespace) -> Body:
        """Make it happen; return the Job when it has ended."""
        self.begin(namespace)
        self.act(namespace)
        return self.end(namespace)

    def begin(self, namespace: Namespace) -> None:
        """Create what is needed, and the Job."""
        if self.first:
            namespace.apply(self.first)
        namespace.pipeline(**self.pipeline)
        namespace.job(**self.job)

    def end(self, namespace: Namespace) -> Body:
        """Return the Job when it has ended."""
        return namespace.wait(self.looked_at, ended, timeout=120)


def _endings() -> list[Ending]:
    error, app = "ERROR", "ApplicationError"

    def script(name: str, text: str, code: int, words: str, **more: Any) -> Ending:
        return Ending(name, {"script": text}, error, app, code, words, **more)

    return [
        Ending("exit 0", {"script": "echo hello"}, "COMPLETE", "Completed", 0, "exit code 0.", log="hello"),
        Ending("a command", {"command": ["true"]}, "COMPLETE", "Completed", 0, "exit code 0."),
        Ending("silent exit 1", {"command": ["false"]}, error, app, 1, "exit code 1."),
        script("exit 2", "python3 -c 'raise SystemExit(2)'", 2, "exit code 2"),
        script("exit 3", "echo source is closed; exit 3", 3, "exit code 3: source is closed", log="source is closed"),
        script("exit 77", "exit 77", 77, "exit code 77"),
        script("not a program", "/etc/passwd", 126, "Permission denied"),
        script("no such command", "nosuch --flag", 127, "nosuch: command not found"),
        script("no Meltano in the image", "meltano run", 127, "meltano: command not found"),
        script("SIGKILL", "kill -9 $$", 137, "exit code 137 (SIGKILL)"),
        script("SIGTERM from itself", "kill -TERM $$", 143, "exit code 143 (SIGTERM)"),
        script("SIGSEGV", "kill -SEGV $$", 139, "exit code 139 (SIGSEGV)"),
        Ending(
            "memory of the main process", {"command": ["bash", "-c", f"exec {HOG}"], "resources": LITTLE_MEMORY},
            error, "OutOfMemory", 137, "limits.memory",
        ),
        Ending(
            "memory of a child", {"script": f"{HOG} || exit 1", "resources": LITTLE_MEMORY},
            error, "OutOfMemory", 1, "limits.memory",
        ),
        Ending(
            "memory by Meltano's word",
            {"script": """echo '{"event":"Block run completed","exit_codes":{"extractors":-9}}'; exit 1"""},
            error, "OutOfMemory", 1, "extractors were killed",
        ),
        Ending(
            "no such program", {"command": ["/no/such/program"]}, error, "StartError", None, "/no/such/program",
        ),
        Ending(
            "too slow", {"script": SLEEP, "timeoutSeconds": 3}, error, "TimedOut", 143, "timeoutSeconds", log="working",
        ),
        Ending(
            "too slow and stubborn", {"script": STUBBORN, "timeoutSeconds": 3, "pod": ONE_SECOND_OF_GRACE},
            error, "TimedOut", 137, "timeoutSeconds", log="working",
        ),
        Ending(
            "stopped", {"script": SLEEP}, "STOPPED", "Stopped", 143, "ended with exit code 143 (SIGTERM)",
            act=stop, log="working",
        ),
        Ending(
            "stopped and content", {"script": "trap 'echo done; exit 0' TERM; echo working; sleep 300 & wait"},
            "STOPPED", "Stopped", 0, "ended with exit code 0", act=stop, log="done",
        ),
        Ending(
            "stopped and stubborn", {"script": STUBBORN, "pod": ONE_SECOND_OF_GRACE},
            "STOPPED", "Stopped", 137, "exit code 137 (SIGKILL)", act=stop, log="working",
        ),
        Ending(
            "stopped on its way", NO_IMAGE, "STOPPED", "Stopped", None, "before the run's own container had started",
            act=stop_before_it_starts,
        ),
        Ending(
            "stopped in the queue", {}, "STOPPED", "Stopped", None, "before it started", pods=0, job={"stop": True}
        ),
        Ending(
            "no image", {**NO_IMAGE, **IN_NO_TIME}, error, "ImagePullFailed", None, "no-such-image:1",
            attempts=[("ImagePullFailed", None)],
        ),
        Ending(
            "no node", {"pod": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}, **IN_NO_TIME},
            error, "Unschedulable", None, "didn't match Pod's node affinity/selector",
        ),
        Ending(
            "no claim", {**ON_CLAIM, **IN_NO_TIME}, error, "Unschedulable", None, '"state" not found',
        ),
        Ending(
            "no secret in env", {"env": BY_ENV, **IN_NO_TIME}, error, "StartError", None,
            "cannot be started yet: CreateContainerConfigError: ",  # a busy kubelet may have no better words so soon
        ),
        Ending(
            "no secret as file", {"volumes": BY_FILE, **IN_NO_TIME}, error, "StartError", None,
            'secret "warehouse" not found',
        ),
        Ending(
            "a forbidden pod", {"pod": {"runAsNonRoot": False}, **IN_NO_TIME}, error, "Rejected", None,
            'violates PodSecurity "restricted', pods=0,
        ),
        Ending(
            "a second try", {"script": FAILS_ONCE, **ON_CLAIM, "maxRetries": 1}, "COMPLETE", "Completed", 0,
            "after 1 failed attempt", first=CLAIM, pods=2, attempts=[(app, 9), ("Completed", 0)], log="second try",
        ),
        Ending(
            "two tries in vain", {"script": "exit 5", "maxRetries": 1}, error, app, 5, "exit code 5",
            pods=2, attempts=[(app, 5), (app, 5)],
        ),
        Ending(
            "a code that is final", {"script": "exit 9", "maxRetries": 3, "noRetryExitCodes": [9]},
            error, app, 9, "exit code 9",
        ),
        Ending(
            "run deleted", {"script": SLEEP}, error, "RunDeleted", 143, "Somebody deleted batch Job weather-r1",
            act=delete_run, log="working",
        ),
        Ending(
            "pod deleted", {"script": SLEEP}, error, app, 143, "exit code 143 (SIGTERM)", act=delete_pod, log="working",
        ),
        Ending(
            "pod deleted with a try left", {"script": SLEEPS_ONCE, **ON_CLAIM, "maxRetries": 1},
            "COMPLETE", "Completed", 0, "after 1 failed attempt", first=CLAIM, act=delete_first_pod,
            pods=2, attempts=[(app, 143), ("Completed", 0)],
        ),
        Ending(
            "evicted", {"script": SLEEPS_ONCE, **ON_CLAIM}, "COMPLETE", "Completed", 0, "after 1 failed attempt",
            first=CLAIM, act=evict, pods=2, attempts=[("Evicted", 143), ("Completed", 0)],
        ),
        Ending(
            "evicted before it starts", {"env": BY_ENV}, "COMPLETE", "Completed", 0, "after 1 failed attempt",
            act=evict_before_it_starts, pods=2, attempts=[("Evicted", None), ("Completed", 0)],
        ),
        Ending(
            "suspended by somebody", {"script": SLEEPS_ONCE, **ON_CLAIM}, "COMPLETE", "Completed", 0, "exit code 0",
            first=CLAIM, act=suspend_and_resume, pods=2, attempts=[("Evicted", 143), ("Completed", 0)],
        ),
        Ending(
            "a protected property", {"properties": {"db.host": "a"}, "protectedProperties": ["db.host"]},
            error, "InvalidConfiguration", None, "overrides db.host", pods=0, job={"properties": {"db.host": "b"}},
        ),
        Ending(
            "Forbid", {"script": "echo working; sleep 8", "concurrencyPolicy": "Forbid"}, error, "PipelineBusy", None,
            "Job job-1 of the same Pipeline was already active", act=another_job, looked_at="job-2", pods=1,
        ),
        Ending(
            "Replace", {"script": "echo working; sleep 8", "concurrencyPolicy": "Replace"}, "STOPPED", "Replaced", 143,
            "Job job-2 took this one's place", act=another_job, pods=2,
        ),
        Ending(
            "Pipeline deleted", {"script": "echo working; sleep 4; echo on"}, "COMPLETE", "Completed", 0, "exit code 0",
            act=delete_pipeline, log="on",
        ),
        Ending(
            "Pipeline changed", {"script": "echo working; sleep 4; echo on"}, "COMPLETE", "Completed", 0, "exit code 0",
            act=change_pipeline, log="on",
        ),
        Ending(
            "a quota that was full", {}, "COMPLETE", "Completed", 0, "exit code 0", first=QUOTA, act=free_the_quota,
        ),
    ]  # fmt: skip


ENDINGS = {ending.name: ending for ending in _endings()}
