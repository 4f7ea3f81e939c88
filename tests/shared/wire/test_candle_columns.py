"""Candles as columns: equal after the wire, and inconsistent batches are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.schema import candles_pb2
from shared.wire.candle import Candle
from shared.wire.candle_columns import decode_batch, decode_columns, encode_batch

NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda n: Decimal(n).scaleb(-3)),
    st.sampled_from(["0", "-37.63", "1e-18", "123456789.123456789", "1e30", "99999999999999999999"])
    .map(Decimal),
    st.integers(-(2**130), 2**130).map(lambda n: Decimal(n).scaleb(-16)),
)  # fmt: skip


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    """Arbitrary candles."""
    return Candle(
        draw(st.sampled_from(["A", "BTC-USDT.BINANCE", "é"])),
        draw(st.sampled_from(["1m", "5m", "1d"])),
        draw(st.integers(-(10**15), 10**16)),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(st.integers(0, 2**63 - 1)),
        draw(NUMBERS),
        draw(NUMBERS),
        draw(st.integers(-(10**15), 10**16)),
        draw(st.integers(-(10**15), 10**16)),
        closed=draw(st.booleans()),
        partial=draw(st.booleans()),
        complete=draw(st.booleans()),
        revision=draw(st.integers(0, 2**62)),
    )


@given(st.lists(candles(), max_size=6))
def test_candles_survive_the_wire(some: list[Candle]) -> None:
    """Every number is unchanged after the wire, and concatenated batches are one batch."""
    assert sorted(decode_batch(encode_batch(some)), key=repr) == sorted(
        decode_batch(b"".join(encode_batch([each]) for each in some)), key=repr
    )
    by_timeframe = sorted(some, key=lambda c: [x.timeframe for x in some].index(c.timeframe))
    assert decode_batch(encode_batch(some)) == by_timeframe


def test_a_candle_costs_tens_of_bytes() -> None:
    """A candle takes tens of bytes before compression."""
    one = Candle(
        *("BTC-USDT", "1m", 1_700_000_040_000_000, Decimal("37000.12"), Decimal("37010.5")),
        *(Decimal(36990), Decimal(37001), Decimal("12.345"), Decimal("456789.12345"), 321),
        *(Decimal(6), Decimal("6.345"), 1_700_000_040_100_000, 1_700_000_099_900_000, True),
        *(False, True, 1_700_000_102_000_000),
    )
    assert len(encode_batch([one] * 100)) < 100 * 75


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("start_us", [], "start_us"),
        ("open", [1, 2], "open"),
        ("flags", [300], "flags"),
        ("flags", [16], "wide"),
        ("price_scale", [200], "price_scale"),
        ("trade_count", [2**63], "trade_count"),
        ("timeframe", "7x", "timeframe"),
        ("notional_high", [1, 1], "notional_high"),
    ],
)
def test_an_inconsistent_batch_names_the_column(field: str, value: object, says: str) -> None:
    """The error of an inconsistent batch, which is dead-lettered, names the column."""
    one = Decimal(1)
    good = Candle("A", "1m", 0, one, one, one, one, one, one, 1, one, one, 0, 0)
    message = candles_pb2.CandleBatch.FromString(encode_batch([good]))
    columns = message.columns[0]
    columns.ClearField(field)
    if isinstance(value, list):
        getattr(columns, field).extend(value)
    else:
        setattr(columns, field, value)
    with pytest.raises(PermanentError, match=says):
        decode_columns(message.SerializeToString())
