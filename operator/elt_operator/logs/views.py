"""Which log is asked for: one that still grows, or one that is stored as a whole."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pydantic import ValidationError

from elt_operator.archive import manifest
from elt_operator.archive.manifest import JobName, Manifest
from elt_operator.logs import settling
from elt_operator.logs.jobs import JobFacts, Watched
from elt_operator.logs.open_logs import OpenAttempt, OpenLog, OpenLogs, in_order
from elt_operator.logs.reading import Decoded, View
from elt_operator.logs.settling import Heard
from elt_operator.logs.store import Missing, Store, StoreError

_MOST_REMEMBERED: Final = 200_000
"""Of how many frames it is remembered where they are, in all logs that were read lately: some 400 bytes each."""
_MOST_MISSING: Final = 10_000
_MISSING_FOR: Final = timedelta(seconds=10)
_SILENT: Final = timedelta(seconds=30)
"""After so long a reader is not waited for, so that who follows a run is not left behind by a node that is lost."""


class _Shown(NamedTuple):
    """What of an open log was last shown, and how."""

    of: tuple[object, ...]
    view: View


@dataclass
class Views:
    """Finds logs by the UID of their Job."""

    store: Store
    open_logs: OpenLogs
    watched: Watched
    heard_of: Callable[[JobFacts], Mapping[str, Heard]]
    """See ``Keeper``."""
    now: Callable[[], datetime]
    decoded: Decoded = field(init=False)
    _known: OrderedDict[str, tuple[str, Manifest]] = field(default_factory=OrderedDict)
    _frames: int = 0
    """How many those have."""
    _missing: OrderedDict[str, datetime] = field(default_factory=OrderedDict)
    """When a Job's log was last looked for in vain."""
    _shown: dict[str, _Shown] = field(default_factory=dict)
    """What was last shown of open logs: who follow one see the same."""

    def __post_init__(self) -> None:
        self.decoded = Decoded(self.store)

    async def whole(self, job: str) -> tuple[str, Manifest] | None:
        """Return folder and manifest of a log that is stored as a whole; ``None``: there is none."""
        if job in self._known:
            self._known.move_to_end(job)
            return self._known[job]
        folder = await self._folder(job)
        if folder is None:
            return None
        try:
            written = await self.store.get(f"{folder}/{manifest.MANIFEST}")
        except Missing:
            return None
        try:
            found = folder, Manifest.model_validate_json(written)
        except ValidationError as error:
            raise StoreError(f"{folder}/{manifest.MANIFEST} cannot be read: {error}") from error
        self._known[job] = found
        self._frames += len(found[1].frames)
        while self._frames > _MOST_REMEMBERED and len(self._known) > 1:
            _, (_, oldest) = self._known.popitem(last=False)
            self._frames -= len(oldest.frames)
        return found

    async def _folder(self, job: str) -> str | None:
        """Return where a log is stored as a whole; ``None``: nowhere, which is remembered for a while.

        Of a Job that is watched until it is settled: nobody else than this process stores its log.
        """
        since = self._missing.get(job)
        if since is not None and (self.watched.of(job) is not None or self.now() - since < _MISSING_FOR):
            return None
        try:
            return (await self.store.get(f"{manifest.IDS}/{job}")).decode()
        except Missing:
            self._missing[job] = self.now()
            if len(self._missing) > _MOST_MISSING:
                self._missing.popitem(last=False)
            return None

    async def is_whole(self, job: str) -> bool:
        """Return whether a log is stored as a whole; raises ``StoreError``."""
        return job in self._known or await self._folder(job) is not None

    def forget(self, job: str) -> None:
        """Forget a log: it was deleted, or was just stored as a whole."""
        self._missing.pop(job, None)
        self._shown.pop(job, None)
        if known := self._known.pop(job, None):
            self._frames -= len(known[1].frames)

    async def name_of(self, job: str) -> JobName | None:
        """Return whose log it is; ``None``: there is none."""
        if known := self.watched.of(job):
            return known.name
        whole = await self.whole(job)
        return whole[1].job if whole else None

    async def of(self, job: str) -> View | None:
        """Return the log as it is now; ``None``: there is none. Raises ``StoreError``."""
        if whole := await self.whole(job):
            folder, stored = whole
            starts = {attempt.number: attempt.line for attempt in stored.attempts}
            return View(
                self.decoded, f"{folder}/{manifest.LOG}", stored.frames, stored.lines, stored.state, starts,
                len(stored.gaps),
            )  # fmt: skip
        known = self.watched.of(job)
        if known is None:
            return None
        log = await self.open_logs.of(job)
        attempts = self._attempts(known, log)
        version = (log, log.version, *(number for number, _ in attempts))
        shown = self._shown.get(job)
        if shown is None or shown.of != version:
            shown = self._shown[job] = _Shown(version, _view(self.decoded, attempts))
        return shown.view

    def _attempts(self, job: JobFacts, log: OpenLog) -> list[tuple[int, OpenAttempt]]:
        """Return the attempts whose lines have numbers: what follows one that may still grow has none yet."""
        pods = self.watched.pods_of(job.name.uid)
        uids, heard = {pod.name: pod.uid for pod in pods}, self.heard_of(job)
        found: list[tuple[int, OpenAttempt]] = []
        for tried in settling.attempts_of(job, pods):
            uid = uids.get(tried.pod, "")
            attempt, last = log.attempts.get(uid), heard.get(uid)
            if attempt:
                found.append((tried.number, attempt))
            is_whole = attempt and attempt.closed
            if not is_whole and last and last.has_it and self.now() - last.at < _SILENT:
                break
        return found


def _view(decoded: Decoded, attempts: Sequence[tuple[int, OpenAttempt]]) -> View:
    starts, line = {}, 0
    for number, attempt in attempts:
        starts[number] = line
        line += attempt.lines_begun
    unfinished = bool(attempts) and attempts[-1][1].unfinished
    gaps = sum(len(attempt.gaps) for _, attempt in attempts)
    return View(decoded, "", in_order(attempts), line - unfinished, "Collecting", starts, gaps)
