"""The sources of the cache: the collections that are listed and watched, and who watches them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from elt_operator.api import names

ENDED_JOBS_LEFT_OUT: Final = ",".join(f"status.phase!={phase}" for phase in ("COMPLETE", "ERROR", "STOPPED", "UNKNOWN"))
"""The field selector that keeps finished Jobs out of the operator's memory."""


@dataclass(frozen=True)
class Source:
    """The objects of one resource in one namespace, or in all of them."""

    root: str
    """The path of the API group and version."""
    plural: str
    selectors: Mapping[str, str]
    """Query parameters that leave out what is none of our business."""
    namespace: str | None = None
    """``None``: all of them."""

    @property
    def path(self) -> str:
        """The path of the collection."""
        place = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{self.root}{place}/{self.plural}"


OURS: Final = (
    Source(f"/apis/{names.API_VERSION}", names.PIPELINES, {}),
    Source(f"/apis/{names.API_VERSION}", names.JOBS, {"fieldSelector": ENDED_JOBS_LEFT_OUT}),
)
"""Watched by kopf."""

KUBERNETES: Final = (
    Source("/apis/batch/v1", "cronjobs", {}),
    Source("/apis/batch/v1", "jobs", {"labelSelector": names.PIPELINE_LABEL}),
    Source("/api/v1", "pods", {"labelSelector": names.PIPELINE_LABEL}),
)
"""Watched by reflectors: nearly all events are about these, and kopf takes many times as long for one."""


def within(namespaces: Sequence[str], sources: Sequence[Source] = OURS + KUBERNETES) -> Iterator[Source]:
    """Yield ``sources`` for each of ``namespaces``; empty: for all of them at once."""
    places: Sequence[str | None] = namespaces or [None]
    for source in sources:
        for namespace in places:
            yield replace(source, namespace=namespace)
