"""The actions that a plan may ask for; controller/carry_out.py performs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from elt_operator.core.events import Event
from elt_operator.core.findings import Finding
from elt_operator.core.model import EndedJob, Job, Pipeline, PipelineKey, Pod, Run, Slot
from elt_operator.core.schedule import CronJobChange
from elt_operator.resources.fields import Json
from elt_operator.resources.job import JobStatus
from elt_operator.resources.pipeline import PipelineStatus


@dataclass(frozen=True)
class CreateRun:
    """Make the run of ``job``. Its name is the lock: the API server accepts one batch Job of a name."""

    job: Job
    number: int
    manifest: Json


@dataclass(frozen=True)
class StopRun:
    """Have the process of ``run`` ended, and write down why on the run itself, where it outlives us."""

    run: Run
    why: Finding


@dataclass(frozen=True)
class EndPod:
    """Have a pod of ``job`` ended: our container has failed, others go on, and the next attempt waits for that."""

    job: Job
    pod: Pod


@dataclass(frozen=True)
class DeleteRun:
    """Remove ``run`` and its pods, unless it is another one by now."""

    run: Run
    job: Job | None = None
    """The Job that ``events`` are about."""
    events: Sequence[Event] = ()
    """What to tell about the Job besides, once it is removed."""


@dataclass(frozen=True)
class DeleteJob:
    """Remove a Job that has ended, unless it is another one by now."""

    job: EndedJob


@dataclass(frozen=True)
class ChangeCronJob:
    """Make, patch or delete the CronJob of ``pipeline``."""

    pipeline: Pipeline
    change: CronJobChange


@dataclass(frozen=True)
class CreateJob:
    """Make a Job. Its name comes from its cause, so there is one at most."""

    key: PipelineKey
    cause_uid: str
    """UID of what it is made for, a slot for example; the Job names it, and a refusal is remembered by it."""
    manifest: Json


@dataclass(frozen=True)
class DeleteSlot:
    """Remove ``slot``, which is done with, unless it is another one by now."""

    pipeline: Pipeline
    slot: Slot
    events: Sequence[Event] = ()
    """What to tell about the Pipeline besides, once it is removed."""


@dataclass(frozen=True)
class WriteJobStatus:
    """Replace what ``job`` says of itself, unless it has changed since we read it."""

    job: Job
    status: JobStatus
    events: Sequence[Event] = ()
    """What to tell about it besides, once it is written."""


@dataclass(frozen=True)
class WritePipelineStatus:
    """Replace what ``pipeline`` says of itself, unless it has changed since we read it."""

    pipeline: Pipeline
    status: PipelineStatus
    events: Sequence[Event] = ()
    """What to tell about it besides, once it is written."""


Action = (
    CreateRun
    | StopRun
    | EndPod
    | DeleteRun
    | DeleteJob
    | ChangeCronJob
    | CreateJob
    | DeleteSlot
    | WriteJobStatus
    | WritePipelineStatus
)
