"""Report of a backtest, as text or JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.analysis.candle_series import Candles
from shared.analysis.pattern_scores import Score

_ARROWS: Final = {1: "up", -1: "down", 0: ""}
_NOTES: Final = """
return: mean over the horizon in the pattern's direction; base: what every candle gives that way.
apart: firings whose horizons do not overlap; the intervals (95 %) count only those as trials.
verdict: - where chance explains it, few with under 10 trials.
Of twenty patterns, one looks better or worse by chance.
No costs, no slippage, no cooldown: this evaluates detectors, it is no trading strategy."""


@dataclass(frozen=True)
class Report:
    """Result of a backtest."""

    candles: Candles
    horizon: int
    min_confidence: float
    fired: int
    patterns: Sequence[Score]
    buckets: Sequence[Score]

    def text(self) -> str:
        """Return the tables."""
        times = self.candles.start_us
        lines = [
            f"{len(times):,} candles from {_time(times[0])} to {_time(times[-1])}, "
            f"{self.fired:,} patterns of confidence {self.min_confidence:g} or more, "
            f"horizon {self.horizon} candles",
            "",
            *_table("pattern", self.patterns),
            "",
            *_table("confidence", self.buckets),
            _NOTES,
        ]
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """Return the report as JSON; unknown values are null."""
        return {
            "candles": len(self.candles),
            "from_us": int(self.candles.start_us[0]),
            "to_us": int(self.candles.start_us[-1]),
            "horizon": self.horizon,
            "min_confidence": self.min_confidence,
            "fired": self.fired,
            "patterns": [_json(score) for score in self.patterns],
            "confidence": [_json(score) for score in self.buckets],
        }


def _table(title: str, scores: Sequence[Score]) -> list[str]:
    width = max([len(title), *(len(score.name) for score in scores)])
    heading = (
        f"{title:<{width}}  {'':4}  {'fired':>6} {'apart':>6} {'conf':>5}  {'hits':>6} "
        f"{'95 %':>15} {'base':>6}  {'return':>8} {'+-':>8} {'base':>8}  verdict"
    )
    return [heading, *(_row(score, width) for score in scores)]


def _row(score: Score, width: int) -> str:
    start = (
        f"{score.name:<{width}}  {_ARROWS[score.direction]:4}  {score.fired:>6,} {score.apart:>6,}"
        f" {score.confidence:>5.2f}"
    )
    if not score.evaluated:
        return start
    interval = f"{score.hit_low:.1%} - {score.hit_high:.1%}"
    error = f"{score.mean_error:8.3%}" if math.isfinite(score.mean_error) else f"{'?':>8}"
    return (
        f"{start}  {score.hit_rate:>6.1%} {interval:>15} {score.base_hit_rate:>6.1%}  "
        f"{score.mean_return:>+8.3%} {error} {score.base_return:>+8.3%}  {score.verdict}"
    )


def _json(score: Score) -> dict[str, Any]:
    values = {**asdict(score), "verdict": score.verdict}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _time(start_us: int) -> str:
    return datetime.fromtimestamp(int(start_us) / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
