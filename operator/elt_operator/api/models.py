"""The bodies of requests and answers: for checking what comes in, and for the description of what goes out."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from elt_operator.resources.pipeline import PROPERTY_NAME, RESERVED_PROPERTY
from elt_operator.resources.texts import TIME_PATTERN

Status = Literal["QUEUED", "RUNNING", "COMPLETE", "ERROR", "STOPPED", "UNKNOWN"]
Moment = Annotated[str, Field(examples=["2026-11-28T06:00:00Z"], json_schema_extra={"format": "date-time"})]
Id = Annotated[str, Field(examples=["6a0d3f0e-59cf-4f2c-9d0e-0d3a4a3c8d51"])]


class _Body(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, use_attribute_docstrings=True
    )


# Of texts the API server checks what is described here: it has the rules of a Job.
_NO_NUL: Final = r"^[^\u0000]*$"
_INTERVAL: Final = ("intervalStart", "intervalEnd")
Argument = Annotated[str, Field(json_schema_extra={"maxLength": 4096, "pattern": _NO_NUL})]
PropertyValue = Annotated[str, Field(json_schema_extra={"maxLength": 32_768, "pattern": _NO_NUL})] | int
Bound = Annotated[str, Field(json_schema_extra={"format": "date-time", "pattern": TIME_PATTERN})]


class NewJob(_Body):
    """What is different this time. Without a body nothing is."""

    model_config = ConfigDict(
        extra="forbid", strict=True, validate_by_name=False,
        json_schema_extra={
            "examples": [{
                "arguments": ["--dry-run"], "properties": {"tap-weather.start_date": "2026-01-01"},
                "intervalStart": "2026-01-01T00:00:00Z", "intervalEnd": "2026-01-02T00:00:00Z",
            }],
            "anyOf": [
                {"properties": {name: {"type": "string"} for name in _INTERVAL}, "required": [*_INTERVAL]},
                {"properties": {name: {"type": "null"} for name in _INTERVAL}},
            ],
        },
    )  # fmt: skip

    arguments: Annotated[list[Argument], Field(max_length=64)] | None = None
    """Additional arguments, see docs/job.md."""
    properties: Annotated[dict[str, PropertyValue], Field(max_length=100, json_schema_extra={"propertyNames": {
        "maxLength": 128, "pattern": PROPERTY_NAME, "not": {"pattern": RESERVED_PROPERTY},
    }})] | None = None  # fmt: skip
    """Properties that override the Pipeline's, except its protectedProperties."""
    full_refresh: bool = False
    """Ignore the stored state and load everything again."""
    interval_start: Annotated[Bound | None, Field(examples=["2026-01-01T00:00:00Z"])] = None
    """Where the time interval that the Job covers begins; set both ends, or none."""
    interval_end: Annotated[Bound | None, Field(examples=["2026-01-02T00:00:00Z"])] = None
    """Where it ends: later."""


class Link(_Body):
    """Where something is."""

    href: str
    type: Literal["PUT", "POST", "DELETE"] | None = None
    """The method to use, if it is not GET."""


Links = Annotated[dict[str, Link], Field(alias="_links")]


class PipelineName(_Body):
    """The Pipeline of a Job."""

    id: Id
    name: str
    status: Literal["READY", "PROVISIONING", "FAILED"]


class JobWithin(_Body):
    """What a Job belongs to."""

    pipeline: PipelineName


class Job(_Body):
    """One execution of a Pipeline. Without the header `enable-task-details: true` all from `taskName` on is null."""

    id: Id
    """The UID of the EltJob."""
    name: str
    pipeline_name: str
    created: Moment
    type: Literal["PIPELINE_RUN"]
    max_attempts: int | None
    """1 + `maxRetries` of the Pipeline; null if that is gone."""
    attempt: int
    """The number of the last attempt, which may be under way, from 1; 0: there is none yet."""
    status: Status
    reason: str | None
    """Why, in one word: docs/job.md lists them."""
    exit_code: int | None
    start_time: Moment | None
    end_time: Moment | None
    log: Literal["Collecting", "Kept", "Incomplete"] | None
    """What became of the log; null: nothing is said of it."""
    task_name: str | None
    """The batch Job that runs it."""
    exit_message: str | None
    error_message: str | None
    """The lines that say why it failed."""
    arguments: list[str] | None
    properties: dict[str, Any] | None
    full_refresh: bool | None
    trigger: Literal["Manual", "Schedule"] | None
    interval_start: Moment | None
    interval_end: Moment | None
    message: str | None
    """What happened, for people."""
    rows: int | None
    """How many rows were loaded, if the log says so."""
    warnings: int | None
    embedded: Annotated[JobWithin | None, Field(alias="_embedded")] = None
    """Its Pipeline, unless that is gone."""
    links: Links


class LastJob(_Body):
    """The newest Job of a Pipeline."""

    id: Id
    status: Status
    start_time: Moment | None


class Pipeline(_Body):
    """What to run."""

    id: Id
    """The UID of the EltPipeline."""
    name: str
    created: Moment
    status: Literal["READY", "PROVISIONING", "FAILED"]
    """READY; FAILED: somebody has to change it; PROVISIONING: the operator has not looked at it yet."""
    message: str | None
    """Why it is not READY."""
    schedule: str | None
    time_zone: str | None
    suspended: bool
    max_attempts: int
    next_time: Moment | None
    """When the schedule fires next."""
    last_job: LastJob | None
    links: Links


class Workspace(_Body):
    """A namespace."""

    id: str
    """The UID of the namespace; its name, if the API does not watch the whole cluster."""
    name: str
    domains: list[str]
    """Always empty: the original has them."""
    links: Links


class Profile(_Body):
    """Who the token belongs to."""

    id: str
    name: str
    email: str | None
    links: Links


class Page(_Body):
    """Which part of a list it is."""

    size: int
    total_elements: int
    total_pages: int
    number: int


class JobsWithin(_Body):
    """What is in the list."""

    jobs: list[Job]


class Jobs(_Body):
    """Jobs, a page of them."""

    embedded: Annotated[JobsWithin, Field(alias="_embedded")]
    links: Links
    page: Page


class PipelinesWithin(_Body):
    """What is in the list."""

    pipelines: list[Pipeline]


class Pipelines(_Body):
    """All Pipelines of a workspace."""

    embedded: Annotated[PipelinesWithin, Field(alias="_embedded")]
    links: Links
    page: Page


class WorkspacesWithin(_Body):
    """What is in the list."""

    workspaces: list[Workspace]


class Workspaces(_Body):
    """The workspaces of whoever asks."""

    embedded: Annotated[WorkspacesWithin, Field(alias="_embedded")]
    links: Links
    page: Page


class ProfilesWithin(_Body):
    """What is in the list."""

    profiles: list[Profile]


class Profiles(_Body):
    """Who asks."""

    embedded: Annotated[ProfilesWithin, Field(alias="_embedded")]
    links: Links
    page: Page


class LogLine(_Body):
    """A line of a log."""

    sequence: int
    """Its number, from 0."""
    timestamp: Moment
    attempt: int
    message: str


class ErrorField(_Body):
    """What is wrong with a field."""

    field: str
    message: str


class Error(_Body):
    """Why a request could not be done."""

    timestamp: Moment
    status: int
    error: str
    errors: list[ErrorField]
    message: str
    path: str
