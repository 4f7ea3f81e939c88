"""One timeframe of a step: contributions merged into its records, which close, and are revised.

The contributions of the base timeframe are partial candles; those of a longer one are base candles
that have just closed, and ticks that came late for closed ones. A base record without a price is no
candle and counts for no longer one, until a late tick gives it a price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Cache, Ints
from functions.candle_aggregate.steps.latest import Moved
from shared.market.blocks import (
    CLOSED,
    INCOMPLETE,
    PARTIAL,
    PRICED,
    WIDE,
    Records,
    concatenated,
    fold,
    merge,
)
from shared.market.timeframes import Timeframe
from shared.realtime.instrument_records import NEVER_US
from shared.realtime.keys import Block


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Records and where they belong: columns of equal length."""

    start_us: Ints
    gid: Ints
    records: Records

    def __len__(self) -> int:
        return len(self.gid)

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
        """Return the rows of an index or a mask."""
        return Rows(self.start_us[rows], self.gid[rows], self.records.at(rows))

    def blocks(self, timeframe: str) -> Iterator[tuple[Block, NDArray[np.intp]]]:
        """Yield each block with the places of its rows."""
        order = np.argsort(self.start_us, kind="stable")
        start = self.start_us[order]
        begins = np.flatnonzero(np.append(True, start[1:] != start[:-1])[: len(start)])
        for some in np.split(order, begins[1:]) if len(order) else ():
            yield Block(timeframe, int(self.start_us[some[0]])), some


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What a step changes of one timeframe.

    `opened`: +1 for a record that is new and open, -1 for one that was open and is closed.
    `contributions`: what the folds of longer timeframes gain by it. `corrected`: closed candles
    that gained.
    """

    timeframe: Timeframe
    rows: Rows
    opened: Ints
    contributions: Rows
    corrected: int


def empty() -> Rows:
    """Return no rows."""
    none = np.zeros(0, dtype=np.int64)
    return Rows(none, none, Records.empty(0))


def grouped(rows: Rows) -> Rows:
    """Return one row for each place, the merge of those that are there."""
    if not len(rows):
        return rows
    order = np.lexsort((rows.gid, rows.start_us))
    start, gid = rows.start_us[order], rows.gid[order]
    starts = np.flatnonzero(np.append(True, (start[1:] != start[:-1]) | (gid[1:] != gid[:-1])))
    if len(starts) == len(order):
        return rows.at(order)
    merged = fold(rows.records.at(order), starts)
    flags = rows.records.data["flags"][order] & INCOMPLETE
    merged.data["flags"] |= np.bitwise_or.reduceat(flags, starts)
    merged.data["revision"] = np.maximum.reduceat(rows.records.data["revision"][order], starts)
    return Rows(start[starts], gid[starts], merged)


def candidates(
    timeframe: Timeframe, open_blocks: set[Block], moved: Moved, limit_us: Ints, first_us: Ints
) -> list[tuple[Block, Ints]]:
    """Return places whose records the step may close, or evaluate anew, without a contribution.

    Those that the closing limit passes, and those of an instrument's first tick when it is another.
    """
    found = []
    for block in open_blocks:
        if block.timeframe == timeframe.name:
            end = timeframe.next_us(block.start_us)
            passed = (moved.limit_us < end) & (end <= limit_us)
            if passed.any():
                found.append((block, moved.gids[passed]))
    earlier = np.flatnonzero((first_us < moved.first_us) & (moved.first_us < 2**63 - 1))
    for row in earlier.tolist():
        for time_us in (int(moved.first_us[row]), int(first_us[row])):
            block = Block(timeframe.name, timeframe.start_us(time_us))
            found.append((block, moved.gids[row : row + 1]))
    return found


def advance(
    cache: Cache,
    timeframe: Timeframe,
    gained: Rows,
    others: list[tuple[Block, Ints]],
    now_us: int,
    closing_us: int = NEVER_US,
) -> Level:
    """Merge `gained`, one row a place, into the timeframe; close and revise what changes.

    What changes gets a revision above its own before, and not below those of what it gains.
    `others`: places to look at besides. All of it is known to the cache, and is changed there.
    `closing_us`: whatever ends by then closes, besides what its closing limit has passed.
    """
    if not len(gained) and not others:
        return Level(timeframe, gained, np.zeros(0, dtype=np.int64), gained, 0)
    pool = cache.pool
    rows = np.full(len(gained), -1, dtype=np.int64)
    for block, places in gained.blocks(timeframe.name):
        rows[places] = cache.rows(block, gained.gid[places])
    existed = rows >= 0
    fresh = gained.at(~existed)
    fresh.records.data["flags"] &= PRICED | WIDE | INCOMPLETE
    present = pool.at(rows[existed])
    more = gained.records.at(existed)
    merged = merge(present, more)
    merged.data["flags"] |= more.data["flags"] & INCOMPLETE
    untouched = _others(cache, others, gained)
    whole = Rows(
        np.concatenate([gained.start_us[existed], fresh.start_us, untouched.start_us]),
        np.concatenate([gained.gid[existed], fresh.gid, untouched.gid]),
        concatenated([merged, fresh.records, untouched.records]),
    )
    flags_before = np.concatenate(
        [present.data["flags"], np.full(len(fresh), CLOSED), untouched.records.data["flags"]]
    )
    place = np.arange(len(whole)) - len(present)
    is_new = (place >= 0) & (place < len(fresh))
    _evaluate(cache, timeframe, whole, closing_us)
    flags = whole.records.data["flags"]
    changed = np.arange(len(whole)) < len(present) + len(fresh)
    changed |= flags != flags_before
    closed = (flags & CLOSED) != 0
    was_closed = ((flags_before & CLOSED) != 0) & ~is_new
    was_counted = was_closed & ((flags_before & PRICED) != 0)
    revision = whole.records.data["revision"]
    least = np.concatenate([more.data["revision"], fresh.records.data["revision"]])
    revision[is_new] = 0
    revision[changed] = np.maximum(revision[changed] + 1, now_us)
    revision[: len(least)] = np.maximum(revision[: len(least)], least)
    gains = closed & ((flags & PRICED) != 0) & ~was_counted & changed
    late_rows = np.flatnonzero(was_counted[: len(present)])
    more.data["revision"] = revision[: len(more)]
    contributions = Rows(
        np.concatenate([whole.start_us[gains], whole.start_us[late_rows]]),
        np.concatenate([whole.gid[gains], whole.gid[late_rows]]),
        concatenated([whole.records.at(gains), more.at(late_rows)]),
    )
    opened = (is_new & ~closed).astype(np.int64) - (closed & ~was_closed & ~is_new)
    result = whole.at(changed)
    for block, places in result.blocks(timeframe.name):
        cache.put(block, result.gid[places], result.records.at(places))
    return Level(timeframe, result, opened[changed], contributions, len(late_rows))


def _others(cache: Cache, others: list[tuple[Block, Ints]], gained: Rows) -> Rows:
    """Return the records at other places that are there and gain nothing."""
    starts, gids, rows = [], [], []
    for block, some in others:
        found = cache.rows(block, some)
        taken = np.isin(some, gained.gid[gained.start_us == block.start_us])
        here = (found >= 0) & ~taken
        starts.append(np.full(int(here.sum()), block.start_us))
        gids.append(some[here])
        rows.append(found[here].astype(np.int64))
    if not starts:
        return empty()
    row, first = np.unique(np.concatenate(rows), return_index=True)
    return Rows(np.concatenate(starts)[first], np.concatenate(gids)[first], cache.pool.at(row))


def _evaluate(cache: Cache, timeframe: Timeframe, rows: Rows, closing_us: int) -> None:
    """Set CLOSED where the closing limit has passed the end, PARTIAL by the first tick."""
    instruments, flags = cache.instruments.data, rows.records.data["flags"]
    end_us = rows.start_us + timeframe.length_us
    first_us = instruments["first_us"][rows.gid]
    partial = (rows.start_us < first_us) & (first_us < end_us)
    flags &= 255 - PARTIAL
    flags |= np.where(partial, PARTIAL, 0).astype(np.uint8)
    closed = end_us <= np.maximum(instruments["limit_us"][rows.gid], closing_us)
    flags |= np.where(closed, CLOSED, 0).astype(np.uint8)
