"""Stored ticks read in slices of time, none larger than memory allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, sql

from functions.history_query.api.parameters import TickPage
from shared.candles.trades import (
    MINUTE_US,
    NO_ROWS,
    Rows,
    TradeIds,
    Trades,
    concatenated,
    trades_of,
)
from shared.errors import TransientError
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import Plan, plan_ticks
from shared.market.order import OrderKey
from shared.market.utc_days import DAY_US
from shared.reading.ranges import (
    COARSE_US,
    in_order,
    last_tick_us,
    rows_of_range,
    stored_last_us,
)
from shared.runtime.memory import return_freed_memory
from shared.stores.postgres import Postgres
from shared.stores.segment_columns import HOUR_US
from shared.stores.segment_ranges import OF_RANGE, bounds, named

P = ParamSpec("P")
T = TypeVar("T")

LARGEST_SLICE: Final = 40_000

_WIDEST_US: Final = 16 * DAY_US
_GROWTH: Final = 4
_MOST_GROWTH: Final = 64
"""If the number of requested ticks is known."""
_READERS: Final = 1
_WAIT_S: Final = 10.0

_EDGE: Final = "SELECT first_time_us FROM tick_segments WHERE {} ORDER BY {} LIMIT 1"
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """All trades in [from_us, to_us)."""

    trades: Trades
    from_us: int
    to_us: int


class TickSlices:
    """Reads slices. Every method raises TransientError while Postgres is away."""

    def __init__(self, postgres: Postgres, cold: Cold = NO_LAKE) -> None:
        self._postgres = postgres
        self._cold = cold
        self._read_slots = threading.BoundedSemaphore(_READERS)

    def slices(
        self,
        symbol: str,
        from_us: int,
        to_us: int,
        width_us: int,
        *,
        newest: bool,
        received_until_us: int | None = None,
        count: int = 0,
    ) -> Iterator[Slice]:
        """Yield slices that cover all ticks in [from_us, to_us), and the rest of its minutes.

        The first is `width_us` wide; the next ones grow while they hold few ticks, to the width
        that the rest of `count` ticks needs, if given. They ascend, or descend if `newest`. Slices
        end on whole minutes unless that makes them too large. Ticks received after
        `received_until_us` are dropped before deduplication. Drop a slice before the next is read.
        """
        low = from_us // MINUTE_US * MINUTE_US
        high = -(-to_us // MINUTE_US) * MINUTE_US
        width = max(-(-width_us // MINUTE_US), 1) * MINUTE_US
        tick_count = 0
        is_empty = True
        while low < high:
            begin: int | None = high - 1 if newest else low
            if is_empty:
                begin = self._with_or_without_lake(self._edge, symbol, low, high, newest=newest)
            if begin is None:
                return
            begin = begin // MINUTE_US * MINUTE_US
            if newest:  # the ticks of the last segment to begin end with its day
                end_of_day = begin - begin % DAY_US + DAY_US
                bounds = max(low, begin + MINUTE_US - width), min(high, end_of_day)
            else:
                bounds = (
                    max(low, begin),
                    min(high, max(low // MINUTE_US * MINUTE_US, begin) + width),
                )
            part = self._with_or_without_lake(
                self._read, symbol, *bounds, received_until_us, newest=newest
            )
            begin, end, size = part.from_us, part.to_us, len(part.trades)
            yield part
            del part  # or two were in memory while the next one is read
            if newest:
                high = begin
            else:
                low = end
            tick_count, is_empty = tick_count + size, not size
            if (begin, end) != bounds:
                width = max((end - begin) // MINUTE_US, 1) * MINUTE_US
            elif size * 2 * _GROWTH <= LARGEST_SLICE:
                wider = width * _GROWTH
                if count > tick_count and not is_empty:
                    needed_us = width * (count - tick_count) // size
                    wider = min(width * _MOST_GROWTH, -(-needed_us // MINUTE_US) * MINUTE_US)
                width = min(wider, _WIDEST_US)

    def watermark_us(self, symbol: str) -> int | None:
        """Return a lower bound of the event time reached in storage; None without any tick."""
        with self._postgres.connection() as connection:
            return last_tick_us(connection, symbol, self._cold)

    def _with_or_without_lake(
        self,
        read: Callable[Concatenate[str, P], T],
        symbol: str,
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Read; if object storage turns out to be away, retry from Postgres, if that has all."""
        had_lake = self._cold.is_there
        try:
            return read(symbol, *args, **options)
        except TransientError:
            if not had_lake or self._cold.is_there:
                raise
            return read(symbol, *args, **options)

    def _plan(self, connection: Connection, symbol: str, low: int, high: int) -> Plan:
        name = symbol if self._cold.is_there else ""
        return plan_ticks(connection, low, high, instrument=name)

    def _edge(self, symbol: str, low: int, high: int, *, newest: bool) -> int | None:
        """Return when the first or the last segment, or row group of the lake, begins.

        The hour where reading begins is searched first, since its lake files are known.
        """
        with self._postgres.connection() as connection:
            near = low, min(high, low + HOUR_US)
            if newest:
                last_us = stored_last_us(connection, symbol)
                end = high if last_us is None else max(min(high, last_us + COARSE_US), low + 1)
                near = max(low, end - HOUR_US), end
            for span in dict.fromkeys((near, (low, high))):
                plan = self._plan(connection, symbol, *span)
                parameters = {**bounds(*span), **plan.parameters, **named(symbol)}
                order = in_order("first_time_us", plan, newest=newest)
                query = sql.SQL(_EDGE).format(sql.SQL(OF_RANGE), order)
                row = connection.execute(query, parameters).fetchone()
                begins = [] if row is None else [int(row[0])]
                for first_us, _, _ in self._cold.extents(plan, symbol, *span, newest=newest):
                    begins.append(first_us)
                    break
                if begins:
                    return max(begins) if newest else min(begins)
        return None

    def _read(
        self, symbol: str, low: int, high: int, received_until_us: int | None, *, newest: bool
    ) -> Slice:
        """Read [low, high), or as much as is not too large from where reading begins."""
        parts: list[Rows] = []
        count = 0
        with self._read_slot():
            for reader in self._sources(symbol, low, high, newest=newest):
                with closing(reader):  # what it read in vain goes before the rest is sorted
                    for first_us, last_us, rows in reader:
                        if last_us < low if newest else first_us >= high:
                            break
                        parts.append(_within(_received(rows, received_until_us), low, high))
                        count += len(parts[-1])
                        while count > LARGEST_SLICE and high - low > 1:
                            low, high = _halved(parts, low, high, newest=newest)
                            parts = [_within(part, low, high) for part in parts]
                            count = sum(map(len, parts))
            rows = concatenated(parts) if parts else NO_ROWS
            parts.clear()
            earlier = self._earlier_in_minute(symbol, low, received_until_us) if len(rows) else None
            return Slice(trades_of(rows, earlier), low, high)

    def _earlier_in_minute(
        self, symbol: str, low: int, received_until_us: int | None
    ) -> TradeIds | None:
        """Return the earlier trades of the minute that a slice begins in; None on its start."""
        minute = low // MINUTE_US * MINUTE_US
        if minute == low:
            return None
        parts = (
            _within(_received(rows, received_until_us), minute, low)
            for reader in self._sources(symbol, minute, low, newest=False)
            for _, _, rows in reader
        )
        return TradeIds.of(minute // MINUTE_US, parts)

    @contextmanager
    def _read_slot(self) -> Iterator[None]:
        """Limit concurrent reads, since each may hold a slice in memory."""
        if not self._read_slots.acquire(timeout=_WAIT_S):
            raise TransientError("too many requests read ticks at once")
        try:
            yield
        finally:
            return_freed_memory()
            self._read_slots.release()

    def _sources(
        self, symbol: str, low: int, high: int, *, newest: bool
    ) -> Iterator[Generator[tuple[int, int, Rows]]]:
        """Yield two readers, of Postgres and of the lake, under one plan.

        Each yields batches of bounded size: first time, last time and rows.
        """
        with self._postgres.connection() as connection:
            plan = self._plan(connection, symbol, low, high)
            yield rows_of_range(connection, symbol, low, high, plan, newest=newest)
        if not plan.is_hot:
            with self._cold.scan():
                yield self._cold.rows(plan, symbol, low, high, newest=newest)


def _received(rows: Rows, until_us: int | None) -> Rows:
    return rows if until_us is None else rows.at(rows.receive_us <= until_us)


def _within(rows: Rows, low: int, high: int) -> Rows:
    inside = (rows.time_us >= low) & (rows.time_us < high)
    return rows if inside.all() else rows.at(inside)


def _halved(parts: list[Rows], low: int, high: int, *, newest: bool) -> tuple[int, int]:
    """Return bounds that hold about half of the rows: the half where reading begins.

    They end on a whole minute, unless less than two are left.
    """
    unit = MINUTE_US if high - low > MINUTE_US else 1
    times = np.concatenate([part.time_us for part in parts])
    middle = int(np.partition(times, len(times) // 2)[len(times) // 2]) // unit * unit
    if newest:
        return min(max(middle, low + unit), high - unit), high
    return low, max(min(middle, high - unit), low + unit)


@dataclass(frozen=True, slots=True)
class TickPages:
    """Reads pages of ticks. Raises TransientError while a store is away.

    `ended`: cancelled and corrected ones too.
    """

    slices: TickSlices
    ended: bool = True

    def whole(self, symbol: str, page: TickPage) -> Iterator[Trades]:
        """Yield all ticks of the page's range in ascending batches, regardless of its limit."""
        from_us, to_us = _bounds(page)
        for part in self.slices.slices(symbol, from_us, to_us, MINUTE_US, newest=False):
            rows = np.flatnonzero(_in_page(part.trades, from_us, to_us, page))
            for first in range(0, len(rows), _AT_ONCE):
                yield part.trades.at(rows[first : first + _AT_ONCE])
            del part

    def page(self, symbol: str, page: TickPage) -> tuple[list[Trades], OrderKey | None]:
        """Return ticks ascending, and the key of the last one read if there are more beyond it.

        Each part has its own decimal scales.
        """
        newest = page.newest
        from_us, to_us = _bounds(page)
        parts: list[Trades] = []
        room = page.limit
        edge: OrderKey | None = None
        slices = self.slices.slices(
            symbol, from_us, to_us, MINUTE_US, newest=newest, count=page.limit
        )
        for source in slices:
            trades = source.trades if self.ended else source.trades.standing()
            rows = np.flatnonzero(_in_page(trades, from_us, to_us, page))
            selected = rows[max(len(rows) - room, 0) :] if newest else rows[:room]
            if len(selected):
                part = trades.at(selected)
                parts = [part, *parts] if newest else [*parts, part]
                room -= len(part)
                edge = trades.key_at(int(selected[0 if newest else -1]))
            if len(rows) > len(selected):
                return parts, edge
            del source, trades
        return parts, None


def _bounds(page: TickPage) -> tuple[int, int]:
    if page.place is None:
        return page.from_us, page.to_us
    edge_us = page.place.event_time_us
    if page.newest:
        return page.from_us, min(page.to_us, edge_us + 1)
    return max(page.from_us, edge_us), page.to_us


def _in_page(trades: Trades, from_us: int, to_us: int, page: TickPage) -> NDArray[np.bool_]:
    time = trades.rows.time_us
    inside = (time >= from_us) & (time < to_us) & trades.prints
    if page.place is not None:
        for row in np.flatnonzero(time == page.place.event_time_us).tolist():
            key = trades.key_at(row)
            inside[row] &= key < page.place if page.newest else key > page.place
    return inside
