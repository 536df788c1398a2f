"""What the API reads from: all Pipelines and Jobs, as they are shown, kept up to date by watches."""

import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from elt_operator.api.entries import JobEntry, PipelineEntry, job_entry, pipeline_entry, version_of
from elt_operator.kube import foreign

_MOST_ORDERS: Final = 1_000
_MOST_PLACES: Final = 1_000_000
"""How many places all orders have together; each takes eight bytes."""
_MOST_WRITTEN: Final = 1_000
_MOST_GONE: Final = 10_000


class Scope(NamedTuple):
    """Of which Jobs: those of a namespace, or of one Pipeline there."""

    namespace: str
    pipeline: str = ""


class Change(NamedTuple):
    """A Job that has changed."""

    number: int
    namespace: str
    uid: str
    job: JobEntry | None
    """``None``: it is gone."""


class Order(NamedTuple):
    """The Jobs of a scope at one moment, in an order."""

    name: str
    """By which it is found again."""
    uids: Sequence[str]


Arrange = Callable[[Iterable[JobEntry]], Sequence[str]]
"""Returns the UIDs of Jobs in an order."""


@dataclass
class Catalog:
    """Pipelines and Jobs by UID, by name, and by where they are."""

    jobs: dict[str, JobEntry] = field(default_factory=dict)
    pipelines: dict[str, PipelineEntry] = field(default_factory=dict)
    changed: Callable[[Change], None] = lambda _change: None
    """Is told of each Job that changes."""
    started: str = field(default_factory=lambda: secrets.token_hex(4))
    """Which process this is: another one counts otherwise."""
    _by_pipeline: dict[str, dict[str, dict[str, JobEntry]]] = field(default_factory=dict)
    """Jobs by namespace, name of the Pipeline, and UID."""
    _by_name: dict[tuple[str, str], PipelineEntry] = field(default_factory=dict)
    _versions: dict[Scope, int] = field(default_factory=dict)
    """The number of the last change in each scope that has Jobs."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _gone: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    """UIDs of Jobs that went lately: what a write answers may be older than that."""
    _listed_at: dict[str | None, int] = field(default_factory=dict)
    """The versions of the last whole lists of Jobs, by namespace; ``None``: of all."""
    _orders: "OrderedDict[tuple[Any, ...], Order]" = field(default_factory=OrderedDict)
    """That of the longest ago first."""
    _places: int = 0
    """How many places all orders have together."""
    _written: "OrderedDict[str, int]" = field(default_factory=OrderedDict)
    """The versions of Jobs that were just written, by UID: what watches tell may be older for a moment."""

    # -- what watches tell ---------------------------------------------------------------------------------------------

    def take_job(self, body: Mapping[str, Any]) -> None:
        """Take what a watch tells of a Job, in its order; what is older than what was just written changes nothing."""
        uid, version = foreign.uid(body), version_of(body)
        if uid in self._written and version >= 0:
            if version < self._written[uid]:
                return
            del self._written[uid]
        self._gone.pop(uid, None)
        self._take(body)

    def take_written(self, body: Mapping[str, Any]) -> None:
        """Take what the API server has answered to a write, unless more is known already: it may come late."""
        uid, version = foreign.uid(body), version_of(body)
        namespace = foreign.text(foreign.part(body, "metadata").get("namespace"))
        known = self.jobs.get(uid)
        seen = known.version if known else self._listed_at.get(None, self._listed_at.get(namespace, -1))
        if uid in self._gone or 0 <= version <= seen:
            return
        self._written[uid] = version
        if len(self._written) > _MOST_WRITTEN:
            self._written.popitem(last=False)
        self._take(body)

    def take_list(self, namespace: str | None, version: str) -> None:
        """Take notice that all Jobs of a namespace were told, as they were at a version."""
        self._listed_at[namespace] = int(version) if version.isascii() and version.isdecimal() else -1

    def _take(self, body: Mapping[str, Any]) -> None:
        entry = job_entry(body)
        if entry is None:
            return
        has_changed = entry != self.jobs.get(entry.uid)
        self.jobs[entry.uid] = entry
        there = self._by_pipeline.setdefault(entry.namespace, {}).setdefault(entry.pipeline, {})
        there[entry.uid] = entry
        if has_changed:
            self._count(entry, entry)

    def drop_job(self, uid: str) -> None:
        """Take notice that a Job is gone."""
        entry = self.jobs.pop(uid, None)
        self._written.pop(uid, None)
        self._gone[uid] = None
        if len(self._gone) > _MOST_GONE:
            self._gone.popitem(last=False)
        if entry is None:
            return
        pipelines = self._by_pipeline[entry.namespace]
        del pipelines[entry.pipeline][uid]
        if not pipelines[entry.pipeline]:
            del pipelines[entry.pipeline]
        if not pipelines:
            del self._by_pipeline[entry.namespace]
        self._count(entry, None)
        for scope in (Scope(entry.namespace), Scope(entry.namespace, entry.pipeline)):
            if not any(True for _ in self.jobs_of(scope)):
                del self._versions[scope]

    def _count(self, entry: JobEntry, now: JobEntry | None) -> None:
        number = next(self._numbers)
        for scope in (Scope(entry.namespace), Scope(entry.namespace, entry.pipeline)):
            self._versions[scope] = number
        self.changed(Change(number, entry.namespace, entry.uid, now))

    def take_pipeline(self, body: Mapping[str, Any]) -> None:
        """Take what is told of a Pipeline."""
        entry = pipeline_entry(body)
        if entry is not None:
            self.pipelines[entry.uid] = self._by_name[entry.namespace, entry.name] = entry

    def drop_pipeline(self, uid: str) -> None:
        """Take notice that a Pipeline is gone."""
        entry = self.pipelines.pop(uid, None)
        if entry is not None and self._by_name.get((entry.namespace, entry.name)) is entry:
            del self._by_name[entry.namespace, entry.name]

    # -- what is asked -------------------------------------------------------------------------------------------------

    def pipeline(self, namespace: str, name: str) -> PipelineEntry | None:
        """Return a Pipeline by its name."""
        return self._by_name.get((namespace, name))

    def pipelines_of(self, namespace: str) -> list[PipelineEntry]:
        """Return the Pipelines of a namespace, by their names."""
        return sorted((one for one in self.pipelines.values() if one.namespace == namespace), key=lambda one: one.name)

    def jobs_of(self, scope: Scope) -> Iterable[JobEntry]:
        """Return the Jobs of a scope, in no order."""
        pipelines = self._by_pipeline.get(scope.namespace, {})
        if scope.pipeline:
            return pipelines.get(scope.pipeline, {}).values()
        return itertools.chain.from_iterable(jobs.values() for jobs in pipelines.values())

    def active_job(self, namespace: str, pipeline: str) -> JobEntry | None:
        """Return a Job of a Pipeline that has not ended, the oldest."""
        active = [job for job in self.jobs_of(Scope(namespace, pipeline)) if job.is_active]
        return min(active, key=lambda job: (job.phase != "RUNNING", job.created, job.name), default=None)

    def newest_job(self, pipeline: PipelineEntry) -> JobEntry | None:
        """Return the Job of a Pipeline that was created last."""
        jobs = self.jobs_of(Scope(pipeline.namespace, pipeline.name))
        return max(jobs, key=lambda job: (job.created, job.start or job.created, job.uid), default=None)

    def namespaces(self) -> set[str]:
        """Return the namespaces that have a Pipeline or a Job."""
        return {one.namespace for one in self.pipelines.values()} | set(self._by_pipeline)

    def order(self, scope: Scope, what: tuple[Any, ...], arranged: Arrange, name: str = "") -> Order:
        """Return the Jobs of a scope as ``arranged``; ``what`` says how that is.

        With the ``name`` of an order that was returned before, and is remembered, that one.
        """
        if name and (before := self._orders.get((scope, what, name))):
            self._orders.move_to_end((scope, what, name))
            return before
        fresh = f"{self.started}-{self._versions.get(scope, 0)}"
        known = self._orders.get((scope, what, fresh))
        if known is None:
            known = self._orders[scope, what, fresh] = Order(fresh, arranged(self.jobs_of(scope)))
            self._places += len(known.uids)
            while len(self._orders) > _MOST_ORDERS or (self._places > _MOST_PLACES and len(self._orders) > 1):
                _, forgotten = self._orders.popitem(last=False)
                self._places -= len(forgotten.uids)
        self._orders.move_to_end((scope, what, fresh))
        return known
