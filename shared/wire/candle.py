"""A candle as a value, and its protobuf form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from shared.schema import candles_pb2
from shared.wire.message_fields import MessageFields

TRADES: Final = "trades"
VENUE: Final = "venue"

CandleKey = tuple[str, str, int]
"""Instrument, timeframe, start_us."""


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low, close, volume and more over [start_us, start_us + timeframe), event time.

    Prices and sizes are exact decimals; `notional` is the sum of price x size, so VWAP is notional
    / volume. `revision` grows with every change; consumers keep the highest. `origin`: TRADES, or
    VENUE if it was published by the venue, or folded from such a candle.
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

    @classmethod
    def from_texts(cls, values: Mapping[str, Any]) -> Candle:
        """Read its fields, decimals as text. Raises decimal.InvalidOperation."""
        decimals = {name: Decimal(values[name]) for name in DECIMALS}
        return cls(**{**values, **decimals})

    def to_message(self) -> candles_pb2.Candle:
        """Return the protobuf form, decimals as canonical text."""
        return candles_pb2.Candle(**_FIELDS.written(self))

    @classmethod
    def from_message(cls, message: candles_pb2.Candle) -> Candle:
        """Parse the protobuf form. Raises decimal.InvalidOperation on an invalid decimal."""
        return cls(**{**_FIELDS.read(message), "origin": message.origin or TRADES})


DECIMALS: Final = tuple(each.name for each in fields(Candle) if each.type == "Decimal")
"""Names of the fields that are decimals."""
_FIELDS: Final = MessageFields(Candle)
