"""Quotes as columns, and their form on the wire (quotes.proto)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.market.decimals import from_mantissa
from shared.schema import quotes_pb2
from shared.wire import columns
from shared.wire.columns import delta, summed
from shared.wire.instrument_table import Entries, Entry
from shared.wire.message_fields import parsed
from shared.wire.ticks import Int64s

NOT_GIVEN: Final = -1
"""Placeholder of a size or update id that the feed does not give."""


class QuoteKey(NamedTuple):
    """A quote's position in the total order of its instrument's quotes: compare as a tuple."""

    event_time_us: int
    update_id: int
    receive_time_us: int
    source: str
    sequence: int


class Quote(NamedTuple):
    """One quote as exact decimals; sizes are None if the feed gives none."""

    bid: Decimal
    ask: Decimal
    bid_size: Decimal | None
    ask_size: Decimal | None


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """Columns of equal length n, int64, sorted by entry, then by `QuoteKey`.

    `event_time_us`, `receive_time_us`: microseconds since 1970 UTC. `bid`, `ask`, `bid_size`,
    `ask_size`: mantissas at the scales of the row's entry; a size is NOT_GIVEN where the feed gives
    none. `update_id`: the exchange's number of the book's change, or NOT_GIVEN.
    """

    source: str
    entries: Entries
    event_time_us: Int64s
    bid: Int64s
    ask: Int64s
    bid_size: Int64s
    ask_size: Int64s
    update_id: Int64s
    receive_time_us: Int64s
    sequence: Int64s

    def __len__(self) -> int:
        return len(self.event_time_us)

    def runs(self) -> Iterator[tuple[Entry, slice]]:
        """Yield each entry with the slice of its rows."""
        return self.entries.runs()

    def key_at(self, row: int) -> QuoteKey:
        """Return the row's position in the total order."""
        return QuoteKey(
            int(self.event_time_us[row]),
            int(self.update_id[row]),
            int(self.receive_time_us[row]),
            self.source,
            int(self.sequence[row]),
        )

    def quote_at(self, entry: Entry, row: int) -> Quote:
        """Return a row of the entry as decimals."""
        bid_size, ask_size = int(self.bid_size[row]), int(self.ask_size[row])
        return Quote(
            from_mantissa(int(self.bid[row]), entry.price_scale),
            from_mantissa(int(self.ask[row]), entry.price_scale),
            None if bid_size == NOT_GIVEN else from_mantissa(bid_size, entry.size_scale),
            None if ask_size == NOT_GIVEN else from_mantissa(ask_size, entry.size_scale),
        )

    def select(self, keep: NDArray[np.bool_]) -> Quotes:
        """Return the kept rows; entries without rows are dropped."""
        columns = {name: getattr(self, name)[keep] for name in _COLUMNS}
        return Quotes(self.source, self.entries.select(keep), **columns)

    def encode(self) -> bytes:
        """Return the QuoteBatch."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return quotes_pb2.QuoteBatch(
            source=self.source,
            instruments=self.entries.to_message(),
            **{
                name: each.tolist() if name in _SIZES else delta(each)
                for name, each in columns.items()
            },
        ).SerializeToString()

    @classmethod
    def decode(cls, body: bytes) -> Quotes:
        """Read a QuoteBatch. Raises PermanentError `bad_quote_batch` that names the column."""
        message = parsed("bad_quote_batch", quotes_pb2.QuoteBatch, body)
        n = len(message.event_time_us)
        entries = Entries.from_message("bad_quote_batch", message.instruments, n)
        columns = {name: _read(name, getattr(message, name), n) for name in _COLUMNS}
        return cls(message.source, entries, **columns)


def _read(name: str, field: Any, n: int) -> Int64s:
    if name.endswith("_time_us"):
        return columns.times("bad_quote_batch", name, field, n)
    column = columns.column("bad_quote_batch", name, field, n, np.int64)
    return column if name in _SIZES else summed(column)


_SIZES: Final = ("bid_size", "ask_size")
_COLUMNS: Final = tuple(
    each.name for each in fields(Quotes) if each.name not in ("source", "entries")
)
