"""Detectors for evaluation: patterns and anomalies of many requests at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from functions.detect_pattern.evaluate import Request
from shared.analysis.anomalies import PERIOD, AnomalySettings, anomalies
from shared.analysis.detectors.charts import CHARTS
from shared.analysis.detectors.detect import detect_many
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.finding import Finding
from shared.runtime.settings import FromEnvironment, nested


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
        unusual = anomalies(series, [self.anomalies.of(each.instrument) for each in requests])
        return [[*some, *others] for some, others in zip(patterns, unusual, strict=True)]


def kind_of(pattern: str) -> str:
    """Return the kind of a pattern: candlestick, chart or anomaly."""
    if pattern.startswith("anomaly_"):
        return "anomaly"
    return "chart" if pattern in CHARTS else "candlestick"
