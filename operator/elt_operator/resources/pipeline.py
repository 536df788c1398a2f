"""The Pipeline: what to run, with which settings, when and within which limits."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from elt_operator.resources import container, texts
from elt_operator.resources.conditions import Conditions
from elt_operator.resources.container import Directory, ExtraContainers, Image, PullPolicy
from elt_operator.resources.environment import EnvFromSources, EnvVars, env_bytes
from elt_operator.resources.fields import (
    ATOMIC,
    SET,
    Count,
    Fields,
    Generation,
    Label,
    PipelineName,
    ShortText,
    extra,
    rule,
    rules,
)
from elt_operator.resources.pod import VOLUMES_BYTES, PodSettings, PullSecrets, Volumes
from elt_operator.resources.requirements import ResourceRequirements
from elt_operator.resources.result import MOST_WARNINGS, Rows
from elt_operator.resources.texts import Moment, Setting, Words

MOST_RECENT_JOBS: Final = 30
"""How many ended Jobs a Pipeline's status lists."""

PROPERTY_NAME = r"^[a-z0-9][a-z0-9._-]*$"

# How a property's name becomes a variable's, in CEL; core/variables.py says the same in Python.
_SAME_VARIABLE = "a.replace('-', '_').replace('.', '_') == b.replace('-', '_').replace('.', '_')"
RESERVED_PROPERTY = r"^((kubernetes|ld|elt)[._-].*|python.*|path|home|meltano[._-]run[._-]id)$"
"""Properties whose variables steer the process itself, or are set by the operator."""

PROPERTY_RULES = rules(
    rule(
        f"self.all(name, name.size() <= 128 && name.matches('{PROPERTY_NAME}'))",
        "names must start with a lower-case letter or digit and contain only those, `.`, `_` and `-`,"
        " and have at most 128 characters, for example tap-weather.start_date",
    ),
    rule(
        f"self.all(a, self.all(b, a == b || !({_SAME_VARIABLE})))",
        "two names become the same environment variable (`-` and `.` both become `_`); remove one of them",
    ),
    rule(
        f"!self.exists(name, name.matches('{RESERVED_PROPERTY}'))",
        "names that become KUBERNETES_*, LD_*, ELT_*, PYTHON*, PATH, HOME or MELTANO_RUN_ID are reserved",
        reason="FieldValueForbidden",
    ),
)


class Expectations(Fields):
    """What is expected of the data that a Pipeline loads. The condition DataHealthy says whether it holds."""

    max_age_seconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = None
    """Maximum age in seconds of the last success. Not checked while the schedule is suspended."""
    after_schedule_seconds: Annotated[int, Field(ge=60, le=604_800)] | None = None
    """A Job must succeed within this many seconds of each scheduled time. Not checked while the schedule is
    suspended."""
    min_rows: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    """Minimum number of rows that a successful Job must load."""
    max_drop_percent: Annotated[int, Field(ge=1, le=99)] | None = None
    """Maximum drop of a successful Job's rows, in percent, below the median of the ten successful Jobs before it."""
    max_warned_checks: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Maximum number of checks of a successful Job that may warn."""
    rows_differ: Literal["Warn", "Ignore"] = "Warn"
    """Warn: a Job has the warning RowsDiffer if the loader loads another number of rows of a stream than the extractor
    reads. Ignore: it does not, for example because a mapper filters rows."""


class LogRetention(
    Fields,
    json_schema_extra=rules(rule("has(self.days) || has(self.count)", "logRetention needs days, count, or both")),
):
    """How long logs are kept. A log is deleted when either limit says so."""

    days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """How many days after its Job began a log is kept; if unset, the keeper's default."""
    count: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """How many logs are kept, the newest ones."""


def _steering_none(properties: dict[str, Setting]) -> dict[str, Setting]:
    """Return ``properties``; raises ``ValueError`` for a name that could steer the process, or end up as any variable.

    The API server refuses these today; an object that was stored before must not bring them into a run.
    """
    wrong = [
        name for name in properties if not re.fullmatch(PROPERTY_NAME, name) or re.fullmatch(RESERVED_PROPERTY, name)
    ]
    if wrong:
        raise ValueError(f"{', '.join(sorted(wrong)[:5])}: these names are reserved or not allowed; remove them")
    return properties


PropertyName = Annotated[str, Field(min_length=1, max_length=128, pattern=PROPERTY_NAME)]
Properties = Annotated[dict[str, Setting], Field(max_length=100), AfterValidator(_steering_none), extra(PROPERTY_RULES)]

Action = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    extra(
        rules(
            texts.NO_NUL,
            rule(
                "!self.startsWith('meltano ')",
                "leave out the word `meltano`: an action is what follows it, for example `run tap-x target-y`",
            ),
        )
    ),
]


_WHAT_IS_RUN: Final = {
    "actions": texts.of_each("self.actions"),
    "script": texts.of("self.script"),
    "command": texts.of_each("self.command"),
    "args": texts.of_each("self.args"),
}
_FREE_TEXTS: Final = {
    **_WHAT_IS_RUN,
    "properties": texts.of_map("self.properties"),
    "env": env_bytes("self.env"),
    "volumes": VOLUMES_BYTES,
    "initContainers": container.bytes_of("self.initContainers"),
    "sidecars": container.bytes_of("self.sidecars"),
    "pod.annotations": texts.of_map("self.pod.annotations"),
}
"""What of a Pipeline may be long, with its size in CEL. Names and keys are bounded one by one."""


class PipelineSpec(
    Fields,
    json_schema_extra=rules(
        rule(
            "[has(self.actions), has(self.script), has(self.command)].filter(given, given).size() <= 1",
            "at most one of `actions`, `script` and `command` may be set; if none is set, the image's entrypoint runs",
        ),
        rule(
            "!has(self.args) || !(has(self.actions) || has(self.script))",
            "`args` belong to `command` or to the image's entrypoint; remove them, or `actions` or `script`",
            field=".args",
        ),
        rule(
            "!has(self.initContainers) || !has(self.sidecars)"
            " || self.sidecars.all(one, !self.initContainers.exists(other, other.name == one.name))",
            "an init container and a sidecar must not have the same name",
            field=".sidecars",
        ),
        rule(
            "!has(self.expect) || !has(self.expect.afterScheduleSeconds) || has(self.schedule)",
            "`afterScheduleSeconds` needs a `schedule`; set one, or use `maxAgeSeconds`",
            field=".expect.afterScheduleSeconds",
        ),
        *(
            texts.at_most(
                texts.TEXT_BYTES,
                texts.if_set(f"self.{field}", size),
                f"`{field}`",
                "put the rest into a file in the image or in a mounted ConfigMap",
            )
            | {"fieldPath": f".{field}"}
            for field, size in _WHAT_IS_RUN.items()
        ),
        texts.at_most(
            texts.PIPELINE_BYTES,
            texts.total(*(texts.if_set(f"self.{field}", size) for field, size in _FREE_TEXTS.items())),
            "all texts of a Pipeline together",
            "put large ones into a mounted ConfigMap",
        ),
    ),
):
    """What to run, with which settings, when and within which limits."""

    image: Image
    """The image of the run's container, by tag or digest."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled; if unset, Kubernetes' own default."""
    image_pull_secrets: PullSecrets | None = None
    """Secrets with the registry's credentials."""

    actions: Annotated[list[Action], Field(min_length=1, max_length=32), ATOMIC] | None = None
    """Meltano command lines without the word `meltano`, in order; the first failure ends the run. Words are split at
    spaces and nothing is expanded."""
    script: Annotated[str, Field(min_length=1, max_length=65536), extra(rules(texts.NO_NUL))] | None = None
    """A script, run as `bash -euo pipefail`. A first line such as `#!/usr/bin/env python3` has that program run it
    instead; the image needs bash, too. The Job's arguments are $1, $2 and so on."""
    command: Annotated[Words, Field(min_length=1)] | None = None
    """The program to run instead of the image's entrypoint, with its arguments; no shell is involved. If command,
    actions and script are all unset, the image's entrypoint runs."""
    args: Words | None = None
    """Arguments for command, or for the image's entrypoint, where they replace the image's own (CMD). A Job's arguments
    are appended."""
    working_dir: Directory | None = None
    """The directory in which the run's container starts; if unset, the image's own."""

    properties: Properties | None = None
    """Settings by name, for example tap-weather.start_date, passed to the run as environment variables
    (TAP_WEATHER_START_DATE). Write lists and objects as JSON text. A Job can override them."""
    protected_properties: Annotated[list[PropertyName], Field(max_length=100), SET] | None = None
    """Properties that a Job cannot override, for example the host of a warehouse, which receives the password."""
    env: EnvVars | None = None
    """Environment variables. They override properties."""
    env_from: EnvFromSources | None = None
    """Secrets and ConfigMaps whose keys become environment variables; env and properties override them."""
    resources: ResourceRequirements | None = None
    """CPU and memory of the run's container."""
    volumes: Volumes | None = None
    """Volumes of the run's pod and where its container sees them."""
    init_containers: ExtraContainers | None = None
    """Containers that run before the run's own, one after another; if one fails, the attempt fails."""
    sidecars: ExtraContainers | None = None
    """Containers that start after the init containers and keep running until the run's own container has ended, for
    example a proxy to a database. How they end does not affect the Job."""
    pod: PodSettings = PodSettings()
    """The pod's other settings."""

    schedule: Annotated[str, Field(min_length=1, max_length=256), extra(rules(texts.NO_NUL))] | None = None
    """When Jobs are created automatically: cron in five fields, or in six with seconds = 0. If unset, only by hand."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64), extra(rules(texts.NO_NUL))] | None = None
    """The IANA time zone of the schedule, for example Europe/London; if unset, UTC."""
    suspend: bool = False
    """Pause the schedule. Jobs created by hand still run."""
    starting_deadline_seconds: Count | None = None
    """How many seconds late a scheduled Job may still start, for example after an outage; if unset, no limit."""

    concurrency_policy: Literal["Queue", "Forbid", "Replace"] = "Queue"
    """What happens to a new Job while another one is active: it waits, is refused, or replaces the other one."""
    queue_name: Label | None = None
    """The Kueue LocalQueue, in the same namespace, that admits the runs."""
    max_retries: Annotated[int, Field(ge=0, le=20)] = 0
    """How many attempts may follow the first one. Evictions, drains and preemptions do not count."""
    no_retry_exit_codes: Annotated[list[Annotated[int, Field(ge=1, le=255)]], Field(max_length=64), SET] | None = None
    """Exit codes after which no further attempt is made."""
    timeout_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """How many seconds one attempt may take; 0: no limit; if unset, the operator's default (3600)."""
    pending_timeout_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 600
    """How many seconds an attempt may wait for its container to start before the Job ends as ERROR and says why; the
    time that initContainers take does not count."""
    expect: Expectations | None = None
    """What is expected of the data. It never fails a Job."""
    run_retention_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """How many seconds the finished run, its pod and its log are kept after the Job's end; if unset, the operator's
    default."""
    log_retention: LogRetention | None = None
    """How long the logs of its Jobs are kept, if logs are kept (logs.enabled); if unset, the keeper's default."""
    successful_jobs_history_limit: Annotated[int, Field(ge=0, le=1000)] = 10
    """How many successful Jobs that the operator created are kept. A Job that you applied is never deleted."""
    failed_jobs_history_limit: Annotated[int, Field(ge=0, le=1000)] = 10
    """How many other finished Jobs that the operator created are kept."""


class ActiveJob(Fields):
    """The Job that is running."""

    name: Label
    """Its name."""
    uid: ShortText
    """Its UID."""
    start_time: Moment | None = None
    """When its run was created."""


class LastJob(Fields):
    """The Job that ended last."""

    name: Label
    """Its name."""
    phase: Literal["COMPLETE", "ERROR", "STOPPED", "UNKNOWN"]
    """How it ended."""
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """Its exit code; absent when no container ended."""
    start_time: Moment | None = None
    """When its run was created."""
    end_time: Moment | None = None
    """When it ended."""
    rows: Rows | None = None
    """How many rows it loaded, as its status.result says."""
    warnings: Annotated[int, Field(ge=0, le=MOST_WARNINGS)] | None = None
    """How many warnings it has."""


class RecentJob(Fields):
    """A Job that has ended."""

    name: Label
    """Its name."""
    phase: Literal["COMPLETE", "ERROR", "STOPPED", "UNKNOWN"]
    """How it ended."""
    reason: ShortText
    """Why, in one word."""
    start_time: Moment | None = None
    """When its run was created; absent if it had none."""
    end_time: Moment | None = None
    """When it ended."""
    rows: Rows | None = None
    """How many rows it loaded, as its status.result said."""
    warnings: Annotated[int, Field(ge=0, le=MOST_WARNINGS)] | None = None
    """How many warnings it had."""
    warned_checks: Count | None = None
    """How many checks of its data warned."""
    at_least: bool | None = None
    """True if it may have loaded more rows, because its log could not be read as a whole."""


class PipelineStatus(Fields):
    """What the operator last saw. It is for people to read, and may lag behind."""

    observed_generation: Generation = -1
    """The metadata.generation that this status describes; -1: not processed yet."""
    conditions: Conditions | None = None
    """Ready, Reconciling, Stalled, LastJobSucceeded, DataHealthy. A failed Job does not affect Ready."""
    active_job: ActiveJob | None = None
    """The Job that is running."""
    queued_jobs: Count | None = None
    """How many Jobs are waiting."""
    last_run_number: Count | None = None
    """The highest number given to a run."""
    last_job: LastJob | None = None
    """The Job that ended last."""
    recent_jobs: Annotated[list[RecentJob], Field(max_length=MOST_RECENT_JOBS), ATOMIC] | None = None
    """The Jobs that ended last, the newest first; always among them are the last 11 that succeeded. They stay here when
    the Jobs themselves are deleted."""
    last_successful_time: Moment | None = None
    """When a Job last ended as COMPLETE."""
    last_schedule_time: Moment | None = None
    """The last scheduled time that was handled: it became a Job or was skipped."""
    next_schedule_time: Moment | None = None
    """When the schedule fires next."""
    skipped_slots: Count | None = None
    """How many scheduled times have passed without a Job, in total; events say which and why."""


__all__ = [
    "MOST_RECENT_JOBS",
    "ActiveJob",
    "Expectations",
    "LastJob",
    "PipelineName",
    "PipelineSpec",
    "PipelineStatus",
    "RecentJob",
]
