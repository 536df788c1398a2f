"""The model: snapshots of the few fields of objects that decisions need; controller/snapshots.py makes them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from elt_operator.core.accounts import Account
from elt_operator.core.findings import Finding
from elt_operator.resources.job import JobSpec, JobStatus
from elt_operator.resources.phases import TERMINAL_PHASES
from elt_operator.resources.pipeline import PipelineSpec, PipelineStatus

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class PipelineKey:
    """A Pipeline's namespace and name: what one reconciliation is about."""

    namespace: str
    pipeline: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pipeline}"


@dataclass(frozen=True)
class Pipeline:
    """A Pipeline as it is stored."""

    key: PipelineKey
    uid: str
    generation: int
    resource_version: str
    spec: PipelineSpec | None
    """``None`` when the stored spec cannot be read; ``problem`` says why."""
    status: PipelineStatus
    problem: str = ""
    deleting: bool = False
    created: datetime = _LONG_AGO


@dataclass(frozen=True)
class Job:
    """A Job as it is stored."""

    key: PipelineKey
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
    slot_uid: str = ""
    """UID of the slot that it was made for; empty: it was made by hand."""

    @property
    def scheduled(self) -> bool:
        """Whether a schedule made it."""
        return self.spec is not None and self.spec.trigger.type == "Schedule"

    @property
    def ended(self) -> bool:
        """Whether the phase is one that never changes again."""
        return self.status.phase in TERMINAL_PHASES


@dataclass(frozen=True)
class Timetable:
    """What a CronJob says, as far as it is ours to decide."""

    schedule: str
    """Cron in five fields."""
    time_zone: str | None
    suspend: bool
    starting_deadline_seconds: int | None
    pipeline_generation: int | None
    """Of the Pipeline spec that it was made from."""
    in_force: str
    """Schedule and zone, and whether they were suspended, when it was last put in place by us."""
    since: datetime | None
    """Since when the schedule is in force."""
    concurrency_policy: str = "Forbid"
    slots_suspended: bool = True
    """Whether the batch Jobs that it makes are suspended: slots, which never run."""
    slots_marked: bool = True
    """Whether those batch Jobs have our label, our gate, and say since when the schedule is in force."""


@dataclass(frozen=True)
class CronJob:
    """The CronJob of a Pipeline's name."""

    key: PipelineKey
    uid: str
    owner_uid: str
    """UID of the Pipeline that it was made for; empty: it has no Pipeline as its owner."""
    deleting: bool
    timetable: Timetable
    left_behind: bool = False
    """Whether the operator made it and nobody owns it: its Pipeline was deleted with ``--cascade=orphan``, say."""


@dataclass(frozen=True)
class Slot:
    """A batch Job from the template of a CronJob, which runs nothing: a time of the schedule, or a wish to run now."""

    key: PipelineKey
    name: str
    uid: str
    created: datetime
    deleting: bool
    time: datetime | None
    """The time of the schedule; ``None``: made by hand (``kubectl create job --from=cronjob/...``, a dashboard)."""
    since: datetime
    """Since when the schedule that made it was in force."""
    cron_job_uid: str = ""
    """UID of the CronJob that owns it; empty: nobody does, and only its template says where it comes from."""


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

    key: PipelineKey
    name: str
    uid: str
    number: int
    job_name: str
    job_uid: str
    created: datetime
    pipeline_generation: int | None
    finish: Finish | None
    """``None`` while the batch Job controller has not closed the run."""
    pending_timeout_seconds: int = 600
    """How long an attempt may wait for its container to start."""
    stop: Finding | None = None
    """Why we told it to stop; ``None``: we did not."""
    suspended: bool = False
    """Whether it is told to have no pods for now, by us before it has started, or by somebody else."""
    no_more_pods: bool = False
    """Whether the batch Job controller makes no further pod: it is suspended, or will be failed once its pods are over.
    """
    started: datetime | None = None
    """When the batch Job controller first took it up, or took it up again after a suspension."""
    gone: bool = False
    """Whether the watch says that it was deleted: this is what it was at last."""
    retries: int = 0
    """How many attempts may follow the first one, in the batch Job controller's count."""
    preparations: AbstractSet[str] = frozenset()
    """The init containers that its Pipeline names, and that come to an end."""
    queue: str = ""
    """The queue of Kueue that it waits in while it is suspended, unless we stopped it; empty: none."""
    final_exit_codes: AbstractSet[int] = frozenset()
    """Exit codes of our container after which it makes no further attempt."""
    unwatched: bool = False
    """Whether only a live read found it: somebody took away the label by which it is watched."""
    resource_version: str = field(default="", compare=False)
    """Of what is known here; a new one alone is no news."""


NOT_STARTED: Final = frozenset({"StartError", "ContainerCannotRun"})
"""The container runtime's words for a process that it could not start; the exit code beside them is nobody's."""


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
class OtherContainer:
    """A container of a run's pod that is not ours: a webhook added it, for a mesh or an agent for secrets."""

    name: str
    prepares: bool
    """Whether it is an init container, which comes before ours; a sidecar among them goes on beside it."""
    running: bool
    exit_code: int | None
    """``None`` while it has not ended."""
    reason: str = ""
    """Why it waits, or how it ended, in the kubelet's word."""
    message: str = ""
    ended_at: datetime | None = None
    """When it ended, as far as the kubelet says so."""
    sidecar: bool = False
    """Whether it is a native sidecar: an init container that goes on beside ours."""
    unready: bool = False
    """Whether it is a sidecar at work whose startup probe has not succeeded, so that ours has to wait for it."""

    @property
    def goes_on(self) -> bool:
        """Whether it keeps its pod alive; a plain container does so, too, as long as it cannot be started."""
        return self.running or (not self.prepares and self.exit_code is None)


@dataclass(frozen=True)
class Pod:
    """A pod of a run: one attempt."""

    key: PipelineKey
    name: str
    uid: str
    run_name: str
    run_uid: str
    """UID of the batch Job that it was made for. Names come again, UIDs never."""
    created: datetime
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown, as the kubelet says."""
    reason: str = ""
    message: str = ""
    started: datetime | None = None
    """When our container started; ``None`` while it has not. It stays when the container has ended."""
    begun: bool = False
    """Whether our container need not be waited for any more: it runs, or is over, seen or not."""
    waiting_reason: str = ""
    """Why the container waits to be started, in the kubelet's word; empty while it does not wait."""
    waiting_message: str = ""
    unschedulable: str = ""
    """Why no node takes the pod, in the scheduler's words; empty when one does."""
    ended: Ended | None = None
    disruption: str = ""
    """Why the cluster ended it (reason of the condition DisruptionTarget); empty when it did not."""
    node: str = ""
    answers: bool = True
    """Whether the node answers, as far as the condition Ready says so."""
    deletion_due: datetime | None = None
    """When it has to be gone, its grace period over; ``None``: nobody deleted it."""
    interrupted_at: datetime | None = None
    """Since when somebody ends it: a time limit, a deletion, the cluster; ``None``: nobody, or nobody says when."""
    others: Sequence[OtherContainer] = ()
    last_change: datetime | None = None
    """When something last became of it, as far as it says so."""
    gone: bool = False
    """Whether the watch says that it was deleted: this is what it was at last."""
    unwatched: bool = False
    """Whether only a live read found it: somebody took away the label by which it is watched."""

    @property
    def alive(self) -> bool:
        """Whether a process of it may still run."""
        return not self.gone and self.phase not in {"Succeeded", "Failed"}

    @property
    def changed(self) -> datetime:
        """When something last became of it, as well as it is known: of one that is over, about when it ended."""
        ended = self.ended.end_time if self.ended else None
        return max(moment for moment in (self.created, self.started, ended, self.last_change) if moment)

    @property
    def lingering(self) -> list[str]:
        """The containers that others added and that go on though ours has ended."""
        if not self.alive or self.ended is None:
            return []
        return [other.name for other in self.others if other.goes_on]

    @property
    def kept_alive_by(self) -> list[str]:
        """Those of them that nobody ends: native sidecars, which are init containers, are ended by the kubelet."""
        return [other.name for other in self.others if other.goes_on and not other.prepares] if self.lingering else []

    @property
    def failed_preparation(self) -> OtherContainer | None:
        """The init container that failed, so that ours was never started; ``None``: none did."""
        if self.started:
            return None
        return next((one for one in self.others if one.prepares and not one.sidecar and one.exit_code), None)

    @property
    def succeeded(self) -> bool:
        """Whether the work was done: what containers do that others added does not count."""
        if self.phase == "Succeeded":
            return True
        # Beside others the pod's phase tells of them, too, and comes later: of a pod that is ours alone it is awaited.
        return bool(self.others) and self.ended is not None and self.ended.exit_code == 0 and not self.interrupted

    @property
    def failed_by_itself(self) -> bool:
        """Whether our container has failed, and nobody had ended the pod before."""
        return self.ended is not None and self.ended.exit_code != 0 and not self.interrupted

    @property
    def interrupted(self) -> bool:
        """Whether somebody had begun to end the pod before our container ended: the code may be that of a signal."""
        if self.interrupted_at is None:
            return bool(self.reason or self.disruption)
        end = self.ended.end_time if self.ended else None
        return end is None or end >= self.interrupted_at


@dataclass(frozen=True)
class Refusal:
    """What the API server said when it refused a run, and when to ask again."""

    message: str
    ask_again: datetime
    times: int = 1
    """How often in a row."""


@dataclass(frozen=True)
class PodLog:
    """A pod's log, as far as it was read."""

    text: str | None
    """Its end; ``None`` when nobody can read it any more."""
    account: Account | None = None
    """What all of it tells of the work; ``None`` when it was not read from its beginning."""
    complete: bool = False
    """Whether nothing of it can be missing."""


@dataclass(frozen=True)
class EndedJob:
    """A Job that has ended and that the operator created itself, for a schedule."""

    key: PipelineKey
    name: str
    uid: str
    created: datetime
    succeeded: bool
