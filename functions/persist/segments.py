"""Ticks of the events of a commit to segments: sorted by hour, shard and instrument, then cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.stores.segment_columns import HOUR_US, Columns, Runs, Segment, segment
from shared.wire.ticks import Int64s, Ticks, joined_texts

FEWEST_TICKS: Final = 512
"""A smaller segment takes the next shard's ticks too: a quiet market costs a row a commit."""
MOST_TICKS: Final = 16_384
"""A segment ends with the shard or the run that reaches it, so that it can be read in parts."""

Event = tuple[str, Ticks]
"""The id of a tick event, and its ticks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """The runs of several events before they are sorted: where their rows begin, and what they are.

    `hour`, `shard`: what they are sorted by first. `first`: place of the first row.
    """

    runs: Runs
    hour: Int64s
    shard: Int64s
    first: Int64s

    def at(self, index: Any) -> _Pieces:
        return _Pieces(self.runs.at(index), self.hour[index], self.shard[index], self.first[index])


def segments(events: Sequence[Event]) -> Iterator[Segment]:
    """Yield the segments of events; `part` counts them. Their `day` and `commit_id` are not set.

    Events that divide instruments among other numbers of shards, and those with mantissas beyond 64
    bits, have segments of their own.
    """
    part = 0

    def kind(event: Event) -> tuple[int, bool]:
        return event[1].shards, event[1].price.dtype == object or event[1].size.dtype == object

    for (shards, _), group in groupby(sorted(filled(events), key=kind), key=kind):
        for each in _of_one_kind(list(group), shards, part):
            yield each
            part += 1


def filled(events: Sequence[Event]) -> list[Event]:
    """Return the events that have ticks."""
    return [event for event in events if len(event[1])]


def _of_one_kind(events: list[Event], shards: int, part: int) -> Iterator[Segment]:
    columns = _joined([ticks for _, ticks in events])
    entries, shard, names, venues = _entries([ticks for _, ticks in events])
    pieces = _pieces(entries, shard, columns.event_time_us)
    runs = pieces.runs
    pieces = pieces.at(np.lexsort((pieces.first, runs.event, runs.name, pieces.hour)))
    ticks = pieces.runs.ticks
    starts = np.cumsum(ticks) - ticks
    columns = columns.at(np.repeat(pieces.first - starts, ticks) + np.arange(int(ticks.sum())))
    labels = [(event_id, each.source) for event_id, each in events]
    for first, last in _cuts(pieces):
        of_shards = shards, int(pieces.shard[first]), int(pieces.shard[last - 1])
        yield segment(
            *(part, of_shards, labels, venues, names),
            pieces.runs.at(slice(first, last)),
            columns.at(slice(int(starts[first]), int(starts[last - 1] + ticks[last - 1]))),
        )
        part += 1


def _entries(batches: Sequence[Ticks]) -> tuple[Runs, Int64s, list[str], list[str]]:
    """Return the entries of all batches, the shard of each, and the names and venues they have.

    Names are sorted by shard first.
    """
    tables = [ticks.entries for ticks in batches]
    shard = np.concatenate(
        [np.repeat(np.arange(table.shards), table.shard_entries) for table in tables]
    )
    of_entry = [name for table in tables for name in table.names]
    shard_of = dict(zip(of_entry, shard.tolist(), strict=True))
    names = sorted(shard_of, key=lambda name: (shard_of[name], name))
    venue_of = [venue for table in tables for venue in table.venues]
    venues = sorted(set(venue_of))
    entries = Runs(
        _indices(of_entry, names),
        np.repeat(np.arange(len(tables)), [len(table) for table in tables]),
        _indices(venue_of, venues),
        np.concatenate([table.price_scale for table in tables]),
        np.concatenate([table.size_scale for table in tables]),
        np.concatenate([table.counts for table in tables]),
    )
    return entries, shard, names, venues


def _pieces(entries: Runs, shard: Int64s, times: Int64s) -> _Pieces:
    """Return the entries, cut where the hour of their rows changes."""
    entry = np.repeat(np.arange(len(shard)), entries.ticks)
    hour = times // HOUR_US
    first = np.flatnonzero(_changes(entry) | _changes(hour))
    runs = replace(entries.at(entry[first]), ticks=np.diff(first, append=len(times)))
    return _Pieces(runs, hour[first], shard[entry[first]], first)


def _cuts(pieces: _Pieces) -> Iterator[tuple[int, int]]:
    """Yield the first run of each segment and the one after its last."""
    ends = np.cumsum(pieces.runs.ticks)
    new_hour, new_shard = _changes(pieces.hour), _changes(pieces.shard)
    passed_most = np.append(False, np.diff(ends // MOST_TICKS) > 0)
    first = ticks_before = 0
    for run in np.flatnonzero(new_hour | new_shard | passed_most).tolist():
        count = int(ends[run - 1]) - ticks_before if run else 0
        if count and (
            new_hour[run] or count >= (FEWEST_TICKS if new_shard[run] else MOST_TICKS // 2)
        ):
            yield first, run
            first, ticks_before = run, ticks_before + count
    yield first, len(ends)


def _joined(batches: Sequence[Ticks]) -> Columns:
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(batch, field.name) for batch in batches])
        for field in fields(Columns)
        if field.name != "trade_id_text"
    }
    return Columns(trade_id_text=joined_texts(batches), **columns)


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell for each value whether it differs from the one before; true for the first."""
    return np.append(True, values[1:] != values[:-1]) if len(values) else np.zeros(0, dtype=bool)


def _indices(values: Sequence[str], among: Sequence[str]) -> Int64s:
    """Return the index of each value."""
    index_of = {value: n for n, value in enumerate(among)}
    return np.array([index_of[value] for value in values], dtype=np.int64)
