"""Tick columns to candle records of one timeframe: array operations, no loop per tick."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.candles.folds import KeyedRecords
from shared.market import int128
from shared.market.blocks import PRICED, Records
from shared.market.int128 import Int128
from shared.wire.ticks import VOLUME_ONLY, Ticks

_BUY: Final = 1
_SELL: Final = 2
_LOWEST: Final = -(2**63)


def partials(ticks: Ticks, length_us: int) -> KeyedRecords:
    """Return a record for each run of ticks of one entry in one interval of that length.

    Its instrument is the number of the entry in the batch.
    """
    if not len(ticks):
        return KeyedRecords.of([])
    entry_of = ticks.entries.of_row
    interval = ticks.event_time_us // length_us
    is_first = np.append(True, (entry_of[1:] != entry_of[:-1]) | (interval[1:] != interval[:-1]))
    starts = np.flatnonzero(is_first)
    return KeyedRecords(entry_of[starts], interval[starts] * length_us, records_of(ticks, starts))


def records_of(ticks: Ticks, starts: NDArray[np.intp]) -> Records:
    """Return a record for each run of ticks of one entry. `starts`: where runs begin, first 0."""
    entry = ticks.entries.of_row[starts]
    records = Records.empty(len(starts))
    data = records.data
    data["price_scale"] = ticks.entries.price_scale[entry]
    data["size_scale"] = ticks.entries.size_scale[entry]
    data["count"] = np.diff(starts, append=len(ticks))
    exact = _is_narrow(ticks.price) and _is_narrow(ticks.size)
    groups, rows = _priced(ticks, starts)
    data["flags"][groups] = PRICED
    firsts, lasts = rows
    data["first"][groups] = ticks.order_keys(firsts[0])
    data["last"][groups] = ticks.order_keys(lasts)
    prices = _prices(ticks.price, firsts, lasts)
    if exact:
        data["prices"][groups] = np.stack(prices, axis=1)
        wide = _sums(ticks, starts, records)
    else:
        wide = np.ones(len(starts), dtype=bool)
    for group in np.flatnonzero(wide).tolist():
        run = slice(int(starts[group]), int(starts[group]) + int(data["count"][group]))
        position = int(np.searchsorted(groups, group))
        if position < len(groups) and groups[position] == group:
            four = tuple(int(column[position]) for column in prices)
        else:
            four = (0, 0, 0, 0)
        records.set_numbers(group, four + _exact_sums(ticks, run))
    return records


def _is_narrow(column: NDArray[Any]) -> bool:
    """Whether all mantissas, and what is computed from them, fit 64 bits."""
    return column.dtype != object and int(column.min()) != _LOWEST


def _priced(ticks: Ticks, starts: NDArray[np.intp]) -> tuple[Any, Any]:
    """Return the groups with a tick that makes a price, and the rows of each.

    The rows as (first row of each, all rows in groups, where each group begins in these), last row.
    """
    ends = np.append(starts[1:], len(ticks)) - 1
    if not (ticks.flags & VOLUME_ONLY).any():
        all_rows = np.arange(len(ticks))
        return np.arange(len(starts)), ((starts, all_rows, starts), ends)
    rows = np.flatnonzero((ticks.flags & VOLUME_ONLY) == 0)
    group = np.repeat(np.arange(len(starts)), ends - starts + 1)[rows]
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1])[: len(rows)])
    lasts = np.append(begins[1:], len(rows))[: len(begins)] - 1
    return group[begins], ((rows[begins], rows, begins), rows[lasts])


def _prices(price: NDArray[Any], firsts: Any, lasts: NDArray[np.intp]) -> list[NDArray[Any]]:
    """Return open, high, low and close of each group."""
    first, rows, begins = firsts
    if not len(first):
        return [price[:0]] * 4
    values = price[rows]
    high, low = (each.reduceat(values, begins) for each in (np.maximum, np.minimum))
    return [price[first], high, low, price[lasts]]


def _sums(ticks: Ticks, starts: NDArray[np.intp], records: Records) -> NDArray[np.bool_]:
    """Write the sums of narrow columns; return which do not fit."""
    size, side = ticks.size, ticks.side
    notional, overflows = int128.group_sums_of_products(ticks.price, size, starts)
    if side.any():
        bought, sold = (
            int128.group_sums(np.where(side == each, size, 0), starts) for each in (_BUY, _SELL)
        )
    else:
        bought = sold = int128.of_int64(np.zeros(len(starts), dtype=np.int64))
    volume = int128.group_sums(size, starts)
    for index, total in enumerate((volume, notional, bought, sold)):
        records.data["low"][:, index], records.data["high"][:, index] = Int128(*total)
    return overflows


def _exact_sums(ticks: Ticks, run: slice) -> tuple[int, ...]:
    sizes, sides = ticks.size[run].tolist(), ticks.side[run].tolist()
    return (
        sum(sizes),
        sum(price * size for price, size in zip(ticks.price[run].tolist(), sizes, strict=True)),
        sum(size for size, side in zip(sizes, sides, strict=True) if side == _BUY),
        sum(size for size, side in zip(sizes, sides, strict=True) if side == _SELL),
    )
