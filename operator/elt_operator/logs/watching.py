"""The keeper's watches: Jobs, and the pods of runs, in the namespaces that the operator looks after."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from elt_operator.kube import foreign, paths
from elt_operator.kube.client import Client
from elt_operator.kube.reflector import Reflector
from elt_operator.logs.jobs import Watched
from elt_operator.objects import JOBS
from elt_operator.resources import names

_PAGE: Final = 50
"""A Job may have a megabyte, and a page is held whole while it is read."""

Take = Callable[[Mapping[str, Any]], None]


@dataclass
class Watching:
    """Keeps ``watched`` like what the API server has."""

    client: Client
    watched: Watched
    namespaces: Sequence[str]
    """Empty: all of them."""
    _to_list: set[str] = field(default_factory=set)
    """The collections that were not listed yet."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether all were: before, what is unknown may exist."""

    def reflectors(self) -> list[Reflector]:
        """Return what watches, one for each collection."""
        places: Sequence[str | None] = [*self.namespaces] or [None]
        found = [one for place in places for one in (self._of_jobs(place), self._of_pods(place))]
        self._to_list = {one.path for one in found}
        return found

    def _of_jobs(self, namespace: str | None) -> Reflector:
        watched = self.watched
        return self._reflector(
            JOBS.collection(namespace), {}, watched.take_job, watched.forget_job,
            lambda: [uid for uid, job in watched.jobs.items() if namespace in {None, job.name.namespace}],
        )  # fmt: skip

    def _of_pods(self, namespace: str | None) -> Reflector:
        watched = self.watched
        return self._reflector(
            paths.PODS.collection(namespace), {"labelSelector": names.JOB_UID_LABEL},
            watched.take_pod, watched.forget_pod,
            lambda: [uid for uid, pod in watched.pods.items() if not pod.gone and namespace in {None, pod.namespace}],
        )  # fmt: skip

    def _reflector(
        self,
        path: str,
        selectors: Mapping[str, str],
        take: Callable[..., None],
        forget: Callable[[str], None],
        known: Callable[[], Sequence[str]],
    ) -> Reflector:
        async def compare() -> str:
            gone, version = set(known()), ""
            async for page in self.client.pages(path, selectors, limit=_PAGE):
                version = page.version
                for body in page.items:
                    take(body)
                    gone.discard(foreign.uid(body))
            for uid in gone:
                forget(uid)
            self._to_list.discard(path)
            if not self._to_list:
                self.listed.set()
            return version

        def watch(version: str) -> AsyncIterator[dict[str, Any]]:
            return self.client.watch(path, selectors, version)

        def take_event(event: dict[str, Any]) -> None:
            take(foreign.part(event, "object"), deleted=event.get("type") == "DELETED")

        return Reflector(path, list=compare, watch=watch, take=take_event)
