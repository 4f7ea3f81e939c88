"""Candles as inputs of conditions: exact columns and derived ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shared.alerts.terms import Exact, Inputs
from shared.analysis.candle_series import Floats, Ints
from shared.market.decimals import to_mantissa


def candle_inputs(
    start_us: Ints,
    prices: tuple[NDArray[Any], int],
    sizes: tuple[NDArray[Any], int],
    trades: NDArray[Any],
    notional: Floats,
    patterns: Mapping[str, AbstractSet[int]] | None = None,
) -> Inputs:
    """Return n candles, ascending.

    `prices`: mantissas [4, n] of open, high, low and close, and their scale; `sizes`: [3, n] of
    volume, bought and sold volume; `trades`, `notional`: [n].
    """
    (open_, high, low, close), price_scale = prices
    (volume, bought, sold), size_scale = sizes
    exact: dict[str, Exact] = {
        "open": (open_, price_scale),
        "high": (high, price_scale),
        "low": (low, price_scale),
        "close": (close, price_scale),
        "volume": (volume, size_scale),
        "buy_volume": (bought, size_scale),
        "sell_volume": (sold, size_scale),
        "delta": (bought - sold, size_scale),
        "trades": (trades, 0),
    }
    inputs = Inputs(start_us, exact, patterns or {})
    with np.errstate(all="ignore"):
        vwap = notional / inputs.floats("volume")
    inputs.doubles = {"notional": notional, "vwap": np.where(np.isfinite(vwap), vwap, np.nan)}
    return inputs


def inputs_of_rows(rows: Sequence[Sequence[Any]]) -> Inputs:
    """Return candles, ascending, of rows of Postgres.

    Start, open, high, low, close, volume, bought and sold volume, count of trades, notional.
    """
    starts, *columns, trades, notional = zip(*rows, strict=True)
    return candle_inputs(
        np.array(starts, dtype=np.int64),
        _exact(columns[:4]),
        _exact(columns[4:]),
        np.array(trades, dtype=np.int64),
        np.array([float(each) for each in notional], dtype=np.float64),
    )


def exact_column(values: Sequence[Decimal]) -> Exact:
    """Return decimals as mantissas (Python integers) at one scale."""
    table, scale = _exact([values])
    return table[0], scale


def _exact(columns: Sequence[Sequence[Decimal]]) -> tuple[NDArray[Any], int]:
    scale = max(
        max(0, -cast(int, each.as_tuple().exponent)) for column in columns for each in column
    )
    rows = [[to_mantissa(each, scale) for each in column] for column in columns]
    return np.array(rows, dtype=object), scale
