"""The watches of the API: Pipelines, Jobs and, if it looks after all of them, namespaces; how old its knowledge is."""

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from elt_operator.api.catalog import Catalog
from elt_operator.kube import foreign
from elt_operator.kube.client import Client
from elt_operator.kube.mirror import Mirror, Take
from elt_operator.kube.reflector import Reflector
from elt_operator.objects import JOBS, PIPELINES

logger = logging.getLogger(__name__)

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
        jobs, catalog = self.catalog.jobs, self.catalog
        return self._mirror(
            JOBS.collection(namespace), catalog.take_job, catalog.drop_job,
            lambda: [uid for uid, job in jobs.items() if namespace in {None, job.namespace}],
            partial(catalog.take_list, namespace),
        )  # fmt: skip

    def _of_pipelines(self, namespace: str | None) -> Mirror:
        pipelines, catalog = self.catalog.pipelines, self.catalog
        return self._mirror(
            PIPELINES.collection(namespace), catalog.take_pipeline, catalog.drop_pipeline,
            lambda: [uid for uid, one in pipelines.items() if namespace in {None, one.namespace}],
        )  # fmt: skip

    def _of_namespaces(self) -> Mirror:
        return self._mirror(
            _NAMESPACES, self._take_namespace, self._drop_namespace, lambda: list(self.workspaces.values())
        )

    def _mirror(
        self, path: str, take: Take, drop: Callable[[str], None], known: Callable[[], Sequence[str]],
        listed: Callable[[str], None] = lambda _version: None,
    ) -> Mirror:  # fmt: skip
        return Mirror(
            path, take, lambda body: drop(foreign.uid(body)), drop, known,
            agrees=partial(self._agree, path), listed=listed, refused=partial(self._leave_out, path),
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
        if not self._waiting and not self.listed.is_set():
            self.listed.set()
            gc.freeze()  # else each look for garbage goes through all of them, and answers wait
            logger.info(
                "everything is listed: %d Pipelines, %d Jobs", len(self.catalog.pipelines), len(self.catalog.jobs)
            )
