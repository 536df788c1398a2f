"""What a log reader tells of itself to Prometheus. docs/operations.md lists the metrics and what to do about them."""

from collections.abc import Iterable
from dataclasses import dataclass

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from elt_operator.log_reader.reader import Reader


@dataclass(frozen=True, eq=False)
class State:
    """What can be counted when it is asked for."""

    reader: Reader

    def collect(self) -> Iterable[Metric]:
        """Yield what there is."""
        reader = self.reader
        away = 0.0 if reader.away_since is None else reader.now() - reader.away_since
        held_back = sum(bool(log.tail and log.tail.held_back) for log in reader.logs.values())
        for counter, what, count in (
            ("bytes", "Bytes read from the kubelet's files", reader.bytes_read),
            ("frames", "Frames that the keeper has taken", reader.frames_taken),
        ):
            yield CounterMetricFamily(f"elt_operator_log_reader_{counter}", what, value=count)
        for gauge, what, value in (
            ("logs", "Logs that are being read", len(reader.logs)),
            ("spool_bytes", "Bytes that wait for the keeper", reader.spool.size),
            ("spool_limit_bytes", "How many may wait", reader.spool.most_bytes),
            ("held_back", "Logs that are not read on, since too much waits for the keeper", held_back),
            ("keeper_away_seconds", "Since when the keeper does not answer; 0: it does", away),
        ):
            yield GaugeMetricFamily(f"elt_operator_log_reader_{gauge}", what, value=value)


def text(reader: Reader) -> bytes:
    """Return all of it as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(State(reader))
    return prometheus_client.generate_latest(registry)
