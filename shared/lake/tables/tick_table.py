"""Converts ticks to rows of the lake's table and back, without loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyiceberg.io.pyarrow import schema_to_pyarrow

from shared.candles.trades import MINUTE_US, Rows, constant
from shared.lake.tables.decimal_columns import to_decimals, to_mantissas
from shared.lake.tables.definitions import TICKS
from shared.market.order import NO_ORDER_ID, source_key
from shared.wire.ticks import ENDING, INTEGER_ID, TEXT_ID, Ticks

SCHEMA: Final = schema_to_pyarrow(TICKS.schema)
_IDENTITY: Final = (
    *("symbol", "time", "venue", "trade_id", "trade_id_text"),
    *("receive_time", "source", "sequence"),
)
_TIME: Final = pa.timestamp("us", "UTC")
_SIDES: Final = pa.array(["", "buy", "sell"], pa.large_string())


def to_table(batches: Sequence[Ticks]) -> pa.Table:
    """Return the rows of batches, one after the other."""
    return pa.concat_tables([SCHEMA.empty_table(), *map(_table, batches)])


def _table(ticks: Ticks) -> pa.Table:
    entry, n = ticks.entries.of_row, len(ticks)
    price_scale, size_scale = ticks.entries.price_scale[entry], ticks.entries.size_scale[entry]
    price, price_text = to_decimals(ticks.price, price_scale)
    size, size_text = to_decimals(ticks.size, size_scale)
    kind, texts = ticks.trade_id_kind, ticks.trade_id_text
    names = pa.array(ticks.names, pa.large_string())
    venues = pa.array([venue or None for venue in ticks.entries.venues], pa.large_string())
    return pa.table(
        [
            names.take(pa.array(entry)),
            pa.array(ticks.event_time_us).cast(_TIME),
            price,
            size,
            _SIDES.take(pa.array(ticks.side, mask=ticks.side == 0)),
            venues.take(pa.array(entry)),
            pa.array(ticks.trade_id, mask=kind != INTEGER_ID),
            pa.nulls(n, pa.large_string())
            if texts is None
            else pa.array(texts, pa.large_string(), mask=kind != TEXT_ID),
            pa.array(ticks.receive_time_us).cast(_TIME),
            pa.repeat(pa.scalar(ticks.source, pa.large_string()), n),
            pa.array(ticks.sequence),
            pa.array(ticks.flags.astype(np.int32)),
            pa.array(price_scale.astype(np.int32)),
            pa.array(size_scale.astype(np.int32)),
            price_text,
            size_text,
        ],
        schema=SCHEMA,
    )


def to_rows(table: pa.Table) -> Rows:
    """Read rows of one instrument back."""
    column = {name: whole(table[name]) for name in table.column_names}
    price_scale, size_scale = ints(column["price_scale"]), ints(column["size_scale"])
    integer, text = column["trade_id"], column["trade_id_text"]
    kind = np.full(len(table), 0 if integer.null_count else INTEGER_ID, dtype=np.uint8)
    if integer.null_count:
        kind[np.asarray(integer.is_valid())] = INTEGER_ID
        kind[np.asarray(text.is_valid())] = TEXT_ID
    return Rows(
        ints(column["time"]),
        to_mantissas(column["price"], price_scale, column["price_text"]),
        to_mantissas(column["size"], size_scale, column["size_text"]),
        price_scale.astype(np.int16),
        size_scale.astype(np.int16),
        _sides(column["side"]),
        kind,
        ints(integer.fill_null(0)),
        _texts(text),
        ints(column["receive_time"]),
        _texts(column["source"]),
        ints(column["sequence"]),
        ints(column["flags"]).astype(np.uint8),
        _texts(column["venue"]),
    )


def each_trade_once(table: pa.Table) -> pa.Table:
    """Return rows of whole minutes by instrument and the total order, each trade once.

    Of a trade that occurs several times the first stays, each that was received before all earlier
    ones (`as_of` asks for that), and whatever cancels or corrects it; these, and ticks without a
    trade id, are repeated only where they have the very place of another.
    """
    columns = {name: whole(table[name]) for name in _IDENTITY}
    symbol, time = _ranks(columns["symbol"]), ints(columns["time"])
    id_, has_id = ints(columns["trade_id"].fill_null(0)), np.asarray(columns["trade_id"].is_valid())
    text, venue = _ranks(columns["trade_id_text"]), _ranks(columns["venue"])
    receive_us = ints(columns["receive_time"])
    order_key = (
        ints(columns["sequence"]),
        _source_keys(columns["source"]),
        receive_us,
        np.where(has_id, id_, NO_ORDER_ID),
        time,
        symbol,
    )
    order = np.lexsort((text, *order_key))
    trade = (symbol, venue, time // MINUTE_US, has_id, id_, text)
    alone = ~(has_id | (text >= 0)) | ((ints(whole(table["flags"])) & ENDING) != 0)
    repeated = _repeated(trade, order, ~alone, receive_us)
    repeated |= _repeated((*order_key, text, venue), order, alone, receive_us)
    order = order[~repeated[order]]
    if len(order) == len(table) and (np.diff(order) == 1).all():
        return table
    return table.take(pa.array(order))


def _repeated(
    keys: tuple[NDArray[Any], ...],
    order: NDArray[np.intp],
    among: NDArray[np.bool_],
    receive_us: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tell of each row whether one before it with its keys, among those, was received no later."""
    repeated = np.zeros(len(order), dtype=bool)
    rows = order[among[order]]
    if len(rows) > 1:
        grouped = rows[np.lexsort([key[rows] for key in keys])]  # stable: in the order given
        is_equal = np.ones(len(grouped) - 1, dtype=bool)
        for key in keys:
            is_equal &= key[grouped[1:]] == key[grouped[:-1]]
        later = np.flatnonzero(is_equal) + 1
        if len(later):
            group = np.append(0, np.cumsum(~is_equal))
            # times in their order, in each group below those of the groups before
            received = np.unique(receive_us[grouped], return_inverse=True)[1] - group * len(grouped)
            earliest = np.minimum.accumulate(received)
            repeated[grouped[later]] = received[later] >= earliest[later - 1]
    return repeated


def _ranks(column: pa.Array) -> NDArray[np.int64]:
    """Return integers that compare as the texts do; -1 for NULL."""
    encoded = column.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    ranks = np.empty(len(order) + 1, dtype=np.int64)
    ranks[np.asarray(order)] = np.arange(len(order))
    ranks[-1] = -1
    row_ranks: NDArray[np.int64] = ranks[ints(encoded.indices.fill_null(-1))]
    return row_ranks


def _source_keys(column: pa.Array) -> NDArray[np.int64]:
    encoded = column.dictionary_encode()
    keys = np.array([source_key(name) for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    row_keys: NDArray[np.int64] = keys[ints(encoded.indices)]
    return row_keys


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ints(column: pa.Array) -> NDArray[np.int64]:
    """Return numbers or times (us) as int64."""
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    return np.asarray(column).astype(np.int64, copy=False)


def _dictionary(column: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return a column's distinct texts, and the index of each row's text, -1 for NULL."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    indices = column.indices
    return column.dictionary, ints(indices.fill_null(-1) if indices.null_count else indices)


def _texts(column: pa.Array) -> NDArray[np.object_]:
    if column.null_count == len(column):
        return constant("", len(column))
    values, indices = _dictionary(column)
    if len(values) == 1 and not column.null_count:
        return constant(values[0].as_py(), len(column))
    texts: NDArray[np.object_] = np.array([*values.to_pylist(), ""], dtype=object)[indices]
    return texts


def _sides(column: pa.Array) -> NDArray[np.uint8]:
    values, indices = _dictionary(column)
    codes = pc.index_in(values.cast(_SIDES.type), _SIDES).fill_null(0)
    sides: NDArray[np.uint8] = np.append(ints(codes), 0).astype(np.uint8)[indices]
    return sides
