"""Statistics of the broker since its start, also as Prometheus text, and its warnings."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.runtime import metrics

KEPT_WARNINGS = 100
_OF_TRIGGERS: Final = ("delivered", "filtered", "retried", "dead_lettered", "lost")
_OF_BROKERS: Final = ("accepted", "duplicates", "refused")


@dataclass
class BrokerCounts:
    """Counters of one Broker's ingress; `bytes` of accepted bodies; `replies` are included."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    bytes: int = 0
    replies: int = 0


@dataclass
class TriggerCounts:
    """Counters of one Trigger; `retried` counts attempts that will be repeated.

    `offered_bytes`: bodies delivered by the stream, wanted or not: the real broker posts each of
    them to its filter. `sent_bytes`: those posted to the subscriber. Both count every attempt.
    """

    delivered: int = 0
    filtered: int = 0
    retried: int = 0
    dead_lettered: int = 0
    lost: int = 0
    in_flight: int = 0
    offered_bytes: int = 0
    sent_bytes: int = 0


class LoudWarnings:
    """Reports on stderr and in /stats what the real channel would lose silently."""

    def __init__(self) -> None:
        self._recent: deque[dict[str, str]] = deque(maxlen=KEPT_WARNINGS)

    def loss(self, text: str) -> None:
        """Report an event that was lost, or would have been on the real channel."""
        self._say("LOSS", text)

    def warning(self, text: str) -> None:
        """Report a setting that will lose events, or is not as configured."""
        self._say("WARNING", text)

    def recent(self) -> list[dict[str, str]]:
        """Return the last hundred, oldest first."""
        return list(self._recent)

    def _say(self, kind: str, text: str) -> None:
        line = f"{kind} {' '.join(text.split())}"
        self._recent.append({"time": datetime.now(UTC).isoformat(), "text": line})
        with contextlib.suppress(OSError):  # a full disk ends no delivery
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


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
            if trigger["lag"] is not None:
                lag.add_metric([name], trigger["lag"])
            flying.add_metric([name], trigger["in_flight"])
            for outcome in _OF_TRIGGERS:
                events.add_metric([name, outcome], trigger[outcome])
        ingress = CounterMetricFamily(
            metrics.BROKER_EVENTS, "Events by outcome.", labels=["broker", "outcome"]
        )
        for name, broker in self._stats["brokers"].items():
            for outcome in _OF_BROKERS:
                ingress.add_metric([name, outcome], broker[outcome])
        yield from (lag, flying, events, ingress)


def as_text(stats: Mapping[str, Any]) -> bytes:
    """Return what `/metrics` answers: `stats` are those of `/stats`."""
    registry = CollectorRegistry()
    registry.register(_Stats(stats))
    return generate_latest(registry)
