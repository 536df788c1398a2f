"""Which logs have been kept for long enough. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from elt_operator.archive import manifest

_FOLDER: Final = re.compile(
    rf"({manifest.NAMESPACES}/([a-z0-9-]+)/([a-z0-9.-]+)/([0-9]{{8}}T[0-9]{{6}}Z)-([A-Za-z0-9._-]+))/[a-z.]+"
)


class PipelineName(NamedTuple):
    """Which Pipeline."""

    namespace: str
    name: str


class StoredLog(NamedTuple):
    """A log that is stored as a whole, or of which something is left."""

    started: datetime
    folder: str
    pipeline: PipelineName
    job: str
    """The Job's UID."""


class Limits(NamedTuple):
    """How long the logs of a Pipeline are kept."""

    days: int
    most: int | None = None
    """How many; ``None``: without a limit."""


def logs_of(keys: Iterable[str]) -> set[StoredLog]:
    """Return the logs of which ``keys`` are; another key is none of ours."""
    return {log for key in keys if (log := _log_of(key))}


def _log_of(key: str) -> StoredLog | None:
    found = _FOLDER.fullmatch(key)
    if found is None:
        return None
    try:
        started = datetime.strptime(found[4], manifest.START).replace(tzinfo=UTC)
    except ValueError:
        return None
    return StoredLog(started, found[1], PipelineName(found[2], found[3]), found[5])


def surplus(
    logs: Iterable[StoredLog], limits: Mapping[PipelineName, Limits], otherwise: Limits, now: datetime
) -> Iterator[StoredLog]:
    """Yield the logs that are to go, the oldest first; ``otherwise`` is for Pipelines without limits of their own."""
    by_pipeline: defaultdict[PipelineName, list[StoredLog]] = defaultdict(list)
    for log in sorted(logs):
        by_pipeline[log.pipeline].append(log)
    for pipeline, stored in by_pipeline.items():
        days, most = limits.get(pipeline, otherwise)
        too_many = 0 if most is None else max(0, len(stored) - most)
        yield from (
            log for place, log in enumerate(stored) if place < too_many or now - log.started > timedelta(days=days)
        )
