"""What is known of an instrument besides its candles: watermark and latest trade."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from shared.decimals import from_mantissa, to_text
from shared.order import OrderKey
from shared.schema import state_pb2
from shared.ticks import Ticks

NO_FLOOR = -(2**63)


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument's live state.

    `watermark_us`: the furthest event time seen; `first_us`: the earliest ever. `last`,
    `last_price`, `last_size`: the latest trade in the total order. `received_us`: wall clock when
    the last event for it was applied. `floors`: by timeframe, where candles begin to be in the
    state; those before have left it.
    """

    name: str
    first_us: int
    watermark_us: int
    last: OrderKey
    last_price: Decimal
    last_size: Decimal
    received_us: int
    floors: Mapping[str, int] = field(default_factory=dict)

    def floor(self, timeframe: str) -> int:
        """Return the start (us) before which candles of the timeframe are not in the state."""
        return self.floors.get(timeframe, NO_FLOOR)

    def lowest_floor(self, timeframes: Iterable[str]) -> int:
        """Return the start (us) before which no candle of any of the timeframes is in the state."""
        return min(self.floor(timeframe) for timeframe in timeframes)

    def raised(self, timeframe: str, floor_us: int) -> Instrument:
        """Return the instrument with a floor that is at least so high."""
        floor = max(self.floor(timeframe), floor_us)
        return replace(self, floors={**self.floors, timeframe: floor})

    def joined(self, other: Instrument | None) -> Instrument:
        """Return what both know: nothing moves backward."""
        if other is None:
            return self
        newest = self if self.last >= other.last else other
        return Instrument(
            self.name,
            min(self.first_us, other.first_us),
            max(self.watermark_us, other.watermark_us),
            newest.last,
            newest.last_price,
            newest.last_size,
            max(self.received_us, other.received_us),
            {
                timeframe: max(self.floor(timeframe), other.floor(timeframe))
                for timeframe in self.floors.keys() | other.floors.keys()
            },
        )

    def encode(self) -> bytes:
        """Return the stored form."""
        return state_pb2.InstrumentState(
            name=self.name,
            first_us=self.first_us,
            watermark_us=self.watermark_us,
            last=self.last.to_message(),
            last_price=to_text(self.last_price),
            last_size=to_text(self.last_size),
            received_us=self.received_us,
            floor_us=dict(self.floors),
        ).SerializeToString()

    @classmethod
    def decode(cls, blob: bytes) -> Instrument:
        """Read the stored form."""
        message = state_pb2.InstrumentState.FromString(blob)
        return cls(
            message.name,
            message.first_us,
            message.watermark_us,
            OrderKey.from_message(message.last),
            Decimal(message.last_price),
            Decimal(message.last_size),
            message.received_us,
            dict(message.floor_us),
        )


def instruments_of(ticks: Ticks, received_us: int) -> dict[str, Instrument]:
    """Return what a batch says of each of its instruments."""
    found: dict[str, Instrument] = {}
    for entry, rows in ticks.runs():
        last = rows.stop - 1
        here = Instrument(
            entry.name,
            int(ticks.event_time_us[rows.start]),
            int(ticks.event_time_us[last]),
            ticks.key_at(last),
            from_mantissa(int(ticks.price[last]), entry.price_scale),
            from_mantissa(int(ticks.size[last]), entry.size_scale),
            received_us,
        )
        found[entry.name] = here.joined(found.get(entry.name))
    return found
