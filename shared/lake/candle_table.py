"""Candles as rows of the lake's table, and back, exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io.pyarrow import schema_to_pyarrow

from shared.lake.tables import CANDLES, SCALE
from shared.lake.tick_table import ints, whole
from shared.market.decimals import EXACT, to_text
from shared.wire.candle import TRADES, Candle

SCHEMA: Final = schema_to_pyarrow(CANDLES.schema)
_NAMES: Final = {
    "instrument": "symbol",
    "start_us": "time",
    "first_time_us": "first_time",
    "last_time_us": "last_time",
    "trade_count": "trades",
}
_FIELDS: Final = tuple((each.name, _NAMES.get(each.name, each.name)) for each in fields(Candle))
_DECIMALS: Final = tuple(each.name for each in fields(Candle) if each.type == "Decimal")
_DIGITS: Final = 38


def to_table(candles: Sequence[Candle]) -> pa.Table:
    """Return the candles, in their order."""
    columns: dict[str, list[Any]] = {
        column: [getattr(each, name) for each in candles] for name, column in _FIELDS
    }
    exact: list[dict[str, str]] = [{} for _ in candles]
    for name in _DECIMALS:
        for n, value in enumerate(columns[name]):
            if not _fits(value):
                exact[n][name], columns[name][n] = to_text(value), None
    columns["exact"] = [json.dumps(each) if each else None for each in exact]
    return pa.table(
        {name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names},
        schema=SCHEMA,
    )


def to_candles(table: pa.Table) -> list[Candle]:
    """Read the candles back."""
    columns = {}
    for name, column in _FIELDS:
        values = table[column]
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.int64())
        columns[name] = values.to_pylist()
    for n, exact in enumerate(table["exact"].to_pylist()):
        for name, text in json.loads(exact or "{}").items():
            columns[name][n] = Decimal(text)
    columns["origin"] = [each or TRADES for each in columns["origin"]]
    return [
        Candle(**dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    ]


def highest_revision(table: pa.Table) -> pa.Table:
    """Return rows of whole candles by timeframe, symbol and time, each at its highest revision."""
    order = pc.sort_indices(
        table,
        sort_keys=[*((name, "ascending") for name in CANDLES.key), ("revision", "descending")],
    )
    table = table.take(order)
    again = np.ones(max(len(table) - 1, 0), dtype=bool)
    for name in CANDLES.key:
        column = whole(table[name])
        if pa.types.is_timestamp(column.type):
            values = ints(column)
            again &= values[1:] == values[:-1]
        else:
            again &= np.asarray(pc.equal(column[1:], column[:-1]))
    return table.filter(pa.array(np.append([True], ~again)[: len(table)]))


def _fits(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -SCALE:
        value = value.normalize(EXACT)
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
    return exponent >= -SCALE and value.adjusted() < _DIGITS - SCALE
