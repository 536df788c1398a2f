"""The Job: one execution of a Pipeline."""

from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from elt_operator.resources import texts
from elt_operator.resources.conditions import Conditions
from elt_operator.resources.fields import (
    ATOMIC,
    Count,
    Fields,
    Generation,
    Label,
    PipelineName,
    ShortText,
    list_map,
    rule,
    rules,
)
from elt_operator.resources.phases import TERMINAL_PHASES, Phase
from elt_operator.resources.pipeline import Properties
from elt_operator.resources.result import MOST_WARNINGS, Result, Warnings
from elt_operator.resources.texts import Arguments, Moment, Time

LOG_TAIL_BYTES = 4096
"""How much of a run's log is kept in its Job's status."""

MESSAGE_BYTES = 4096
"""The kubelet's limit for a termination message, kept for ours
(https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/)."""

ERROR_MESSAGE_BYTES = 1024

MOST_ATTEMPTS = 64
"""How many of a run's attempts its Job's status tells of: the last ones. Evictions can make many."""


def _unchanged(field: str) -> str:
    """Return in CEL whether ``field`` is as it was."""
    return f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"


def _fixed(field: str) -> dict[str, str]:
    """Return the rule that ``field`` of a Job's spec never changes, nor appears, nor goes."""
    return rule(
        _unchanged(field),
        "a Job's spec cannot be changed; create a new Job with a new name instead",
        field=f".{field}",
        reason="FieldValueForbidden",
    )


class Trigger(
    Fields,
    json_schema_extra=rules(
        rule(
            "has(self.intervalStart) == has(self.intervalEnd)"
            f" && (!has(self.intervalStart) || {texts.before('self.intervalStart', 'self.intervalEnd')})",
            "set intervalStart and intervalEnd together, with the start before the end",
            field=".intervalStart",
        )
    ),
):
    """What created the Job, and the time interval that it covers."""

    type: Literal["Manual", "Schedule"] = "Manual"
    """Manual: a person or a tool; Schedule: the Pipeline's schedule."""
    scheduled_time: Time | None = None
    """The scheduled time that the Job is for (ELT_SCHEDULED_TIME)."""
    interval_start: Time | None = None
    """The previous scheduled time: where the data to load begins (ELT_INTERVAL_START)."""
    interval_end: Time | None = None
    """Where the data to load ends (ELT_INTERVAL_END); for a scheduled Job, its scheduledTime."""


class JobSpec(
    Fields,
    json_schema_extra=rules(
        *(_fixed(field) for field in ("pipelineName", "arguments", "properties", "fullRefresh", "trigger")),
        texts.at_most(
            texts.JOB_BYTES,
            texts.total(
                texts.if_set("self.arguments", texts.of_each("self.arguments")),
                texts.if_set("self.properties", texts.of_map("self.properties")),
            ),
            "`arguments` and `properties` together",
            "put large texts into a ConfigMap that the Pipeline mounts",
        ),
    ),
):
    """Which Pipeline to run, and what is different this time. Only `stop` can be changed later."""

    pipeline_name: PipelineName
    """The Pipeline, in the same namespace."""
    arguments: Arguments | None = None
    """Additional arguments: appended to the command or to each action, or passed to the script as $1, $2 …; never
    through a shell."""
    properties: Properties | None = None
    """Properties that override the Pipeline's, except its protectedProperties."""
    full_refresh: bool = False
    """Ignore the stored state and load everything again (MELTANO_RUN_FULL_REFRESH)."""
    stop: bool = False
    """Set it to true to stop the Job."""
    trigger: Trigger = Trigger()
    """What created the Job."""


class Attempt(Fields):
    """One pod of the run."""

    number: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """1 is the first."""
    pod: ShortText
    """Name of the pod."""
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """Exit code of its container; absent when none ended."""
    reason: ShortText
    """How the attempt ended, in the same words as the Job's reason."""
    start_time: Moment | None = None
    """When its container started."""
    end_time: Moment | None = None
    """When its container ended."""


class JobLog(
    Fields,
    json_schema_extra=rules(
        rule(
            "oldSelf.state == 'Collecting' || self == oldSelf",
            "what became of the log is known, so it can no longer change",
            reason="FieldValueForbidden",
        )
    ),
):
    """What became of the run's log, if logs are kept (logs.enabled)."""

    state: Literal["Collecting", "Kept", "Incomplete"]
    """Collecting: it is being stored. Kept: every line of it is stored. Incomplete: something is missing; reason and
    gaps say what."""
    lines: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    """How many lines are stored, those of all attempts together."""
    bytes: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    """How many bytes they have, uncompressed."""
    gaps: Count | None = None
    """In how many places something is missing; the log itself says where, with times."""
    reason: ShortText | None = None
    """Why something is missing, in one word; docs/logs.md lists them."""


class Told(Fields):
    """What is told of a Job until it has ended, and never changes afterwards."""

    phase: Phase = Phase.QUEUED
    """QUEUED, RUNNING, COMPLETE, ERROR, STOPPED or UNKNOWN. The last four never change again."""
    reason: ShortText = "Queued"
    """Why, in one word; docs/job.md lists them."""
    observed_generation: Generation = -1
    """The metadata.generation that this status describes; -1: not processed yet."""
    pipeline_generation: Generation | None = None
    """The metadata.generation of the Pipeline spec that was run."""
    conditions: Conditions | None = None
    """Succeeded (wait for it with kubectl wait), Reconciling, Stalled; their messages are for people."""
    start_time: Moment | None = None
    """When the run was created."""
    end_time: Moment | None = None
    """When the run's last container ended; if no container did, when the Job itself ended."""
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """Exit code of the last attempt; absent when no container ended."""
    task_name: Label | None = None
    """Name of the batch Job that runs this Job."""
    arguments: Annotated[list[Annotated[str, Field(max_length=8192)]], Field(max_length=128), ATOMIC] | None = None
    """What was started: the argument vector, or one Meltano command line for each action."""
    exit_message: Annotated[str, Field(max_length=MESSAGE_BYTES)] | None = None
    """What the process itself wrote to /dev/termination-log."""
    error_message: Annotated[str, Field(max_length=MESSAGE_BYTES)] | None = None
    """The line or lines that say why it failed."""
    attempts: Annotated[list[Attempt], Field(max_length=MOST_ATTEMPTS), list_map("number")] | None = None
    """The run's attempts, first to last."""
    log_tail: Annotated[str, Field(max_length=LOG_TAIL_BYTES)] | None = None
    """The last lines of the log, at most 4 KiB. The whole log: kubectl logs job/<taskName>."""
    result: Result | None = None
    """What the last attempt did: rows, stages, checks, read from its log. Absent if the log says nothing of it."""
    warnings: Warnings | None = None
    """What somebody may want to look at, although the Job completed."""
    warning_count: Annotated[int, Field(ge=0, le=MOST_WARNINGS)] | None = None
    """How many warnings there are; absent if there are none."""


_ENDED: Final = f"has(oldSelf.phase) && oldSelf.phase in {sorted(phase.value for phase in TERMINAL_PHASES)}"


class JobStatus(
    Told,
    json_schema_extra=rules(
        rule(
            f"!({_ENDED}) || ({' && '.join(_unchanged(to_camel(field)) for field in Told.model_fields)})",
            "the Job has ended, so its status can no longer change",
            reason="FieldValueForbidden",
        )
    ),
):
    """The state of the Job."""

    log: JobLog | None = None
    """What became of the run's log; absent if logs are not kept, or if nothing of the run ever started."""
