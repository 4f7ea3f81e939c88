"""Trades of an instrument as a table of the lake, and back: nothing is lost on the way."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.lake.decimal_columns import DECIMAL, to_decimals, to_mantissas
from shared.ticks import INTEGER_ID, TEXT_ID
from shared.trades import Rows

_TIME: Final = pa.timestamp("us", "UTC")
_WORD: Final = pa.dictionary(pa.int32(), pa.string())

SCHEMA: Final = pa.schema(
    [
        pa.field("time", _TIME, nullable=False),
        pa.field("price", DECIMAL),
        pa.field("size", DECIMAL),
        pa.field("side", _WORD),
        pa.field("trade_id", pa.int64()),
        pa.field("trade_id_text", pa.string()),
        pa.field("receive_time", _TIME, nullable=False),
        pa.field("source", _WORD, nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("price_scale", pa.int16(), nullable=False),
        pa.field("size_scale", pa.int16(), nullable=False),
        pa.field("price_mantissa", pa.string()),
        pa.field("size_mantissa", pa.string()),
        pa.field("flags", pa.uint8(), nullable=False),
        pa.field("venue", _WORD, nullable=False),
    ]
)


def to_table(rows: Rows) -> pa.Table:
    """Return the rows, in their order, as the lake keeps them."""
    price, exact_price = to_decimals(rows.price, rows.price_scale)
    size, exact_size = to_decimals(rows.size, rows.size_scale)
    return pa.table(
        [
            pa.array(rows.time_us).cast(_TIME),
            price,
            size,
            pa.DictionaryArray.from_arrays(
                pa.array(rows.side.astype(np.int32) - 1, mask=rows.side == 0), ["buy", "sell"]
            ),
            pa.array(rows.trade_id, mask=rows.kind != INTEGER_ID),
            pa.array(rows.text, pa.string(), mask=rows.kind != TEXT_ID),
            pa.array(rows.receive_us).cast(_TIME),
            pa.array(rows.source, pa.string()).dictionary_encode(),
            pa.array(rows.sequence),
            pa.array(rows.price_scale),
            pa.array(rows.size_scale),
            exact_price,
            exact_size,
            pa.array(rows.flags),
            pa.array(rows.venue, pa.string()).dictionary_encode(),
        ],
        schema=SCHEMA,
    )


def to_rows(table: pa.Table) -> Rows:
    """Read the rows back."""
    column = {name: _whole(table[name]) for name in table.column_names}
    price_scale = _ints(column["price_scale"]).astype(np.int16)
    size_scale = _ints(column["size_scale"]).astype(np.int16)
    integer, text = column["trade_id"], column["trade_id_text"]
    kind = np.zeros(len(table), dtype=np.uint8)
    kind[np.asarray(integer.is_valid())] = INTEGER_ID
    kind[np.asarray(text.is_valid())] = TEXT_ID
    return Rows(
        _ints(column["time"].cast(pa.int64())),
        to_mantissas(column["price"], price_scale, column["price_mantissa"]),
        to_mantissas(column["size"], size_scale, column["size_mantissa"]),
        price_scale,
        size_scale,
        _sides(column["side"]),
        kind,
        _ints(integer.fill_null(0)),
        np.full(len(table), "", dtype=object)
        if text.null_count == len(text)
        else text.fill_null("").to_numpy(zero_copy_only=False),
        _ints(column["receive_time"].cast(pa.int64())),
        column["source"].to_numpy(zero_copy_only=False).astype(object),
        _ints(column["sequence"]),
        np.asarray(column["flags"]),
        column["venue"].to_numpy(zero_copy_only=False).astype(object),
    )


def _sides(column: pa.Array) -> Any:
    if column.null_count == len(column):
        return np.zeros(len(column), dtype=np.uint8)
    if isinstance(column, pa.DictionaryArray):
        column = column.cast(pa.string())
    side = pc.index_in(column, pa.array(["buy", "sell"]))
    return (_ints(side.fill_null(-1)) + 1).astype(np.uint8)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) else found


def _ints(column: pa.Array) -> Any:
    return np.asarray(column).astype(np.int64)
