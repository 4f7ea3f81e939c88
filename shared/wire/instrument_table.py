"""Instrument table of a batch as columns: name, scales and row count of each entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import PermanentError
from shared.market.bounds import check_instruments
from shared.market.decimals import MAX_SCALE
from shared.market.instruments import NO_MARKET, Market
from shared.market.shards import MAX_SHARDS, shards_of
from shared.schema import ticks_pb2

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Entry:
    """A run of `count` rows of one instrument at one pair of scales.

    `market`: the exchange's name of the instrument, if it has one.
    """

    name: str
    price_scale: int
    size_scale: int
    count: int
    market: Market = NO_MARKET


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Columns of equal length: one entry per run of `counts` rows of one instrument.

    price = mantissa x 10^-price_scale, sizes with `size_scale`. `markets` is empty if no entry has
    one. `shard_entries`: int64[shards], number of entries per shard, by which they are sorted. An
    instrument has several entries only if its mantissas do not fit 64 bits at one scale, or for
    several venues.
    """

    names: tuple[str, ...]
    price_scale: Int64s
    size_scale: Int64s
    counts: Int64s
    markets: tuple[Market, ...]
    shard_entries: Int64s

    @classmethod
    def of(cls, *entries: Entry) -> Entries:
        """Return entries, in their order, as a table of one shard."""
        marked = any(entry.market.venue for entry in entries)
        return cls(
            tuple(entry.name for entry in entries),
            np.array([entry.price_scale for entry in entries], dtype=np.int64),
            np.array([entry.size_scale for entry in entries], dtype=np.int64),
            np.array([entry.count for entry in entries], dtype=np.int64),
            tuple(entry.market for entry in entries) if marked else (),
            np.array([len(entries)], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Entry:
        return Entry(
            self.names[index],
            int(self.price_scale[index]),
            int(self.size_scale[index]),
            int(self.counts[index]),
            self.markets[index] if self.markets else NO_MARKET,
        )

    def __iter__(self) -> Iterator[Entry]:
        return (self[index] for index in range(len(self)))

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.shard_entries)

    @property
    def venues(self) -> list[str]:
        """The venue of each entry, empty if the feed has none."""
        return [market.venue for market in self.markets] or [""] * len(self)

    @property
    def starts(self) -> Int64s:
        """The first row of each entry, int64[entries]."""
        return np.cumsum(self.counts) - self.counts

    @property
    def of_row(self) -> Int64s:
        """The number of each row's entry, int64[rows]."""
        return np.repeat(np.arange(len(self)), self.counts)

    def runs(self) -> Iterator[tuple[Entry, slice]]:
        """Yield each entry with the slice of its rows; not for hot paths."""
        start = 0
        for entry in self:
            yield entry, slice(start, start + entry.count)
            start += entry.count

    def select(self, keep: NDArray[np.bool_]) -> Entries:
        """Return the entries of the kept rows; those without rows are dropped."""
        if not len(self):
            return self
        starts = np.cumsum(self.counts) - self.counts
        counts = np.add.reduceat(keep.astype(np.int64), starts)
        left = counts > 0
        of_shard = np.repeat(np.arange(self.shards), self.shard_entries)
        return self._at(
            np.flatnonzero(left), counts, np.bincount(of_shard[left], minlength=self.shards)
        )

    def part(self, first: int, last: int) -> Entries:
        """Return entries `first` to `last`, exclusive, as a table of one shard."""
        return Entries(
            self.names[first:last],
            self.price_scale[first:last],
            self.size_scale[first:last],
            self.counts[first:last],
            self.markets[first:last],
            np.array([last - first], dtype=np.int64),
        )

    def sharded(self, shards: int) -> tuple[Entries, Int64s]:
        """Return the table divided among the shards, and the source row of each of its rows."""
        of_entry = shards_of(self.names, shards)
        order = np.argsort(of_entry, kind="stable")
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[order]
        moved = np.repeat(starts[order] - (np.cumsum(counts) - counts), counts)
        table = self._at(order, self.counts, np.bincount(of_entry, minlength=shards))
        return table, moved + np.arange(len(moved))

    def _at(self, positions: Int64s, counts: Int64s, shard_entries: Int64s) -> Entries:
        indexes = positions.tolist()
        return Entries(
            tuple(self.names[index] for index in indexes),
            self.price_scale[positions],
            self.size_scale[positions],
            counts[positions],
            tuple(self.markets[index] for index in indexes) if self.markets else (),
            shard_entries,
        )

    def to_message(self) -> ticks_pb2.InstrumentTable:
        """Return the protobuf form."""
        message = ticks_pb2.InstrumentTable(
            name=self.names,
            price_scale=self.price_scale.tolist(),
            size_scale=self.size_scale.tolist(),
            count=self.counts.tolist(),
            shard_entries=self.shard_entries.tolist(),
        )
        if self.markets:
            venues = {venue: n for n, venue in enumerate(dict.fromkeys(["", *self.venues]))}
            message.venue.extend(list(venues)[1:])
            message.entry_venue.extend([venues[market.venue] for market in self.markets])
            message.original.extend([m.original for m in self.markets if m.venue])
        return message

    @classmethod
    def from_message(cls, code: str, message: ticks_pb2.InstrumentTable, rows: int) -> Entries:
        """Parse the table of a batch before `rows` are allocated for it. Raises PermanentError."""

        def column(field: Sequence[int], name: str) -> Int64s:
            if len(field) != len(message.name):
                raise PermanentError(
                    code, f"column {name} has {len(field)} entries, name has {len(message.name)}"
                )
            return np.array(field, dtype=np.int64)

        counts = column(message.count, "count")
        if (total := int(counts.sum())) != rows:
            raise PermanentError(
                code, f"column event_time_us has {rows} rows, the instrument table says {total}"
            )
        table = cls(
            tuple(message.name),
            column(message.price_scale, "price_scale"),
            column(message.size_scale, "size_scale"),
            counts,
            _markets(code, message),
            np.array(message.shard_entries, dtype=np.int64),
        )
        check_instruments(code, table.names)
        scales = max(table.price_scale.max(initial=0), table.size_scale.max(initial=0))
        if scales > MAX_SCALE or not counts.all():
            raise PermanentError(
                code, f"an instrument needs scales up to {MAX_SCALE}, and a row at least"
            )
        shards, divided = table.shards, int(table.shard_entries.sum())
        if not 1 <= shards <= MAX_SHARDS or divided != len(table):
            raise PermanentError(
                code,
                f"column shard_entries has {shards} shards (1 to {MAX_SHARDS}) with {divided}"
                f" entries, name has {len(table)}",
            )
        return table


def _markets(code: str, message: ticks_pb2.InstrumentTable) -> tuple[Market, ...]:
    if not len(message.entry_venue):
        return ()
    venues = ["", *message.venue]
    marked = sum(map(bool, message.entry_venue))
    if (
        len(message.entry_venue) != len(message.name)
        or max(message.entry_venue) >= len(venues)
        or marked != len(message.original)
    ):
        raise PermanentError(code, "columns venue, entry_venue and original do not fit together")
    originals = iter(message.original)
    return tuple(
        Market(venues[n], next(originals)) if n else NO_MARKET for n in message.entry_venue
    )
