"""A candle as everybody sees it, and its form as one message."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from shared.market.decimals import to_text
from shared.schema import candles_pb2

TRADES: Final = "trades"
VENUE: Final = "venue"

CandleKey = tuple[str, str, int]
"""Instrument, timeframe, start_us."""


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low, close, volume and more over [start_us, start_us + timeframe), event time.

    Prices and sizes are exact decimals; `notional` is the sum of price x size, so VWAP is
    notional / volume. `revision` grows with every change; consumers keep the highest. `origin`:
    TRADES, or VENUE where it is as the venue publishes it, or folded from one that is.
    """

    instrument: str
    timeframe: str
    start_us: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal
    trade_count: int
    buy_volume: Decimal
    sell_volume: Decimal
    first_time_us: int
    last_time_us: int
    closed: bool = False
    partial: bool = False
    complete: bool = True
    revision: int = 0
    origin: str = TRADES

    @property
    def numbers(self) -> tuple[Decimal, ...]:
        """Its exact decimals."""
        return (
            *(self.open, self.high, self.low, self.close),
            *(self.volume, self.notional, self.buy_volume, self.sell_volume),
        )

    def to_message(self) -> candles_pb2.Candle:
        """Return the protobuf form, decimals as canonical text."""
        return candles_pb2.Candle(
            instrument=self.instrument,
            timeframe=self.timeframe,
            start_us=self.start_us,
            open=to_text(self.open),
            high=to_text(self.high),
            low=to_text(self.low),
            close=to_text(self.close),
            volume=to_text(self.volume),
            notional=to_text(self.notional),
            trade_count=self.trade_count,
            buy_volume=to_text(self.buy_volume),
            sell_volume=to_text(self.sell_volume),
            first_time_us=self.first_time_us,
            last_time_us=self.last_time_us,
            closed=self.closed,
            partial=self.partial,
            complete=self.complete,
            revision=self.revision,
            origin=self.origin,
        )

    @classmethod
    def from_message(cls, message: candles_pb2.Candle) -> Candle:
        """Read the protobuf form. Raises decimal.InvalidOperation on a text that is no decimal."""
        return cls(
            instrument=message.instrument,
            timeframe=message.timeframe,
            start_us=message.start_us,
            open=Decimal(message.open),
            high=Decimal(message.high),
            low=Decimal(message.low),
            close=Decimal(message.close),
            volume=Decimal(message.volume),
            notional=Decimal(message.notional),
            trade_count=message.trade_count,
            buy_volume=Decimal(message.buy_volume),
            sell_volume=Decimal(message.sell_volume),
            first_time_us=message.first_time_us,
            last_time_us=message.last_time_us,
            closed=message.closed,
            partial=message.partial,
            complete=message.complete,
            revision=message.revision,
            origin=message.origin or TRADES,
        )
