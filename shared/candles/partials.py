"""Tick columns to candle records of one timeframe: array operations, no loop per tick."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.candles.folds import Int64s, KeyedRecords
from shared.market import int128
from shared.market.blocks import PRICED, Records
from shared.market.runs import Rows, lengths_of, run_starts
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
    starts = run_starts(entry_of, interval)
    return KeyedRecords(entry_of[starts], interval[starts] * length_us, records_of(ticks, starts))


def records_of(ticks: Ticks, starts: Rows) -> Records:
    """Return a record for each run of ticks of one entry. `starts`: where runs begin, first 0."""
    entry = ticks.entries.of_row[starts]
    records = Records.empty(len(starts))
    data = records.data
    data["price_scale"] = ticks.entries.price_scale[entry]
    data["size_scale"] = ticks.entries.size_scale[entry]
    data["count"] = lengths_of(starts, len(ticks))
    groups, rows, firsts = _priced(ticks, starts, data["count"])
    lasts = firsts + lengths_of(firsts, len(rows)) - 1
    data["flags"][groups] = PRICED
    keys = ticks.order_keys(rows[np.concatenate((firsts, lasts))])
    data["first"][groups], data["last"][groups] = keys[: len(groups)], keys[len(groups) :]
    values = ticks.price[rows]
    high, low = (each.reduceat(values, firsts) for each in (np.maximum, np.minimum))
    prices = np.array([values[firsts], high, low, values[lasts]])
    if _is_narrow(ticks.price) and _is_narrow(ticks.size):
        data["prices"][groups] = prices.T
        wide = _sums(ticks, starts, data)
    else:
        wide = np.arange(len(starts))
    of_group = np.zeros((len(starts), len(prices)), dtype=prices.dtype)
    of_group[groups] = prices.T
    for group, four in zip(wide.tolist(), of_group[wide].tolist(), strict=True):
        run = slice(int(starts[group]), int(starts[group]) + int(data["count"][group]))
        records.set_numbers(group, (*four, *_exact_sums(ticks, run)))
    return records


def _is_narrow(column: NDArray[Any]) -> bool:
    """Whether all mantissas, and what is computed from them, fit 64 bits."""
    return column.dtype != object and int(column.min()) != _LOWEST


def _priced(ticks: Ticks, starts: Rows, counts: Int64s) -> tuple[Rows, Rows, Rows]:
    """Return the groups with a tick that makes a price, such rows, and where a group begins."""
    is_priced = (ticks.flags & VOLUME_ONLY) == 0
    if is_priced.all():
        return np.arange(len(starts)), np.arange(len(ticks)), starts
    group = np.repeat(np.arange(len(starts)), counts)[is_priced]
    firsts = run_starts(group)
    return group[firsts], is_priced.nonzero()[0], firsts


def _sums(ticks: Ticks, starts: Rows, data: NDArray[np.void]) -> Rows:
    """Write the sums of narrow columns; return the groups where they do not fit."""
    price, size = ticks.price, ticks.size
    bought, sold = (np.where(ticks.side == each, size, 0) for each in (_BUY, _SELL))
    largest = max(1, -int(price.min()), int(price.max())) * int(size.max())
    if largest * len(ticks) < 2**63:
        columns = np.array([size, price * size, bought, sold])
        totals = np.add.reduceat(columns, starts, axis=1).T
        data["low"], data["high"] = totals.view(np.uint64), totals >> 63
        return starts[:0]
    notional, overflows = int128.group_sums_of_products(price, size, starts)
    sums = [int128.group_sums(each, starts) for each in (size, bought, sold)]
    for index, total in enumerate((sums[0], notional, *sums[1:])):
        data["low"][:, index], data["high"][:, index] = total.low, total.high
    return overflows.nonzero()[0]


def _exact_sums(ticks: Ticks, run: slice) -> tuple[int, ...]:
    sizes, sides = ticks.size[run].tolist(), ticks.side[run].tolist()
    return (
        sum(sizes),
        sum(price * size for price, size in zip(ticks.price[run].tolist(), sizes, strict=True)),
        sum(size for size, side in zip(sizes, sides, strict=True) if side == _BUY),
        sum(size for size, side in zip(sizes, sides, strict=True) if side == _SELL),
    )
