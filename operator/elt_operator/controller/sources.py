"""The sources of the cache: the collections that are listed and watched, and who watches them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from elt_operator.kube import paths
from elt_operator.kube.paths import Resource
from elt_operator.objects import JOBS, PIPELINES
from elt_operator.resources import names

ENDED_JOBS_LEFT_OUT: Final = ",".join(f"status.phase!={phase}" for phase in ("COMPLETE", "ERROR", "STOPPED", "UNKNOWN"))
"""The field selector that keeps ended Jobs out of the operator's memory."""

PAGE_OF_LARGE_OBJECTS: Final = 50
"""A Pipeline or a Job may have a megabyte, and a page is held whole while it is read."""


@dataclass(frozen=True)
class Source:
    """The objects of one resource in one namespace, or in all of them."""

    resource: Resource
    selectors: Mapping[str, str] = field(default_factory=dict)
    """Query parameters that leave out what is none of our business."""
    namespace: str | None = None
    """``None``: all of them."""
    page_size: int = 500
    """How many objects are asked for at once."""

    @property
    def plural(self) -> str:
        """The plural of the resource."""
        return self.resource.plural

    @property
    def path(self) -> str:
        """The path of the collection; raises ``Unaddressable``."""
        return self.resource.collection(self.namespace)


BY_KOPF: Final = (Source(JOBS, {"fieldSelector": ENDED_JOBS_LEFT_OUT}, page_size=PAGE_OF_LARGE_OBJECTS),)
"""Watched by kopf."""

BY_REFLECTORS: Final = (
    Source(PIPELINES, page_size=PAGE_OF_LARGE_OBJECTS),
    Source(paths.CRON_JOBS),
    Source(paths.BATCH_JOBS, {"labelSelector": names.PIPELINE_LABEL}),
    Source(paths.PODS, {"labelSelector": names.PIPELINE_LABEL}),
)
"""Watched by reflectors: nearly all events are about runs and pods, and kopf takes many times as long for one. And of a
Pipeline, which may be large, a reflector keeps only what decisions need."""


def of(namespace: str | None, sources: Sequence[Source] = BY_KOPF + BY_REFLECTORS) -> Iterator[Source]:
    """Yield ``sources`` as they are in ``namespace``; ``None``: in all of them at once."""
    for source in sources:
        yield replace(source, namespace=namespace)
