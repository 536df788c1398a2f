"""Of a Pipeline and a Job: what the API shows, and nothing else; some hundred bytes each."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from typing import Any, Final

import orjson

from elt_operator.kube import foreign
from elt_operator.resources.phases import Phase

_PHASES: Final = frozenset(phase.value for phase in Phase)
_LARGE: Final = 1_024
"""From so many bytes on, details are compressed."""
_SIZE_BYTES: Final = 4
"""In front of what is compressed stands how large it was; its first byte is 0, never a brace."""
_INTERNED: Final = 4_096
"""How many different details are shared: many Jobs of a Pipeline say the same."""


@dataclass(frozen=True, slots=True)
class PipelineEntry:
    """A Pipeline."""

    uid: str
    namespace: str
    name: str
    created: datetime
    status: str
    """READY, PROVISIONING or FAILED."""
    message: str
    """Why, for people; empty where there is nothing to say."""
    schedule: str
    time_zone: str
    suspended: bool
    max_attempts: int
    next_time: datetime | None
    """When the schedule fires next."""


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A Job."""

    uid: str
    namespace: str
    name: str
    version: int = field(compare=False)
    """Its resourceVersion, which grows with each change; -1: it is no number."""
    pipeline: str
    """The Pipeline's name."""
    created: float
    """Times are in seconds since 1970: a float is half as large as a datetime, and there are many Jobs."""
    phase: str
    reason: str
    start: float | None
    end: float | None
    exit_code: int | None
    attempt: int
    """The number of its last attempt, which may be under way; 0: there is none yet."""
    log: str
    """What became of its log: Collecting, Kept or Incomplete; empty: nothing is said of it."""
    details: bytes
    """What ``details_of`` returns, packed."""

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.phase in {Phase.QUEUED, Phase.RUNNING}


def pipeline_entry(body: Mapping[str, Any]) -> PipelineEntry | None:
    """Return what a Pipeline's body says; ``None``: it cannot be read."""
    whose = foreign.identity(body)
    if whose is None:
        return None
    spec, status = foreign.part(body, "spec"), foreign.part(body, "status")
    conditions = foreign.conditions_of(status)
    ready, stalled = conditions.get("Ready", {}), conditions.get("Stalled", {})
    words = (
        "READY" if ready.get("status") == "True" else "FAILED" if stalled.get("status") == "True" else "PROVISIONING"
    )
    return PipelineEntry(
        uid=whose.uid, namespace=whose.namespace, name=whose.name, created=foreign.created(body), status=words,
        message="" if words == "READY" else foreign.said(stalled or ready, "message"),
        schedule=foreign.text(spec.get("schedule")), time_zone=foreign.text(spec.get("timeZone")),
        suspended=spec.get("suspend") is True, max_attempts=1 + max(0, foreign.integer(spec.get("maxRetries"))),
        next_time=foreign.time(status.get("nextScheduleTime")),
    )  # fmt: skip


def job_entry(body: Mapping[str, Any]) -> JobEntry | None:
    """Return what a Job's body says; ``None``: it cannot be read."""
    whose, spec, status = foreign.identity(body), foreign.part(body, "spec"), foreign.part(body, "status")
    pipeline = foreign.text(spec.get("pipelineName"))
    if whose is None or not pipeline:
        return None
    attempts, phase = foreign.items(status.get("attempts")), status.get("phase")
    last = attempts[-1] if attempts else {}
    exit_code = status.get("exitCode")
    return JobEntry(
        uid=whose.uid, namespace=intern(whose.namespace), name=whose.name, pipeline=intern(pipeline),
        version=version_of(body), created=foreign.created(body).timestamp(),
        phase=intern(phase) if isinstance(phase, str) and phase in _PHASES else Phase.QUEUED.value,
        reason=intern(foreign.said(status, "reason")), start=_seconds(status.get("startTime")),
        end=_seconds(status.get("endTime")),
        exit_code=foreign.integer(exit_code) if isinstance(exit_code, int) else None,
        attempt=_attempt(status, foreign.integer(last.get("number"))),
        log=intern(foreign.text(foreign.part(status, "log").get("state"))), details=_details(spec, status),
    )  # fmt: skip


_USUAL_DETAILS: Final[Mapping[str, Any]] = {
    "taskName": None, "exitMessage": None, "errorMessage": None, "arguments": None, "properties": None,
    "fullRefresh": False, "trigger": "Manual", "intervalStart": None, "intervalEnd": None, "message": None,
    "rows": None, "warnings": 0,
}  # fmt: skip
"""What an entry does not hold, because it is so."""
NO_DETAILS: Final[Mapping[str, None]] = dict.fromkeys(_USUAL_DETAILS)
"""What is shown of them if nobody has asked."""
_known: dict[bytes, bytes] = {}


def _details(spec: Mapping[str, Any], status: Mapping[str, Any]) -> bytes:
    conditions = foreign.conditions_of(status)
    trigger, result = foreign.part(spec, "trigger"), foreign.part(status, "result")
    said = conditions.get("Succeeded", {})
    told = {
        "taskName": status.get("taskName"),
        "exitMessage": status.get("exitMessage"),
        "errorMessage": status.get("errorMessage"),
        "arguments": status.get("arguments") or spec.get("arguments"),
        "properties": spec.get("properties"),
        "fullRefresh": spec.get("fullRefresh") is True,
        "trigger": trigger.get("type") or "Manual",
        "intervalStart": trigger.get("intervalStart"),
        "intervalEnd": trigger.get("intervalEnd"),
        "message": foreign.said(said, "message") or None,
        "rows": result.get("rows"),
        "warnings": status.get("warningCount") or 0,
    }
    data = orjson.dumps({name: value for name, value in told.items() if value != _USUAL_DETAILS[name]})
    if len(_known) >= _INTERNED:
        _known.clear()
    known = _known.get(data)
    if known is None:
        known = bytes(memoryview(data))  # what orjson returns holds some kilobytes
        if len(known) > _LARGE:
            return len(known).to_bytes(_SIZE_BYTES) + zlib.compress(known, 1)
        _known[known] = known
    return known


def details_size(entry: JobEntry) -> int:
    """Return how many bytes ``details_of`` has as JSON."""
    packed = entry.details
    return len(packed) if packed[:1] == b"{" else int.from_bytes(packed[:_SIZE_BYTES])


def details_of(entry: JobEntry) -> dict[str, Any]:
    """Return what is shown of a Job only if it is asked for."""
    packed = entry.details
    told: dict[str, Any] = orjson.loads(packed if packed[:1] == b"{" else zlib.decompress(packed[_SIZE_BYTES:]))
    return {**_USUAL_DETAILS, **told}


def version_of(body: Mapping[str, Any]) -> int:
    """Return an object's resourceVersion as a number, as it is since Kubernetes 1.35; -1: it is none."""
    version = foreign.version(body)
    return int(version) if version.isascii() and version.isdecimal() else -1


def _attempt(status: Mapping[str, Any], told: int) -> int:
    """Return the number of the last attempt; while a Job runs, its status tells only of those before."""
    if status.get("phase") == Phase.RUNNING:
        return told + 1
    return told or int(foreign.time(status.get("startTime")) is not None)


def _seconds(value: Any) -> float | None:
    moment = foreign.time(value)
    return moment.timestamp() if moment else None
