"""Settings common to all detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.runtime.settings import FromEnvironment, integer, parsed

FEWEST_CANDLES: Final = 10
"""Minimum number of candles for any detection."""

SHORTEST_LOOKBACK: Final = 20
"""Minimum lookback: the longest candlestick function needs 18 candles."""


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is not a fraction from 0 to 1")
    return value


@dataclass(frozen=True)
class DetectorSettings(FromEnvironment):
    """Settings of every detector; `patterns` None is all of them."""

    tolerance: float = parsed("PATTERN_TOLERANCE", "0.01", _fraction)
    """Maximum relative distance of prices that count as one level."""
    min_confidence: float = parsed("PATTERN_MIN_CONFIDENCE", "0.65", _fraction)
    lookback: int = integer("PATTERN_LOOKBACK_WINDOW", 50, SHORTEST_LOOKBACK, 500)
    """Maximum number of candles a pattern is evaluated from, up to the completing one."""
    patterns: frozenset[str] | None = None
