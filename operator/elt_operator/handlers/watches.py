"""kopf's watches: what the API server said of Pipelines and Jobs goes into the cache and wakes whom it is about."""

from typing import Any

import kopf

from elt_operator.api import names
from elt_operator.core.situation import Key
from elt_operator.kube.cache import Cache
from elt_operator.kube.queue import WorkQueue


def register(registry: kopf.OperatorRegistry, cache: Cache, queue: WorkQueue[Key]) -> None:
    """Add the handlers to ``registry``. None of them awaits, writes or fails."""

    @kopf.on.event(names.GROUP, names.VERSION, names.PIPELINES, registry=registry)
    @kopf.on.event(names.GROUP, names.VERSION, names.JOBS, registry=registry)
    async def changed(event: kopf.RawEvent, resource: kopf.Resource, **_: Any) -> None:
        for key in cache.take_event(resource.plural, event):
            queue.add(key)
