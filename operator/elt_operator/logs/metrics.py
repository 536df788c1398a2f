"""What the keeper tells of itself to Prometheus. docs/operations.md lists the metrics and what to do about them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from elt_operator.archive.manifest import Manifest
from elt_operator.logs.jobs import Watched

_LAG_BUCKETS: Final = (0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)


class Metrics:
    """The counters; a registry of their own, so that several keepers can be in one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.frames = Counter("elt_operator_logs_frames", "Frames of logs that were stored", registry=registry)
        self.bytes = Counter(
            "elt_operator_logs_bytes", "Bytes of logs that were stored, uncompressed", registry=registry
        )
        self.refused = Counter(
            "elt_operator_logs_refused", "Requests that were refused or failed", ["reason"], registry=registry
        )
        self.ended = Counter(
            "elt_operator_logs_ended", "Logs of which nothing more comes", ["state"], registry=registry
        )
        self.gaps = Counter("elt_operator_logs_gaps", "Places where logs miss something", ["reason"], registry=registry)
        self.hidden = Counter("elt_operator_logs_hidden", "Secrets that were hidden", registry=registry)
        self.store_errors = Counter("elt_operator_logs_store_errors", "Failures of the store", registry=registry)
        self.deleted = Counter("elt_operator_logs_deleted", "Logs deleted by retention", registry=registry)
        self.lag = Histogram(
            "elt_operator_logs_lag_seconds",
            "Time from a Job's end until its log is stored as a whole",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )

    def count_kept(self, stored: Manifest, lag_seconds: float) -> None:
        """Count a log that is stored as a whole."""
        self.ended.labels(stored.state).inc()
        self.hidden.inc(stored.hidden)
        self.lag.observe(max(0.0, lag_seconds))
        for gap in stored.gaps:
            self.gaps.labels(gap.reason).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return prometheus_client.generate_latest(self.registry)


@dataclass(frozen=True, eq=False)
class State:
    """What can be counted when it is asked for."""

    watched: Watched
    now: Callable[[], datetime]

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        ended = [job.ended for job in self.watched.unsettled() if job.ended]
        oldest = (self.now() - min(ended)).total_seconds() if ended else 0.0
        for name, what, value in (
            ("open", "Logs of Jobs that have not ended, or are not stored as a whole", len(self.watched.unsettled())),
            ("waiting", "Logs of ended Jobs that are not stored as a whole", len(ended)),
            ("waiting_oldest_seconds", "How long ago the first of those Jobs ended", oldest),
        ):
            yield GaugeMetricFamily(f"elt_operator_logs_{name}", what, value=value)
