"""The broker's statistics as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.runtime import metrics

_OF_TRIGGERS: Final = ("delivered", "filtered", "retried", "dead_lettered", "lost")
_OF_BROKERS: Final = ("accepted", "duplicates", "refused")


class _Stats:
    def __init__(self, stats: Mapping[str, Any]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            metrics.TRIGGER_LAG, "Events that wait or are unanswered.", labels=["trigger"]
        )
        flying = GaugeMetricFamily(
            metrics.TRIGGER_IN_FLIGHT, "Events at their subscriber.", labels=["trigger"]
        )
        events = CounterMetricFamily(
            metrics.TRIGGER_EVENTS, "Attempts by outcome.", labels=["trigger", "outcome"]
        )
        for name, trigger in self._stats["triggers"].items():
            lag.add_metric([name], trigger["lag"])
            flying.add_metric([name], trigger["in_flight"])
            for outcome in _OF_TRIGGERS:
                events.add_metric([name, outcome], trigger[outcome])
        taken = CounterMetricFamily(
            metrics.BROKER_EVENTS, "Events by outcome.", labels=["broker", "outcome"]
        )
        for name, broker in self._stats["brokers"].items():
            for outcome in _OF_BROKERS:
                taken.add_metric([name, outcome], broker[outcome])
        yield from (lag, flying, events, taken)


def as_text(stats: Mapping[str, Any]) -> bytes:
    """Return what `/metrics` answers: `stats` are those of `/stats`."""
    registry = CollectorRegistry()
    registry.register(_Stats(stats))
    return generate_latest(registry)
