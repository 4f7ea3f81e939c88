"""Outcomes of an instrument's patterns in its own history, against those of any candle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from functions.history_query.api.parameters import (
    FURTHEST_US,
    Page,
    ParameterError,
    read_resolution,
)
from functions.history_query.queries.candles import CandlePages
from functions.history_query.queries.patterns import PatternPages
from shared.analysis.pattern_scores import Returns, Score, by_pattern
from shared.market.timeframes import Timeframe

CANDLES: Final = 5_000
"""Number of newest closed candles examined."""
DEFAULT_HORIZON: Final = 10
MAX_HORIZON: Final = 500


@dataclass(frozen=True, slots=True)
class Completed:
    """A stored pattern, placed among the candles."""

    pattern: str
    index: int
    direction: int
    confidence: float


def read_outcomes(query: Mapping[str, str], ladder: tuple[Timeframe, ...]) -> tuple[Page, int]:
    """Return the page of candles and the horizon in candles. Raises ParameterError."""
    text = query.get("horizon") or str(DEFAULT_HORIZON)
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_HORIZON):
        raise ParameterError(f"horizon: {text[:40]!r} is no number from 1 to {MAX_HORIZON}")
    page = Page(read_resolution(query, ladder), 0, FURTHEST_US, CANDLES, newest=True)
    return page, int(text)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Evaluates stored patterns. Raises TransientError while a store is away."""

    pages: CandlePages
    patterns: PatternPages

    def of(self, symbol: str, page: Page, horizon: int) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of candles, and a score per pattern and direction."""
        rows, _ = self.pages.page(symbol, page)
        closed = [row for row in rows if row["closed"]]
        if not closed:
            return 0, []
        length_us = page.timeframe.length_us
        index_by_end = {row["t"] * 1000 + length_us: n for n, row in enumerate(closed)}
        completed = [
            Completed(name, index_by_end[end_us], direction, confidence)
            for name, end_us, direction, confidence in self.patterns.active(
                symbol, page.timeframe.name, closed[0]["t"] * 1000
            )
            if end_us in index_by_end
        ]
        returns = Returns(np.array([float(row["c"]) for row in closed]), horizon)
        return len(closed), [_json(score) for score in by_pattern(returns, completed)]


def _json(score: Score) -> dict[str, Any]:
    rates = {
        "hit_rate": score.hit_rate,
        "base_hit_rate": score.base_hit_rate,
        "mean_return": score.mean_return,
        "base_return": score.base_return,
    }
    return {
        "pattern_type": score.name,
        "direction": score.direction,
        "count": score.fired,
        "judged": score.judged,
        **{name: None if math.isnan(rate) else round(rate, 6) for name, rate in rates.items()},
        "verdict": score.verdict,
    }
