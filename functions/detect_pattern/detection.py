"""Detectors for evaluation: patterns and anomalies of many requests at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.detect_pattern.evaluate import Request
from shared.analysis.anomalies import (
    PERIOD,
    Anomaly,
    AnomalySettings,
    anomalies_of_many,
    pattern_of,
)
from shared.analysis.detectors.charts import CHARTS
from shared.analysis.detectors.detect import detect_many
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.finding import Finding
from shared.runtime.settings import FromEnvironment, nested

_CONFIDENCE: Final = {1: 0.7, 2: 0.9}
"""Confidence of an anomaly by severity; anomalies have their own limits, not a minimum of it."""


@dataclass(frozen=True, slots=True)
class Detection(FromEnvironment):
    """Runs the detectors."""

    patterns: DetectorSettings = nested(DetectorSettings.read)
    anomalies: AnomalySettings = nested(AnomalySettings.read)

    @property
    def lookback(self) -> int:
        """Candles of the widest window."""
        return max(self.patterns.lookback, PERIOD + 1)

    def __call__(self, requests: Sequence[Request]) -> list[list[Finding]]:
        """Return the findings of each request."""
        series = [(each.candles, each.first) for each in requests]
        patterns = detect_many(series, self.patterns)
        unusual = anomalies_of_many(
            [
                (candles, first, self.anomalies.of(request.instrument))
                for request, (candles, first) in zip(requests, series, strict=True)
            ]
        )
        return [
            [*findings, *map(_as_finding, anomalies)]
            for findings, anomalies in zip(patterns, unusual, strict=True)
        ]


def _as_finding(anomaly: Anomaly) -> Finding:
    return Finding(
        pattern=pattern_of(anomaly.kind, anomaly.severity),
        index=anomaly.index,
        begin_us=anomaly.end_us,
        end_us=anomaly.end_us,
        direction=anomaly.direction,
        confidence=_CONFIDENCE[anomaly.severity],
        features={"value": anomaly.value, "severity": float(anomaly.severity)},
    )


def kind_of(pattern: str) -> str:
    """Return the kind of a pattern: candlestick, chart or anomaly."""
    if pattern.startswith("anomaly_"):
        return "anomaly"
    return "chart" if pattern in CHARTS else "candlestick"
