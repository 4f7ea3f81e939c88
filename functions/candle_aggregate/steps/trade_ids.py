"""Deduplication by trade id: ids above an instrument's highest are new; others are looked up.

A trade is its instrument, venue, trade id and UTC minute of event time. Integer ids of the venue
that an instrument's first ones came from are kept as runs; text ids, and ids of another venue, as
16-byte digests. Both are only appended to the minute's string.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Instruments, Ints
from functions.candle_aggregate.steps.seen_ids import Minute, SeenIds
from shared.candles.trade_identity import MINUTE_US
from shared.market.runs import groups, lengths_of, run_starts
from shared.realtime.instrument_records import NEVER_US
from shared.wire.ticks import INTEGER_ID, NO_ID, TEXT_ID, Ticks
from shared.wire.varints import fixed_field, packed, zigzag

_RUNS_A_RANGE: Final = 4
"""Ranges are written for so many runs each; those of fewer cost more than they save."""
_RANGED_BYTES: Final = 10
"""Length of the field `ranged_bytes` itself, which it includes."""


class Part(NamedTuple):
    """Ticks of one event that a step applies, and the gid of each entry."""

    event: str
    ticks: Ticks
    gids: Ints

    def select(self, keep: NDArray[np.bool_]) -> Part:
        """Return the kept rows."""
        has_ticks = np.logical_or.reduceat(keep, self.ticks.entries.starts)
        return Part(self.event, self.ticks.select(keep), self.gids[has_ticks])


class Trades:
    """Ticks of a step that are trades not counted before.

    Created before any lookup: `lookups` are the minutes that `decide` must be given.
    """

    def __init__(self, parts: Sequence[Part], instruments: Instruments) -> None:
        self._parts = parts
        self._instruments = instruments
        self._offsets = np.cumsum([0, *(len(part.ticks) for part in parts)])
        self._keep = np.ones(self._offsets[-1], dtype=bool)
        self._runs: list[tuple[Ints, ...]] = []
        """Runs of new integer ids: entry (-1: of several), gid, minute, first id and length."""
        self._digests: list[tuple[int, int, int, int, bytes]] = []
        self._entries = _Entries.of(parts)
        self._slow = _Rows(*[np.zeros(0, dtype=np.int64)] * 5)
        """Those whose ids must be looked up, or compared with each other."""
        if len(self._entries.gid):
            self._classify()

    @property
    def keep(self) -> list[NDArray[np.bool_]]:
        """Return for each part which rows were not counted before."""
        return [self._keep[first:end] for first, end in pairwise(self._offsets.tolist())]

    @property
    def lookups(self) -> set[Minute]:
        """The minutes whose ids `decide` needs."""
        shard, slow = self._instruments.shard, self._slow
        minutes = {(int(shard[gid]), minute) for _, _, gid, minute, _ in self._digests}
        is_old = slow.minute <= self._instruments.data["seen_minute"][slow.gid]
        shards, old = shard[slow.gid[is_old]].tolist(), slow.minute[is_old].tolist()
        return minutes.union(zip(shards, old, strict=True))

    def decide(self, seen: Mapping[Minute, SeenIds]) -> dict[Minute, bytes]:
        """Set `keep`; return what to append to the minutes' strings.

        Raises the instruments' highest ids.
        """
        self._decide_slow(seen)
        return self._chunks(self._decide_digests(seen))

    def _classify(self) -> None:
        """Classify entries: new are those above the highest id, which overlap no other entry."""
        data, entries = self._instruments.data, self._entries
        is_new = entries.integers & (data["seen_minute"][entries.gid] == NEVER_US)
        data["venue"][entries.gid[is_new]] = entries.venue[is_new]
        main = data["venue"][entries.gid] == entries.venue
        plain = entries.plain & main
        order = np.lexsort((entries.first, entries.first_minute, entries.gid))
        order = order[(entries.integers & main)[order]]  # only these are compared with each other
        gid, first_minute, first = (
            each[order] for each in (entries.gid, entries.first_minute, entries.first)
        )
        is_alone = plain[order]
        before = entries.last_minute[order][:-1], entries.last[order][:-1]
        is_alone[1:] &= (gid[1:] != gid[:-1]) | _is_later(first_minute[1:], first[1:], *before)
        if not is_alone.all():
            is_alone = ~np.isin(gid, gid[~is_alone])
        highest = data["seen_minute"][gid], data["seen_highest"][gid]
        is_quick = is_alone & _is_later(first_minute, first, *highest)
        self._add_runs(self._rows(order[is_quick]))
        for place in (~plain & (entries.texts | ~main)).nonzero()[0].tolist():
            self._add_digests(entries, place, foreign=not main[place])
        if not is_quick.all():
            self._slow = self._sorted(self._rows(order[~is_quick]))

    def _rows(self, entries: NDArray[np.intp]) -> _Rows:
        """Return the rows of some entries."""
        table, ticks = self._entries, [part.ticks for part in self._parts]
        lengths = table.rows[entries]
        entry = np.repeat(entries, lengths)
        starts = self._offsets[table.part[entries]] + table.start[entries]
        row = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(len(entry))
        minute = np.concatenate([each.event_time_us for each in ticks])[row] // MINUTE_US
        ids = np.concatenate([each.trade_id for each in ticks])[row]
        return _Rows(entry, row, table.gid[entry], minute, ids)

    def _sorted(self, rows: _Rows) -> _Rows:
        """Return those with integer ids by instrument, minute and id, then total order."""
        ticks = [part.ticks for part in self._parts]
        kinds = np.concatenate([each.trade_id_kind for each in ticks])
        rows = rows.at(kinds[rows.row] == INTEGER_ID)
        keys = np.concatenate([each.order_keys(np.arange(len(each))) for each in ticks])[rows.row]
        order = np.lexsort((*keys.T[::-1], rows.id, rows.minute, rows.gid))
        return rows.at(order)._replace(entry=np.full(len(order), -1))

    def _add_runs(self, rows: _Rows) -> None:
        """Add ids, those of one instrument and minute together and ascending."""
        if count := len(rows.id):
            starts = run_starts(rows.gid, rows.minute, rows.id - np.arange(count))
            columns = (each[starts] for each in (rows.entry, rows.gid, rows.minute, rows.id))
            self._runs.append((*columns, lengths_of(starts, count)))

    def _add_digests(self, entries: _Entries, place: int, *, foreign: bool) -> None:
        number = int(entries.part[place])
        ticks, start = self._parts[number].ticks, int(entries.start[place])
        gid, venue = int(entries.gid[place]), int(entries.venue[place])
        rows = np.arange(start, start + int(entries.rows[place]))
        kinds = ticks.trade_id_kind[rows]
        has_digest = (kinds != NO_ID) if foreign else (kinds == TEXT_ID)
        name = self._instruments.fields[gid]
        for row in rows[has_digest].tolist():
            is_text = ticks.trade_id_kind[row] == TEXT_ID
            id_ = "t" + ticks.text_at(row) if is_text else f"i{ticks.trade_id[row]}"
            text = b"\0".join([name, str(venue).encode(), id_.encode()])
            digest = hashlib.blake2b(text, digest_size=16).digest()
            minute = int(ticks.event_time_us[row]) // MINUTE_US
            self._digests.append((number, row, gid, minute, digest))

    def _decide_slow(self, seen: Mapping[Minute, SeenIds]) -> None:
        slow, data = self._slow, self._instruments.data
        is_new = np.zeros(len(slow.gid), dtype=bool)
        is_new[run_starts(slow.gid, slow.minute, slow.id)] = True
        old = np.flatnonzero(is_new & (slow.minute <= data["seen_minute"][slow.gid]))
        shards = self._instruments.shard[slow.gid[old]]
        for (shard, minute), rows in groups(shards, slow.minute[old]):
            asked = old[rows]
            numbers = data["number"][slow.gid[asked]].astype(np.int64)
            is_new[asked] = ~seen[shard, minute].overlaps(numbers, slow.id[asked], slow.id[asked])
        self._keep[slow.row[~is_new]] = False
        self._add_runs(slow.at(is_new))

    def _decide_digests(self, seen: Mapping[Minute, SeenIds]) -> dict[Minute, set[bytes]]:
        new_digests: dict[Minute, set[bytes]] = defaultdict(set)

        def order(each: tuple[int, int, int, int, bytes]) -> tuple[int, ...]:
            return tuple(self._parts[each[0]].ticks.key_at(each[1]))

        for number, row, gid, minute, digest in sorted(self._digests, key=order):
            key = (int(self._instruments.shard[gid]), minute)
            if digest in seen[key].digests or digest in new_digests[key]:
                self._keep[self._offsets[number] + row] = False
            else:
                new_digests[key].add(digest)
        return new_digests

    def _chunks(self, digests: Mapping[Minute, set[bytes]]) -> dict[Minute, bytes]:
        chunks: dict[Minute, bytes] = defaultdict(bytes)
        for key, minute_digests in digests.items():
            halves = np.frombuffer(b"".join(sorted(minute_digests)), dtype="<u8")
            chunks[key] += fixed_field(4, halves)
        if not self._runs:
            return chunks
        entry, gid, minute, first, length = map(np.concatenate, zip(*self._runs, strict=True))
        # Runs of one entry and minute stand together and ascend: they are one range.
        starts = run_starts(entry, gid, minute)
        runs_of = lengths_of(starts, len(first))
        ends = starts + runs_of - 1
        gid, minute = gid[starts], minute[starts]
        lowest, highest = first[starts], first[ends] + length[ends] - 1
        self._raise_highest(gid, minute, highest)
        shard = self._instruments.shard[gid]
        number = self._instruments.data["number"][gid].astype(np.uint64)
        order = np.lexsort((lowest, number))
        for (of_shard, of_minute), positions in groups(shard[order], minute[order]):
            key, ranges = (of_shard, of_minute), order[positions]
            counts = runs_of[ranges]
            rows = np.repeat(starts[ranges] - np.cumsum(counts) + counts, counts)
            rows += np.arange(len(rows))
            numbers, lengths = np.repeat(number[ranges], counts), length[rows].astype(np.uint64)
            chunks[key] += packed([(1, numbers), (2, zigzag(first[rows])), (3, lengths)])
            if len(ranges) * _RUNS_A_RANGE <= len(rows):
                columns = number[ranges], zigzag(lowest[ranges]), zigzag(highest[ranges])
                chunks[key] += packed([*enumerate(columns, 5)])
                size = len(chunks[key]) + _RANGED_BYTES
                chunks[key] += fixed_field(8, np.array([size], dtype=np.uint64))
        return chunks

    def _raise_highest(self, gid: Ints, minute: Ints, last: Ints) -> None:
        data = self._instruments.data
        order = np.lexsort((last, minute, gid))
        starts = run_starts(gid[order])
        ends = order[starts + lengths_of(starts, len(order)) - 1]
        gid, minute, last = gid[ends], minute[ends], last[ends]
        highest_minute, highest = data["seen_minute"][gid], data["seen_highest"][gid]
        higher = _is_later(minute, last, highest_minute, highest)
        data["seen_minute"][gid[higher]] = minute[higher]
        data["seen_highest"][gid[higher]] = last[higher]


class _Rows(NamedTuple):
    """Rows with trade ids. `entry`: of each, -1 of sorted ones. `row`: counted over all parts."""

    entry: Ints
    row: Ints
    gid: Ints
    minute: Ints
    id: Ints

    def at(self, rows: NDArray[Any]) -> _Rows:
        """Return the rows of an index or a mask."""
        return _Rows(*(column[rows] for column in self))


class _Entries(NamedTuple):
    """Entries with trade ids: columns of equal length.

    `plain`: integer ids only, ascending. `integers`, `texts`: whether it has such ids.
    """

    part: Ints
    start: Ints
    rows: Ints
    gid: Ints
    venue: Ints
    plain: NDArray[np.bool_]
    integers: NDArray[np.bool_]
    texts: NDArray[np.bool_]
    first: Ints
    last: Ints
    first_minute: Ints
    last_minute: Ints

    @classmethod
    def of(cls, parts: Sequence[Part]) -> _Entries:
        """Return the entries of some parts."""
        tables = [table for n, part in enumerate(parts) if (table := _entries(n, part))]
        if not tables:
            no_rows: NDArray[Any] = np.zeros(0, dtype=np.int64)
            return cls(*[no_rows] * len(cls._fields))
        return cls(*(np.concatenate(columns) for columns in zip(*tables, strict=True)))


def _entries(number: int, part: Part) -> _Entries | None:
    ticks = part.ticks
    kinds = ticks.trade_id_kind
    if not kinds.any():
        return None
    counts = ticks.entries.counts
    starts = ticks.entries.starts
    ends = starts + counts - 1
    is_integer = kinds == INTEGER_ID
    in_order = is_integer.copy()
    in_order[1:] &= ticks.trade_id[1:] > ticks.trade_id[:-1]
    in_order[starts] = is_integer[starts]
    minute = ticks.event_time_us // MINUTE_US
    has_ids = np.logical_or.reduceat(kinds != NO_ID, starts)
    plain = np.logical_and.reduceat(in_order, starts)
    venues = np.fromiter(map(_venue_key, ticks.entries.venues), dtype=np.int64, count=len(counts))
    columns: tuple[NDArray[Any], ...] = (
        np.full(len(counts), number),
        starts,
        counts,
        part.gids,
        venues,
        plain,
        np.logical_or.reduceat(is_integer, starts),
        np.logical_or.reduceat(kinds == TEXT_ID, starts),
        ticks.trade_id[starts],
        ticks.trade_id[ends],
        minute[starts],
        minute[ends],
    )
    return _Entries(*(column[has_ids] for column in columns))


def _is_later(minute: Ints, id_: Ints, than_minute: Ints, than_id: Ints) -> NDArray[np.bool_]:
    later: NDArray[np.bool_] = (minute > than_minute) | ((minute == than_minute) & (id_ > than_id))
    return later


@lru_cache(maxsize=1024)
def _venue_key(venue: str) -> int:
    if not venue:
        return 0
    digest = hashlib.blake2b(venue.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
