"""What the operator tells of itself to Prometheus. docs/operations.md lists the metrics and what to do about them."""

import time
from collections import Counter as Count
from collections.abc import Callable, Iterable
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from elt_operator.controller.cache import Cache
from elt_operator.controller.places import Places
from elt_operator.controller.queue import WorkQueue
from elt_operator.core import history
from elt_operator.core.model import PipelineKey
from elt_operator.resources import conditions
from elt_operator.resources.job import JobStatus
from elt_operator.resources.phases import Phase
from elt_operator.resources.pipeline import PipelineStatus

_RUN_BUCKETS: Final = (5, 15, 60, 300, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_WAIT_BUCKETS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400)
_RECONCILE_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15)


class Metrics:
    """The counters; a registry of their own, so that several operators can be in one process."""

    def __init__(self, *, pipelines: bool = False) -> None:
        """``pipelines``: whether series may name Pipelines."""
        self._pipelines = pipelines
        self.registry = CollectorRegistry()
        registry = self.registry
        self.jobs_ended = Counter(
            "elt_operator_jobs_ended", "Jobs that have ended", ["phase", "reason"], registry=registry
        )
        self.run_duration = Histogram(
            "elt_operator_run_duration_seconds",
            "Time from the run's creation to its end",
            ["phase"],
            buckets=_RUN_BUCKETS,
            registry=registry,
        )
        self.queue_wait = Histogram(
            "elt_operator_queue_wait_seconds",
            "Time from a Job's creation to its run's creation",
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self.reconcile = Histogram(
            "elt_operator_reconcile_seconds",
            "Duration of one reconciliation of one Pipeline",
            buckets=_RECONCILE_BUCKETS,
            registry=registry,
        )
        self.api_requests = Counter(
            "elt_operator_api_requests", "Requests to the API server", ["verb", "code"], registry=registry
        )
        self.watch_restarts = Counter(
            "elt_operator_watch_restarts", "Watches that had to start over with a new list", ["kind"], registry=registry
        )
        self.slots_skipped = Counter(
            "elt_operator_slots_skipped", "Scheduled times that did not become a Job", registry=registry
        )
        self.bugs = Counter("elt_operator_bugs", "Failures caused by bugs in the operator", registry=registry)
        self.rows = Counter(
            "elt_operator_rows",
            "Rows that Jobs which have completed have loaded",
            ["namespace", "pipeline"],
            registry=registry,
        )
        self.warnings = Counter(
            "elt_operator_warnings",
            "Warnings of Jobs that have completed",
            ["namespace", "pipeline", "reason"],
            registry=registry,
        )
        self.unreadable_objects = Counter(
            "elt_operator_unreadable_objects",
            "Objects that were skipped because they cannot be read",
            ["kind"],
            registry=registry,
        )

    def count_result(self, key: PipelineKey, status: JobStatus) -> None:
        """Count the rows and the warnings of a Job that has completed."""
        if not self._pipelines or status.phase is not Phase.COMPLETE:
            return
        if status.result and status.result.rows:
            self.rows.labels(key.namespace, key.pipeline).inc(status.result.rows)
        for warning in status.warnings or []:
            self.warnings.labels(key.namespace, key.pipeline, warning.reason).inc()

    def count_request(self, verb: str, code: int) -> None:
        """Count one request to the API server; ``code`` 0: there was no answer."""
        self.api_requests.labels(verb, str(code)).inc()

    def count_watch_restart(self, kind: str) -> None:
        """Count a watch that had to list anew."""
        self.watch_restarts.labels(kind).inc()

    def count_unreadable(self, kind: str) -> None:
        """Count an object that was skipped."""
        self.unreadable_objects.labels(kind).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)


class State:
    """What is read only when somebody asks: from the cache, the queue and the Lease."""

    def __init__(
        self,
        cache: Cache,
        queue: WorkQueue[Any],
        leads: Callable[[], bool],
        places: Places,
        *,
        pipelines: bool,
    ) -> None:
        self._cache, self._queue, self._leads, self._places = cache, queue, leads, places
        self._pipelines = pipelines

    def describe(self) -> Iterable[Metric]:
        """Return nothing: so registering it collects nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the present."""
        jobs = GaugeMetricFamily("elt_operator_jobs", "Jobs that have not ended", labels=["phase", "reason"])
        counted = Count((job.status.phase.value, job.status.reason) for job in self._cache.jobs.all())
        for labels, count in counted.items():
            jobs.add_metric(labels, count)
        yield jobs
        yield GaugeMetricFamily(
            "elt_operator_leader", "1 if this replica is the active one", value=float(self._leads())
        )
        yield GaugeMetricFamily(
            "elt_operator_queue_depth", "Pipelines that are waiting to be reconciled", value=self._queue.depth
        )
        oldest = self._queue.waiting_since
        waited = time.monotonic() - oldest if oldest is not None else 0.0
        yield GaugeMetricFamily(
            "elt_operator_queue_oldest_seconds", "How long the oldest of them has been waiting", value=waited
        )
        yield self._served()
        if self._pipelines:
            yield from (self._freshness(), self._last_rows(), self._unhealthy())

    def _served(self) -> Metric:
        family = GaugeMetricFamily(
            "elt_operator_namespace_served",
            "1 if the operator can work in the namespace (*: all)",
            labels=["namespace"],
        )
        for place in self._places.all:
            family.add_metric([place.namespace or "*"], float(place.is_served))
        return family

    def _of_pipelines(self, name: str, documentation: str, value: Callable[[PipelineStatus], float | None]) -> Metric:
        """Return a series for each Pipeline whose status has this value."""
        family = GaugeMetricFamily(name, documentation, labels=["namespace", "pipeline"])
        for pipeline in self._cache.pipelines.all():
            if (found := value(pipeline.status)) is not None:
                family.add_metric([pipeline.key.namespace, pipeline.key.pipeline], found)
        return family

    def _freshness(self) -> Metric:
        return self._of_pipelines(
            "elt_operator_pipeline_last_success_timestamp_seconds",
            "When a Job of the Pipeline last ended as COMPLETE",
            lambda status: status.last_successful_time.timestamp() if status.last_successful_time else None,
        )

    def _last_rows(self) -> Metric:
        return self._of_pipelines(
            "elt_operator_pipeline_last_rows",
            "Rows that the Job of the Pipeline which succeeded last has loaded",
            lambda status: next((entry.rows for entry in history.successes(status.recent_jobs or [])), None),
        )

    def _unhealthy(self) -> Metric:
        family = GaugeMetricFamily(
            "elt_operator_pipeline_unhealthy",
            "1 if the data of the Pipeline is not as its spec.expect says, by reason; 0 if it is",
            labels=["namespace", "pipeline", "reason"],
        )
        for pipeline in self._cache.pipelines.all():
            if condition := conditions.of_type(pipeline.status.conditions, conditions.DATA_HEALTHY):
                unhealthy = condition.status == conditions.ConditionStatus.FALSE.value
                labels = [pipeline.key.namespace, pipeline.key.pipeline, condition.reason]
                family.add_metric(labels, float(unhealthy))
        return family
