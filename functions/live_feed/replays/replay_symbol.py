"""Replay of one symbol: its trades and patterns, and candles built from the trades."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.fanout import Message, candle_message, tick_message
from functions.live_feed.replays.replay_candles import ReplayCandles
from functions.live_feed.replays.replay_request import ReplayRequest
from functions.live_feed.replays.replay_source import LOOK_BACK_US, Patterns, Trade, Trades
from shared.errors import TransientError
from shared.market.calendar_timeframes import timeframe_of
from shared.market.order import NO_ORDER_ID
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.wire.patterns import pattern_of

_TRIES: Final = 5
_SIDES: Final = {None: 0, "buy": 1, "sell": 2}

T = TypeVar("T")


@dataclass
class SymbolReplay:
    """Used by one task. Every method that waits raises TransientError and RequestError."""

    symbol: str
    request: ReplayRequest
    history: HistoryApi
    ladder: tuple[Timeframe, ...]

    def __post_init__(self) -> None:
        symbol, request, history, ladder = self.symbol, self.request, self.history, self.ladder
        channels = request.of(symbol)
        names = [each.split(":")[1] for each in channels if each.startswith(live.CANDLES)]
        begin_us = request.from_us - (LOOK_BACK_US if request.by_receipt else 0)
        self._begin_us = max(0, ladder[0].start_us(begin_us))
        self._candles = ReplayCandles(symbol, ladder[0], map(timeframe_of, names))
        self._has_trades = any(not each.startswith(live.PATTERNS) for each in channels)
        self._trades = Trades(
            *(history, symbol, self._begin_us, request.to_us), by_receipt=request.by_receipt
        )
        self._patterns: Patterns | None = None
        if f"{live.PATTERNS}:{symbol}" in channels:
            window_us = int(request.speed * 10_000_000)
            self._patterns = Patterns(history, symbol, request.from_us, request.to_us, window_us)
        self._next_pattern_us: int | None = None

    async def begin(self) -> None:
        """Take the trades of the candle that is open when the replay begins."""
        await _tried(lambda: self._candles.seed(self.history, self.ladder, self._begin_us))
        self._last: Trade | None = None
        while True:
            at_us = await self.next_at(self.request.from_us - 1)
            if at_us is None or at_us >= self.request.from_us:
                return
            self._last = self._trades.take()
            self._candles.take(self._last)

    def before(self, from_us: int) -> list[Message]:
        """Return the last trade and the candles as of the start."""
        messages = self.states(from_us)
        return messages if self._last is None else [*messages, self._tick(self._last)]

    async def next_at(self, until_us: int) -> int | None:
        """Return the time of the next item, if it is known to be by `until_us`."""
        trade_us = await _tried(self._trades.next_at) if self._has_trades else None
        self._next_pattern_us = None
        if self._patterns is not None:
            patterns = self._patterns
            self._next_pattern_us = await _tried(lambda: patterns.next_at(until_us))
        times_us = [each for each in (trade_us, self._next_pattern_us) if each is not None]
        return min(times_us, default=None)

    def play(self, at_us: int) -> list[Message]:
        """Return the items due at the time returned by `next_at`."""
        if self._next_pattern_us == at_us and self._patterns is not None:
            states = self.states(at_us)
            pattern = pattern_of(self._patterns.take())
            payload = pattern.to_message().SerializeToString()
            return [*states, Message(f"{live.PATTERNS}:{self.symbol}", payload)]
        trade = self._trades.take()
        opening: list[Message] = []
        if self._candles.ends_before(max(trade.time_us, at_us)):
            opening = self.states(max(trade.time_us, at_us))
        self._candles.take(trade)
        return [*opening, self._tick(trade)]

    def states(self, now_us: int) -> list[Message]:
        """Return the changed candles, closed if they end by then."""
        return [candle_message(each) for each in self._candles.states(now_us)]

    def _tick(self, trade: Trade) -> Message:
        is_number = trade.id is not None and trade.id.isascii() and trade.id.isdigit()
        return tick_message(
            *(self.symbol, trade.price, trade.size, trade.time_us, trade.received_us),
            volume=max(0, min(int(Decimal(trade.size)), 2**64 - 1)),
            side=_SIDES[trade.side],
            trade_id=trade.id or "",
            order_id=min(int(trade.id or 0), 2**63 - 1) if is_number else NO_ORDER_ID,
            sequence=trade.order,
        )


async def _tried(read: Callable[[], Awaitable[T]]) -> T:
    """Read; retry a few times while the history API is away. Raises TransientError."""
    for _ in range(_TRIES):
        try:
            return await read()
        except TransientError:
            await asyncio.sleep(1.0)
    return await read()
