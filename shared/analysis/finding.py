"""Finding of a detector: pattern, position, direction and confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern that `index`, a candle of the input, completes.

    The trigger price is the close of that candle: no price is given here, since the exact one is
    with the owner of the candles. `features` are relative numbers (fractions, ratios, counts).
    """

    pattern: str
    """snake_case: `double_top`; the TA-Lib functions as `cdl_engulfing`, `cdl_3inside`."""
    index: int
    """The completing candle's place in the input."""
    begin_us: int
    """Start of the pattern's first candle."""
    end_us: int
    """Start of its last, the completing candle."""
    direction: int
    """+1 up, -1 down, 0 undecided (a doji)."""
    confidence: float
    """0 to 1, rounded to 4 decimals: how well form, trend and volume fit the definition."""
    features: Mapping[str, float]
