"""Candles of recorded ticks, without a pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from local.feeds.tick import Tick
from shared.inputs.conditions import read_conditions
from shared.inputs.line import read_trade_id
from shared.market.decimals import EXACT, to_text
from shared.market.order import NO_ORDER_ID
from shared.market.timeframes import Timeframe
from shared.wire.ticks import INTEGER_ID, VOLUME_ONLY

CandleRow = tuple[int, str, str, str, str, str]
"""Start (us), open, high, low, close, volume; decimals as text."""

_MINUTE_US: Final = 60_000_000

_Key = tuple[int, int]
"""Time (ms) and integer trade id of a tick: its place in the order, to the millisecond."""


@dataclass(slots=True)
class _Growing:
    """A candle; without a first key it has no price, only volume."""

    first: _Key | None = None
    last: _Key = (0, 0)
    open: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    low: Decimal = Decimal(0)
    close: Decimal = Decimal(0)
    volume: Decimal = Decimal(0)

    def add(self, first: _Key, last: _Key, prices: tuple[Decimal, ...]) -> None:
        """Add the open, high, low and close of a part; of equal keys the earlier part opens."""
        opened, high, low, closed = prices
        if self.first is None:
            self.first, self.last = first, last
            self.open, self.high, self.low, self.close = prices
            return
        self.high, self.low = max(self.high, high), min(self.low, low)
        if first < self.first:
            self.open, self.first = opened, first
        if last >= self.last:
            self.close, self.last = closed, last


def candle_rows(ticks: Iterable[Tick], timeframe: Timeframe) -> dict[str, list[CandleRow]]:
    """Return the rows of each symbol, made as the pipeline makes candles.

    Rows ascend; an interval without ticks has none, nor has one whose ticks count for volume only.
    Ticks of one millisecond count by their integer ids, else in their order; repeated ones count
    again.
    Raises ValueError: a tick has no time.
    """
    base_us = timeframe.length_us
    if base_us % _MINUTE_US == 0:
        base_us = _MINUTE_US
    candles_of: dict[str, dict[int, _Growing]] = {}
    for tick in ticks:
        if tick.time_ms is None:
            raise ValueError(f"a tick of {tick.symbol} has no time: no candle is known to hold it")
        conditions = read_conditions(tick.conditions)
        if not conditions.is_trade:
            continue
        start_us = tick.time_ms * 1000 // base_us * base_us
        candle = candles_of.setdefault(tick.symbol, {}).setdefault(start_us, _Growing())
        candle.volume = EXACT.add(candle.volume, Decimal(tick.size or 0))
        if not conditions.flags & VOLUME_ONLY:
            kind, number, _ = read_trade_id("trade_id", tick.trade_id)
            key = tick.time_ms, number if kind == INTEGER_ID else NO_ORDER_ID
            candle.add(key, key, (Decimal(tick.price),) * 4)
    return {symbol: _rows(candles, timeframe) for symbol, candles in candles_of.items()}


def _rows(base: dict[int, _Growing], timeframe: Timeframe) -> list[CandleRow]:
    """Return the rows of the timeframe, folded from base candles that have a price."""
    longer: dict[int, _Growing] = {}
    for start_us, part in sorted(base.items()):
        if part.first is not None:
            whole = longer.setdefault(timeframe.start_us(start_us), _Growing())
            whole.add(part.first, part.last, (part.open, part.high, part.low, part.close))
            whole.volume = EXACT.add(whole.volume, part.volume)
    return [
        (start, to_text(c.open), to_text(c.high), to_text(c.low), to_text(c.close),
         to_text(c.volume))
        for start, c in longer.items()
    ]  # fmt: skip
