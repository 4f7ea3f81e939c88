"""Pages of information bars, made on reading of the stored trades of whole trading days."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from functions.history_query.api.formats import Row, RowsOnRead
from functions.history_query.api.parameters import FURTHEST_US, BarPage, now_us
from functions.history_query.queries.bar_checkpoints import MadeBars, joined
from functions.history_query.queries.bar_days import BarDays, BarRange
from functions.history_query.queries.closed_and_live import open_gaps
from shared.candles.bar_fold import Bars
from shared.candles.trades import MINUTE_US
from shared.market.order import OrderKey
from shared.stores.postgres import Postgres
from shared.wire.candle_columns import CandleColumns
from shared.wire.candle_json import candle_rows
from shared.wire.gaps import touches

_SLICES: Final = 64
"""Slices of trades that a forward page reads at most, once it has a bar."""
BAR_FIELDS: Final = ("t", "end", *"ohlcv", "qv", "vw", "n", "bv", "sv", "closed", "complete")
"""Fields of a bar in its output form."""
_QUIET_US: Final = 60_000_000
"""A day is over this long after its end by the clock, regardless of the watermark."""


class BarsOfPage(NamedTuple):
    """Bars of a page; `edge`: where the next page begins; `first`: where the first bar ends."""

    bars: Sequence[Row]
    edge: OrderKey | None
    first: OrderKey | None


@dataclass(frozen=True, slots=True)
class BarPages:
    """Reads pages. `allowed_lateness_us`: the same as candle-aggregate's.

    Raises TransientError while a store is away.
    """

    days: BarDays
    postgres: Postgres
    allowed_lateness_us: int

    def page(self, symbol: str, page: BarPage) -> BarsOfPage:
        """Return bars ascending, and where the next page begins, if there are more.

        A page may hold fewer bars than its limit although there are more.
        """
        watermark_us = self.days.slices.watermark_us(symbol) or 0
        over_us = max(watermark_us - self.allowed_lateness_us, now_us() - _QUIET_US, 0)
        if page.newest:
            page_bars, has_more = self._newest(symbol, page, over_us, watermark_us)
        else:
            page_bars, has_more = self._following(symbol, page, over_us)
        if not len(page_bars):
            return BarsOfPage([], None, None)
        edge = page_bars.end(0 if page.newest else -1) if has_more else None
        return BarsOfPage(self._rows(symbol, page, page_bars.bars), edge, page_bars.end(0))

    def before(
        self, symbol: str, page: BarPage, place: OrderKey | None, count: int
    ) -> Sequence[Sequence[Row]]:
        """Return up to `count` bars before the one that ends at `place`, as one page."""
        earlier = replace(page, from_us=0, to_us=FURTHEST_US, limit=count, newest=True, place=place)
        return [self.page(symbol, earlier).bars]

    def _following(self, symbol: str, page: BarPage, over_us: int) -> tuple[MadeBars, bool]:
        """Return the first bars of a range: from the previous page's end, or its day's start."""
        begin_us = page.frame.start_us(page.from_us)
        if page.place is not None:  # no state carries over from bar to bar
            begin_us = page.place.event_time_us
        last = max(page.to_us - 1, 0)
        end_us = max(page.frame.end_us(page.frame.start_us(last)), page.to_us)
        parts: list[MadeBars] = []
        count = 0
        bar_range = BarRange(
            *(symbol, page, begin_us, end_us, over_us), needed_us=page.from_us, after=page.place
        )
        with closing(self.days.read(bar_range)) as batches:
            for number, batch in enumerate(batches, 1):
                first = int(np.searchsorted(batch.bars.start_us, page.from_us))
                stop = int(np.searchsorted(batch.bars.start_us, page.to_us))
                parts.append(batch.at(range(first, min(stop, first + page.limit - count))))
                count += len(parts[-1])
                if count == page.limit and stop > first + len(parts[-1]):
                    return joined(parts), True
                if stop < len(batch):
                    return joined(parts), False
                if number >= _SLICES and count:
                    return joined(parts), True
        return joined(parts), False

    def _newest(
        self, symbol: str, page: BarPage, over_us: int, watermark_us: int
    ) -> tuple[MadeBars, bool]:
        """Return the last bars of a range, day by day backwards."""
        parts: deque[MadeBars] = deque()
        count, high = 0, page.to_us
        if page.place is not None:
            high = min(high, page.place.event_time_us + 1)
        while count <= page.limit:
            last_us: int | None = watermark_us
            if not page.from_us <= watermark_us < high:
                last_us = self._last_us(symbol, page.from_us, high)
            if last_us is None:
                break
            begin_us = page.frame.start_us(last_us)
            bar_range = BarRange(
                *(symbol, page, begin_us, page.frame.end_us(begin_us), over_us),
                needed_us=high - 1,
                fewest=page.limit + 1,
            )
            day = self._last_of_day(page, bar_range)
            parts.extendleft(reversed(day))
            count += sum(map(len, day))
            high = begin_us
        bars = joined(list(parts))
        first = max(count - page.limit, 0)
        return bars.at(range(first, count)), first > 0

    def _last_of_day(self, page: BarPage, bar_range: BarRange) -> deque[MadeBars]:
        """Return the last bars of a day: if there are enough, more than the page holds."""
        day: deque[MadeBars] = deque()
        count = 0
        with closing(self.days.read(bar_range)) as batches:
            for batch in batches:
                stop = int(np.searchsorted(batch.bars.start_us, page.to_us))
                if page.place is not None:
                    stop = min(stop, bisect_left(batch.ends.tolist(), [*page.place]))
                day.append(batch.at(range(stop)))
                count += stop
                while count - len(day[0]) > page.limit:
                    count -= len(day.popleft())
                if stop < len(batch):
                    break
        return day

    def _last_us(self, symbol: str, from_us: int, to_us: int) -> int | None:
        """Return the time of the last trade in the range."""
        for part in self.days.slices.slices(symbol, from_us, to_us, MINUTE_US, newest=True):
            times = part.trades.rows.time_us
            inside = times[(from_us <= times) & (times < to_us)]
            if len(inside):
                return int(inside[-1])
        return None

    def _rows(self, symbol: str, page: BarPage, bars: Bars) -> Sequence[Row]:
        """Return rows; `complete`: no trade is missing since the start of its day."""
        first_us = page.frame.start_us(int(bars.start_us[0]))
        with self.postgres.autocommit() as connection:
            last_us = int(bars.records.data["last"][-1, 0])
            spans = open_gaps(connection, symbol, first_us, last_us + 1).fetchall()

        def rendered(rows: range) -> list[Row]:
            some = bars.at(np.arange(rows.start, rows.stop))
            columns = CandleColumns(
                page.type.name, [symbol] * len(some), some.start_us, some.records
            ).as_lists()
            times = zip(columns["start_us"], columns["last_time_us"], strict=True)
            bar_rows = candle_rows(columns)
            for row, (start_us, end_us) in zip(bar_rows, times, strict=True):
                row["end"] = end_us // 1000
                row["complete"] &= not touches(spans, page.frame.start_us(start_us), end_us + 1)
            return [{name: row[name] for name in BAR_FIELDS} for row in bar_rows]

        return RowsOnRead(len(bars), rendered)
