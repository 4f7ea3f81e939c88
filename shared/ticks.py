"""Ticks as columns, and their form on the wire (ticks.proto)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from shared import columns
from shared.columns import checked_rows, summed
from shared.errors import PermanentError
from shared.instruments import NO_MARKET, Market
from shared.order import OrderKey
from shared.schema import ticks_pb2
from shared.varints import delta_field, signed_field, unsigned_field

Int64s = NDArray[np.int64]
Bytes8 = NDArray[np.uint8]
Texts = NDArray[np.object_]

_column = partial(columns.column, "bad_tick_batch")
_times = partial(columns.times, "bad_tick_batch")

NO_ID, INTEGER_ID, TEXT_ID = 0, 1, 2
_SIDES, _KINDS = 3, 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A run of `count` rows of one instrument at one pair of scales.

    `market`: what its exchange calls the instrument, where the feed is an exchange's.
    """

    name: str
    price_scale: int
    size_scale: int
    count: int
    market: Market = NO_MARKET

    def to_message(self) -> ticks_pb2.InstrumentEntry:
        """Return the protobuf form."""
        return ticks_pb2.InstrumentEntry(
            name=self.name,
            price_scale=self.price_scale,
            size_scale=self.size_scale,
            count=self.count,
            venue=self.market.venue,
            original=self.market.original,
        )

    @classmethod
    def from_message(cls, message: ticks_pb2.InstrumentEntry) -> Entry:
        """Read the protobuf form."""
        return cls(
            message.name,
            message.price_scale,
            message.size_scale,
            message.count,
            Market(message.venue, message.original) if message.venue else NO_MARKET,
        )


def runs_of(entries: Sequence[Entry]) -> Iterator[tuple[Entry, slice]]:
    """Yield each entry with the slice of its rows."""
    start = 0
    for entry in entries:
        yield entry, slice(start, start + entry.count)
        start += entry.count


def kept_entries(entries: Sequence[Entry], keep: NDArray[np.bool_]) -> tuple[Entry, ...]:
    """Return the entries of the rows where `keep` is true; those without rows fall away."""
    return tuple(
        replace(entry, count=count)
        for entry, rows in runs_of(entries)
        if (count := int(np.count_nonzero(keep[rows])))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Columns of equal length n, sorted by entry, then by the total order within the instrument.

    `event_time_us`, `receive_time_us`: microseconds since 1970 UTC, int64[n].
    `price`, `size`: int64 mantissas[n] at the scales of the row's entry.
    `side`: uint8[n] (0 unknown, 1 buy, 2 sell).
    `trade_id_kind`: uint8[n] (0 none, 1 integer, 2 text).
    `trade_id`: int64[n], 0 where the kind is not integer. `trade_id_text`: object[n] of str, empty
    where the kind is not text, or None when no row has one. `sequence`: int64[n].
    """

    source: str
    entries: tuple[Entry, ...]
    event_time_us: Int64s
    price: Int64s
    size: Int64s
    side: Bytes8
    trade_id_kind: Bytes8
    trade_id: Int64s
    trade_id_text: Texts | None
    receive_time_us: Int64s
    sequence: Int64s

    def __len__(self) -> int:
        return len(self.event_time_us)

    def runs(self) -> Iterator[tuple[Entry, slice]]:
        """Yield each entry with the slice of its rows."""
        return runs_of(self.entries)

    def text_at(self, row: int) -> str:
        """Return the text trade id of a row, empty without one."""
        return "" if self.trade_id_text is None else str(self.trade_id_text[row])

    def key_at(self, row: int) -> OrderKey:
        """Return the row's place in the total order."""
        return OrderKey(
            int(self.event_time_us[row]),
            int(self.trade_id_kind[row]),
            int(self.trade_id[row]),
            self.text_at(row),
            int(self.receive_time_us[row]),
            self.source,
            int(self.sequence[row]),
        )

    def select(self, keep: NDArray[np.bool_]) -> Ticks:
        """Return the rows where `keep` is true; entries without rows fall away."""
        return Ticks(
            self.source,
            kept_entries(self.entries, keep),
            self.event_time_us[keep],
            self.price[keep],
            self.size[keep],
            self.side[keep],
            self.trade_id_kind[keep],
            self.trade_id[keep],
            None if self.trade_id_text is None else self.trade_id_text[keep],
            self.receive_time_us[keep],
            self.sequence[keep],
        )

    def encode(self) -> bytes:
        """Return the TickBatch."""
        head = ticks_pb2.TickBatch(
            source=self.source,
            instruments=[entry.to_message() for entry in self.entries],
        )
        kinds = self.trade_id_kind
        alike = len(kinds) > 0 and bool((kinds == kinds[0]).all())
        kind_all = ticks_pb2.TickBatch()
        if alike:
            kind_all.trade_id_kind_all = cast(ticks_pb2.TradeIdKind, int(kinds[0]))
        texts = ticks_pb2.TickBatch()
        if self.trade_id_text is not None:
            texts.trade_id_text.extend(self.trade_id_text[kinds == TEXT_ID].tolist())
        # Messages one after the other are one message: what is no column, and the columns.
        return b"".join(
            [
                head.SerializeToString(),
                delta_field(3, self.event_time_us),
                delta_field(4, self.price),
                signed_field(5, self.size),
                unsigned_field(6, self.side.astype(np.uint64)) if self.side.any() else b"",
                b"" if alike else unsigned_field(7, kinds.astype(np.uint64)),
                kind_all.SerializeToString(),
                delta_field(9, self.trade_id[kinds == INTEGER_ID]),
                texts.SerializeToString(),
                delta_field(11, self.receive_time_us),
                delta_field(12, self.sequence),
            ]
        )

    @classmethod
    def decode(cls, body: bytes) -> Ticks:
        """Read a TickBatch. Raises PermanentError `bad_tick_batch` that names the column."""
        try:
            message = ticks_pb2.TickBatch.FromString(body)
        except DecodeError as error:
            raise PermanentError("bad_tick_batch", f"body is no TickBatch: {error}") from error
        entries = tuple(map(Entry.from_message, message.instruments))
        n = checked_rows("bad_tick_batch", entries, len(message.event_time_us))
        if len(message.trade_id_kind):
            kinds = _small("trade_id_kind", message.trade_id_kind, n, _KINDS)
        else:
            alike = _small("trade_id_kind_all", [message.trade_id_kind_all], 1, _KINDS)
            kinds = np.full(n, alike[0], dtype=np.uint8)
        integers = kinds == INTEGER_ID
        trade_id = np.zeros(n, dtype=np.int64)
        trade_id[integers] = summed(
            _column("trade_id", message.trade_id, int(integers.sum()), np.int64)
        )
        texts = kinds == TEXT_ID
        trade_id_text: Texts | None = None
        if texts.any():
            trade_id_text = np.full(n, "", dtype=object)
            if len(message.trade_id_text) != int(texts.sum()):
                raise PermanentError("bad_tick_batch", "column trade_id_text has the wrong length")
            if "\0" in "".join(message.trade_id_text):
                raise PermanentError("bad_tick_batch", "column trade_id_text has a NUL in it")
            trade_id_text[texts] = list(message.trade_id_text)
        if len(message.side):
            side = _small("side", message.side, n, _SIDES)
        else:
            side = np.zeros(n, dtype=np.uint8)
        return cls(
            message.source,
            entries,
            _times("event_time_us", message.event_time_us, n),
            summed(_column("price", message.price, n, np.int64)),
            _column("size", message.size, n, np.int64),
            side,
            kinds,
            trade_id,
            trade_id_text,
            _times("receive_time_us", message.receive_time_us, n),
            summed(_column("sequence", message.sequence, n, np.int64)),
        )


def joined(batches: Sequence[Ticks]) -> Ticks:
    """Return batches of one source as one, their entries one after the other."""
    texts = None
    if any(batch.trade_id_text is not None for batch in batches):
        texts = np.concatenate(
            [
                np.full(len(b), "", dtype=object) if b.trade_id_text is None else b.trade_id_text
                for b in batches
            ]
        )

    def column(name: str) -> Any:
        return np.concatenate([getattr(batch, name) for batch in batches])

    return Ticks(
        batches[0].source,
        tuple(entry for batch in batches for entry in batch.entries),
        column("event_time_us"),
        column("price"),
        column("size"),
        column("side"),
        column("trade_id_kind"),
        column("trade_id"),
        texts,
        column("receive_time_us"),
        column("sequence"),
    )


def _small(name: str, field: Any, n: int, values: int) -> Bytes8:
    """Read a column of numbers below `values`."""
    column = _column(name, field, n, np.int64)
    if n and not 0 <= int(column.min()) <= int(column.max()) < values:
        raise PermanentError("bad_tick_batch", f"column {name} has values that are none")
    return column.astype(np.uint8)
