"""Candles as a table of the lake, and back, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pyarrow as pa

from shared.candle import Candle
from shared.decimals import EXACT
from shared.lake.decimal_columns import DECIMAL, SCALE
from shared.schema import candles_pb2

_DECIMALS: Final = (
    *("open", "high", "low", "close"),
    *("volume", "notional", "buy_volume", "sell_volume"),
)
_TIMES: Final = ("time", "first_time", "last_time")
_FLAGS: Final = ("closed", "partial", "complete")
_TIME: Final = pa.timestamp("us", "UTC")
_DIGITS: Final = 38

SCHEMA: Final = pa.schema(
    [
        pa.field("time", _TIME, nullable=False),
        *(pa.field(name, DECIMAL) for name in _DECIMALS[:6]),
        pa.field("trade_count", pa.int64(), nullable=False),
        *(pa.field(name, DECIMAL) for name in _DECIMALS[6:]),
        pa.field("first_time", _TIME, nullable=False),
        pa.field("last_time", _TIME, nullable=False),
        *(pa.field(name, pa.bool_(), nullable=False) for name in _FLAGS),
        pa.field("revision", pa.int64(), nullable=False),
        pa.field("exact", pa.binary()),  # the candle as a message, where a decimal does not fit
    ]
)


def to_table(candles: Sequence[Candle]) -> pa.Table:
    """Return candles of one instrument and timeframe as the lake keeps them."""
    fits = [all(_fits(getattr(each, name)) for name in _DECIMALS) for each in candles]
    columns: dict[str, list[object]] = {
        "time": [each.start_us for each in candles],
        "first_time": [each.first_time_us for each in candles],
        "last_time": [each.last_time_us for each in candles],
        "exact": [
            None if good else each.to_message().SerializeToString()
            for each, good in zip(candles, fits, strict=True)
        ],
    }
    for name in _DECIMALS:
        columns[name] = [
            value if _fits(value) else None for value in (getattr(each, name) for each in candles)
        ]
    for name in ("trade_count", "revision", *_FLAGS):
        columns[name] = [getattr(each, name) for each in candles]
    return pa.table(
        {name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names},
        schema=SCHEMA,
    )


def to_candles(table: pa.Table, instrument: str, timeframe: str) -> list[Candle]:
    """Read the candles back."""
    columns = {
        name: (table[name].cast(pa.int64()) if name in _TIMES else table[name]).to_pylist()
        for name in table.column_names
    }
    found = []
    for n, exact in enumerate(columns["exact"]):
        if exact is not None:
            found.append(Candle.from_message(candles_pb2.Candle.FromString(exact)))
            continue
        decimals = {name: columns[name][n] for name in _DECIMALS}
        found.append(
            Candle(
                instrument=instrument,
                timeframe=timeframe,
                start_us=columns["time"][n],
                trade_count=columns["trade_count"][n],
                first_time_us=columns["first_time"][n],
                last_time_us=columns["last_time"][n],
                closed=columns["closed"][n],
                partial=columns["partial"][n],
                complete=columns["complete"][n],
                revision=columns["revision"][n],
                **decimals,
            )
        )
    return found


def _fits(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -SCALE:
        value = value.normalize(EXACT)
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
    return exponent >= -SCALE and value.adjusted() < _DIGITS - SCALE
