"""A candle, and the merge that makes any split of its ticks end in the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from shared.decimals import EXACT, to_text
from shared.order import OrderKey
from shared.schema import candles_pb2, state_pb2


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low, close, volume and more over [start_us, start_us + timeframe), event time.

    Prices and sizes are exact decimals; `notional` is the sum of price x size, so VWAP is
    notional / volume. `revision` grows with every change; consumers keep the highest.
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
        )


@dataclass(frozen=True, slots=True)
class CandleState:
    """A candle with the order keys of its first and last tick, which decide open and close."""

    candle: Candle
    first: OrderKey
    last: OrderKey

    def merge(self, other: CandleState) -> CandleState:
        """Join two disjoint sets of ticks of one interval: pure, commutative and associative.

        Flags and revision are not part of the algebra: they stay as they are in `self`.
        """
        a, b = self.candle, other.candle
        merged = replace(
            a,
            open=a.open if self.first <= other.first else b.open,
            close=a.close if self.last >= other.last else b.close,
            high=max(a.high, b.high),
            low=min(a.low, b.low),
            volume=EXACT.add(a.volume, b.volume),
            notional=EXACT.add(a.notional, b.notional),
            trade_count=a.trade_count + b.trade_count,
            buy_volume=EXACT.add(a.buy_volume, b.buy_volume),
            sell_volume=EXACT.add(a.sell_volume, b.sell_volume),
            first_time_us=min(a.first_time_us, b.first_time_us),
            last_time_us=max(a.last_time_us, b.last_time_us),
        )
        return CandleState(merged, min(self.first, other.first), max(self.last, other.last))

    def rolled_up(self, timeframe: str, start_us: int) -> CandleState:
        """Return the same ticks as a candle of a longer timeframe."""
        return replace(self, candle=replace(self.candle, timeframe=timeframe, start_us=start_us))

    def encode(self) -> bytes:
        """Return the stored form (without the version that precedes it in Redis)."""
        return state_pb2.CandleState(
            candle=self.candle.to_message(),
            first=self.first.to_message(),
            last=self.last.to_message(),
        ).SerializeToString()

    @classmethod
    def decode(cls, blob: bytes) -> CandleState:
        """Read the stored form."""
        message = state_pb2.CandleState.FromString(blob)
        return cls(
            Candle.from_message(message.candle),
            OrderKey.from_message(message.first),
            OrderKey.from_message(message.last),
        )


def encode_batch(candles: list[Candle]) -> bytes:
    """Return a CandleBatch, the body of a candles event."""
    return candles_pb2.CandleBatch(
        candles=[candle.to_message() for candle in candles]
    ).SerializeToString()


def decode_batch(body: bytes) -> list[Candle]:
    """Read a CandleBatch. Raises protobuf's DecodeError or decimal.InvalidOperation."""
    return [Candle.from_message(m) for m in candles_pb2.CandleBatch.FromString(body).candles]
