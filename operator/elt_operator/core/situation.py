"""The situation: all that a decision about one Pipeline may see."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from elt_operator.core.faults import Fault
from elt_operator.core.model import CronJob, EndedJob, Job, Pipeline, PipelineKey, Pod, PodLog, Refusal, Run, Slot
from elt_operator.core.questions import Question
from elt_operator.resources.pipeline import PipelineSpec


@dataclass(frozen=True)
class Limits:
    """What an administrator allows; times are in seconds."""

    timeout: int = 3600
    """Of one attempt, for Pipelines that set none; 0: none."""
    pipeline_wait: int = 600
    """How long a Job waits for a Pipeline that does not exist."""
    run_retention: int = 3600
    """How long a run is kept once its Job has told how it ended."""
    keeps_logs: bool = False
    """Whether logs are kept: then a run waits for its log, too."""


@dataclass(frozen=True)
class Situation:
    """What is known of one Pipeline and its Jobs at one moment."""

    key: PipelineKey
    now: datetime
    limits: Limits = Limits()
    pipeline: Pipeline | None = None
    pipeline_missed: datetime | None = None
    """Since when we have known that there is no Pipeline; ``None``: there is one."""
    jobs: Sequence[Job] = ()
    """Jobs that have not ended, the oldest first."""
    runs: Sequence[Run] = ()
    left_runs: Sequence[Run] = ()
    """Runs that were deleted under way, and their Jobs with them: the watch of pods may not have told of all yet."""
    pods: Sequence[Pod] = ()
    history: Sequence[EndedJob] = ()
    """Jobs that have ended, as far as the operator made them itself."""
    cron_job: CronJob | None = None
    slots: Sequence[Slot] = ()
    """The oldest first."""
    caused_jobs: Mapping[str, bool] = field(default_factory=dict)
    """By the UID of a cause, a slot for example, whether a Job of its name was made for it, or for something else."""
    taken_numbers: frozenset[int] = frozenset()
    """Numbers whose run's name belongs to a stranger's batch Job."""
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    """By the UID of what was to be made, or of what it was to be made for."""

    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By the UID of the Job or Pipeline on which looking at this Pipeline fails."""

    pods_told_to_end: frozenset[str] = frozenset()
    """UIDs of the pods that were told to end."""

    asked: AbstractSet[Question] = frozenset()
    """What was read live from the API server; the answers are in ``jobs``, ``runs``, ``pods``, and below."""
    logs: Mapping[str, PodLog] = field(default_factory=dict)
    """By the UID of the pod."""
    last_logs: Mapping[str, PodLog] = field(default_factory=dict)
    """Logs as they were when the end of their pod was near, for when they cannot be read any more; by the pod's UID."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """The newest warning by the UID of the object warned about; empty: there is none."""
    pods_over: frozenset[str] = frozenset()
    """UIDs of the runs of which a live read has said that no pod is at work, and that will have none any more."""
    former_jobs: Mapping[str, Job] = field(default_factory=dict)
    """Jobs that are in the cache no more, by UID, as they were read live or seen to end."""

    # Indexes: a Pipeline may have a thousand Jobs that wait, and as many runs that are kept.

    @cached_property
    def _runs_by_job(self) -> Mapping[str, Run]:
        return {run.job_uid: run for run in sorted(self.runs, key=lambda run: run.number, reverse=True)}

    @cached_property
    def _pods_by_run(self) -> Mapping[str, list[Pod]]:
        by_run: dict[str, list[Pod]] = {}
        for pod in sorted(self.pods, key=lambda pod: (pod.created, pod.name)):
            by_run.setdefault(pod.run_uid, []).append(pod)
        return by_run

    @cached_property
    def _jobs_by_uid(self) -> Mapping[str, Job]:
        return {job.uid: job for job in self.jobs}

    @cached_property
    def _predecessors(self) -> Mapping[str, Job]:
        return {job.uid: before for before, job in pairwise(self.jobs)}

    @cached_property
    def present_jobs(self) -> Sequence[Job]:
        """The Jobs that nobody has deleted, the oldest first."""
        return [job for job in self.jobs if not job.deleting]

    @property
    def spec(self) -> PipelineSpec | None:
        """What the Pipeline asks for; ``None``: there is none, or it cannot be read."""
        return self.pipeline.spec if self.pipeline else None

    @property
    def concurrency_policy(self) -> str:
        """What becomes of a Job while another one is active: Queue, Forbid or Replace."""
        return self.spec.concurrency_policy if self.spec else "Queue"

    def refused_lately(self, uid: str) -> Refusal | None:
        """Return what the API server said to what was to be done about ``uid``, until it is to be asked again."""
        refusal = self.refusals.get(uid)
        return refusal if refusal and refusal.ask_again > self.now else None

    def fault_of(self, found: Job | Pipeline | None) -> Fault | None:
        """Return what keeps going wrong with ``found``, so that only plain facts are left; ``None``: nothing does."""
        fault = self.faults.get(found.uid) if found else None
        return fault if fault and found and fault.plain and fault.generation == found.generation else None

    def before(self, job: Job) -> Job | None:
        """Return the Job just before ``job``; ``None`` when it is the oldest."""
        return self._predecessors.get(job.uid)

    def run_of(self, job: Job) -> Run | None:
        """Return the run that carries out ``job``; the first one, should there ever be more."""
        return self._runs_by_job.get(job.uid)

    def job_of(self, run: Run) -> Job | None:
        """Return the Job that ``run`` carries out; ``None`` when it is not among those that have not ended."""
        return self._jobs_by_uid.get(run.job_uid)

    def log_of(self, pod: Pod) -> PodLog | None:
        """Return the end of a pod's log as well as it is known; ``None`` when it was not read."""
        read = self.logs.get(pod.uid)
        return read if read and read.text is not None else self.last_logs.get(pod.uid, read)

    def pods_of(self, run: Run) -> list[Pod]:
        """Return the pods of ``run``, the oldest first."""
        return self._pods_by_run.get(run.uid, [])
