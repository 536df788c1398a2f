"""The keeper's watches: Jobs, and the pods of runs, in the namespaces that the operator looks after."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from elt_operator.kube import paths
from elt_operator.kube.client import Client
from elt_operator.kube.mirror import Mirror
from elt_operator.kube.reflector import Reflector
from elt_operator.logs.jobs import Watched
from elt_operator.objects import JOBS
from elt_operator.resources import names

_STALE_SECONDS: Final = 180.0
"""An API server sends a bookmark each minute."""


@dataclass
class Watching:
    """Keeps ``watched`` like what the API server has."""

    client: Client
    watched: Watched
    namespaces: Sequence[str]
    """Empty: all of them."""
    now: Callable[[], float] = time.monotonic
    _agreed: dict[str, float] = field(default_factory=dict)
    """When each collection was last known to be as it is here."""
    _expected: int = 0
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether all were: before, what is unknown may exist."""

    def reflectors(self) -> list[Reflector]:
        """Return what watches, one for each collection."""
        places: Sequence[str | None] = [*self.namespaces] or [None]
        found = [one for place in places for one in (self._of_jobs(place), self._of_pods(place))]
        self._expected = len(found)
        return [one.reflector(self.client) for one in found]

    def _of_jobs(self, namespace: str | None) -> Mirror:
        path, watched = JOBS.collection(namespace), self.watched
        return Mirror(
            path, watched.take_job, partial(watched.take_job, deleted=True), watched.forget_job,
            lambda: [uid for uid, job in watched.jobs.items() if namespace in {None, job.name.namespace}],
            agrees=partial(self._agree, path),
        )  # fmt: skip

    def _of_pods(self, namespace: str | None) -> Mirror:
        path, watched = paths.PODS.collection(namespace), self.watched
        return Mirror(
            path, watched.take_pod, partial(watched.take_pod, deleted=True), watched.forget_pod,
            lambda: [uid for uid, pod in watched.pods.items() if not pod.gone and namespace in {None, pod.namespace}],
            {"labelSelector": names.JOB_UID_LABEL}, partial(self._agree, path),
        )  # fmt: skip

    def is_current(self) -> bool:
        """Return whether what is not here does not exist, as far as a watch can tell."""
        return all(self.now() - at < _STALE_SECONDS for at in self._agreed.values())

    def _agree(self, path: str) -> None:
        self._agreed[path] = self.now()
        if len(self._agreed) == self._expected:
            self.listed.set()
