"""Which log is asked for: one that still grows, or one that is stored as a whole."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from elt_operator.archive import manifest
from elt_operator.archive.manifest import JobName, Manifest
from elt_operator.logs import settling
from elt_operator.logs.jobs import Watched
from elt_operator.logs.open_logs import OpenLogs, in_order
from elt_operator.logs.reading import View
from elt_operator.logs.store import Missing, Store, StoreError

_MOST_REMEMBERED: Final = 1_000
"""Manifests of logs that were read lately: some 70 bytes for each MiB of text."""


@dataclass
class Views:
    """Finds logs by the UID of their Job."""

    store: Store
    open_logs: OpenLogs
    watched: Watched
    _known: OrderedDict[str, tuple[str, Manifest]] = field(default_factory=OrderedDict)

    async def whole(self, job: str) -> tuple[str, Manifest] | None:
        """Return folder and manifest of a log that is stored as a whole; ``None``: there is none."""
        if job in self._known:
            self._known.move_to_end(job)
            return self._known[job]
        try:
            folder = (await self.store.get(f"{manifest.IDS}/{job}")).decode()
            written = await self.store.get(f"{folder}/{manifest.MANIFEST}")
        except Missing:
            return None
        try:
            found = folder, Manifest.model_validate_json(written)
        except ValidationError as error:
            raise StoreError(f"{folder}/{manifest.MANIFEST} cannot be read: {error}") from error
        self._known[job] = found
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def is_whole(self, job: str) -> bool:
        """Return whether a log is stored as a whole; raises ``StoreError``."""
        if job in self._known:
            return True
        try:
            await self.store.get(f"{manifest.IDS}/{job}")
        except Missing:
            return False
        return True

    def forget(self, job: str) -> None:
        """Forget a log that was deleted."""
        self._known.pop(job, None)

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
            return View(self.store, f"{folder}/{manifest.LOG}", stored.frames, stored.lines, stored.state)
        known = self.watched.of(job)
        if known is None:
            return None
        log = await self.open_logs.of(job)
        pods = self.watched.pods_of(job)
        uids = {pod.name: pod.uid for pod in pods}
        attempts = [
            (tried.number, attempt)
            for tried in settling.attempts_of(known, pods)
            if (attempt := log.attempts.get(uids.get(tried.pod, "")))
        ]
        lines = sum(attempt.lines for _, attempt in attempts[-1:]) + sum(one.lines_begun for _, one in attempts[:-1])
        return View(self.store, "", in_order(attempts), lines, "Collecting")
