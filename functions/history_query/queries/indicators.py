"""Indicators beside candles and bars, warmed up with candles before the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.history_query.api.formats import Row, RowsOnRead
from functions.history_query.api.parameters import ParameterError
from shared.analysis.indicators import AnyIndicator, compute, warm_up
from shared.analysis.talib_indicators import DAY_US

MOST_OF_A_DAY: Final = 20_000
"""Most bars before a page that feed an indicator which restarts each day."""

Before = Callable[[int], Iterable[Sequence[Row]]]
"""Returns up to this many candles or bars before the page: pages of them, the latest first."""
_INPUTS: Final = {
    "open": "o",
    "high": "h",
    "low": "l",
    "close": "c",
    "volume": "v",
    "start_us": "t",
}


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
    first_us = rows[0]["t"] * 1000
    if of_day:
        since_midnight_us = first_us % DAY_US
        of_this_day = MOST_OF_A_DAY if length_us is None else -(-since_midnight_us // length_us)
        count = max(count, of_this_day)
    parts = [*map(_inputs, before(count))]  # no page is held while the next one is read
    inputs = np.concatenate([*reversed(parts), _inputs(rows)], axis=1)
    earlier = inputs.shape[1] - len(rows)
    series: dict[str, NDArray[Any]] = dict(zip(_INPUTS, inputs, strict=True))
    starts_us = series["start_us"] = (inputs[-1] * 1000).astype(np.int64)
    is_cut = length_us is None and earlier == count
    if of_day and is_cut and starts_us[0] // DAY_US == first_us // DAY_US:
        raise ParameterError(
            f"indicators: {of_day[0].name} begins anew each day, and more than {count:,} bars"
            " of it stand before this page: ask for larger bars"
        )
    columns = {name: each[earlier:] for name, each in compute(indicators, **series).items()}

    def rendered(some: range) -> Sequence[Row]:
        part = slice(some.start, some.stop)
        values = zip(*(each[part].tolist() for each in columns.values()), strict=True)
        return [
            {**row, "indicators": dict(zip(columns, map(_json, of_row), strict=True))}
            for row, of_row in zip(rows[part], values, strict=True)
        ]

    return RowsOnRead(len(rows), rendered)


def _inputs(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return the columns of _INPUTS, [6, n]: many rows are much memory."""
    keys = _INPUTS.values()
    values = np.fromiter((float(row[key]) for row in rows for key in keys), np.float64)
    return np.ascontiguousarray(values.reshape(-1, len(keys)).T)


def _json(value: float) -> float | None:
    return None if isnan(value) else value
