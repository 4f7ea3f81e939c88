"""Converts candles to rows of the lake's table and back, exactly."""

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

from shared.lake.tables.definitions import CANDLES, SCALE
from shared.lake.tables.tick_table import ints, whole
from shared.market.decimals import EXACT, to_text
from shared.wire.candle import DECIMALS, TRADES, Candle

SCHEMA: Final = schema_to_pyarrow(CANDLES.schema)
_NAMES: Final = {
    "instrument": "symbol",
    "start_us": "time",
    "first_time_us": "first_time",
    "last_time_us": "last_time",
    "trade_count": "trades",
}
FIELDS: Final = tuple((each.name, _NAMES.get(each.name, each.name)) for each in fields(Candle))
"""Names of a candle's fields, and of their columns."""
_DIGITS: Final = 38

TEXTS: Final = {
    name: pa.int64()
    if pa.types.is_timestamp(SCHEMA.field(column).type)
    else pa.string()
    if name in DECIMALS
    else SCHEMA.field(column).type
    for name, column in FIELDS
}
"""Types of the columns that `from_texts` takes."""


def to_table(candles: Sequence[Candle]) -> pa.Table:
    """Return the candles, in their order."""
    columns: dict[str, list[Any]] = {
        column: [getattr(each, name) for each in candles] for name, column in FIELDS
    }
    exact: list[dict[str, str]] = [{} for _ in candles]
    for name in DECIMALS:
        for n, value in enumerate(columns[name]):
            if not _fits(value):
                exact[n][name], columns[name][n] = to_text(value), None
    columns["exact"] = [json.dumps(each) if each else None for each in exact]
    return pa.table(
        {name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names},
        schema=SCHEMA,
    )


def from_texts(rows: pa.Table) -> pa.Table:
    """Return candles of columns that are named as their fields, times in numbers, decimals as text.

    Decimals that no column can hold go to `exact`.
    """
    try:
        columns = {column: rows[name].cast(SCHEMA.field(column).type) for name, column in FIELDS}
    except pa.ArrowInvalid:
        return to_table([Candle.from_texts(row) for row in rows.select([*TEXTS]).to_pylist()])
    columns["exact"] = pa.nulls(len(rows), SCHEMA.field("exact").type)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def to_lists(table: pa.Table) -> dict[str, list[Any]]:
    """Return lists of plain values by the names of `Candle`; exact numbers as their text."""
    columns: dict[str, list[Any]] = {}
    for name, column in FIELDS:
        values = whole(table[column])
        if pa.types.is_decimal(values.type):
            columns[name] = _texts(values)
        elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            columns[name] = values.to_numpy(zero_copy_only=False).tolist()
        elif pa.types.is_boolean(values.type):
            columns[name] = values.to_pylist()
        else:
            columns[name] = ints(values).tolist()
    exact = table["exact"]
    for n in np.flatnonzero(exact.is_valid()).tolist():
        for name, text in json.loads(exact[n].as_py()).items():
            columns[name][n] = text
    columns["origin"] = [each or TRADES for each in columns["origin"]]
    return columns


def _texts(decimals: pa.Array) -> list[str]:
    """Return decimals as `to_text` writes them; Arrow writes the smallest with an exponent."""
    texts = decimals.cast(pa.string())
    trimmed: list[str] = pc.ascii_rtrim(pc.ascii_rtrim(texts, "0"), ".").to_numpy(False).tolist()
    for n in np.flatnonzero(pc.match_substring(texts, "E").fill_null(False)).tolist():
        trimmed[n] = to_text(decimals[n].as_py())
    return trimmed


def between(table: pa.Table, first_us: int, last_us: int) -> pa.Table:
    """Return the rows that start in [first_us, last_us]."""
    starts = ints(whole(table["time"]))
    return table.filter(pa.array((starts >= first_us) & (starts <= last_us)))


def first(tables: Sequence[pa.Table], count: int | None, *, newest: bool) -> pa.Table:
    """Return the first `count` rows of all tables, ascending or descending by their start."""
    aligned = [
        each if each.schema.equals(SCHEMA) else each.select(SCHEMA.names).cast(SCHEMA)
        for each in tables
    ]
    table = pa.concat_tables([SCHEMA.empty_table(), *aligned])
    order = np.argsort(ints(whole(table["time"])), kind="stable")
    return table.take(pa.array((order[::-1] if newest else order)[:count]))


def highest_revision(table: pa.Table) -> pa.Table:
    """Return rows of whole candles by timeframe, symbol and time, each at its highest revision."""
    key = [*CANDLES.key]
    table = table.sort_by([*((name, "ascending") for name in key), ("revision", "descending")])
    rows = table.select(key).append_column("row", pa.array(np.arange(len(table))))
    first_rows = rows.group_by(key, use_threads=False).aggregate([("row", "min")])
    return table.take(first_rows["row_min"])


def _fits(value: Decimal) -> bool:
    """Tell whether the column holds a value: by its digits, as Arrow may round without an error."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -SCALE:
        value = value.normalize(EXACT)
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
    return exponent >= -SCALE and value.adjusted() < _DIGITS - SCALE
