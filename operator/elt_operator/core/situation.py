"""The situation: all that a decision about one Pipeline may see.

Snapshots hold the few fields that decisions need; kube/snapshots.py makes them from what the API server says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from elt_operator.api.job import TERMINAL_PHASES, JobSpec, JobStatus
from elt_operator.api.pipeline import PipelineSpec, PipelineStatus


@dataclass(frozen=True, order=True)
class Key:
    """A Pipeline's namespace and name: what one reconciliation is about."""

    namespace: str
    pipeline: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pipeline}"


@dataclass(frozen=True)
class Pipeline:
    """A Pipeline as it is stored."""

    key: Key
    uid: str
    generation: int
    resource_version: str
    spec: PipelineSpec | None
    """``None`` when the stored spec cannot be read; ``problem`` says why."""
    status: PipelineStatus
    problem: str = ""


@dataclass(frozen=True)
class Job:
    """A Job as it is stored."""

    key: Key
    name: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    spec: JobSpec | None
    """``None`` when the stored spec cannot be read; ``problem`` says why."""
    status: JobStatus
    problem: str = ""

    @property
    def ended(self) -> bool:
        """Whether the phase is one that never changes again."""
        return self.status.phase in TERMINAL_PHASES


@dataclass(frozen=True)
class Finish:
    """The verdict of the batch Job controller on a run."""

    succeeded: bool
    reason: str
    message: str
    time: datetime | None


@dataclass(frozen=True)
class Run:
    """A batch Job that carries out a Job of ours."""

    key: Key
    name: str
    uid: str
    number: int
    job_name: str
    job_uid: str
    created: datetime
    pipeline_generation: int | None
    finish: Finish | None
    """``None`` while the batch Job controller has not closed the run."""
    deleting: bool = False


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    exit_code: int
    reason: str
    message: str
    start_time: datetime | None
    end_time: datetime | None
    signal: int | None = None


@dataclass(frozen=True)
class Pod:
    """A pod of a run: one attempt."""

    key: Key
    name: str
    uid: str
    run_name: str
    created: datetime
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown, as the kubelet says."""
    reason: str = ""
    message: str = ""
    started: datetime | None = None
    """When the container started; ``None`` while it has not."""
    waiting_reason: str = ""
    """Why the container waits to be started, in the kubelet's word; empty while it does not wait."""
    waiting_message: str = ""
    unschedulable: str = ""
    """Why no node takes the pod, in the scheduler's words; empty when one does."""
    ended: Ended | None = None
    deleting: bool = False

    @property
    def alive(self) -> bool:
        """Whether a process of it may still run."""
        return self.phase not in {"Succeeded", "Failed"}


@dataclass(frozen=True)
class Refusal:
    """What the API server said when it refused a run, and when to ask again."""

    message: str
    ask_again: datetime
    times: int = 1
    """How often in a row."""


@dataclass(frozen=True)
class PodLog:
    """The end of a pod's log; ``text`` is ``None`` when nobody can read it any more."""

    text: str | None


@dataclass(frozen=True)
class Warnings:
    """The newest warning that Kubernetes gave about an object; empty when it gave none."""

    message: str


@dataclass(frozen=True)
class Situation:
    """What is known of one Pipeline and its Jobs at one moment."""

    key: Key
    now: datetime
    default_timeout_seconds: int
    pipeline: Pipeline | None = None
    jobs: Sequence[Job] = ()
    """Jobs that have not ended, the oldest first."""
    runs: Sequence[Run] = ()
    pods: Sequence[Pod] = ()
    taken_numbers: frozenset[int] = frozenset()
    """Numbers whose run's name belongs to a stranger's batch Job."""
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    """By the UID of the Job."""

    # Answers to the questions of core/questions.py, read live from the API server.
    logs: Mapping[str, PodLog] = field(default_factory=dict)
    """By the UID of the pod."""
    warnings: Mapping[str, Warnings] = field(default_factory=dict)
    """By the UID of the object warned about."""
    live_runs: Mapping[str, Run | None] = field(default_factory=dict)
    """By name; ``None``: there is none of ours."""
    live_pods: frozenset[str] = frozenset()
    """Names of the runs whose pods were read live; ``pods`` then holds them all."""
    ended_jobs: Mapping[str, Job | None] = field(default_factory=dict)
    """By name; ``None``: there is none."""

    def run_of(self, job: Job) -> Run | None:
        """Return the run that carries out ``job``; the first one, should there ever be more."""
        runs = sorted((run for run in self.runs if run.job_uid == job.uid), key=lambda run: run.number)
        return runs[0] if runs else None

    def pods_of(self, run: Run) -> list[Pod]:
        """Return the pods of ``run``, the oldest first."""
        pods = (pod for pod in self.pods if pod.run_name == run.name)
        return sorted(pods, key=lambda pod: (pod.created, pod.name))
