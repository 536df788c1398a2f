"""What is stored of a log beside its text: where each line is, what is missing, and whose log it is.

::

    v1/open/<job uid>/<pod uid>/<00000001>.zst                        frames, while the run is in progress
                               /whose.json                            whose they are
    v1/ns/<namespace>/<pipeline>/<start>-<job uid>/log.zst            then one object for the whole log
                                                  /log.json           its manifest
                                                  /job.json           the Job as it ended
    v1/ids/<job uid>                                                  the folder above
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from elt_operator.archive.frames import Count, Gap, Name, Strict, Time, Uid

VERSION: Final = "v1"
OPEN: Final = f"{VERSION}/open"
IDS: Final = f"{VERSION}/ids"
NAMESPACES: Final = f"{VERSION}/ns"
_FRAME: Final = re.compile(rf"{OPEN}/([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)/([0-9]{{8,}})\.zst")
_WHOSE: Final = re.compile(rf"{OPEN}/([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)/whose\.json")

START: Final = "%Y%m%dT%H%M%SZ"
"""How the name of a log's folder says when its Job began."""
LOG, MANIFEST, JOB = "log.zst", "log.json", "job.json"
FILES: Final = (LOG, MANIFEST, JOB)
"""What is in that folder."""

State = Literal["Collecting", "Kept", "Incomplete"]


class Stored(Strict):
    """What is read from the store: a later version may have written more."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class StoredFrame(Stored):
    """Where a part of a log is."""

    key: str = ""
    """The object; in a manifest empty, for the log's own."""
    offset: Count
    """Where in it the frame begins."""
    size: Count
    bytes: Count
    """Of text."""
    line: Count
    """The number of its first line in the log, from 0."""
    lines: Count
    unfinished: bool = False
    """Whether its last line has no end there."""
    crc: Count = 0
    """CRC-32 of its bytes."""
    attempt: Count
    start: Time
    """When its first line was written."""
    end: Time


class StoredAttempt(Stored):
    """The log of one pod within that of its Job."""

    number: Count
    pod: Name
    pod_uid: Uid
    line: Count
    """The number of its first line."""
    sha256: str = ""
    """Of its text; empty: there is none."""


class JobName(Stored):
    """Whose log it is."""

    namespace: Name
    name: Name
    uid: Uid
    pipeline: Name
    run: str = ""


class Whose(Stored):
    """Whose frames they are, for the case that Job and pod are gone when somebody next looks."""

    job: JobName
    pod: Name
    node: str
    created: datetime | None = None
    """When the pod was: attempts are in this order if nobody can tell their numbers."""


class Manifest(Stored):
    """All that is said of a log that is stored as a whole."""

    version: Literal[1] = 1
    job: JobName
    state: Literal["Kept", "Incomplete"]
    reason: str = ""
    attempts: list[StoredAttempt]
    lines: Count
    bytes: Count
    hidden: Count
    """How many secrets were hidden."""
    gaps: list[Gap]
    frames: list[StoredFrame]
    ended: Annotated[str, Field(max_length=40)]
    """When the Job ended."""


def parsed_whose_key(key: str) -> tuple[str, str] | None:
    """Return the UIDs of Job and pod of a key that ``whose_key`` made; ``None`` for another key."""
    found = _WHOSE.fullmatch(key)
    return (found[1], found[2]) if found else None


def frame_key(job: str, pod: str, number: int) -> str:
    """Return where a frame lies while the log is open."""
    return f"{OPEN}/{job}/{pod}/{number:08}.zst"


def whose_key(job: str, pod: str) -> str:
    """Return where it is said whose the frames of a pod are."""
    return f"{OPEN}/{job}/{pod}/whose.json"


def parsed_frame_key(key: str) -> tuple[str, str, int] | None:
    """Return Job, pod and number of a frame; ``None`` for another key."""
    found = _FRAME.fullmatch(key)
    return (found[1], found[2], int(found[3])) if found else None


def folder(job: JobName, start: datetime) -> str:
    """Return where the log of a Job lies in the end."""
    moment = start.astimezone(UTC).strftime(START)
    return f"{NAMESPACES}/{job.namespace}/{job.pipeline}/{moment}-{job.uid}"


def frame_of(frames: Sequence[StoredFrame], line: int) -> int:
    """Return the index of the frame in which line number ``line`` begins; how many there are, if it is in none."""
    return bisect_left(frames, line + 1, key=lambda frame: frame.line + frame.lines + frame.unfinished)
