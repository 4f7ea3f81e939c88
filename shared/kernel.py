"""Tick columns to partial candles of the base timeframe: array operations, no loop per tick."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shared.candle import Candle, CandleState
from shared.decimals import INT64_MAX, from_mantissa
from shared.ticks import Entry, Int64s, Ticks
from shared.timeframes import Timeframe

CandleKey = tuple[str, str, int]
"""Instrument, timeframe, start_us."""

_LOW_BITS = 32


def partial_candles(ticks: Ticks, base: Timeframe) -> list[CandleState]:
    """Return one candle for each run of ticks of one entry in one interval."""
    states: list[CandleState] = []
    for entry, rows in ticks.runs():
        states.extend(_of_entry(ticks, entry, rows, base))
    return states


def rolled_up(
    partials: Iterable[CandleState], ladder: tuple[Timeframe, ...]
) -> dict[CandleKey, CandleState]:
    """Merge partial candles of the base timeframe into one for each candle of every timeframe."""
    merged: dict[CandleKey, CandleState] = {}
    for partial in partials:
        for timeframe in ladder:
            start = timeframe.start_us(partial.candle.start_us)
            key = (partial.candle.instrument, timeframe.name, start)
            present = merged.get(key)
            if present is None:
                merged[key] = partial.rolled_up(timeframe.name, start)
            else:
                merged[key] = present.merge(partial)
    return merged


def _of_entry(ticks: Ticks, entry: Entry, rows: slice, base: Timeframe) -> Iterable[CandleState]:
    time = ticks.event_time_us[rows]
    interval = time // base.length_us
    first = np.flatnonzero(np.diff(interval, prepend=interval[0] - 1))
    last = np.append(first[1:], len(time)) - 1
    price, size, side = ticks.price[rows], ticks.size[rows], ticks.side[rows]
    high = np.maximum.reduceat(price, first)
    low = np.minimum.reduceat(price, first)
    volume = _sums(size, first)
    bought = _sums(np.where(side == 1, size, 0), first)
    sold = _sums(np.where(side == 2, size, 0), first)
    notional = _sums_of_products(price, size, first)
    for i, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        candle = Candle(
            entry.name,
            base.name,
            int(interval[a]) * base.length_us,
            from_mantissa(int(price[a]), entry.price_scale),
            from_mantissa(int(high[i]), entry.price_scale),
            from_mantissa(int(low[i]), entry.price_scale),
            from_mantissa(int(price[b]), entry.price_scale),
            from_mantissa(volume[i], entry.size_scale),
            from_mantissa(notional[i], entry.price_scale + entry.size_scale),
            b - a + 1,
            from_mantissa(bought[i], entry.size_scale),
            from_mantissa(sold[i], entry.size_scale),
            int(time[a]),
            int(time[b]),
        )
        yield CandleState(candle, ticks.key_at(rows.start + a), ticks.key_at(rows.start + b))


def _sums(column: Int64s, first: Int64s) -> list[int]:
    """Sum each group exactly: high and low halves apart, since the sum may not fit 64 bits."""
    high = np.add.reduceat(column >> _LOW_BITS, first).tolist()
    low = np.add.reduceat(column & (2**_LOW_BITS - 1), first).tolist()
    return [(h << _LOW_BITS) + lo for h, lo in zip(high, low, strict=True)]


def _sums_of_products(price: Int64s, size: Int64s, first: Int64s) -> list[int]:
    """Sum price x size of each group exactly, in 64 bits where that provably suffices."""
    if int(price.max()) * int(size.max()) * len(price) <= INT64_MAX:
        return [int(total) for total in np.add.reduceat(price * size, first).tolist()]
    totals: list[int] = np.add.reduceat(price.astype(object) * size.astype(object), first).tolist()
    return totals
