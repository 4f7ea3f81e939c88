"""Bars of trading days, folded from their trades starting at a checkpoint."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from functions.history_query.api.parameters import BarPage
from functions.history_query.queries.bar_checkpoints import (
    BarDay,
    Checkpoint,
    Checkpoints,
    MadeBars,
    joined,
    without_old_bars,
)
from functions.history_query.queries.tick_slices import Slice, TickSlices
from shared.candles.bar_fold import BarFold
from shared.candles.trades import MINUTE_US
from shared.market.blocks import CLOSED, PRICED
from shared.market.order import OrderKey
from shared.wire.ticks import VOLUME_ONLY

_NEVER_US: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class BarRange:
    """Bars that begin in [from_us, to_us); each day starts from empty state.

    If `after` is None, from the start of a day; then all but the last `fewest` bars before
    `needed_us` may be skipped. Otherwise from the bar that follows the trade `after`, which is at
    `from_us`. A day that ends by `over_us` is over, which closes its last bar.
    """

    symbol: str
    page: BarPage
    from_us: int
    to_us: int
    over_us: int
    needed_us: int = 0
    fewest: int = 0
    after: OrderKey | None = None


@dataclass(frozen=True, slots=True)
class BarDays:
    """Makes bars. Raises TransientError while a store is away."""

    slices: TickSlices
    checkpoints: Checkpoints

    def read(self, bar_range: BarRange) -> Generator[MadeBars]:
        """Yield the bars, one batch per slice of trades."""
        if bar_range.after is not None:
            yield from _BarBuilder(bar_range).of(self._slices(bar_range, bar_range.from_us))
            return
        page, begin_us = bar_range.page, bar_range.from_us
        end_us = page.frame.end_us(begin_us)
        key = (bar_range.symbol, page.type.name, page.frame.name, begin_us)
        day = self.checkpoints.of_day(key, end_us)
        held, start = _start(day, bar_range)
        yield from held
        builder = _BarBuilder(bar_range, start, end_us)
        try:
            yield from builder.of(self._slices(bar_range, start.time_us if start else begin_us))
        finally:
            stored = day.checkpoints
            added = [
                each
                for each in builder.checkpoints
                if not stored or each.time_us > stored[-1].time_us
            ]
            if stored or added:
                self.checkpoints.hold(key, replace(day, checkpoints=(*stored, *added)))

    def _slices(self, bar_range: BarRange, from_us: int) -> Iterator[Slice]:
        """Yield slices; they split where live trades begin, so that a checkpoint can be held."""
        settled_us = min(bar_range.over_us // MINUTE_US * MINUTE_US, bar_range.to_us)
        spans = [(from_us, bar_range.to_us)]
        if from_us < settled_us:
            spans = [(from_us, settled_us), (settled_us, bar_range.to_us)]
        for low, high in spans:
            if low < high:
                yield from self.slices.slices(
                    bar_range.symbol, low, high, MINUTE_US * 60, newest=False
                )


def _start(day: BarDay, bar_range: BarRange) -> tuple[list[MadeBars], Checkpoint | None]:
    """Return held bars of a day, and the checkpoint after them; None: the start of the day."""
    usable = [each for each in day.checkpoints if each.time_us <= bar_range.needed_us]
    enough = [n for n, each in enumerate(usable) if usable[-1].bars - each.bars >= bar_range.fewest]
    first = enough[-1] if enough else -1
    behind = [each.new_bars for each in usable[first + 1 :]]
    held = [bars for bars in behind if bars is not None]
    if usable and len(held) == len(behind):
        return held, usable[-1]
    return [], usable[first] if enough else None


class _BarBuilder:
    """Folds ascending slices of trades to bars and notes checkpoints for later reads."""

    def __init__(
        self, bar_range: BarRange, start: Checkpoint | None = None, end_us: int = _NEVER_US
    ) -> None:
        """`end_us`: end of the day to checkpoint."""
        self._range = bar_range
        self._noted_until_us = min(end_us, bar_range.over_us)
        self._fold, self._day_us, self._end_us = BarFold(bar_range.page.type), _NEVER_US, _NEVER_US
        self._last: OrderKey | None = None
        self._from_us = bar_range.from_us
        self._trades = self._bars = 0
        if start is not None:
            self._fold, self._last = start.fold.copy(), start.last
            self._day_us, self._end_us = bar_range.from_us, end_us
            self._from_us = start.time_us
            self._trades, self._bars = start.trades, start.bars
        self._new_bars: list[MadeBars] = []
        self.checkpoints: list[Checkpoint] = []

    def of(self, slices: Iterator[Slice]) -> Iterator[MadeBars]:
        """Yield the bars that close within each slice, and finally the open one."""
        for each in slices:
            yield from self._folded(each)
            if each.to_us % MINUTE_US == 0 and each.to_us <= self._noted_until_us:
                self._note(each.to_us)
            del each
        yield self._open()

    def _folded(self, source: Slice) -> Iterator[MadeBars]:
        frame, after = self._range.page.frame, self._range.after
        trades = source.trades.standing()
        times = trades.rows.time_us
        index = int(np.searchsorted(times, self._from_us))
        stop = int(np.searchsorted(times, self._range.to_us))
        while after is not None and index < stop and trades.key_at(index) <= after:
            index += 1
        while index < stop:
            time_us = int(times[index])
            if time_us >= self._end_us:
                yield self._open()
                self._fold, self._last = BarFold(self._range.page.type), None
                self._day_us = frame.start_us(time_us)
                self._end_us = frame.end_us(self._day_us)
                if not frame.holds(time_us):
                    index = int(np.searchsorted(times, frame.next_us(self._day_us)))
                    continue
            end = min(stop, int(np.searchsorted(times, self._end_us)))
            part = trades.at(slice(index, end))
            bars, rows = self._fold.take(part.as_ticks(self._range.symbol))
            bars.records.data["flags"] |= CLOSED
            pricing = np.flatnonzero((part.rows.flags & VOLUME_ONLY) == 0)
            self._last = part.key_at(int(pricing[-1])) if len(pricing) else self._last
            made_bars = MadeBars.of(bars, [part.key_at(row) for row in rows.tolist()])
            self._trades, self._bars = self._trades + len(part), self._bars + len(rows)
            self._new_bars.append(made_bars)
            yield made_bars
            index = end

    def _note(self, time_us: int) -> None:
        fold = self._fold.copy()
        made_bars, self._new_bars = joined(self._new_bars), []
        self.checkpoints.append(
            Checkpoint(time_us, self._trades, self._bars, self._last, fold, made_bars)
        )
        self.checkpoints = list(without_old_bars(self.checkpoints))

    def _open(self) -> MadeBars:
        """Return the open bar, if it has a price; marked closed if its day is over."""
        rows = np.flatnonzero(self._fold.open.records.has(PRICED))
        bars = self._fold.open.at(rows)
        if self._end_us <= self._range.over_us:
            bars.records.data["flags"] |= CLOSED
        return MadeBars.of(bars, [self._last] if len(rows) and self._last is not None else [])
