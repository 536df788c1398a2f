"""When a log is settled: all of it is there, or nobody will bring what is missing. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from elt_operator.archive.frames import Gap, GapReason
from elt_operator.archive.manifest import StoredAttempt
from elt_operator.logs.jobs import JobFacts, PodFacts, Tried
from elt_operator.logs.open_logs import OpenAttempt

READER_PATIENCE: Final = timedelta(minutes=10)
"""How long a reader may be silent, once a Job has ended, before its node counts as lost."""
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKED_AFTER: Final = timedelta(seconds=10)
"""How long after the end a reader that has nothing of a log is believed; clocks differ a little."""
_TOLD_AFTER: Final = timedelta(seconds=15)
"""How long after a Job has gone all readers will have told what they have of it."""
_FIRST_LINE: Final = timedelta(seconds=1)
"""No kubelet rotates within this time, which is told in whole seconds: what is written so soon is the first line."""


@dataclass(frozen=True)
class Heard:
    """What was last heard of the reader of an attempt."""

    at: datetime
    """When its node's reader last said anything; of one that never did, since when that is waited for."""
    has_it: bool = True
    """Whether that reader then had something of the attempt."""


@dataclass(frozen=True)
class Settled:
    """A log of which nothing more will come."""

    attempts: Sequence[tuple[StoredAttempt, OpenAttempt | None]]
    """In order; ``None``: nothing of it is there."""
    gaps: Sequence[Gap]

    @property
    def reason(self) -> GapReason | None:
        """Why something is missing; ``None``: nothing is."""
        return self.gaps[0].reason if self.gaps else None


def settled(
    job: JobFacts, known: Mapping[str, OpenAttempt], pods: Sequence[PodFacts], heard: Mapping[str, Heard], now: datetime
) -> Settled | None:
    """Return the log of ``job``, which has ended, once nothing more will come; ``None``: something may.

    ``known`` and ``heard`` are by the pod's UID, for a pod that is not known by its name.
    """
    by_name = {pod.name: pod for pod in pods}
    found: list[tuple[Tried, PodFacts | None, OpenAttempt | None]] = []
    for tried in attempts_of(job, pods):
        pod = by_name.get(tried.pod)
        attempt = known.get(pod.uid) if pod else None
        if attempt is None and pod and not pod.node:
            continue  # it was never on a node
        if not (attempt and attempt.closed) and not _given_up(job, heard.get(pod.uid if pod else tried.pod), now):
            return None
        if attempt is None and pod and pod.started is None and tried.started is None:
            continue  # its container never started, and nobody has anything of it
        found.append((tried, pod, attempt))
    if not job.awaited and not (found and job.body) and job.ended and now - job.ended < _TOLD_AFTER:
        return None  # one of its pods may not have been seen yet, or be known to its reader only
    stored, gaps, line = [], [], 0
    for tried, pod, attempt in found:
        uid = pod.uid if pod else "unknown"
        digest = attempt.digest.hexdigest() if attempt else ""
        stored.append(
            (StoredAttempt(number=tried.number, pod=tried.pod, pod_uid=uid, line=line, sha256=digest), attempt)
        )
        gaps += _gaps(job, tried, attempt, line, heard.get(pod.uid) if pod else None)
        line += attempt.lines_begun if attempt else 0
    if job.awaited and not found:  # something has started, but nobody knows what
        gaps.append(Gap(line=0, reason="NeverSeen"))
    return Settled(stored, gaps)


def attempts_of(job: JobFacts, pods: Sequence[PodFacts]) -> list[Tried]:
    """Return the attempts of a Job, those too of which its status does not tell: it was deleted, or goes on."""
    told = {tried.pod for tried in job.attempts}
    begun = min((pod.created for pod in pods if pod.name in told and pod.created), default=None)
    others = sorted((pod for pod in pods if pod.name not in told), key=lambda pod: (pod.created or _LONG_AGO, pod.name))
    # A status tells of the last attempts only.
    before = [pod for pod in others if begun and pod.created and pod.created < begun]
    after = [pod for pod in others if pod not in before]
    first = min((tried.number for tried in job.attempts), default=1)
    last = max((tried.number for tried in job.attempts), default=0)
    return [
        *(
            Tried(max(1, first - more), pod.name, pod.started)
            for more, pod in zip(range(len(before), 0, -1), before, strict=True)
        ),
        *job.attempts,
        *(Tried(last + more, pod.name, pod.started) for more, pod in enumerate(after, 1)),
    ]


def _given_up(job: JobFacts, heard: Heard | None, now: datetime) -> bool:
    """Return whether an attempt's reader is lost, or has looked for the log after the end and not found it."""
    if heard is None or job.ended is None:
        return False
    return _has_looked(job, heard) or now - heard.at >= READER_PATIENCE


def _has_looked(job: JobFacts, heard: Heard) -> bool:
    """Return whether a reader was there after the end, and had nothing of the attempt."""
    return job.ended is not None and not heard.has_it and heard.at - job.ended >= _LOOKED_AFTER


def _gaps(job: JobFacts, tried: Tried, attempt: OpenAttempt | None, line: int, heard: Heard | None) -> list[Gap]:
    """Return what is missing of an attempt; lines are counted within the whole log."""
    if attempt is None:
        return [Gap(line=line, reason="NeverSeen")]
    gaps = [
        gap.model_copy(update={"line": line + gap.line})
        for gap in attempt.gaps
        if not (gap.reason == "LateStart" and _began_at_its_beginning(tried, gap))
    ]
    if not attempt.closed:
        reason: GapReason = "ReaderAway" if heard and _has_looked(job, heard) else "NodeLost"
        gaps.append(Gap(line=line + attempt.lines, after=attempt.last_time, reason=reason))
    return gaps


def _began_at_its_beginning(tried: Tried, gap: Gap) -> bool:
    """Return whether the first line that was seen is so old that none can have gone before."""
    if tried.started is None or gap.before is None:
        return False
    return abs(datetime.fromtimestamp(gap.before / 1_000_000, UTC) - tried.started) < _FIRST_LINE
