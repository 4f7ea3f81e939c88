"""Indicators beside candles, computed with candles before the page, so that its edge is unseen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from functions.history_query.candles import CandlePages
from functions.history_query.parameters import Page
from shared.candle import Candle
from shared.indicators import compute, warm_up
from shared.talib_indicators import DAY_US, TalibIndicator


def indicator_values(
    pages: CandlePages, symbol: str, page: Page, found: Sequence[Candle]
) -> list[dict[str, float | None]]:
    """Return the values for each candle of the page, by name; None where there is none yet.

    They are float by nature, of 10 digits, and never become prices. Raises TransientError.
    """
    if not found:
        return []
    count = warm_up(page.indicators)
    if any(isinstance(each, TalibIndicator) and each.of_day for each in page.indicators):
        count = max(count, DAY_US // page.timeframe.length_us)
    earlier = pages.before(symbol, page, found[0].start_us, count)
    candles = [*earlier, *found]
    inputs = {
        name: np.array([float(getattr(each, name)) for each in candles])
        for name in ("open", "high", "low", "close", "volume")
    }
    inputs["start_us"] = np.array([each.start_us for each in candles])
    columns = compute(page.indicators, **inputs)
    texts = {name: values[len(earlier) :].tolist() for name, values in columns.items()}
    return [
        {name: None if np.isnan(values[n]) else values[n] for name, values in texts.items()}
        for n in range(len(found))
    ]
