"""Deduplication by trade id: ids above an instrument's highest are new; others are looked up.

A trade is its instrument, venue, trade id and UTC minute of event time. Integer ids of the venue
that an instrument's ids came from first are kept as runs; text ids, and ids of another venue, as
16-byte digests. Both are only appended to the minute's string.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Instruments, Ints
from shared.realtime.instrument_records import NEVER_US
from shared.schema import state_pb2
from shared.wire.ticks import INTEGER_ID, NO_ID, TEXT_ID, Ticks
from shared.wire.varints import fixed_field, packed, zigzag

MINUTE_US: Final = 60_000_000
_MINUTES: Final = 64
"""Minutes of a shard whose ids stay cached after a lookup."""

Minute = tuple[int, int]
"""Shard, and minute since 1970 UTC."""


class Part(NamedTuple):
    """Ticks of one event that a step applies, and the gid of each entry."""

    event: str
    ticks: Ticks
    gids: Ints


@dataclass(slots=True)
class SeenIds:
    """Ids of one minute and shard: runs of integers by the instrument's number, and digests."""

    numbers: Ints
    firsts: Ints
    lengths: Ints
    digests: set[bytes]

    @classmethod
    def decode(cls, blob: bytes) -> SeenIds:
        """Read SeenTrades messages, one after the other."""
        message = state_pb2.SeenTrades.FromString(blob)
        halves = np.array(message.digest, dtype="<u8").tobytes()
        return cls(
            np.array(message.number, dtype=np.int64),
            np.array(message.first, dtype=np.int64),
            np.array(message.length, dtype=np.int64),
            {halves[n : n + 16] for n in range(0, len(halves), 16)},
        )

    def contains(self, numbers: Ints, ids: Ints) -> NDArray[np.bool_]:
        """Tell for each instrument's number and id whether it is one of these."""
        found = np.zeros(len(ids), dtype=bool)
        if not len(ids):
            return found
        ends = self.firsts + self.lengths
        near = np.flatnonzero((self.firsts <= ids.max()) & (ends > ids.min()))
        near = near[np.isin(self.numbers[near], numbers)]
        if not len(near):
            return found
        # Runs and questions in one order: the run before a question is the only one to hold it.
        number = np.concatenate([self.numbers[near], numbers])
        value = np.concatenate([self.firsts[near], ids])
        asks = np.arange(len(number)) >= len(near)
        order = np.lexsort((asks, value, number))
        before = np.maximum.accumulate(np.where(asks[order], -1, np.arange(len(order))))
        places = np.flatnonzero(asks[order])
        run = order[np.maximum(before[places], 0)]
        question = order[places] - len(near)
        same = (before[places] >= 0) & (number[run] == numbers[question])
        run = np.where(same, run, 0)
        found[question] = same & (ids[question] - value[run] < self.lengths[near][run])
        return found


class SeenCache:
    """Cached minutes, updated with each append."""

    def __init__(self) -> None:
        self.minutes: OrderedDict[Minute, SeenIds] = OrderedDict()

    def load(self, minute: Minute, blob: bytes) -> None:
        """Take in what was read."""
        self.minutes[minute] = SeenIds.decode(blob)

    def append(self, minute: Minute, chunk: bytes) -> None:
        """Add written ids to a cached minute."""
        if (cached := self.minutes.get(minute)) is not None:
            added = SeenIds.decode(chunk)
            cached.numbers = np.concatenate([cached.numbers, added.numbers])
            cached.firsts = np.concatenate([cached.firsts, added.firsts])
            cached.lengths = np.concatenate([cached.lengths, added.lengths])
            cached.digests |= added.digests

    def forget(self, shard: int) -> None:
        """Forget a shard."""
        for minute in [each for each in self.minutes if each[0] == shard]:
            del self.minutes[minute]

    def trim(self) -> None:
        """Forget the oldest minutes."""
        while len(self.minutes) > _MINUTES:
            self.minutes.popitem(last=False)


@dataclass(slots=True)
class _Runs:
    """Runs of new integer ids."""

    gid: list[Ints] = field(default_factory=list)
    minute: list[Ints] = field(default_factory=list)
    first: list[Ints] = field(default_factory=list)
    length: list[Ints] = field(default_factory=list)

    def add(self, gid: Ints, minute: Ints, ids: Ints) -> None:
        """Add ids, those of one instrument and minute together and ascending."""
        if not len(ids):
            return
        follows = (gid[1:] == gid[:-1]) & (minute[1:] == minute[:-1]) & (ids[1:] == ids[:-1] + 1)
        starts = np.flatnonzero(np.append(True, ~follows))
        self.gid.append(gid[starts])
        self.minute.append(minute[starts])
        self.first.append(ids[starts])
        self.length.append(np.diff(starts, append=len(ids)))


class Trades:
    """Ticks of a step that are trades not counted before.

    Created before any lookup: `lookups` are the minutes that `decide` must be given.
    """

    def __init__(self, parts: Sequence[Part], instruments: Instruments) -> None:
        self._parts = parts
        self._instruments = instruments
        self.keep = [np.ones(len(part.ticks), dtype=bool) for part in parts]
        self._runs = _Runs()
        self._slow = _SlowRows.none()
        self._digests: list[tuple[int, int, int, int, bytes]] = []
        self._classify()

    @property
    def lookups(self) -> set[Minute]:
        """The minutes whose ids `decide` needs."""
        minutes = {
            (int(self._instruments.shard[gid]), minute) for _, _, gid, minute, _ in self._digests
        }
        slow, data = self._slow, self._instruments.data
        is_old = slow.minute <= data["seen_minute"][slow.gid]
        shards = self._instruments.shard[slow.gid[is_old]]
        minutes |= set(zip(shards.tolist(), slow.minute[is_old].tolist(), strict=True))
        return minutes

    def decide(self, seen: Mapping[Minute, SeenIds]) -> dict[Minute, bytes]:
        """Set `keep`; return what to append to the minutes' strings.

        Raises the instruments' highest ids.
        """
        self._decide_slow(seen)
        digests = self._decide_digests(seen)
        return self._chunks(digests)

    def _classify(self) -> None:
        data = self._instruments.data
        tables = [table for n, part in enumerate(self._parts) if (table := _entries(n, part))]
        if not tables:
            return
        entries = _Entries(*(np.concatenate(columns) for columns in zip(*tables, strict=True)))
        is_new = data["seen_minute"][entries.gid] == NEVER_US
        data["venue"][entries.gid[is_new]] = entries.venue[is_new]
        main = data["venue"][entries.gid] == entries.venue
        plain = entries.plain & main
        order = np.lexsort((entries.first, entries.first_minute, entries.gid))
        gid = entries.gid[order]
        minute_before = np.append(NEVER_US, entries.last_minute[order][:-1])
        id_before = np.append(NEVER_US, entries.last[order][:-1])
        begins = np.append(True, gid[1:] != gid[:-1])
        minute_before[begins] = data["seen_minute"][gid[begins]]
        id_before[begins] = data["seen_highest"][gid[begins]]
        first_minute, first = entries.first_minute[order], entries.first[order]
        ascends = (first_minute > minute_before) | (
            (first_minute == minute_before) & (first > id_before)
        )
        has_integers = entries.integers & main
        slow_gids = np.unique(gid[~(ascends & plain[order]) & has_integers[order]])
        quick = order[plain[order] & ~np.isin(gid, slow_gids)]
        self._add_quick(entries, quick)
        is_slow = np.isin(entries.gid, slow_gids) & has_integers
        self._slow = _SlowRows.of(self._parts, entries, np.flatnonzero(is_slow))
        for place in np.flatnonzero(~plain & (entries.texts | ~main)).tolist():
            self._add_digests(entries, place, foreign=not main[place])

    def _add_quick(self, entries: _Entries, quick: NDArray[np.intp]) -> None:
        if not len(quick):
            return
        lengths = entries.rows[quick]
        gid = np.repeat(entries.gid[quick], lengths)
        offsets = np.cumsum([0, *(len(part.ticks) for part in self._parts)])[:-1]
        starts = offsets[entries.part[quick]] + entries.start[quick]
        rows = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(len(gid))
        minute = np.concatenate([part.ticks.event_time_us for part in self._parts])[rows]
        ids = np.concatenate([part.ticks.trade_id for part in self._parts])[rows]
        self._runs.add(gid, minute // MINUTE_US, ids)

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
        if not len(slow.gid):
            return
        is_new = np.append(
            True,
            (slow.gid[1:] != slow.gid[:-1])
            | (slow.minute[1:] != slow.minute[:-1])
            | (slow.id[1:] != slow.id[:-1]),
        )
        shard = self._instruments.shard[slow.gid]
        is_old = slow.minute <= data["seen_minute"][slow.gid]
        for key in set(zip(shard[is_old].tolist(), slow.minute[is_old].tolist(), strict=True)):
            rows = np.flatnonzero(is_new & (shard == key[0]) & (slow.minute == key[1]))
            numbers = data["number"][slow.gid[rows]].astype(np.int64)
            is_new[rows] = ~seen[key].contains(numbers, slow.id[rows])
        for number, keep in enumerate(self.keep):
            keep[slow.row[(slow.part == number) & ~is_new]] = False
        self._runs.add(slow.gid[is_new], slow.minute[is_new], slow.id[is_new])

    def _decide_digests(self, seen: Mapping[Minute, SeenIds]) -> dict[Minute, set[bytes]]:
        new_digests: dict[Minute, set[bytes]] = defaultdict(set)

        def order(each: tuple[int, int, int, int, bytes]) -> tuple[int, ...]:
            return tuple(self._parts[each[0]].ticks.key_at(each[1]))

        for number, row, gid, minute, digest in sorted(self._digests, key=order):
            key = (int(self._instruments.shard[gid]), minute)
            if digest in seen[key].digests or digest in new_digests[key]:
                self.keep[number][row] = False
            else:
                new_digests[key].add(digest)
        return new_digests

    def _chunks(self, digests: Mapping[Minute, set[bytes]]) -> dict[Minute, bytes]:
        chunks: dict[Minute, bytes] = defaultdict(bytes)
        for key, minute_digests in digests.items():
            halves = np.frombuffer(b"".join(sorted(minute_digests)), dtype="<u8")
            chunks[key] += fixed_field(4, halves)
        runs = self._runs
        if not runs.gid:
            return chunks
        gid, minute, first, length = map(
            np.concatenate, (runs.gid, runs.minute, runs.first, runs.length)
        )
        self._raise_highest(gid, minute, first + length - 1)
        shard = self._instruments.shard[gid]
        number = self._instruments.data["number"][gid].astype(np.uint64)
        order = np.lexsort((first, number, shard, minute))
        minute, shard, number = minute[order], shard[order], number[order]
        first, lengths = first[order], length[order].astype(np.uint64)
        begins = np.append(True, (minute[1:] != minute[:-1]) | (shard[1:] != shard[:-1]))
        starts = np.flatnonzero(begins).tolist()
        for a, b in zip(starts, [*starts[1:], len(minute)], strict=True):
            chunks[int(shard[a]), int(minute[a])] += packed(
                [(1, number[a:b]), (2, zigzag(first[a:b])), (3, lengths[a:b])]
            )
        return chunks

    def _raise_highest(self, gid: Ints, minute: Ints, last: Ints) -> None:
        data = self._instruments.data
        order = np.lexsort((last, minute, gid))
        ends = order[np.append(gid[order][1:] != gid[order][:-1], True)]
        gid, minute, last = gid[ends], minute[ends], last[ends]
        highest_minute, highest = data["seen_minute"][gid], data["seen_highest"][gid]
        higher = (minute > highest_minute) | ((minute == highest_minute) & (last > highest))
        data["seen_minute"][gid[higher]] = minute[higher]
        data["seen_highest"][gid[higher]] = last[higher]


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


def _entries(number: int, part: Part) -> _Entries | None:
    ticks = part.ticks
    kinds = ticks.trade_id_kind
    if not kinds.any():
        return None
    counts = ticks.entries.counts
    starts = np.cumsum(counts) - counts
    ends = starts + counts - 1
    ascends = np.append(True, ticks.trade_id[1:] > ticks.trade_id[:-1])
    ascends[starts] = True
    is_integer = kinds == INTEGER_ID
    minute = ticks.event_time_us // MINUTE_US
    has_ids = np.logical_or.reduceat(kinds != NO_ID, starts)
    plain = np.logical_and.reduceat(ascends & is_integer, starts)
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


@lru_cache(maxsize=1024)
def _venue_key(venue: str) -> int:
    if not venue:
        return 0
    digest = hashlib.blake2b(venue.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class _SlowRows(NamedTuple):
    """Rows of integer ids that do not ascend, by instrument, minute and id, then total order."""

    part: Ints
    row: Ints
    gid: Ints
    minute: Ints
    id: Ints

    @classmethod
    def none(cls) -> _SlowRows:
        """Return no rows."""
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(5)))

    @classmethod
    def of(cls, parts: Sequence[Part], whole: _Entries, entries: Iterable[int]) -> _SlowRows:
        """Return the rows with integer ids of some entries."""
        columns = []
        for entry in entries:
            number, start = int(whole.part[entry]), int(whole.start[entry])
            ticks = parts[number].ticks
            rows = np.arange(start, start + int(whole.rows[entry]))
            rows = rows[ticks.trade_id_kind[rows] == INTEGER_ID]
            part_numbers = np.full(len(rows), number)
            columns.append(
                (
                    *(part_numbers, rows, np.full(len(rows), whole.gid[entry])),
                    *(ticks.event_time_us[rows] // MINUTE_US, ticks.trade_id[rows]),
                    *(ticks.event_time_us[rows], ticks.receive_time_us[rows]),
                    *(np.full(len(rows), ticks.source_key), ticks.sequence[rows]),
                )
            )
        if not columns:
            return cls.none()
        part, row, gid, minute, id_, *key = map(np.concatenate, zip(*columns, strict=True))
        order = np.lexsort((*reversed(key), id_, minute, gid))
        return cls(part[order], row[order], gid[order], minute[order], id_[order])
