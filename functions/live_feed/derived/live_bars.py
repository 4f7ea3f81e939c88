"""Live information bars: a trading day's bars are re-read when its trades change."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.hub import Hub
from shared.candles.order_flow import sum_of
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.schema import live_pb2
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_of

_TRIES: Final = 20
_MAX_CORRECTED: Final = 500
_NEVER: Final = 2**62
_TAIL: Final = 20
"""Minimum number of bars re-read with each change; all of the last base intervals are."""
_PAGE: Final = 5_000
"""Bars of a page."""
_REST: Final = 3
"""The pause before the next read, as a multiple of the last one's duration."""
_DAYS: Final = 4
"""Days kept in memory, so that only differences are sent."""

Row = Mapping[str, Any]


@dataclass(slots=True)
class _Day:
    """The bars of one trading day as last read. `is_fresh`: never read before.

    `page`: number of bars before the newest page, which starts after `cursor`. `revisions`: the
    last one sent, by bar number.
    """

    start_us: int
    end_us: int
    rows: list[Row] = field(default_factory=list)
    page: int = 0
    cursor: str | None = None
    revisions: dict[int, int] = field(default_factory=dict)
    is_fresh: bool = True

    def is_before_page(self, time_us: int) -> bool:
        """Whether a change from a time on may affect a bar before the newest page."""
        if not self.page:
            return False
        return self.page >= len(self.rows) or time_us <= self.rows[self.page]["t"] * 1000

    def tail(self, base_us: int) -> int:
        """Return the number of bars that trades may still change: the last two base intervals."""
        if not self.rows:
            return 0
        since_us = (self.rows[-1]["t"] * 1000 // base_us - 1) * base_us
        older = (n for n, row in enumerate(reversed(self.rows)) if row["t"] * 1000 < since_us)
        return max(_TAIL, next(older, len(self.rows)) + 1)

    def changed(
        self, previous: list[Row], from_us: int, *, marks_end: bool
    ) -> Iterator[tuple[int, Row]]:
        """Yield numbers and bars that differ from the previous ones; without any, from a time on.

        A bar that no longer exists is sent without trades. `marks_end`: without previous bars, send
        one empty bar after the last.
        """
        for number, row in enumerate(self.rows):
            if number < len(previous):
                differs = row != previous[number]
            else:
                differs = bool(previous) or row["end"] * 1000 >= from_us
            if differs:
                yield number, row
        removed = previous[len(self.rows) :]
        if marks_end and not previous:
            removed = self.rows[-1:]
        for number, row in enumerate(removed, len(self.rows)):
            yield number, {**row, **dict.fromkeys(("v", "qv", "bv", "sv"), "0"), "n": 0}


class LiveBars:
    """One channel of bars. Used by one event loop. `candles`: the channel of its base candles.

    A new state of a base candle indicates new trades. A day's bars are up to date once they contain
    all trades of the day's candle: the same count, volume and notional.
    """

    def __init__(self, channel: str, hub: Hub, history: HistoryApi, base: Timeframe) -> None:
        type_, self._frame, self._symbol = live.bars_of(channel)
        self.candles = f"{live.CANDLES}:{base}:{self._symbol}"
        self._channel, self._hub, self._history = channel, hub, history
        self._type = type_.name
        _, at, days = self._frame.name.partition("@")
        self._query_type = f"{self._type}{at}{days}"
        self._base = base
        self._days: dict[int, _Day] = {}
        self._behind: dict[int, tuple[int, int]] = {}
        self._last_us = _NEVER
        self._not_before_s = 0.0

    def take(self, candle: Candle, _: int) -> None:
        """Take a state of a base candle: the bars of its day are re-read from there on."""
        if self._frame.holds(candle.start_us):
            self._mark(self._frame.start_us(candle.start_us), candle.start_us, _TRIES)

    def due_s(self) -> float:
        """Return in how many seconds to read it."""
        return self._not_before_s - time.monotonic() if self._behind else math.inf

    async def begin(self) -> None:
        """Send the newest bar of the newest day. Raises TransientError."""
        newest = await self._history.newest(self._symbol, self._base.name)
        if newest is None:
            return
        day = self._day(self._frame.start_us(newest.start_us))
        await self._read(day, whole=True)
        day.is_fresh = False
        if day.rows:
            self._give(day, len(day.rows) - 1, day.rows[-1], late=False)

    async def read(self) -> None:
        """Read one day that changed: the newest, then another. Raises TransientError."""
        began_s = time.monotonic()
        day_us = self._last_us = max(self._behind.keys() - {self._last_us} or self._behind)
        from_us, tries = self._behind.pop(day_us)
        try:
            tries = 0 if await self._refresh(day_us, from_us) else tries - 1
        finally:  # a read that fails is no try
            if tries:
                self._mark(day_us, from_us, tries)
        self._not_before_s = time.monotonic() + _REST * (time.monotonic() - began_s)

    def _mark(self, day_us: int, from_us: int, tries: int) -> None:
        """Note that bars of a day from a time on are outdated, and how often to read them."""
        before_us, before = self._behind.get(day_us, (from_us, tries))
        self._behind[day_us] = min(from_us, before_us), max(tries, before)

    async def _refresh(self, day_us: int, from_us: int) -> bool:
        """Read what is new on a day; return whether its bars have all its trades."""
        newest_us = max(self._days, default=day_us)
        if day_us > newest_us:
            # The day and its last bar are over.
            await self._reread(self._days[newest_us], _NEVER)
        day = self._day(day_us)
        await self._reread(day, from_us)
        candles = await self._history.candles(
            self._symbol, self._frame.name, day.start_us, day.end_us
        )
        return bool(candles) and _totals(day.rows) == (
            candles[0].trade_count,
            candles[0].volume,
            candles[0].notional,
        )

    def _day(self, start_us: int) -> _Day:
        """Return a day; evict the oldest if there are too many."""
        if start_us not in self._days:
            self._days[start_us] = _Day(start_us, self._frame.next_us(start_us))
            if len(self._days) > _DAYS:
                del self._days[min(self._days.keys() - {start_us})]
        return self._days[start_us]

    async def _reread(self, day: _Day, from_us: int) -> None:
        """Read a day, from its newest page if nothing before it changed; send the differences."""
        is_newest = day.start_us == max(self._days)
        previous = day.rows
        whole = day.is_fresh or day.is_before_page(from_us)
        await self._read(day, whole=whole)
        day.is_fresh = False
        # On a new day all bars are new; on an earlier one, those from the change on.
        changed = list(day.changed(previous, 0 if is_newest else from_us, marks_end=not is_newest))
        for number, row in changed[-_MAX_CORRECTED:]:
            self._give(day, number, row, late=not is_newest or number < len(previous) - 1)

    async def _read(self, day: _Day, *, whole: bool) -> None:
        """Read a day's bars, all or from the newest page on, which advances as they grow."""
        page, cursor = (0, None) if whole else (day.page, day.cursor)
        settled = 0 if whole else len(day.rows) - page - day.tail(self._base.length_us)
        limit = settled if 2 * _TAIL <= settled <= _PAGE else _PAGE
        rows = day.rows[:page]
        pages = [(page, cursor)]
        while True:
            bars, after = await self._history.bars(
                self._symbol, self._query_type, day.start_us, pages[-1][1], limit
            )
            rows += [each for each in bars if each["t"] * 1000 < day.end_us]
            if after is None or not bars or bars[-1]["t"] * 1000 >= day.end_us:
                break
            pages.append((len(rows), after))
            limit = _PAGE
        day.rows = rows
        newest = len(rows) - day.tail(self._base.length_us)
        day.page, day.cursor = next((e for e in reversed(pages) if e[0] <= newest), pages[0])

    def _give(self, day: _Day, number: int, row: Row, *, late: bool) -> None:
        revision = max(day.revisions.get(number, 0) + 1, time.time_ns() // 1000)
        day.revisions[number] = revision
        fields = {**row, "partial": False, "revision": revision, "origin": "trades"}
        message = candle_of(fields, self._symbol, self._type).to_message()
        message.last_time_us = row["end"] * 1000
        payload = live_pb2.LiveBar(
            candle=message.SerializeToString(), day_us=day.start_us, number=number
        ).SerializeToString()
        self._hub.publish(self._channel, payload, late=late)


def _totals(rows: list[Row]) -> tuple[int, Decimal, Decimal]:
    volume, notional = (sum_of([Decimal(row[name]) for row in rows]) for name in ("v", "qv"))
    return sum(int(row["n"]) for row in rows), volume, notional
