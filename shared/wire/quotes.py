"""Quotes as columns, and their form on the wire (quotes.proto)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple

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

_column = partial(columns.column, "bad_quote_batch")
_times = partial(columns.times, "bad_quote_batch")


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
        return quotes_pb2.QuoteBatch(
            source=self.source,
            instruments=self.entries.to_message(),
            event_time_us=delta(self.event_time_us),
            bid=delta(self.bid),
            ask=delta(self.ask),
            bid_size=self.bid_size.tolist(),
            ask_size=self.ask_size.tolist(),
            update_id=delta(self.update_id),
            receive_time_us=delta(self.receive_time_us),
            sequence=delta(self.sequence),
        ).SerializeToString()

    @classmethod
    def decode(cls, body: bytes) -> Quotes:
        """Read a QuoteBatch. Raises PermanentError `bad_quote_batch` that names the column."""
        message = parsed("bad_quote_batch", quotes_pb2.QuoteBatch, body)
        n = len(message.event_time_us)
        entries = Entries.from_message("bad_quote_batch", message.instruments, n)
        return cls(
            message.source,
            entries,
            _times("event_time_us", message.event_time_us, n),
            summed(_column("bid", message.bid, n, np.int64)),
            summed(_column("ask", message.ask, n, np.int64)),
            _column("bid_size", message.bid_size, n, np.int64),
            _column("ask_size", message.ask_size, n, np.int64),
            summed(_column("update_id", message.update_id, n, np.int64)),
            _times("receive_time_us", message.receive_time_us, n),
            summed(_column("sequence", message.sequence, n, np.int64)),
        )


_COLUMNS: Final = tuple(
    each.name for each in fields(Quotes) if each.name not in ("source", "entries")
)
