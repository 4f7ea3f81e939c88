"""One timeframe of a step: merge contributions into records, close them, and assign revisions.

The contributions of the base timeframe are partial candles; those of a longer one are base candles
that have just closed, and ticks that came late for closed ones. A base record without a price is no
candle and counts for no longer one, until a late tick gives it a price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from functions.candle_aggregate.steps.cache import ABSENT, Cache, Ints
from functions.candle_aggregate.steps.latest import Moved
from shared.candles.folds import KeyedRecords
from shared.market.blocks import CLOSED, INCOMPLETE, PARTIAL, PRICED, Records, merge
from shared.market.runs import Rows, groups
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


def blocks(places: KeyedRecords, timeframe: str) -> Iterator[tuple[Block, Rows]]:
    """Yield each block of a timeframe with the rows that it has."""
    for (start_us,), rows in groups(places.start_us):
        yield Block(timeframe, start_us), rows


def candidates(
    ladder: Sequence[Timeframe],
    open_blocks: set[Block],
    moved: Moved,
    limit_us: Ints,
    first_us: Ints,
) -> dict[str, list[tuple[Block, Ints]]]:
    """Return by timeframe the records that the step may close, or evaluate anew, without a gain.

    Those that the closing limit passes, and those of an instrument's first tick when it is another.
    """
    found: dict[Block, list[Ints]] = defaultdict(list)
    timeframes = {each.name: each for each in ladder}
    lowest_us, highest_us = int(moved.limit_us.min()), int(limit_us.max())
    for block in open_blocks:
        end_us = timeframes[block.timeframe].next_us(block.start_us)
        if lowest_us < end_us <= highest_us:
            passed = (moved.limit_us < end_us) & (end_us <= limit_us)
            if passed.any():
                found[block].append(moved.gids[passed])
    earlier = ((first_us < moved.first_us) & (moved.first_us < 2**63 - 1)).nonzero()[0]
    for row in earlier.tolist():
        for time_us in (int(moved.first_us[row]), int(first_us[row])):
            for each in ladder:
                found[Block(each.name, each.start_us(time_us))].append(moved.gids[row : row + 1])
    places: dict[str, list[tuple[Block, Ints]]] = {each.name: [] for each in ladder}
    for block, gids in found.items():
        places[block.timeframe].append((block, np.unique(np.concatenate(gids))))
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
    rows, additions = np.full(len(gained), ABSENT), gained.records
    for block, places in blocks(gained, timeframe.name):
        rows[places] = cache.rows(block, gained.instrument[places])
    is_new = rows < 0
    before = cache.pool.at(rows)
    if is_new.any():
        before.data.put(is_new.nonzero()[0], Records.empty(1).data)
        for name in ("price_scale", "size_scale"):  # so that nothing need be scaled
            before.data[name][is_new] = additions.data[name][is_new]
    records = merge(before, additions)
    records.data["flags"] |= additions.data["flags"] & INCOMPLETE
    untouched = _others(cache, others, gained)
    grown = KeyedRecords(gained.instrument, gained.start_us, records)
    candles = KeyedRecords.of([grown, untouched])
    flags_before = np.concatenate([before.data["flags"], untouched.records.data["flags"]])
    _evaluate(cache, timeframe, candles, closing_us)
    flags, revision = candles.records.data["flags"], candles.records.data["revision"]
    changed = flags != flags_before
    changed[: len(gained)] = True
    revision[changed] = np.maximum(revision[changed] + 1, now_us)
    least = additions.data["revision"]
    revision[: len(gained)] = np.maximum(revision[: len(gained)], least)
    is_open, was_open = ((each & CLOSED) == 0 for each in (flags, flags_before))
    opened = is_open.astype(np.int64) - was_open
    opened[: len(gained)] += is_new
    was_counted = ~was_open & ((flags_before & PRICED) != 0)
    gains = ~is_open & ((flags & PRICED) != 0) & ~was_counted & changed
    late = gained.at(was_counted[: len(gained)])
    late.records.data["revision"] = revision[: len(gained)][was_counted[: len(gained)]]
    contributions = KeyedRecords.of([candles.at(gains), late])
    result = candles.at(changed)
    for block, places in blocks(result, timeframe.name):
        cache.put(block, result.instrument[places], result.records.at(places))
    return Level(timeframe, result, opened[changed], contributions, len(late))


def existing(cache: Cache, block: Block, gids: Ints) -> KeyedRecords:
    """Return the records of a block that instruments have; they are known to the cache."""
    rows = cache.rows(block, gids).astype(np.int64)
    gids, rows = gids[rows >= 0], rows[rows >= 0]
    return KeyedRecords(gids, np.full(len(gids), block.start_us), cache.pool.at(rows))


def _others(cache: Cache, others: list[tuple[Block, Ints]], gained: KeyedRecords) -> KeyedRecords:
    """Return the existing records at other places that gain nothing."""
    parts = []
    for block, gids in others:
        taken = gained.instrument[gained.start_us == block.start_us]
        parts.append(existing(cache, block, np.setdiff1d(gids, taken)))
    return KeyedRecords.of(parts)


def _evaluate(cache: Cache, timeframe: Timeframe, rows: KeyedRecords, closing_us: int) -> None:
    """Set CLOSED where the closing limit has passed the end, PARTIAL by the first tick."""
    instruments, flags = cache.instruments.data, rows.records.data["flags"]
    end_us = rows.start_us + timeframe.length_us
    first_us = instruments["first_us"][rows.instrument]
    partial = (rows.start_us < first_us) & (first_us < end_us)
    flags &= 255 - PARTIAL
    flags |= partial * np.uint8(PARTIAL)
    closed = end_us <= np.maximum(instruments["limit_us"][rows.instrument], closing_us)
    flags |= closed * np.uint8(CLOSED)
