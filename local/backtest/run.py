"""Backtest: detectors over a history of candles, and what followed each pattern."""

from __future__ import annotations

from pathlib import Path

from local.backtest.plot import plot
from local.backtest.report import Report
from shared.analysis.candle_series import Candles
from shared.analysis.detectors.detect import PATTERNS, detect
from shared.analysis.detectors.settings import DetectorSettings
from shared.analysis.pattern_scores import Returns, by_confidence, by_pattern


def backtest(
    candles: Candles, settings: DetectorSettings, horizon: int, picture: Path | None = None
) -> Report:
    """Return what followed each pattern within `horizon` candles; optionally plot it.

    Raises PlotError if the plot cannot be written.
    """
    patterns = detect(candles, 0, settings)
    returns = Returns(candles.close, horizon)
    report = Report(
        candles,
        horizon,
        settings.min_confidence,
        len(patterns),
        by_pattern(returns, patterns),
        by_confidence(returns, patterns),
    )
    if picture is not None:
        plot(report, patterns, picture)
    return report


def chosen(names: str) -> frozenset[str] | None:
    """Parse a list of patterns; `chart` and `cdl` select a kind, `all` gives None.

    Raises ValueError for an unknown pattern.
    """
    if names == "all":
        return None
    candlesticks = {name for name in PATTERNS if name.startswith("cdl_")}
    kinds = {"cdl": candlesticks, "chart": set(PATTERNS) - candlesticks, "all": set(PATTERNS)}
    patterns: set[str] = set()
    for name in (each.strip() for each in names.split(",")):
        if name not in PATTERNS and name not in kinds:
            charts = ", ".join(sorted(kinds["chart"]))
            raise ValueError(
                f"there is no pattern {name!r}; there are all, cdl, chart, {charts}, and the "
                "candlesticks as cdl_engulfing"
            )
        patterns |= kinds.get(name, {name})
    return frozenset(patterns)
