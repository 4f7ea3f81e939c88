"""A candle, and the merge that makes any split of its ticks end in the same one.

`Candle` is what others see; `Bar` the algebra; `CandleState` what the live state keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(slots=True)
class Bar:
    """What a set of ticks of one interval comes to, whatever the interval is.

    `first` and `last` are the order keys of the ticks that decide open and close. Never changed in
    place: the bars of several timeframes may be one object.
    """

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal
    trade_count: int
    buy_volume: Decimal
    sell_volume: Decimal
    first: OrderKey
    last: OrderKey

    def merge(self, other: Bar) -> Bar:
        """Join two disjoint sets of ticks: pure, commutative and associative."""
        early = self if self.first <= other.first else other
        late = self if self.last >= other.last else other
        add = EXACT.add
        return Bar(
            early.open,
            max(self.high, other.high),
            min(self.low, other.low),
            late.close,
            add(self.volume, other.volume),
            add(self.notional, other.notional),
            self.trade_count + other.trade_count,
            add(self.buy_volume, other.buy_volume),
            add(self.sell_volume, other.sell_volume),
            early.first,
            late.last,
        )


@dataclass(slots=True)
class CandleState:
    """A candle as the live state keeps it: its place, its bar, its flags.

    `touched_us` is the wall clock of its last change. Treated as a value: never changed in place.
    """

    instrument: str
    timeframe: str
    start_us: int
    bar: Bar
    closed: bool = False
    partial: bool = False
    complete: bool = True
    revision: int = 0
    touched_us: int = 0

    @property
    def candle(self) -> Candle:
        """The candle that others see."""
        bar = self.bar
        return Candle(
            self.instrument,
            self.timeframe,
            self.start_us,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.notional,
            bar.trade_count,
            bar.buy_volume,
            bar.sell_volume,
            bar.first.event_time_us,
            bar.last.event_time_us,
            self.closed,
            self.partial,
            self.complete,
            self.revision,
        )

    def merge(self, other: CandleState) -> CandleState:
        """Join with further ticks of the same interval; place and flags stay as they are here."""
        return self.with_bar(self.bar.merge(other.bar))

    def with_bar(self, bar: Bar) -> CandleState:
        """Return the same candle with another bar."""
        return CandleState(
            self.instrument,
            self.timeframe,
            self.start_us,
            bar,
            self.closed,
            self.partial,
            self.complete,
            self.revision,
            self.touched_us,
        )

    def rolled_up(self, timeframe: str, start_us: int) -> CandleState:
        """Return the same ticks as a candle of a longer timeframe."""
        return CandleState(self.instrument, timeframe, start_us, self.bar)

    def encode(self) -> bytes:
        """Return the stored form (without the version that precedes it in Redis)."""
        bar = self.bar
        return state_pb2.CandleState(
            instrument=self.instrument,
            timeframe=self.timeframe,
            start_us=self.start_us,
            open=str(bar.open),
            high=str(bar.high),
            low=str(bar.low),
            close=str(bar.close),
            volume=str(bar.volume),
            notional=str(bar.notional),
            trade_count=bar.trade_count,
            buy_volume=str(bar.buy_volume),
            sell_volume=str(bar.sell_volume),
            first=bar.first.to_message(),
            last=bar.last.to_message(),
            closed=self.closed,
            partial=self.partial,
            complete=self.complete,
            revision=self.revision,
            touched_us=self.touched_us,
        ).SerializeToString()

    @classmethod
    def decode(cls, blob: bytes) -> CandleState:
        """Read the stored form."""
        m = state_pb2.CandleState.FromString(blob)
        bar = Bar(
            Decimal(m.open),
            Decimal(m.high),
            Decimal(m.low),
            Decimal(m.close),
            Decimal(m.volume),
            Decimal(m.notional),
            m.trade_count,
            Decimal(m.buy_volume),
            Decimal(m.sell_volume),
            OrderKey.from_message(m.first),
            OrderKey.from_message(m.last),
        )
        return cls(
            m.instrument,
            m.timeframe,
            m.start_us,
            bar,
            m.closed,
            m.partial,
            m.complete,
            m.revision,
            m.touched_us,
        )
