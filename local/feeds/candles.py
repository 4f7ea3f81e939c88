"""Candles of recorded ticks, without a pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from local.feeds.tick import Tick
from shared.market.decimals import EXACT, to_text
from shared.market.timeframes import Timeframe

CandleRow = tuple[int, str, str, str, str, str]
"""Start (us), open, high, low, close, volume; decimals as text."""


@dataclass(slots=True)
class _Growing:
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    first_ms: int
    last_ms: int


def candle_rows(ticks: Iterable[Tick], timeframe: Timeframe) -> dict[str, list[CandleRow]]:
    """Return the rows of each symbol.

    Rows ascend; an interval without ticks has none. Ticks of equal time count in their order.
    Raises ValueError: a tick has no time.
    """
    candles_of: dict[str, dict[int, _Growing]] = {}
    for tick in ticks:
        if tick.time_ms is None:
            raise ValueError(f"a tick of {tick.symbol} has no time: no candle is known to hold it")
        start_us = timeframe.start_us(tick.time_ms * 1000)
        price, size = Decimal(tick.price), Decimal(tick.size or 0)
        candles = candles_of.setdefault(tick.symbol, {})
        candle = candles.get(start_us)
        if candle is None:
            candles[start_us] = _Growing(
                price, price, price, price, size, tick.time_ms, tick.time_ms
            )
            continue
        candle.high = max(candle.high, price)
        candle.low = min(candle.low, price)
        candle.volume = EXACT.add(candle.volume, size)
        if tick.time_ms < candle.first_ms:
            candle.open, candle.first_ms = price, tick.time_ms
        if tick.time_ms >= candle.last_ms:
            candle.close, candle.last_ms = price, tick.time_ms
    return {
        symbol: [
            (start, to_text(c.open), to_text(c.high), to_text(c.low), to_text(c.close),
             to_text(c.volume))
            for start, c in sorted(candles.items())
        ]
        for symbol, candles in candles_of.items()
    }  # fmt: skip
