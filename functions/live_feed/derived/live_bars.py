"""Information bars of the trading day, for who watches: read again when trades have come."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.hub import Hub
from shared.candles.order_flow import sum_of
from shared.errors import TransientError
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.runtime.tasks import end
from shared.schema import live_pb2
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_of

log = logging.getLogger(__name__)

_EACH_S: Final = 0.25
"""How often they are read at most, and again while the trades are not stored yet."""
_TRIES: Final = 20
_RELOADS: Final = 8
"""How often the whole day is read for a late trade before the newest page, until it is stored."""
_MOST_CORRECTED: Final = 500

Row = Mapping[str, Any]


class LiveBars:
    """One channel of bars. Used by one event loop.

    A state of a base candle is the sign that trades came. The bars are whole once they have all
    trades of the day's candle: as many, of the same volume and notional.
    """

    def __init__(self, channel: str, hub: Hub, history: HistoryApi) -> None:
        type_, self._frame, self.symbol = live.bars_of(channel)
        self._channel, self._hub, self._history = channel, hub, history
        self._type = type_.name
        _, at, days = self._frame.name.partition("@")
        self._asked = f"{self._type}{at}{days}"
        self._base_us = 0
        self._reloads = 0
        self._day_us = -1
        self._rows: list[Row] = []
        self._revisions: dict[int, int] = {}
        self._page = 0
        self._cursor: str | None = None
        self._newest_us = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, candle: Candle, _: int) -> None:
        """Take a state of a base candle: the bars are read again."""
        if self._frame.holds(candle.start_us):
            self._newest_us = max(self._newest_us, candle.start_us)
            if self._page and candle.start_us + self._base_us <= self._page_us():
                self._reloads = _RELOADS
            self._changed.set()

    def _page_us(self) -> int:
        """Return where the newest page begins; while pages are read, all is before it."""
        return self._rows[self._page]["t"] * 1000 if self._page < len(self._rows) else 2**62

    async def begin(self, base: Timeframe) -> None:
        """Learn the present, and follow. Raises TransientError."""
        self._base_us = base.length_us
        newest = await self._history.newest(self.symbol, base.name)
        if newest is not None:
            self._newest_us = max(self._newest_us, newest.start_us)
            await self._read_day(self._frame.start_us(self._newest_us))
        self._task = asyncio.create_task(self._follow(), name=f"live bars {self._channel}")

    async def close(self) -> None:
        """Follow no more."""
        if self._task is not None:
            await end(self._task)

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for _ in range(_TRIES):
                try:
                    if await self._refresh():
                        self._reloads = 0
                        break
                except TransientError as error:
                    log.warning("bars are not read: %s", error)
                await asyncio.sleep(_EACH_S)
                if self._changed.is_set():
                    break
            await asyncio.sleep(_EACH_S)

    async def _refresh(self) -> bool:
        """Read what is new; return whether the bars have all trades of the day."""
        day_us = self._frame.start_us(self._newest_us)
        if day_us > self._day_us >= 0:
            await self._read_page_on()  # the day before is over, and with it its last bar
        if day_us > self._day_us or self._reloads:
            self._reloads = max(self._reloads - 1, 0)
            await self._read_day(day_us)
        else:
            await self._read_page_on()
        end_us = self._frame.next_us(day_us)
        candles = await self._history.candles(self.symbol, self._frame.name, day_us, end_us)
        return bool(candles) and _totals(self._rows) == (
            candles[0].trade_count,
            candles[0].volume,
            candles[0].notional,
        )

    async def _read_day(self, day_us: int) -> None:
        """Read the day's bars from the start."""
        is_first = self._day_us < 0
        known = self._rows if day_us == self._day_us else []
        if day_us != self._day_us:
            self._revisions.clear()
        self._day_us, self._page, self._cursor = day_us, 0, None
        self._rows = await self._pages([])
        self._show(known, everything=not is_first)

    async def _read_page_on(self) -> None:
        """Read the bars from the newest page on."""
        known = self._rows
        self._rows = await self._pages(known[: self._page])
        self._show(known, everything=True)

    async def _pages(self, rows: list[Row]) -> list[Row]:
        """Return the rows before the newest page, and those that follow."""
        end_ms = self._frame.next_us(self._day_us) // 1000
        while True:
            found, cursor = await self._history.bars(
                self.symbol, self._asked, self._day_us, self._cursor
            )
            rows = [*rows, *(each for each in found if each["t"] < end_ms)]
            if cursor is None or not found or found[-1]["t"] >= end_ms:
                return rows
            self._page, self._cursor = len(rows), cursor

    def _show(self, known: list[Row], *, everything: bool) -> None:
        """Give the bars that differ from those known before; first the newest alone."""
        changed = [n for n, row in enumerate(self._rows) if n >= len(known) or row != known[n]]
        if not everything:
            changed = changed[-1:]
        for number in changed[-_MOST_CORRECTED:]:
            self._give(number, self._rows[number], late=number < len(known) - 1)
        for number in range(len(self._rows), len(known)):
            nothing = dict.fromkeys((*"vn", "qv", "bv", "sv"), "0")
            self._give(number, {**known[number], **nothing, "n": 0}, late=True)

    def _give(self, number: int, row: Row, *, late: bool) -> None:
        revision = max(self._revisions.get(number, 0) + 1, time.time_ns() // 1000)
        self._revisions[number] = revision
        shown = {**row, "partial": False, "revision": revision, "origin": "trades"}
        message = candle_of(shown, self.symbol, self._type).to_message()
        message.last_time_us = row["end"] * 1000
        payload = live_pb2.LiveBar(
            candle=message.SerializeToString(), day_us=self._day_us, number=number
        ).SerializeToString()
        self._hub.give(self._channel, payload, late=late)


def _totals(rows: list[Row]) -> tuple[int, Decimal, Decimal]:
    volume, notional = (sum_of([Decimal(row[name]) for row in rows]) for name in ("v", "qv"))
    return sum(int(row["n"]) for row in rows), volume, notional
