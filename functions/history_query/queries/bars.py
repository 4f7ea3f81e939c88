"""Pages of information bars, made on reading of the stored trades of whole trading days."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from functions.history_query.api.parameters import FURTHEST_US
from functions.history_query.queries.bar_request import BarPage
from functions.history_query.queries.gaps import open_gaps
from functions.history_query.queries.tick_slices import TickSlices
from shared.candles.bar_fold import NO_BARS, BarFold, Bars
from shared.candles.trades import MINUTE_US
from shared.market.blocks import CLOSED, PRICED, concatenated
from shared.market.order import OrderKey
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.gaps import touches
from shared.wire.ticks import VOLUME_ONLY

_SLICES: Final = 64
"""Slices of trades that a page which goes forward reads, where it has a bar by then."""
_QUIET_US: Final = 60_000_000
"""How long after its end a day is over by the clock, whatever its instrument's watermark."""
_NEVER_US: Final = -(2**63)


@dataclass(frozen=True, slots=True, eq=False)
class _Some:
    """Bars, ascending, with the place of the trade that is the last of each to make a price."""

    bars: Bars
    ends: list[OrderKey]

    def at(self, rows: range) -> _Some:
        """Return some rows."""
        return _Some(
            self.bars.at(np.arange(rows.start, rows.stop)), self.ends[rows.start : rows.stop]
        )


class FoundBars(NamedTuple):
    """A page's bars; `edge`: where the next page begins; `first`: where the first bar ends."""

    bars: list[Candle]
    edge: OrderKey | None
    first: OrderKey | None


@dataclass(frozen=True, slots=True)
class BarPages:
    """Reads pages. `allowed_lateness_us`: as where candles are made.

    Raises TransientError while a store is away.
    """

    slices: TickSlices
    postgres: Postgres
    allowed_lateness_us: int

    def page(self, symbol: str, page: BarPage, now_us: int | None = None) -> FoundBars:
        """Return bars ascending, and where a page behind them begins, if there are more.

        A page may hold fewer bars than its limit and still have more behind it.
        """
        now_us = time.time_ns() // 1000 if now_us is None else now_us
        watermark_us = self.slices.watermark_us(symbol) or 0
        over_us = max(watermark_us - self.allowed_lateness_us, 0)
        found, more = (self._newest if page.newest else self._following)(
            symbol, page, max(over_us, now_us - _QUIET_US)
        )
        if not found.ends:
            return FoundBars([], None, None)
        edge = found.ends[0 if page.newest else -1] if more else None
        bars = self._judged(symbol, page, self._candles(symbol, page, found))
        return FoundBars(bars, edge, found.ends[0])

    def before(self, symbol: str, page: BarPage, place: OrderKey, count: int) -> list[Candle]:
        """Return up to `count` bars that stand before the one that ends at a place, ascending."""
        earlier = replace(page, from_us=0, to_us=FURTHEST_US, limit=count, newest=True, place=place)
        return self.page(symbol, earlier).bars

    def _following(self, symbol: str, page: BarPage, over_us: int) -> tuple[_Some, bool]:
        """Return the first bars of a range: from where the page before ended, or its day began."""
        begin_us = page.frame.start_us(page.from_us)
        if page.place is not None:  # behind the end of a bar the next one begins from nothing
            begin_us = page.place.event_time_us
        last = max(page.to_us - 1, 0)
        end_us = max(page.frame.end_us(page.frame.start_us(last)), page.to_us)
        parts: list[_Some] = []
        count = 0
        for number, some in enumerate(
            self._made(symbol, page, begin_us, end_us, over_us, after=page.place), 1
        ):
            first = int(np.searchsorted(some.bars.start_us, page.from_us))
            stop = int(np.searchsorted(some.bars.start_us, page.to_us))
            parts.append(some.at(range(first, min(stop, first + page.limit - count))))
            count += len(parts[-1].ends)
            if count == page.limit and stop > first + len(parts[-1].ends):
                return _joined(parts), True
            if stop < len(some.ends):
                return _joined(parts), False
            if number >= _SLICES and count:
                return _joined(parts), True
        return _joined(parts), False

    def _newest(self, symbol: str, page: BarPage, over_us: int) -> tuple[_Some, bool]:
        """Return the last bars of a range, day by day backwards: a day is read as a whole."""
        parts: deque[_Some] = deque()
        count, high = 0, page.to_us
        if page.place is not None:
            high = min(high, page.place.event_time_us + 1)
        while count <= page.limit:
            last_us = self._last_us(symbol, page.from_us, high)
            if last_us is None:
                break
            begin_us = page.frame.start_us(last_us)
            day: deque[_Some] = deque()
            of_day = 0
            end_us = page.frame.end_us(begin_us)
            for some in self._made(symbol, page, begin_us, end_us, over_us):
                stop = int(np.searchsorted(some.bars.start_us, page.to_us))
                if page.place is not None:
                    stop = min(stop, sum(each < page.place for each in some.ends))
                day.append(some.at(range(stop)))
                of_day += stop
                while of_day - len(day[0].ends) > page.limit:
                    of_day -= len(day.popleft().ends)
            parts.extendleft(reversed(day))
            count += of_day
            high = begin_us
        found = _joined(list(parts))
        first = max(count - page.limit, 0)
        return found.at(range(first, count)), first > 0

    def _last_us(self, symbol: str, from_us: int, to_us: int) -> int | None:
        """Return when the last trade in the range was."""
        for some in self.slices.slices(symbol, from_us, to_us, MINUTE_US, newest=True):
            times = some.trades.rows.time_us
            inside = times[(from_us <= times) & (times < to_us)]
            if len(inside):
                return int(inside[-1])
        return None

    def _made(
        self,
        symbol: str,
        page: BarPage,
        from_us: int,
        to_us: int,
        over_us: int,
        after: OrderKey | None = None,
    ) -> Iterator[_Some]:
        """Yield the bars of the trades in [from_us, to_us), each day's from nothing.

        `from_us` begins a day, or has the trade `after` which a bar begins. A day that ends by
        `over_us` is over, and with it its last bar.
        """
        fold, day_us, end_us = BarFold(page.type), _NEVER_US, _NEVER_US
        last: OrderKey | None = None
        for each in self.slices.slices(symbol, from_us, to_us, MINUTE_US * 60, newest=False):
            trades = each.trades.standing()
            times = trades.rows.time_us
            place = int(np.searchsorted(times, from_us))
            stop = int(np.searchsorted(times, to_us))
            while after is not None and place < stop and trades.key_at(place) <= after:
                place += 1
            while place < stop:
                time_us = int(times[place])
                if time_us >= end_us:
                    yield _open(fold, last, is_over=end_us <= over_us)
                    fold, last = BarFold(page.type), None
                    day_us = page.frame.start_us(time_us)
                    end_us = page.frame.end_us(day_us)
                    if not page.frame.holds(time_us):
                        place = int(np.searchsorted(times, page.frame.next_us(day_us)))
                        continue
                upto = min(stop, int(np.searchsorted(times, end_us)))
                some = trades.at(slice(place, upto))
                bars, rows = fold.take(some.as_ticks(symbol))
                bars.records.data["flags"] |= CLOSED
                pricing = np.flatnonzero((some.rows.flags & VOLUME_ONLY) == 0)
                last = some.key_at(int(pricing[-1])) if len(pricing) else last
                yield _Some(bars, [some.key_at(row) for row in rows.tolist()])
                place = upto
        yield _open(fold, last, is_over=end_us <= over_us)

    def _candles(self, symbol: str, page: BarPage, found: _Some) -> list[Candle]:
        bars = found.bars
        columns = CandleColumns(page.type.name, [symbol] * len(bars), bars.start_us, bars.records)
        return list(columns.candles())

    def _judged(self, symbol: str, page: BarPage, bars: list[Candle]) -> list[Candle]:
        """Tell which are complete: no trade is missing since their day began."""
        from_us, to_us = page.frame.start_us(bars[0].start_us), bars[-1].last_time_us + 1
        spans = open_gaps(self.postgres, symbol, from_us, to_us)
        if not spans:
            return bars
        return [
            replace(bar, complete=False)
            if touches(spans, page.frame.start_us(bar.start_us), bar.last_time_us + 1)
            else bar
            for bar in bars
        ]


def _open(fold: BarFold, last: OrderKey | None, *, is_over: bool) -> _Some:
    """Return the bar that has not ended, if it has a price; closed where its day is over.

    `last`: the place of the day's last trade that makes a price.
    """
    rows = np.flatnonzero(fold.open.records.has(PRICED))
    found = fold.open.at(rows)
    if is_over:
        found.records.data["flags"] |= CLOSED
    return _Some(found, [last] if len(rows) and last is not None else [])


def _joined(parts: list[_Some]) -> _Some:
    """Return the bars of all parts."""
    some = [part for part in parts if part.ends]
    if not some:
        return _Some(NO_BARS, [])
    return _Some(
        Bars(
            np.concatenate([part.bars.start_us for part in some]),
            concatenated([part.bars.records for part in some]),
        ),
        [end for part in some for end in part.ends],
    )
