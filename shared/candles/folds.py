"""Candles grouped by instrument and start: partials merged, base candles folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.market.blocks import (
    CLOSED,
    INCOMPLETE,
    PARTIAL,
    PRICED,
    VENUE,
    Records,
    concatenated,
    fold,
)
from shared.market.runs import run_starts
from shared.market.timeframes import Timeframe
from shared.wire.candle_columns import CandleColumns

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class KeyedRecords:
    """n candle records, each with its instrument (a number) and its start in microseconds."""

    instrument: Int64s
    start_us: Int64s
    records: Records

    @classmethod
    def of(cls, parts: Iterable[KeyedRecords]) -> KeyedRecords:
        """Return the concatenated parts; a single one that has records is not copied."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), Records.empty(0))
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.instrument for part in parts]),
            np.concatenate([part.start_us for part in parts]),
            concatenated([part.records for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.start_us)

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> KeyedRecords:
        """Return the rows of an index or a mask."""
        return KeyedRecords(self.instrument[rows], self.start_us[rows], self.records.at(rows))

    def numbered(self, numbers: Int64s) -> KeyedRecords:
        """Return them with other numbers: instrument n becomes `numbers[n]`."""
        return KeyedRecords(numbers[self.instrument], self.start_us, self.records)

    def keys(self, names: Sequence[str]) -> list[tuple[str, int]]:
        """Return each one's instrument and start; `names`: the instruments by number."""
        numbers, starts = self.instrument.tolist(), self.start_us.tolist()
        return [(names[number], start) for number, start in zip(numbers, starts, strict=True)]

    def columns(self, timeframe: str, names: Sequence[str]) -> CandleColumns:
        """Return them as candles; `names`: the instruments by number."""
        instruments = [names[number] for number in self.instrument.tolist()]
        return CandleColumns(timeframe, instruments, self.start_us, self.records)


def merged(candles: KeyedRecords) -> KeyedRecords:
    """Merge records of the same instrument and start, ordered by both.

    A record is INCOMPLETE, or of the VENUE, if any of its parts is; other flags are taken from one
    of them. Its revision is the highest.
    """
    if not len(candles):
        return candles
    order = np.lexsort((candles.start_us, candles.instrument))
    instrument, start_us = candles.instrument[order], candles.start_us[order]
    first = run_starts(instrument, start_us)
    records = candles.records.at(order)
    if len(first) < len(order):
        inherited = np.bitwise_or.reduceat(records.data["flags"] & (INCOMPLETE | VENUE), first)
        revision = np.maximum.reduceat(records.data["revision"], first)
        records = fold(records, first)
        records.data["flags"] |= inherited
        records.data["revision"] = revision
    return KeyedRecords(instrument[first], start_us[first], records)


def rolled_up(base: KeyedRecords, timeframe: Timeframe) -> KeyedRecords:
    """Fold base candles into a longer timeframe; those without a price are ignored.

    Flags other than INCOMPLETE and VENUE are set by `flagged`; there is no revision.
    """
    priced = base.at(base.records.has(PRICED))
    longer = KeyedRecords(priced.instrument, timeframe.starts_us(priced.start_us), priced.records)
    rolled = merged(longer)
    rolled.records.data["flags"] &= 255 - CLOSED - PARTIAL
    rolled.records.data["revision"] = 0
    return rolled


def flagged(candles: KeyedRecords, timeframe: Timeframe, first_us: Int64s) -> KeyedRecords:
    """Set PARTIAL: the candle began before the instrument's first tick, `first_us[n]`.

    The records are changed in place.
    """
    partial = (candles.start_us < first_us) & (first_us < timeframe.ends_us(candles.start_us))
    flags = candles.records.data["flags"]
    candles.records.data["flags"] = np.where(partial, flags | PARTIAL, flags & (255 - PARTIAL))
    return candles
