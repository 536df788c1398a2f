"""The watches of the API: Pipelines, Jobs and, if it looks after all of them, namespaces; how old its knowledge is."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from elt_operator.api.catalog import Catalog
from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.mirror import Mirror
from elt_operator.kube.reflector import Reflector
from elt_operator.objects import JOBS, PIPELINES

_WATCH_SECONDS: Final = 30
"""How long a watch lasts: its end, or anything that comes, proves that nothing was missed until then."""
_NAMESPACES: Final = "/api/v1/namespaces"


@dataclass
class Watching:
    """Keeps the catalog like what the API server has."""

    client: Client
    catalog: Catalog
    namespaces: Sequence[str]
    """Empty: all of them."""
    now: Callable[[], float]
    """A clock's seconds that never go back."""
    workspaces: dict[str, str] = field(default_factory=dict)
    """The UIDs of namespaces by their names; empty if only some are looked after."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether all collections were listed, but for those that may not be."""
    _waiting: set[str] = field(default_factory=set)
    """Collections that were not listed yet."""
    _agreed: dict[str, float] = field(default_factory=dict)
    """When each collection was last known to be as it is here, or the start."""
    _left_out: set[str] = field(default_factory=set)
    """Collections that may not be read, of some namespaces that are looked after."""

    def age_seconds(self) -> float:
        """Return for how long what is known may have been wrong; what is left out is not known."""
        now = self.now()
        return now - min((moment for path, moment in self._agreed.items() if path not in self._left_out), default=now)

    def is_left_out(self, namespace: str) -> bool:
        """Return whether a namespace may not be read, or is not there, although it is to be looked after."""
        return not self._left_out.isdisjoint({JOBS.collection(namespace), PIPELINES.collection(namespace)})

    def reflectors(self) -> list[Reflector]:
        """Return what watches, one for each collection."""
        places: Sequence[str | None] = [*self.namespaces] or [None]
        found = [one for place in places for one in (self._of_jobs(place), self._of_pipelines(place))]
        found += [] if self.namespaces else [self._of_namespaces()]
        self._waiting = {one.path for one in found}
        self._agreed = dict.fromkeys(self._waiting, self.now())
        return [one.reflector(self.client, seconds=_WATCH_SECONDS) for one in found]

    def _of_jobs(self, namespace: str | None) -> Mirror:
        path, catalog = JOBS.collection(namespace), self.catalog
        return Mirror(
            path, catalog.take_job, lambda body: catalog.drop_job(foreign.uid(body)), catalog.drop_job,
            lambda: [uid for uid, job in catalog.jobs.items() if namespace in {None, job.namespace}],
            agrees=partial(self._agree, path), refused=partial(self._leave_out, path),
        )  # fmt: skip

    def _of_pipelines(self, namespace: str | None) -> Mirror:
        path, catalog = PIPELINES.collection(namespace), self.catalog
        return Mirror(
            path, catalog.take_pipeline, lambda body: catalog.drop_pipeline(foreign.uid(body)), catalog.drop_pipeline,
            lambda: [uid for uid, one in catalog.pipelines.items() if namespace in {None, one.namespace}],
            agrees=partial(self._agree, path), refused=partial(self._leave_out, path),
        )  # fmt: skip

    def _of_namespaces(self) -> Mirror:
        return Mirror(
            _NAMESPACES, self._take_namespace, lambda body: self._drop_namespace(foreign.uid(body)),
            self._drop_namespace, lambda: list(self.workspaces.values()), agrees=partial(self._agree, _NAMESPACES),
        )  # fmt: skip

    def _take_namespace(self, body: Mapping[str, Any]) -> None:
        self.workspaces[foreign.text(foreign.part(body, "metadata").get("name"))] = foreign.uid(body)

    def _drop_namespace(self, uid: str) -> None:
        for name in [name for name, known in self.workspaces.items() if known == uid]:
            del self.workspaces[name]

    def _agree(self, path: str) -> None:
        self._agreed[path] = self.now()
        self._left_out.discard(path)
        self._settle(path)

    def _leave_out(self, path: str, _error: Exception) -> None:
        """Go on without one of some namespaces; the API has no use without the whole cluster, if that is its own."""
        if self.namespaces:
            self._left_out.add(path)
            self._settle(path)

    def _settle(self, path: str) -> None:
        self._waiting.discard(path)
        if not self._waiting:
            self.listed.set()
