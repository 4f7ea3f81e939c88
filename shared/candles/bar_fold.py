"""The bars of one trading day, built from its trades piece by piece."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.candles.bar_ends import ends_of
from shared.candles.partials import records_of
from shared.market.bar_types import BarType
from shared.market.blocks import Records, concatenated, merge
from shared.wire.ticks import Int64s, Ticks

_NO_TIMES: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """n bars, ascending: time of the first trade of each, and their records (blocks.py)."""

    start_us: Int64s
    records: Records

    def __len__(self) -> int:
        return len(self.start_us)

    def at(self, rows: NDArray[np.intp]) -> Bars:
        """Return the rows of an index."""
        return Bars(self.start_us[rows], self.records.at(rows))


NO_BARS: Final = Bars(_NO_TIMES, Records.empty(0))


class BarFold:
    """Folds the trades of one trading day, in the total order, into bars."""

    def __init__(self, type_: BarType) -> None:
        self._ends = ends_of(type_)
        self._open = NO_BARS

    def copy(self) -> BarFold:
        """Return an independent copy that continues from here."""
        fold = copy(self)
        fold._ends = copy(self._ends)
        return fold

    def take(self, ticks: Ticks) -> tuple[Bars, NDArray[np.intp]]:
        """Return the bars that end within these trades, and the rows of their last trades.

        `ticks`: of one entry.
        """
        if not len(ticks):
            return NO_BARS, np.zeros(0, dtype=np.intp)
        ends = self._ends.rows(ticks)
        starts = np.append(0, ends + 1)
        starts = starts[starts < len(ticks)]
        records = records_of(ticks, starts)
        start_us = ticks.event_time_us[starts]
        if len(self._open):
            first = merge(self._open.records, records.at(np.arange(1)))
            records = concatenated([first, records.at(np.arange(1, len(records)))])
            start_us = np.append(self._open.start_us, start_us[1:])
        done, rest = np.arange(len(ends)), np.arange(len(ends), len(records))
        bars = Bars(start_us, records)
        self._open = bars.at(rest)
        return bars.at(done), ends

    @property
    def open(self) -> Bars:
        """The open bar, or none."""
        return self._open
