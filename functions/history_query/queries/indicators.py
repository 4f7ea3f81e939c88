"""Indicators beside candles and bars, warmed up with candles before the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Any, Final

import numpy as np

from functions.history_query.api.parameters import ParameterError
from shared.analysis.indicators import AnyIndicator, compute, warm_up
from shared.analysis.talib_indicators import DAY_US

MOST_OF_A_DAY: Final = 20_000
"""Most bars before a page that feed an indicator which restarts each day."""

Row = Mapping[str, Any]
Before = Callable[[int], Sequence[Row]]
"""Returns up to this many candles or bars before the page, ascending."""
_DAY_MS: Final = DAY_US // 1000
_INPUTS: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


def with_indicators(
    indicators: Sequence[AnyIndicator],
    rows: Sequence[Row],
    before: Before,
    length_us: int | None = None,
) -> Sequence[Row]:
    """Return the candles of the page with their indicators' values; None where there is none yet.

    `length_us`: of the candles; None for bars, which have any length. The values are floats of 10
    digits and never become prices. Raises TransientError, and ParameterError if a day has too many
    bars.
    """
    if not rows or not indicators:
        return rows
    count = warm_up(indicators)
    of_day = [each for each in indicators if each.of_day]
    if of_day:
        count = max(count, MOST_OF_A_DAY if length_us is None else DAY_US // length_us)
    earlier = before(count)
    day = rows[0]["t"] // _DAY_MS
    is_cut = length_us is None and len(earlier) == count
    if of_day and is_cut and earlier[0]["t"] // _DAY_MS == day:
        raise ParameterError(
            f"indicators: {of_day[0].name} begins anew each day, and more than {count:,} bars"
            " of it stand before this page: ask for larger bars"
        )
    candles = [*earlier, *rows]
    inputs = {
        name: np.array([float(each[key]) for each in candles]) for name, key in _INPUTS.items()
    }
    inputs["start_us"] = np.array([each["t"] * 1000 for each in candles])
    columns = compute(indicators, **inputs)
    values = zip(*(each[len(earlier) :].tolist() for each in columns.values()), strict=True)
    return [
        {**row, "indicators": dict(zip(columns, map(_json, of_row), strict=True))}
        for row, of_row in zip(candles[len(earlier) :], values, strict=True)
    ]


def _json(value: float) -> float | None:
    return None if isnan(value) else value
