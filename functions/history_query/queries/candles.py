"""Pages of candles: stored ones, and those folded on read from shorter ones or from ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np
import orjson

from functions.history_query.api.formats import Row, RowsOnRead, held
from functions.history_query.api.parameters import MAX_LIMIT, Page, now_us
from functions.history_query.queries.closed_and_live import StoredCandles, open_gaps
from functions.history_query.queries.tick_slices import TickSlices
from shared.candles.folds import KeyedRecords, merged
from shared.candles.partials import partials
from shared.candles.roll_up import folded
from shared.market.blocks import PRICED
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US
from shared.reading.stored_candles import Ranges
from shared.stores.first_ticks import NEVER_US, beginnings, first_ticks
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_json
from shared.wire.gaps import touches

_AT_ONCE: Final = 2_001
_PART_BATCHES: Final = 30
_TICK_SLICES: Final = 16


@dataclass(frozen=True, slots=True)
class CandlePages:
    """Reads pages. `ladder`: the kept timeframes; `allowed_lateness_us`: as where they are made.

    Both methods raise TransientError while a store is away.
    """

    stored: StoredCandles
    slices: TickSlices
    ladder: tuple[Timeframe, ...]
    allowed_lateness_us: int

    def page(self, symbol: str, page: Page) -> tuple[Sequence[Row], str | None]:
        """Return candles in ascending order, and a cursor when there are more in the range.

        A page may hold fewer candles than its limit and still have a cursor, since each page reads
        a bounded amount.
        """
        timeframe = page.timeframe
        part = page.resolution.part if type(timeframe) is Timeframe else None
        rows: Sequence[Row]
        if part is not None and page.resolution.is_stored and page.as_of_us is None:
            rows, has_more = self._stored(symbol, page, part)
        else:
            packed, has_more = self._computed(symbol, page, now_us())
            rows = self._marked(symbol, page, packed)
        return rows, page.cursor(rows) if has_more else None

    def before(self, symbol: str, page: Page, start_us: int, count: int) -> Iterator[Sequence[Row]]:
        """Yield up to `count` candles before a candle of the page, in pages, the latest first."""
        earlier = replace(page, from_us=0, newest=True)
        while count > 0:
            limit = min(count, MAX_LIMIT)
            rows, cursor = self.page(symbol, replace(earlier, to_us=start_us, limit=limit))
            if not rows:
                return
            count = count - len(rows) if cursor else 0
            start_us = rows[0]["t"] * 1000
            yield rows
            del rows

    def exists(self, symbol: str) -> bool:
        """Tell whether the instrument was ever seen."""
        return self.stored.exists(symbol) or self.slices.watermark_us(symbol) is not None

    def _marked(self, symbol: str, page: Page, packed: Sequence[str]) -> Sequence[Row]:
        """Set `partial` of candles folded on read, and clear `complete` of those in a gap."""
        if not packed:
            return ()
        first, last = (orjson.loads(packed[at])["t"] * 1000 for at in (0, -1))
        bounds = first, page.timeframe.end_us(last)
        spans: Sequence[tuple[int, int]] = ()
        of_ticks = page.resolution.part is None or page.as_of_us is not None
        with self.stored.postgres.autocommit() as connection:
            first_us = (first_ticks if of_ticks else beginnings)(connection, [symbol])[0]
            if page.as_of_us is None:
                spans = open_gaps(connection, symbol, *bounds).fetchall()

        def rendered(some: range) -> Sequence[Row]:
            rows = [orjson.loads(each) for each in packed[some.start : some.stop]]
            for row in rows:
                start_us = row["t"] * 1000
                end_us = page.timeframe.end_us(start_us)
                # A part that lies wholly in a gap does not exist, and so cannot mark them.
                row["complete"] &= not touches(spans, start_us, end_us)
                if first_us != NEVER_US:  # else the parts tell: the first tick is not stored yet
                    row["partial"] = bool(start_us < first_us < end_us)
            return rows

        return RowsOnRead(len(packed), rendered)

    def _stored(self, symbol: str, page: Page, part: Timeframe) -> tuple[Sequence[Row], bool]:
        """Return stored candles of the timeframe, possibly under another name, ascending."""
        ranges = Ranges.same(part.name, [symbol], page.from_us, page.to_us, newest=page.newest)
        batches = self.stored.batches(ranges, _AT_ONCE, page.limit + 1)
        rows = (row for batch in batches for row in batch.rows())
        found = held(islice(rows, page.limit), newest=page.newest)
        return found, next(rows, None) is not None

    def _computed(self, symbol: str, page: Page, now_us: int) -> tuple[list[str], bool]:
        """Return candles folded from ticks or from shorter candles, ascending, each as JSON."""
        part, as_of_us = page.resolution.part, page.as_of_us
        of_ticks = part is None or as_of_us is not None
        passed_us = 0
        if as_of_us is None and not page.resolution.is_stored:
            # Read before the candles: these then include everything up to it. That of stored ticks
            # for candles of ticks: live ones may be ahead of it.
            watermark_us = (self.slices if of_ticks else self.stored).watermark_us(symbol)
            passed_us = 0 if watermark_us is None else watermark_us - self.allowed_lateness_us

        def is_closed(candle: Candle) -> bool:
            end_us = page.timeframe.end_us(candle.start_us)
            if as_of_us is not None:
                return end_us <= as_of_us
            if of_ticks:
                return end_us <= passed_us or (
                    end_us <= now_us and self._stored_closed(candle, end_us)
                )
            # A quiet instrument's parts were closed by the clock, so this candle is closed too.
            return candle.closed and (page.resolution.is_stored or end_us <= max(passed_us, now_us))

        candles, has_more = folded(
            self._pieces(symbol, page)
            if part is None or as_of_us is not None
            else self._parts(symbol, page, part),
            page.timeframe,
            page.limit,
            # As text: candles of a large page are much memory, as is what `dumps` writes them in.
            lambda each: orjson.dumps(candle_json(each) | {"closed": is_closed(each)}).decode(),
            newest=page.newest,
            max_batches=_TICK_SLICES if of_ticks else _PART_BATCHES,
        )
        return candles[::-1] if page.newest else candles, has_more

    def _parts(self, symbol: str, page: Page, part: Timeframe) -> Iterator[Iterator[Candle]]:
        """Yield the stored candles that those of the page are folded from."""
        ranges = Ranges.same(part.name, [symbol], page.from_us, page.to_us, newest=page.newest)
        parts_each = page.timeframe.length_us // part.length_us
        size = min((page.limit + 1) * parts_each, _AT_ONCE)
        for batch in self.stored.batches(ranges, size):
            yield batch.candles(part.name, [symbol])

    def _pieces(self, symbol: str, page: Page) -> Iterator[Iterator[Candle]]:
        """Yield whole candles from slices of ticks; one cut by an edge waits for the next slice.

        Timeframe: the page's, or the base if the page's is folded from it.
        """
        timeframe = page.timeframe if page.resolution.part is None else self.ladder[0]
        width_us = min((page.limit + 1) * page.timeframe.length_us, DAY_US)
        cut: KeyedRecords | None = None
        for part in self.slices.slices(
            *(symbol, page.from_us, page.to_us, width_us),
            newest=page.newest,
            received_until_us=page.as_of_us,
        ):
            ticks = part.trades.standing().as_ticks(symbol)
            places = partials(ticks, timeframe.length_us)
            del part, ticks
            if cut is not None:
                places = merged(KeyedRecords.of([places, cut]))
            if len(places):
                edge = np.arange(len(places)) == (0 if page.newest else len(places) - 1)
                places, cut = places.at(~edge), places.at(edge)
            yield self._candles(symbol, page, timeframe, places)
        if cut is not None:
            yield self._candles(symbol, page, timeframe, cut)

    def _candles(
        self, symbol: str, page: Page, timeframe: Timeframe, places: KeyedRecords
    ) -> Iterator[Candle]:
        """Yield the candles that have a price and start within the page, in reading order."""
        starts = places.start_us
        inside = places.records.has(PRICED) & (page.from_us <= starts) & (starts < page.to_us)
        rows = np.flatnonzero(inside)[:: -1 if page.newest else 1]
        for first in range(0, len(rows), _AT_ONCE):
            some = places.at(rows[first : first + _AT_ONCE])
            yield from some.columns(timeframe.name, [symbol]).candles()

    def _stored_closed(self, candle: Candle, end_us: int) -> bool:
        """Tell whether every stored candle that overlaps this one is closed, by the clock."""
        base = self.ladder[0]
        from_us = base.start_us(candle.start_us)
        count = (end_us - from_us) // base.length_us + 1
        ranges = Ranges(base.name, [candle.instrument], [from_us], [end_us], count, newest=True)
        parts = self.stored.read(ranges).traded
        return bool(len(parts)) and all(parts.columns["closed"])
