"""Candles of one symbol, built from replayed trades: the base, and folded longer ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from functions.live_feed.derived.folding import Folding
from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.replays.replay_source import Trade
from shared.market.decimals import EXACT
from shared.market.timeframes import Timeframe
from shared.wire.candle import Candle

_REMEMBERED: Final = 64
_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class _Growing:
    """A base candle; `first` and `last` are the order keys of its open and close trades.

    Without them no trade has moved a price yet, and there is no candle to show.
    """

    open: Decimal = _ZERO
    high: Decimal = _ZERO
    low: Decimal = _ZERO
    close: Decimal = _ZERO
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    volume: Decimal = _ZERO
    notional: Decimal = _ZERO
    count: int = 0
    bought: Decimal = _ZERO
    sold: Decimal = _ZERO
    closed: bool = False

    def take(self, trade: Trade) -> None:
        """Add a trade, in any order."""
        price, size = Decimal(trade.price), Decimal(trade.size)
        if trade.moves_price:
            self._move(price, (trade.time_us, trade.order))
        self.volume = EXACT.add(self.volume, size)
        self.notional = EXACT.add(self.notional, EXACT.multiply(price, size))
        self.count += 1
        if trade.side == "buy":
            self.bought = EXACT.add(self.bought, size)
        elif trade.side == "sell":
            self.sold = EXACT.add(self.sold, size)

    def _move(self, price: Decimal, order: tuple[int, int]) -> None:
        if self.first is None or self.last is None:
            self.open = self.high = self.low = self.close = price
            self.first = self.last = order
            return
        if order <= self.first:
            self.open, self.first = price, order
        if order >= self.last:
            self.close, self.last = price, order
        self.high, self.low = max(self.high, price), min(self.low, price)

    def candle(self, symbol: str, timeframe: str, start_us: int, revision: int) -> Candle:
        """Return its state, after a trade has moved its price."""
        assert self.first is not None
        assert self.last is not None
        return Candle(
            *(symbol, timeframe, start_us, self.open, self.high, self.low, self.close),
            *(self.volume, self.notional, self.count, self.bought, self.sold),
            *(self.first[0], self.last[0], self.closed),
            revision=revision,
        )


class ReplayCandles:
    """Accepts trades in any order. A revision is the replay time in microseconds, ascending.

    So a replay that restarts at a later time outranks the previous one.
    """

    def __init__(self, symbol: str, base: Timeframe, timeframes: Iterable[Timeframe]) -> None:
        frames = set(timeframes)
        self._symbol = symbol
        self._base = base
        self._shows_base = base in frames
        self._foldings = {each: Folding(each) for each in frames - {base}}
        self._open: dict[Timeframe, int] = {}
        self._growing: dict[int, _Growing] = {}
        self._changed: set[int] = set()
        self._revision = 0

    async def seed(self, history: HistoryApi, ladder: tuple[Timeframe, ...], begin_us: int) -> None:
        """Load what longer candles contained before `begin_us`, the start of a base candle."""

        async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
            if from_us >= begin_us:
                return []
            return await history.candles(self._symbol, frame.name, from_us, to_us)

        for folding in self._foldings.values():
            await folding.seed(ladder, begin_us, read)

    def take(self, trade: Trade) -> None:
        """Add a trade; trades before the last intervals no longer change a candle."""
        start_us = self._base.start_us(trade.time_us)
        growing = self._growing.get(start_us)
        if growing is None:
            if len(self._growing) >= _REMEMBERED:
                oldest = min(self._growing)
                if start_us < oldest:
                    return
                del self._growing[oldest]
            growing = self._growing[start_us] = _Growing()
        growing.take(trade)
        self._changed.add(start_us)

    def ends_before(self, time_us: int) -> bool:
        """Whether an open or changed candle ends by then: it is shown before more trades."""
        return any(
            self._base.next_us(start) <= time_us for start in self._growing if self._is_due(start)
        )

    def states(self, now_us: int) -> Iterator[Candle]:
        """Yield changed candles; those that end by `now_us` are closed."""
        due = [s for s in self._growing if self._is_due(s) and self._base.next_us(s) <= now_us]
        for start_us in sorted(self._changed.union(due)):
            growing = self._growing.get(start_us)
            if growing is None:
                continue
            growing.closed = growing.closed or self._base.next_us(start_us) <= now_us
            if growing.first is None:
                continue
            base = growing.candle(self._symbol, self._base.name, start_us, self._next(now_us))
            if self._shows_base:
                yield base
            for frame, folding in self._foldings.items():
                yield from self._longer(frame, folding.take(base, now_us), now_us)
        self._changed.clear()
        for frame, start_us in list(self._open.items()):
            if frame.end_us(start_us) <= now_us:
                yield from self._longer(frame, self._foldings[frame].present(now_us), now_us)

    def _longer(self, frame: Timeframe, candle: Candle | None, now_us: int) -> Iterator[Candle]:
        if candle is None:
            return
        if candle.closed:
            self._open.pop(frame, None)
        else:
            self._open[frame] = candle.start_us
        yield replace(candle, revision=self._next(now_us))

    def _is_due(self, start_us: int) -> bool:
        return start_us in self._changed or not self._growing[start_us].closed

    def _next(self, now_us: int) -> int:
        self._revision = max(self._revision + 1, now_us)
        return self._revision
