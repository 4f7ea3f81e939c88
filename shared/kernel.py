"""Tick columns to partial candles of the base timeframe: array operations, no loop per tick."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shared.candle import Bar, CandleState
from shared.decimals import INT64_MAX, from_mantissa
from shared.ticks import Int64s, Mantissas, Ticks
from shared.timeframes import Timeframe

CandleKey = tuple[str, str, int]
"""Instrument, timeframe, start_us."""

_LOW_BITS = 32


def partial_candles(ticks: Ticks, base: Timeframe) -> list[CandleState]:
    """Return one candle for each run of ticks of one entry in one interval."""
    if not len(ticks):
        return []
    entry_of = ticks.entries.of_row
    interval = ticks.event_time_us // base.length_us
    begins = np.append(True, (entry_of[1:] != entry_of[:-1]) | (interval[1:] != interval[:-1]))
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(ticks)) - 1
    price, size, side = ticks.price, ticks.size, ticks.side
    columns = zip(
        first.tolist(),
        last.tolist(),
        entry_of[first].tolist(),
        (interval[first] * base.length_us).tolist(),
        price[first].tolist(),
        np.maximum.reduceat(price, first).tolist(),
        np.minimum.reduceat(price, first).tolist(),
        price[last].tolist(),
        _sums(size, first),
        _sums_of_products(price, size, first),
        _sums(np.where(side == 1, size, 0), first),
        _sums(np.where(side == 2, size, 0), first),
        strict=True,
    )
    states = []
    for a, b, e, start_us, open_, high, low, close, volume, notional, bought, sold in columns:
        entry = ticks.entries[e]
        price_scale, size_scale = entry.price_scale, entry.size_scale
        bar = Bar(
            from_mantissa(open_, price_scale),
            from_mantissa(high, price_scale),
            from_mantissa(low, price_scale),
            from_mantissa(close, price_scale),
            from_mantissa(volume, size_scale),
            from_mantissa(notional, price_scale + size_scale),
            b - a + 1,
            from_mantissa(bought, size_scale),
            from_mantissa(sold, size_scale),
            ticks.key_at(a),
            ticks.key_at(b),
        )
        states.append(CandleState(entry.name, base.name, start_us, bar))
    return states


def rolled_up(
    partials: Iterable[CandleState], ladder: tuple[Timeframe, ...]
) -> dict[CandleKey, CandleState]:
    """Merge partial candles of the base timeframe into one for each candle of every timeframe."""
    bars: dict[CandleKey, Bar] = {}
    for partial in partials:
        for timeframe in ladder:
            key = (partial.instrument, timeframe.name, timeframe.start_us(partial.start_us))
            present = bars.get(key)
            bars[key] = partial.bar if present is None else present.merge(partial.bar)
    return {key: CandleState(*key, bar) for key, bar in bars.items()}


def _sums(column: Mantissas, first: Int64s) -> list[int]:
    """Sum each group exactly: high and low halves apart, since the sum may not fit 64 bits."""
    if column.dtype == object:
        return list(np.add.reduceat(column, first).tolist())
    high = np.add.reduceat(column >> _LOW_BITS, first).tolist()
    low = np.add.reduceat(column & (2**_LOW_BITS - 1), first).tolist()
    return [(h << _LOW_BITS) + lo for h, lo in zip(high, low, strict=True)]


def _sums_of_products(price: Mantissas, size: Mantissas, first: Int64s) -> list[int]:
    """Sum price x size of each group exactly, in 64 bits where that provably suffices."""
    largest = max(int(price.max()), -int(price.min())) * max(int(size.max()), -int(size.min()))
    if largest * len(price) <= INT64_MAX:
        return [int(total) for total in np.add.reduceat(price * size, first).tolist()]
    totals: list[int] = np.add.reduceat(price.astype(object) * size.astype(object), first).tolist()
    return totals
