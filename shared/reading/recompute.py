"""Base candles from stored ticks: the definition itself, each trade once, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from psycopg import Connection

from shared.candles.folds import KeyedRecords, merged
from shared.candles.partials import partials
from shared.candles.trade_identity import MINUTE_US, each_once, id_hashes
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import plan_ticks
from shared.market.blocks import PRICED
from shared.market.timeframes import Timeframe
from shared.reading.ranges import ticks_of_range
from shared.stores.segments import ticks_of_instruments
from shared.wire.ticks import NO_ID, Ticks

HELD_TICKS: Final = 400_000
"""Ticks held in memory at once, for deduplication."""

Read = Callable[[int, int], Iterator[Ticks]]
"""Returns the stored ticks of [from_us, to_us)."""


def recomputed(
    connection: Connection,
    names: Sequence[str],
    from_us: int,
    to_us: int,
    base: Timeframe,
    cold: Cold = NO_LAKE,
    each: Callable[[Ticks], None] | None = None,
) -> Iterator[KeyedRecords]:
    """Yield base candles of the whole intervals in [from_us, to_us), in batches ordered by time.

    Instruments are numbered by their index in `names`. Includes records without a price; sets no
    flag but PRICED, and no revision. `each` is called with every batch of trades, cancels and
    corrections included. In one transaction, so that no day leaves Postgres meanwhile. Raises
    TransientError.
    """
    numbers = {name: number for number, name in enumerate(names)}

    def read(begin_us: int, end_us: int) -> Iterator[Ticks]:
        if plan_ticks(connection, begin_us, end_us).is_hot:
            yield from ticks_of_instruments(connection, names, begin_us, end_us)
            return
        for name in names:
            yield from ticks_of_range(connection, name, begin_us, end_us, cold)

    pending: list[KeyedRecords] = []
    first_us = from_us - from_us % MINUTE_US
    for until_us, batches in _trades(read, first_us, to_us + -to_us % MINUTE_US):
        for batch in batches:
            pending.append(_partials(batch.standing(), base, numbers, from_us, to_us))
            if each is not None:
                each(batch)
        if pending and (until_us >= to_us or len(pending) > 1):
            candles = merged(KeyedRecords.of(pending))
            ends = base.ends_us(candles.start_us) <= until_us
            pending = [] if ends.all() else [candles.at(~ends)]
            if ends.any():
                yield candles.at(ends)


def priced(candles: KeyedRecords) -> KeyedRecords:
    """Return the records that have a price."""
    return candles.at(candles.records.has(PRICED))


def _partials(
    ticks: Ticks, base: Timeframe, numbers: dict[str, int], from_us: int, to_us: int
) -> KeyedRecords:
    of_entry = np.array([numbers[name] for name in ticks.names], dtype=np.int64)
    candles = partials(ticks, base.length_us).numbered(of_entry)
    inside = (candles.start_us >= from_us) & (candles.start_us < to_us)
    return candles if inside.all() else candles.at(inside)


def _trades(read: Read, begin_us: int, end_us: int) -> Iterator[tuple[int, list[Ticks]]]:
    """Yield (until_us, deduplicated trades); by then all ticks before `until_us` were yielded.

    A range that does not fit into memory is split by time, a minute by trade ids.
    """
    held = _held(read(begin_us, end_us))
    if held is not None:
        yield end_us, each_once(held)
        return
    middle_us = begin_us + (end_us - begin_us) // MINUTE_US // 2 * MINUTE_US
    if middle_us > begin_us:
        yield from _trades(read, begin_us, middle_us)
        yield from _trades(read, middle_us, end_us)
        return
    count = 0
    for ticks in read(begin_us, end_us):
        has_id = ticks.trade_id_kind != NO_ID
        count += int(np.count_nonzero(has_id))
        if not has_id.all():
            yield begin_us, [ticks.select(~has_id)]
    parts = np.uint64(-(-count // (HELD_TICKS // 2)))
    for part in range(int(parts)):
        of_part = [
            ticks.select((ticks.trade_id_kind != NO_ID) & (id_hashes(ticks) % parts == part))
            for ticks in read(begin_us, end_us)
        ]
        yield begin_us, each_once(of_part)
    yield end_us, []


def _held(batches: Iterator[Ticks]) -> list[Ticks] | None:
    """Return all batches, or None when there are too many ticks to hold."""
    held: list[Ticks] = []
    count = 0
    for ticks in batches:
        held.append(ticks)
        count += len(ticks)
        if count > HELD_TICKS and len(held) > 1:
            return None
    return held
