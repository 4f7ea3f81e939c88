"""A row of `tick_segments`: ticks of many instruments and events as byte planes, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.stores.planes import (
    Column,
    as_narrow,
    from_deltas,
    from_planes,
    from_signed_planes,
    signed_planes,
    to_deltas,
    to_planes,
)
from shared.wire.ticks import INTEGER_ID, TEXT_ID, Int64s, Texts

T = TypeVar("T")

HOUR_US: Final = 3_600_000_000
"""A segment lies within an hour of event time."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Pieces of one instrument, event, venue and pair of scales: columns of equal length.

    `name`, `event`, `venue`: places in the segment's lists. `ticks`: how many rows.
    """

    name: Int64s
    event: Int64s
    venue: Int64s
    price_scale: Int64s
    size_scale: Int64s
    ticks: Int64s

    def at(self, index: Any) -> Runs:
        """Return the runs of an index or a mask."""
        return Runs(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The ticks' own columns, as in `Ticks`. `trade_id_text` is None when no row has one."""

    event_time_us: Int64s
    price: Column
    size: Column
    side: NDArray[Any]
    flags: NDArray[Any]
    trade_id_kind: NDArray[Any]
    trade_id: Int64s
    trade_id_text: Texts | None
    receive_time_us: Int64s
    sequence: Int64s

    def at(self, rows: Any) -> Columns:
        """Return the rows of an index, a mask or a slice."""
        values: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            values[field.name] = None if column is None else column[rows]
        return Columns(**values)


@dataclass(frozen=True, slots=True)
class Segment:
    """A row of `tick_segments`, in the order of its columns."""

    day: date
    commit_id: int
    part: int
    shards: int
    first_shard: int
    last_shard: int
    tick_count: int
    run_count: int
    first_time_us: int
    last_time_us: int
    event_ids: list[str]
    sources: list[str]
    venues: list[str]
    names: str
    firsts: list[Decimal]
    run_name: bytes
    run_event: bytes
    run_venue: bytes
    run_price_scale: bytes
    run_size_scale: bytes
    run_ticks: bytes
    event_time: bytes
    price: bytes
    size: bytes
    side: bytes
    flags: bytes
    trade_id_kind: bytes
    trade_id: bytes
    trade_id_text: list[str] | None
    receive_delay: bytes
    sequence: bytes

    @property
    def instruments(self) -> list[str]:
        """The names of its instruments, in order."""
        return self.names.split("\n")

    def runs(self) -> Runs:
        """Decode the runs."""
        n = self.run_count
        return Runs(
            np.cumsum(_small(self.run_name, n)) - 1,
            *(
                _small(planes, n)
                for planes in (
                    *(self.run_event, self.run_venue, self.run_price_scale, self.run_size_scale),
                    self.run_ticks,
                )
            ),
        )

    def columns(self) -> Columns:
        """Decode the ticks."""
        n = self.tick_count
        time, price, trade_id, sequence = (
            from_deltas(int(first), planes, n)
            for first, planes in zip(
                self.firsts,
                (self.event_time, self.price, self.trade_id, self.sequence),
                strict=True,
            )
        )
        kind = _small(self.trade_id_kind, n)
        texts = self.trade_id_text
        return Columns(
            time,
            price,
            as_narrow(from_planes(self.size, n)),
            _small(self.side, n).astype(np.uint8),
            _small(self.flags, n).astype(np.uint8),
            kind.astype(np.uint8),
            np.where(kind == INTEGER_ID, trade_id, 0),
            None if texts is None else np.array(texts, dtype=object),
            time + from_signed_planes(self.receive_delay, n),
            sequence,
        )


def segment(
    part: int,
    shards: tuple[int, int, int],
    events: Sequence[tuple[str, str]],
    venues: Sequence[str],
    names: Sequence[str],
    runs: Runs,
    columns: Columns,
) -> Segment:
    """Encode ticks of at least one run, sorted by name; `day` and `commit_id` are still to come.

    `shards`: how many there are, the first and the last one here. `events`: id and source of each.
    Lists that the runs refer to may hold more than they refer to; what they do not is left out.
    """
    event, events = _used(runs.event, events)
    venue, venues = _used(runs.venue, venues)
    name, names = _used(runs.name, names)
    kind = columns.trade_id_kind
    times = columns.event_time_us
    first_time, time_planes = to_deltas(times)
    first_price, price_planes = to_deltas(columns.price)
    first_id, id_planes = to_deltas(_forward_filled(columns.trade_id, kind == INTEGER_ID))
    first_sequence, sequence_planes = to_deltas(columns.sequence)
    texts = columns.trade_id_text
    return Segment(
        date.min,
        0,
        part,
        *shards,
        len(times),
        len(event),
        int(times.min()),
        int(times.max()),
        [event_id for event_id, _ in events],
        [source for _, source in events],
        list(venues),
        "\n".join(names),
        [Decimal(each) for each in (first_time, first_price, first_id, first_sequence)],
        to_planes(np.diff(name, prepend=-1)),
        to_planes(event),
        to_planes(venue),
        to_planes(runs.price_scale),
        to_planes(runs.size_scale),
        to_planes(runs.ticks),
        time_planes,
        price_planes,
        to_planes(columns.size),
        to_planes(columns.side),
        to_planes(columns.flags),
        to_planes(kind),
        id_planes,
        texts.tolist() if texts is not None and (kind == TEXT_ID).any() else None,
        signed_planes(columns.receive_time_us - times),
        sequence_planes,
    )


def _used(indices: Int64s, values: Sequence[T]) -> tuple[Int64s, Sequence[T]]:
    """Drop unused values; return the renumbered indices and the values left, in order."""
    used = np.zeros(len(values), dtype=bool)
    used[indices] = True
    if used.all():
        return indices, values
    return (np.cumsum(used) - 1)[indices], [values[n] for n in np.flatnonzero(used).tolist()]


def _forward_filled(values: Int64s, has: NDArray[np.bool_]) -> Int64s:
    """Fill missing values with the previous one."""
    if has.all():
        return values
    return values[np.maximum.accumulate(np.where(has, np.arange(len(values)), 0))]


def _small(planes: bytes, count: int) -> Int64s:
    return from_planes(planes, count).astype(np.int64)
