"""What the API counts of itself."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from elt_operator.api.parts import Parts

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
Scope = dict[str, Any]


@dataclass
class Metrics:
    """Counters and gauges of the API."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self._requests = Counter(
            "elt_operator_jobs_api_requests", "Requests, by method and code", ("method", "code"), registry=self.registry
        )
        self._seconds = Histogram(
            "elt_operator_jobs_api_request_seconds", "How long the beginning of an answer took", ("method",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip

    def watch(self, parts: Parts) -> None:
        """Also tell what the API has."""
        self.registry.register(_State(parts))

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return prometheus_client.generate_latest(self.registry)

    def counted(self, app: Any) -> Any:
        """Return an ASGI application that counts the answers of ``app``."""

        async def counting(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            begun = time.monotonic()
            method = scope["method"] if scope["method"] in _METHODS else "other"  # it may be anything

            async def sending(message: Scope) -> None:
                if message["type"] == "http.response.start":
                    self._requests.labels(method, message["status"]).inc()
                    self._seconds.labels(method).observe(time.monotonic() - begun)
                await send(message)

            await app(scope, receive, sending)

        return counting


@dataclass(frozen=True, eq=False)
class _State:
    """What can be counted when it is asked for."""

    parts: Parts

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        parts = self.parts
        for name, what, value in (
            ("jobs", "Jobs that the API knows", len(parts.catalog.jobs)),
            ("pipelines", "Pipelines that the API knows", len(parts.catalog.pipelines)),
            ("listeners", "Who listens to what happens in a workspace", parts.feed.listeners),
            ("streams", "Logs and events that are being sent", parts.streams.taken.total()),
            ("age_seconds", "How old what the API knows may be", parts.watching.age_seconds()),
        ):
            yield GaugeMetricFamily(f"elt_operator_jobs_api_{name}", what, value=value)
