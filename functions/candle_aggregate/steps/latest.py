"""Per-instrument results of a step: watermark, closing limit, first and latest tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Instruments, Ints
from functions.candle_aggregate.steps.trade_ids import Part
from shared.market.blocks import NEVER_LAST, before
from shared.market.decimals import INT64_MAX
from shared.wire.ticks import CANCELLED, VOLUME_ONLY, Ticks

_NO_PRICE: Final = VOLUME_ONLY | CANCELLED


class Moved(NamedTuple):
    """The instruments of a step, ascending, and what was so before it.

    `limit_us`: the closing limit, `first_us`: the earliest event time; 2^63 - 1 of a new one.
    """

    gids: Ints
    limit_us: Ints
    first_us: Ints


class _EntryResults(NamedTuple):
    """Per-entry results of a batch: columns of equal length."""

    gid: Ints
    first_us: Ints
    newest_us: Ints
    watermark_us: Ints
    last: Ints
    price: NDArray[Any]
    size: NDArray[Any]
    price_scale: Ints
    size_scale: Ints


def move(instruments: Instruments, parts: Sequence[Part], lateness_us: int, now_us: int) -> Moved:
    """Take in the ticks of all parts; every instrument has a record already. Nothing moves back."""
    results = _EntryResults(
        *(np.concatenate(columns) for columns in zip(*map(_entry_results, parts), strict=True))
    )
    order = np.lexsort((*(results.last[:, n] for n in (4, 3, 2, 1, 0)), results.gid))
    gid = results.gid[order]
    starts = np.flatnonzero(np.append(True, gid[1:] != gid[:-1]))
    newest = order[np.append(starts[1:], len(gid)) - 1]
    gids = gid[starts]
    data = instruments.data
    moved = Moved(gids, data["limit_us"][gids], data["first_us"][gids])
    for name, best, column in (
        ("first_us", np.minimum, results.first_us),
        ("newest_us", np.maximum, results.newest_us),
        ("watermark_us", np.maximum, results.watermark_us),
    ):
        data[name][gids] = best(data[name][gids], best.reduceat(column[order], starts))
    data["limit_us"][gids] = np.maximum(moved.limit_us, data["watermark_us"][gids] - lateness_us)
    data["received_us"][gids] = np.maximum(data["received_us"][gids], now_us)
    later = before(data["last"][gids], results.last[newest])
    _set_latest(instruments, gids[later], results, newest[later])
    return moved


def _set_latest(
    instruments: Instruments, gids: Ints, results: _EntryResults, rows: NDArray[np.intp]
) -> None:
    data = instruments.data
    data["last"][gids] = results.last[rows]
    data["price_scale"][gids], data["size_scale"][gids] = (
        results.price_scale[rows],
        results.size_scale[rows],
    )
    price, size = results.price[rows], results.size[rows]
    if price.dtype == object or size.dtype == object or instruments.wide:
        for gid, row, traded in zip(gids.tolist(), price.tolist(), size.tolist(), strict=True):
            if max(abs(row), abs(traded)) > INT64_MAX:
                instruments.wide[gid] = row, traded
            else:
                instruments.wide.pop(gid, None)
        fits = np.array([gid not in instruments.wide for gid in gids.tolist()], dtype=bool)
        price, size = np.where(fits, price, 0), np.where(fits, size, 0)
    data["price"][gids], data["size"][gids] = price.astype(np.int64), size.astype(np.int64)


def _entry_results(part: Part) -> _EntryResults:
    ticks, entries = part.ticks, part.ticks.entries
    starts = np.cumsum(entries.counts) - entries.counts
    ends = starts + entries.counts - 1
    reached = np.minimum(ticks.event_time_us, ticks.receive_time_us)
    last = _last_priced(ticks, starts, ends)
    keys = np.stack(
        [
            ticks.event_time_us[last],
            ticks.order_id[last],
            ticks.receive_time_us[last],
            np.full(len(last), ticks.source_key, dtype=np.int64),
            ticks.sequence[last],
        ],
        axis=1,
    )
    keys[last < 0] = NEVER_LAST
    return _EntryResults(
        part.gids,
        ticks.event_time_us[starts],
        ticks.event_time_us[ends],
        np.maximum.reduceat(reached, starts),
        keys,
        ticks.price[last],
        ticks.size[last],
        entries.price_scale,
        entries.size_scale,
    )


def _last_priced(ticks: Ticks, starts: Ints, ends: Ints) -> Ints:
    """Return each entry's last row that makes a price, -1 where none does."""
    if not (ticks.flags & _NO_PRICE).any():
        return ends
    rows = np.where(ticks.flags & _NO_PRICE, -1, np.arange(len(ticks)))
    last_rows: Ints = np.maximum.reduceat(rows, starts)
    return last_rows
