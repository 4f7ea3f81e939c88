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
from shared.market.runs import lengths_of, run_starts
from shared.wire.ticks import CANCELLED, VOLUME_ONLY, Ticks

_NO_PRICE: Final = VOLUME_ONLY | CANCELLED


class Moved(NamedTuple):
    """The instruments of a step, ascending, and what was so before it.

    `limit_us`: the closing limit, `first_us`: the earliest event time; 2^63 - 1 of a new one.
    """

    gids: Ints
    limit_us: Ints
    first_us: Ints


def move(instruments: Instruments, parts: Sequence[Part], lateness_us: int, now_us: int) -> Moved:
    """Take in the ticks of all parts; every instrument has a record already. Nothing moves back."""
    gid, first_us, newest_us, watermark_us, last, *latest = (
        np.concatenate(columns) for columns in zip(*map(_entry_columns, parts), strict=True)
    )
    order = np.lexsort((*last.T[::-1], gid))
    gid = gid[order]
    starts = run_starts(gid)
    newest = order[starts + lengths_of(starts, len(gid)) - 1]
    gids = gid[starts]
    data = instruments.data
    moved = Moved(gids, data["limit_us"][gids], data["first_us"][gids])
    for name, best, column in (
        ("first_us", np.minimum, first_us),
        ("newest_us", np.maximum, newest_us),
        ("watermark_us", np.maximum, watermark_us),
    ):
        data[name][gids] = best(data[name][gids], best.reduceat(column[order], starts))
    data["limit_us"][gids] = np.maximum(moved.limit_us, data["watermark_us"][gids] - lateness_us)
    data["received_us"][gids] = now_us  # lower than before where the clock was set back
    later = before(data["last"][gids], last[newest])
    data["last"][gids[later]] = last[newest[later]]
    _set_latest(instruments, gids[later], *(column[newest[later]] for column in latest))
    return moved


def _set_latest(
    instruments: Instruments,
    gids: Ints,
    price: NDArray[Any],
    size: NDArray[Any],
    price_scale: Ints,
    size_scale: Ints,
) -> None:
    data = instruments.data
    data["price_scale"][gids], data["size_scale"][gids] = price_scale, size_scale
    if price.dtype == object or size.dtype == object or instruments.wide:
        for gid, row, traded in zip(gids.tolist(), price.tolist(), size.tolist(), strict=True):
            if max(abs(row), abs(traded)) > INT64_MAX:
                instruments.wide[gid] = row, traded
            else:
                instruments.wide.pop(gid, None)
        fits = np.array([gid not in instruments.wide for gid in gids.tolist()], dtype=bool)
        price, size = np.where(fits, price, 0), np.where(fits, size, 0)
    data["price"][gids], data["size"][gids] = price.astype(np.int64), size.astype(np.int64)


def _entry_columns(part: Part) -> tuple[NDArray[Any], ...]:
    """Return columns of the entries: gid, first, newest and reached time, and of the last tick.

    Of that its order key, price, size and their scales.
    """
    ticks, entries = part.ticks, part.ticks.entries
    starts = entries.starts
    ends = starts + entries.counts - 1
    reached = np.minimum(ticks.event_time_us, ticks.receive_time_us)
    last = _last_priced(ticks, starts, ends)
    keys = ticks.order_keys(last)
    keys[last < 0] = NEVER_LAST
    return (
        *(part.gids, ticks.event_time_us[starts], ticks.event_time_us[ends]),
        *(np.maximum.reduceat(reached, starts), keys, ticks.price[last], ticks.size[last]),
        *(entries.price_scale, entries.size_scale),
    )


def _last_priced(ticks: Ticks, starts: Ints, ends: Ints) -> Ints:
    """Return each entry's last row that makes a price, -1 where none does."""
    if not (ticks.flags & _NO_PRICE).any():
        return ends
    rows = np.where(ticks.flags & _NO_PRICE, -1, np.arange(len(ticks)))
    last_rows: Ints = np.maximum.reduceat(rows, starts)
    return last_rows
