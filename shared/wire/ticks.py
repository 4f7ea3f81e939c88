"""Ticks as columns, and their form on the wire (ticks.proto)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from shared.errors import PermanentError
from shared.market.decimals import MAX_WIDE_DIGITS
from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.schema import ticks_pb2
from shared.wire import columns as wire
from shared.wire.columns import summed
from shared.wire.instrument_table import Entries, Entry
from shared.wire.message_fields import parsed
from shared.wire.varints import Uint64s, deltas, packed, zigzag

Int64s = NDArray[np.int64]
Bytes8 = NDArray[np.uint8]
Texts = NDArray[np.object_]
Mantissas = NDArray[Any]
"""int64[n], or object[n] of Python integers in a batch that has one beyond 64 bits."""

_CODE: Final = "bad_tick_batch"
_column = partial(wire.column, _CODE)
_times = partial(wire.times, _CODE)

NO_ID, INTEGER_ID, TEXT_ID = 0, 1, 2
VOLUME_ONLY, ODD_LOT, AUCTION, OUT_OF_SEQUENCE = 1, 2, 4, 8
"""Bits of `flags`. VOLUME_ONLY: not for open, high, low and close; the others are informational."""
CANCELLED, CORRECTED = 16, 32
"""Bits of busts: the earlier trade is void, or replaced by this row."""
ENDING: Final = CANCELLED | CORRECTED
_SIDES, _KINDS, _FLAGS = 3, 3, CANCELLED


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Columns of equal length n, sorted by entry, then by the total order within the instrument.

    `entries`: the instruments, sorted by shard, then by name.
    `event_time_us`, `receive_time_us`: microseconds since 1970 UTC, int64[n].
    `price`, `size`: mantissas[n] at the scales of the row's entry; prices may be zero or negative.
    `side`: uint8[n] (0 unknown, 1 buy, 2 sell).
    `trade_id_kind`: uint8[n] (0 none, 1 integer, 2 text).
    `trade_id`: int64[n], 0 where the kind is not integer. `trade_id_text`: object[n] of str, empty
    where the kind is not text, or None when no row has one. `sequence`: int64[n].
    `flags`: uint8[n], bits VOLUME_ONLY and others.
    """

    source: str
    entries: Entries
    event_time_us: Int64s
    price: Mantissas
    size: Mantissas
    side: Bytes8
    trade_id_kind: Bytes8
    trade_id: Int64s
    trade_id_text: Texts | None
    receive_time_us: Int64s
    sequence: Int64s
    flags: Bytes8

    def __len__(self) -> int:
        return len(self.event_time_us)

    @property
    def names(self) -> tuple[str, ...]:
        """The instrument of each entry."""
        return self.entries.names

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self.entries.shards

    @property
    def source_key(self) -> int:
        """The source in order keys."""
        return source_key(self.source)

    def order_keys(self, rows: NDArray[np.integer]) -> Int64s:
        """Return the positions of rows in the total order: int64[rows, 5]."""
        is_integer = self.trade_id_kind[rows] == INTEGER_ID
        columns = (
            self.event_time_us[rows],
            np.where(is_integer, self.trade_id[rows], NO_ORDER_ID),
            self.receive_time_us[rows],
            np.full(len(rows), self.source_key, dtype=np.int64),
            self.sequence[rows],
        )
        return np.stack(columns, axis=1)

    def runs(self) -> Iterator[tuple[Entry, slice]]:
        """Yield each entry with the slice of its rows; not for hot paths."""
        return self.entries.runs()

    def by_shard(self) -> Iterator[tuple[int, Ticks]]:
        """Yield the shards with ticks, each with its part: views, not copies."""
        entry_ends = np.cumsum(self.entries.shard_entries).tolist()
        row_ends = np.concatenate([[0], np.cumsum(self.entries.counts)])
        first = 0
        for shard, last in enumerate(entry_ends):
            if last > first:
                rows = slice(int(row_ends[first]), int(row_ends[last]))
                yield shard, self._with(self.entries.part(first, last), rows)
            first = last

    def sharded(self, shards: int) -> Ticks:
        """Return the ticks divided among the shards."""
        entries, rows = self.entries.sharded(shards)
        return self._with(entries, rows)

    def text_at(self, row: int) -> str:
        """Return the text trade id of a row, empty without one."""
        return "" if self.trade_id_text is None else str(self.trade_id_text[row])

    def key_at(self, row: int) -> OrderKey:
        """Return the row's position in the total order."""
        has_id = self.trade_id_kind[row] == INTEGER_ID
        return OrderKey(
            int(self.event_time_us[row]),
            int(self.trade_id[row]) if has_id else NO_ORDER_ID,
            int(self.receive_time_us[row]),
            self.source_key,
            int(self.sequence[row]),
        )

    def select(self, keep: NDArray[np.bool_]) -> Ticks:
        """Return the kept rows; entries without rows are dropped."""
        return self._with(self.entries.select(keep), keep)

    def standing(self) -> Ticks:
        """Return the rows without cancels."""
        is_void = (self.flags & CANCELLED) != 0
        return self.select(~is_void) if is_void.any() else self

    def _with(self, entries: Entries, rows: Any) -> Ticks:
        texts = self.trade_id_text
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(
            self,
            entries=entries,
            trade_id_text=None if texts is None else texts[rows],
            **columns,
        )

    def encode(self) -> bytes:
        """Return the TickBatch."""
        kinds = self.trade_id_kind
        one_kind = len(kinds) > 0 and bool((kinds == kinds[0]).all())
        head = ticks_pb2.TickBatch(source=self.source, instruments=self.entries.to_message())
        if one_kind:
            head.trade_id_kind_all = cast(ticks_pb2.TradeIdKind, int(kinds[0]))
        if self.trade_id_text is not None:
            head.trade_id_text.extend(self.trade_id_text[kinds == TEXT_ID].tolist())
        if self.price.dtype == object:
            head.wide_price.extend(map(str, self.price))
        if self.size.dtype == object:
            head.wide_size.extend(map(str, self.size))
        ids = self.trade_id[kinds == INTEGER_ID]
        columns = packed(
            [
                (3, deltas(self.event_time_us)),
                (4, _EMPTY if self.price.dtype == object else deltas(self.price)),
                (5, _EMPTY if self.size.dtype == object else zigzag(self.size)),
                (6, _if_any(self.side)),
                (7, _EMPTY if one_kind else kinds.astype(np.uint64)),
                (9, deltas(ids)),
                (11, deltas(self.receive_time_us)),
                (12, deltas(self.sequence)),
                (13, _if_any(self.flags)),
            ]
        )
        # Concatenated messages are one message: scalar fields, then columns.
        return head.SerializeToString() + columns

    @classmethod
    def decode(cls, body: bytes) -> Ticks:
        """Read a TickBatch. Raises PermanentError `bad_tick_batch` that names the column."""
        message = parsed(_CODE, ticks_pb2.TickBatch, body)
        n = len(message.event_time_us)
        entries = Entries.from_message(_CODE, message.instruments, n)
        if len(message.trade_id_kind):
            kinds = _small("trade_id_kind", message.trade_id_kind, n, _KINDS)
        else:
            one_kind = _small("trade_id_kind_all", [message.trade_id_kind_all], 1, _KINDS)
            kinds = np.full(n, one_kind[0], dtype=np.uint8)
        integers = kinds == INTEGER_ID
        trade_id = np.zeros(n, dtype=np.int64)
        trade_id[integers] = summed(
            _column("trade_id", message.trade_id, int(integers.sum()), np.int64)
        )
        if message.wide_price:
            price = _wide("wide_price", message.wide_price, n)
        else:
            price = summed(_column("price", message.price, n, np.int64))
        if message.wide_size:
            size = _wide("wide_size", message.wide_size, n)
        else:
            size = _column("size", message.size, n, np.int64)
        if n and size.min() < 0:
            raise PermanentError(_CODE, "column size has a negative value")
        return cls(
            message.source,
            entries,
            _times("event_time_us", message.event_time_us, n),
            price,
            size,
            _small("side", message.side, n, _SIDES, optional=True),
            kinds,
            trade_id,
            _texts(message.trade_id_text, kinds == TEXT_ID),
            _times("receive_time_us", message.receive_time_us, n),
            summed(_column("sequence", message.sequence, n, np.int64)),
            _small("flags", message.flags, n, _FLAGS, optional=True),
        )


_COLUMNS: Final = tuple(
    field.name
    for field in fields(Ticks)
    if field.name not in ("source", "entries", "trade_id_text")
)


def joined(batches: Sequence[Ticks]) -> Ticks:
    """Concatenate batches of one source into one of one shard."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _COLUMNS
    }
    return replace(
        batches[0],
        entries=Entries.of(*(entry for batch in batches for entry in batch.entries)),
        trade_id_text=joined_texts(batches),
        **columns,
    )


def joined_texts(batches: Sequence[Ticks]) -> Texts | None:
    """Concatenate the text trade ids of batches; None if no row has one."""
    texts = [batch.trade_id_text for batch in batches]
    if all(each is None for each in texts):
        return None
    empty = (np.full(len(batch), "", dtype=object) for batch in batches)
    return np.concatenate([e if t is None else t for e, t in zip(empty, texts, strict=True)])


_EMPTY: Final = np.zeros(0, dtype=np.uint64)


def _if_any(column: Bytes8) -> Uint64s:
    return column.astype(np.uint64) if column.any() else _EMPTY


def _small(name: str, field: Any, n: int, values: int, *, optional: bool = False) -> Bytes8:
    """Read a column of numbers below `values`; an `optional` one may be empty, for zeros."""
    if optional and not len(field):
        return np.zeros(n, dtype=np.uint8)
    column = _column(name, field, n, np.int64)
    if n and not 0 <= int(column.min()) <= int(column.max()) < values:
        raise PermanentError(_CODE, f"column {name} has values that are none")
    return column.astype(np.uint8)


def _texts(field: Any, rows: NDArray[np.bool_]) -> Texts | None:
    if not rows.any():
        return None
    if len(field) != int(rows.sum()):
        raise PermanentError(_CODE, "column trade_id_text has the wrong length")
    if "\0" in "".join(field):
        raise PermanentError(_CODE, "column trade_id_text has a NUL in it")
    texts = np.full(len(rows), "", dtype=object)
    texts[rows] = list(field)
    return texts


def _wide(name: str, field: Any, n: int) -> Mantissas:
    if len(field) != n:
        raise PermanentError(
            _CODE, f"column {name} has {len(field)} rows, the instrument table says {n}"
        )
    texts = list(field)
    if not all(_is_mantissa(text) for text in texts):
        raise PermanentError(
            _CODE, f"column {name} needs whole numbers of at most {MAX_WIDE_DIGITS} digits"
        )
    result = np.empty(n, dtype=object)
    result[:] = [int(text) for text in texts]
    return result


def _is_mantissa(text: str) -> bool:
    digits = text.removeprefix("-")
    return len(digits) <= MAX_WIDE_DIGITS and digits.isascii() and digits.isdigit()
