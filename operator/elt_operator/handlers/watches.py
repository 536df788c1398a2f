"""The watches. Each takes what the API server said into the cache and wakes the Pipeline that it is about."""

from typing import Any

import kopf

from elt_operator.api import names
from elt_operator.core.situation import Key
from elt_operator.kube.cache import Cache
from elt_operator.kube.queue import WorkQueue

KINDS = ("eltpipelines", "eltjobs", "cronjobs", "jobs", "pods")
"""What is watched: a stream each, in each namespace or for all of them."""


def register(registry: kopf.OperatorRegistry, cache: Cache, queue: WorkQueue[Key]) -> None:
    """Add the handlers to ``registry``. None of them awaits, writes or fails."""

    def wake(key: Key | None) -> None:
        if key:
            queue.add(key)

    @kopf.on.event(names.GROUP, names.VERSION, names.PIPELINES, registry=registry)
    async def pipeline_changed(event: kopf.RawEvent, **_: Any) -> None:
        wake(cache.pipelines.take_event(event))

    @kopf.on.event(names.GROUP, names.VERSION, names.JOBS, registry=registry)
    async def job_changed(event: kopf.RawEvent, **_: Any) -> None:
        wake(cache.jobs.take_event(event))

    @kopf.on.event("batch", "v1", "cronjobs", registry=registry)
    async def cron_job_changed(event: kopf.RawEvent, **_: Any) -> None:
        wake(cache.cron_jobs.take_event(event))

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def batch_job_changed(event: kopf.RawEvent, **_: Any) -> None:
        wake(cache.take_run_event(event))
        wake(cache.slots.take_event(event))

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_changed(event: kopf.RawEvent, **_: Any) -> None:
        wake(cache.take_pod_event(event))
