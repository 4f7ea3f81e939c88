"""One timeframe of a step: merge contributions into records, close them, and assign revisions.

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
from shared.candles.folds import KeyedRecords
from shared.market.blocks import (
    CLOSED,
    INCOMPLETE,
    PARTIAL,
    PRICED,
    WIDE,
    merge,
)
from shared.market.timeframes import Timeframe
from shared.realtime.instrument_records import NEVER_US
from shared.realtime.keys import Block


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Changes of a step to one timeframe.

    `opened`: +1 for a record that is new and open, -1 for one that was open and is closed.
    `contributions`: what the folds of longer timeframes gain by it. `corrected`: closed candles
    that gained.
    """

    timeframe: Timeframe
    candles: KeyedRecords
    opened: Ints
    contributions: KeyedRecords
    corrected: int


def blocks(places: KeyedRecords, timeframe: str) -> Iterator[tuple[Block, NDArray[np.intp]]]:
    """Yield each block of a timeframe with the rows that it has."""
    order = np.argsort(places.start_us, kind="stable")
    start = places.start_us[order]
    begins = np.flatnonzero(np.append(True, start[1:] != start[:-1])[: len(start)])
    for rows in np.split(order, begins[1:]) if len(order) else ():
        yield Block(timeframe, int(places.start_us[rows[0]])), rows


def candidates(
    timeframe: Timeframe, open_blocks: set[Block], moved: Moved, limit_us: Ints, first_us: Ints
) -> list[tuple[Block, Ints]]:
    """Return places whose records the step may close, or evaluate anew, without a contribution.

    Those that the closing limit passes, and those of an instrument's first tick when it is another.
    """
    places = []
    for block in open_blocks:
        if block.timeframe == timeframe.name:
            end = timeframe.next_us(block.start_us)
            passed = (moved.limit_us < end) & (end <= limit_us)
            if passed.any():
                places.append((block, moved.gids[passed]))
    earlier = np.flatnonzero((first_us < moved.first_us) & (moved.first_us < 2**63 - 1))
    for row in earlier.tolist():
        for time_us in (int(moved.first_us[row]), int(first_us[row])):
            block = Block(timeframe.name, timeframe.start_us(time_us))
            places.append((block, moved.gids[row : row + 1]))
    return places


def advance(
    cache: Cache,
    timeframe: Timeframe,
    gained: KeyedRecords,
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
    for block, places in blocks(gained, timeframe.name):
        rows[places] = cache.rows(block, gained.instrument[places])
    existed = rows >= 0
    fresh = gained.at(~existed)
    fresh.records.data["flags"] &= PRICED | WIDE | INCOMPLETE
    present = pool.at(rows[existed])
    additions = gained.records.at(existed)
    merged = merge(present, additions)
    merged.data["flags"] |= additions.data["flags"] & INCOMPLETE
    untouched = _others(cache, others, gained)
    grown = KeyedRecords(gained.instrument[existed], gained.start_us[existed], merged)
    candles = KeyedRecords.of([grown, fresh, untouched])
    flags_before = np.concatenate(
        [present.data["flags"], np.full(len(fresh), CLOSED), untouched.records.data["flags"]]
    )
    place = np.arange(len(candles)) - len(present)
    is_new = (place >= 0) & (place < len(fresh))
    _evaluate(cache, timeframe, candles, closing_us)
    flags = candles.records.data["flags"]
    changed = np.arange(len(candles)) < len(present) + len(fresh)
    changed |= flags != flags_before
    closed = (flags & CLOSED) != 0
    was_closed = ((flags_before & CLOSED) != 0) & ~is_new
    was_counted = was_closed & ((flags_before & PRICED) != 0)
    revision = candles.records.data["revision"]
    least = np.concatenate([additions.data["revision"], fresh.records.data["revision"]])
    revision[is_new] = 0
    revision[changed] = np.maximum(revision[changed] + 1, now_us)
    revision[: len(least)] = np.maximum(revision[: len(least)], least)
    gains = closed & ((flags & PRICED) != 0) & ~was_counted & changed
    late_rows = np.flatnonzero(was_counted[: len(present)])
    additions.data["revision"] = revision[: len(additions)]
    late = KeyedRecords(grown.instrument, grown.start_us, additions).at(late_rows)
    contributions = KeyedRecords.of([candles.at(gains), late])
    opened = (is_new & ~closed).astype(np.int64) - (closed & ~was_closed & ~is_new)
    result = candles.at(changed)
    for block, places in blocks(result, timeframe.name):
        cache.put(block, result.instrument[places], result.records.at(places))
    return Level(timeframe, result, opened[changed], contributions, len(late_rows))


def _others(cache: Cache, others: list[tuple[Block, Ints]], gained: KeyedRecords) -> KeyedRecords:
    """Return the existing records at other places that gain nothing."""
    starts, gids, rows = [], [], []
    for block, block_gids in others:
        found = cache.rows(block, block_gids)
        taken = np.isin(block_gids, gained.instrument[gained.start_us == block.start_us])
        is_other = (found >= 0) & ~taken
        starts.append(np.full(int(is_other.sum()), block.start_us))
        gids.append(block_gids[is_other])
        rows.append(found[is_other].astype(np.int64))
    if not starts:
        return KeyedRecords.of([])
    row, first = np.unique(np.concatenate(rows), return_index=True)
    instrument, start_us = np.concatenate(gids)[first], np.concatenate(starts)[first]
    return KeyedRecords(instrument, start_us, cache.pool.at(row))


def _evaluate(cache: Cache, timeframe: Timeframe, rows: KeyedRecords, closing_us: int) -> None:
    """Set CLOSED where the closing limit has passed the end, PARTIAL by the first tick."""
    instruments, flags = cache.instruments.data, rows.records.data["flags"]
    end_us = rows.start_us + timeframe.length_us
    first_us = instruments["first_us"][rows.instrument]
    partial = (rows.start_us < first_us) & (first_us < end_us)
    flags &= 255 - PARTIAL
    flags |= np.where(partial, PARTIAL, 0).astype(np.uint8)
    closed = end_us <= np.maximum(instruments["limit_us"][rows.instrument], closing_us)
    flags |= np.where(closed, CLOSED, 0).astype(np.uint8)
