"""A step applies the ticks of all queued events to the leased shards, in two reads and a write.

1. Read the instruments and base records that the ticks touch and the cache does not know.
2. Ticks move watermarks and closing limits; those below their instrument's floor go out as late.
3. Read what these may close, the folds that gain by it, and ids that must be looked up.
4. Drop ticks whose trade was counted. Merge, close, fold: array operations for all shards at once.
5. One script a shard writes records, ids, markers, what is to be emitted; or nothing.
The cache is changed on the way: it must forget a shard whose script did not write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.steps.cache import ABSENT, UNKNOWN, Cache, Ints
from functions.candle_aggregate.steps.latest import Moved, move
from functions.candle_aggregate.steps.levels import Level, advance, blocks, candidates
from functions.candle_aggregate.steps.seen_ids import SeenCache
from functions.candle_aggregate.steps.store import Changes, Lease, Store
from functions.candle_aggregate.steps.trade_ids import Part, Trades
from shared.candles.folds import KeyedRecords, merged
from shared.candles.partials import partials
from shared.market.blocks import CLOSED
from shared.market.runs import groups
from shared.realtime.instrument_records import NEVER_US
from shared.realtime.keys import Block, Keys
from shared.wire.late import Reason
from shared.wire.ticks import Ticks


@dataclass(frozen=True, slots=True, eq=False)
class TickEvent:
    """An event to apply: its id, which is its marker, and its ticks.

    `may_repeat`: a client may send it again under the same id with new receive times.
    """

    id: str
    ticks: Ticks
    may_repeat: bool = False

    @property
    def received_us(self) -> int:
        """Time of receipt of its newest tick, by the bridge."""
        return int(self.ticks.receive_time_us.max())


@dataclass(slots=True)
class Computed:
    """Result of a step. `changes` and `late` by shard. `since_us`: time (us) of its markers.

    Every revision of the step is later, also after the clock was set back.
    `late`: by event and reason the base candles, (instrument, start_us), to be recomputed from
    storage: ticks came after they had left the state, or repeated a trade, perhaps otherwise.
    """

    changes: dict[int, Changes] = field(default_factory=lambda: defaultdict(Changes))
    levels: list[Level] = field(default_factory=list)
    late: dict[int, dict[tuple[str, Reason], set[tuple[str, int]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    repeated: int = 0
    since_us: int = 0


class Steps:
    """Computes steps over the shards that are held."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        returning: Callable[[Sequence[str]], Mapping[str, bytes]],
    ) -> None:
        self._returning = returning
        self.store = store
        self.rules = rules
        self.cache = Cache(rules.shards)
        self.seen = SeenCache()

    def forget(self, shard: int, *, only_appended: bool = False) -> None:
        """Drop a shard's cached state: another replica wrote it, or a step was not written.

        `only_appended`: others only appended trade ids; keep those cached.
        """
        self.cache.forget(shard)
        if not only_appended:
            self.seen.forget(shard)

    def trim(self) -> None:
        """Bound the memory of the cache."""
        self.cache.trim()
        self.seen.trim()

    def apply(
        self, events: Sequence[tuple[TickEvent, set[int]]], leases: Mapping[int, Lease], now_us: int
    ) -> Computed:
        """Compute the step of events, each in some of the shards that are held.

        Raises TransientError while Redis is away.
        """
        computed = Computed(since_us=self.store.revision(now_us))
        instruments, base = self.cache.instruments, self.rules.base
        parts = []
        for event, shards in events:
            for shard in shards:
                computed.changes[shard].events.append(event.id)
            part = self._part(event, shards)
            if len(part.ticks):
                parts.append(part)
        if not parts:
            return computed
        self._read_instruments(np.unique(np.concatenate([p.gids for p in parts])), leases)
        moved = move(instruments, parts, self.rules.allowed_lateness_us, now_us)
        parts = [self._above_floor(part, computed) for part in parts]
        parts = [part for part in parts if len(part.ticks)]
        contributions = [self._contribution(part) for part in parts]
        touched: dict[Block, list[Ints]] = defaultdict(list)
        for contribution in contributions:
            for block, rows in blocks(contribution, base.name):
                touched[block].append(contribution.instrument[rows])
        data, gids = instruments.data, moved.gids
        open_blocks = {block for lease in leases.values() for block in lease.open}
        limit_us, first_us = data["limit_us"][gids], data["first_us"][gids]
        others = candidates(self.rules.ladder, open_blocks, moved, limit_us, first_us)
        trades = Trades(parts, instruments)
        self._read(touched, others, moved, trades, leases)
        chunks = trades.decide(self.seen.minutes)
        gained = []
        for part, contribution, keep in zip(parts, contributions, trades.keep, strict=True):
            if not keep.all():
                computed.repeated += int((~keep).sum())
                self._report(part, ~keep, Reason.REPEATED, computed)
                contribution = self._contribution(part.select(keep))
            gained.append(contribution)
        self._advance(computed, KeyedRecords.of(gained), others, self.store.revision(now_us))
        self._write(computed, moved.gids, chunks)
        return computed

    def close_quiet(
        self, leases: Mapping[int, Lease], until_us: int, idle_since_us: int, now_us: int
    ) -> Computed:
        """Compute the closing of records that end by a time, of instruments idle since another.

        One that received ticks as far in the future is idle: the clock was set back since.
        """
        computed = Computed()
        ladder = self.rules.ladder
        ended = {
            block: [shard for shard, lease in leases.items() if lease.blocks.get(block)]
            for block in {block for lease in leases.values() for block in lease.open}
            if self.rules.timeframe(block.timeframe).next_us(block.start_us) <= until_us
        }
        if not ended:
            return computed
        self._load_blocks(ended, leases)
        instruments = self.cache.instruments
        gids = np.arange(len(instruments))
        gids = gids[(instruments.known[gids] == 1) & np.isin(instruments.shard[gids], [*leases])]
        idle_us = np.abs(now_us - instruments.data["received_us"][gids])
        idle = gids[idle_us >= now_us - idle_since_us]
        others = {
            each.name: [(block, idle) for block in ended if block.timeframe == each.name]
            for each in ladder
        }
        folds: dict[Block, list[Ints]] = defaultdict(list)
        for block, gids in others[self.rules.base.name]:
            cached_gids = gids[self.cache.rows(block, gids) >= 0]
            for each in ladder[1:]:
                folds[Block(each.name, each.start_us(block.start_us))].append(cached_gids)
        self.read_records(folds, leases)
        revision_us = self.store.revision(now_us)
        self._advance(computed, KeyedRecords.of([]), others, revision_us, until_us)
        self._write(computed, np.zeros(0, dtype=np.int64), {})
        return computed

    # Reading

    def _part(self, event: TickEvent, shards: set[int]) -> Part:
        gids = self.cache.instruments.gids(event.ticks.names)
        held = np.zeros(self.rules.shards, dtype=bool)
        held[list(shards)] = True
        is_held = held[self.cache.instruments.shard[gids]]
        if is_held.all():
            return Part(event.id, event.ticks, gids)
        rows = np.repeat(is_held, event.ticks.entries.counts)
        return Part(event.id, event.ticks, gids).select(rows)

    def _contribution(self, part: Part) -> KeyedRecords:
        return partials(part.ticks, self.rules.base.length_us).numbered(part.gids)

    def _read_instruments(self, gids: Ints, leases: Mapping[int, Lease]) -> None:
        instruments = self.cache.instruments
        known = instruments.known[gids]
        if (known == 1).all():
            return
        by_shard = dict(self._by_shard(gids[known == UNKNOWN]))
        requests = [
            (Keys(shard).instruments, [instruments.fields[gid] for gid in shard_gids.tolist()])
            for shard, shard_gids in by_shard.items()
        ]
        for shard_gids, blobs in zip(
            by_shard.values(), self.store.read_hashes(requests), strict=True
        ):
            instruments.load(shard_gids, blobs)
        absent = gids[instruments.known[gids] == ABSENT]
        for shard, shard_gids in self._by_shard(absent):
            lease = leases[shard]
            numbers = np.arange(lease.numbers, lease.numbers + len(shard_gids))
            instruments.begin(shard_gids, numbers.tolist())
            lease.numbers += len(shard_gids)
            if lease.left:
                saved = self._returning([instruments.names[gid] for gid in shard_gids.tolist()])
                blobs = [saved.get(instruments.names[gid]) for gid in shard_gids.tolist()]
                back = np.array([blob is not None for blob in blobs], dtype=bool)
                instruments.load(shard_gids[back], [blob for blob in blobs if blob is not None])
                instruments.data["number"][shard_gids[back]] = numbers[back]

    def _above_floor(self, part: Part, computed: Computed) -> Part:
        """Report ticks below the floor as late; return the others."""
        ticks = part.ticks
        floor_us = self.cache.instruments.data["floor_us"][part.gids]
        late = ticks.event_time_us < np.repeat(floor_us, ticks.entries.counts)
        if not late.any():
            return part
        self._report(part, late, Reason.LATE, computed)
        return part.select(~late)

    def _read(
        self,
        touched: dict[Block, list[Ints]],
        others: Mapping[str, list[tuple[Block, Ints]]],
        moved: Moved,
        trades: Trades,
        leases: Mapping[int, Lease],
    ) -> None:
        """Read records that the step may touch, and ids that it must look up."""
        base = self.rules.base
        needed: dict[Block, list[Ints]] = defaultdict(list)
        for block, gid_lists in touched.items():
            needed[block] += gid_lists
        for timeframe_others in others.values():
            for block, gids in timeframe_others:
                needed[block].append(gids)
        limit, flags = self.cache.instruments.data["limit_us"], self.cache.pool.data["flags"]
        closing = [(block, np.concatenate(gid_lists)) for block, gid_lists in touched.items()]
        for block, gids in [*closing, *others[base.name]]:
            rows = self.cache.rows(block, gids)
            # Those that close, and those that are closed: by their limit, or by the clock.
            gains = (limit[gids] >= base.next_us(block.start_us)) | (rows == UNKNOWN)
            gains |= (rows >= 0) & ((flags[rows] & CLOSED) != 0)
            if len(ends := gids[gains]):
                for each in self.rules.ladder[1:]:
                    needed[Block(each.name, each.start_us(block.start_us))].append(ends)
        self.read_records(needed, leases)
        minutes = sorted(trades.lookups)
        offsets = [(Keys(each[0]).seen(each[1]), self.seen.size(each)) for each in minutes]
        for minute, blob in zip(minutes, self.store.read_ends(offsets), strict=True):
            self.seen.load(minute, blob)

    def read_records(
        self, requested: Mapping[Block, list[Ints]], leases: Mapping[int, Lease]
    ) -> None:
        """Load records of instruments of the held shards into the cache."""
        cache, requests = self.cache, []
        for block, parts in requested.items():
            gids = np.concatenate(parts)
            unknown = np.unique(gids[cache.rows(block, gids) == UNKNOWN])
            for shard, shard_gids in self._by_shard(unknown):
                if block in leases[shard].blocks:
                    requests.append((block, shard, shard_gids))
                else:
                    cache.load(block, shard_gids, [None] * len(shard_gids))
        answers = self.store.read_hashes(
            [
                (
                    Keys(shard).block(block),
                    [cache.instruments.fields[gid] for gid in shard_gids.tolist()],
                )
                for block, shard, shard_gids in requests
            ]
        )
        for (block, _, shard_gids), blobs in zip(requests, answers, strict=True):
            cache.load(block, shard_gids, blobs)

    def _load_blocks(self, blocks: Mapping[Block, list[int]], leases: Mapping[int, Lease]) -> None:
        """Read whole blocks and their instruments."""
        cache, every = self.cache, []
        places = [(block, shard) for block, shards in blocks.items() for shard in shards]
        stored = self.store.read_whole([Keys(shard).block(block) for block, shard in places])
        for (block, shard), records in zip(places, stored, strict=True):
            gids = cache.instruments.gids([name.decode() for name in records])
            # Others are there where Redis went back to other SHARDS: the step will not be written.
            is_held = cache.instruments.shard[gids] == shard
            unknown = is_held & (cache.rows(block, gids) == UNKNOWN)
            blobs = list(records.values())
            cache.load(block, gids[unknown], [blobs[n] for n in np.flatnonzero(unknown).tolist()])
            every.append(gids[is_held])
        self._read_instruments(np.unique(np.concatenate(every)), leases)

    # Computing and writing

    def _advance(
        self,
        computed: Computed,
        gained: KeyedRecords,
        others: Mapping[str, list[tuple[Block, Ints]]],
        revision_us: int,
        closing_us: int = NEVER_US,
    ) -> None:
        base, *longer = self.rules.ladder
        base_candles = merged(gained)
        level = advance(self.cache, base, base_candles, others[base.name], revision_us, closing_us)
        computed.levels.append(level)
        closed = level.contributions
        for each in longer:
            if not len(closed) and not others[each.name]:
                continue
            start_us = each.starts_us(closed.start_us)
            folds = merged(KeyedRecords(closed.instrument, start_us, closed.records))
            level = advance(self.cache, each, folds, others[each.name], revision_us, closing_us)
            computed.levels.append(level)

    def _report(
        self, part: Part, rows: NDArray[np.bool_], reason: Reason, computed: Computed
    ) -> None:
        """Report the base candles of some rows, to be recomputed from storage."""
        base, instruments = self.rules.base, self.cache.instruments
        starts = base.starts_us(part.ticks.event_time_us[rows])
        places = zip(
            part.gids[part.ticks.entries.of_row[rows]].tolist(), starts.tolist(), strict=True
        )
        for gid, start_us in set(places):
            late = computed.late[int(instruments.shard[gid])][part.event, reason]
            late.add((instruments.names[gid], start_us))

    def _write(
        self, computed: Computed, gids: Ints, chunks: Mapping[tuple[int, int], bytes]
    ) -> None:
        """Add the commands that write the step."""
        instruments, changes = self.cache.instruments, computed.changes
        for shard, shard_gids in self._by_shard(gids):
            names = [instruments.fields[gid] for gid in shard_gids.tolist()]
            changes[shard].put(Keys(shard).instruments, names, instruments.encode(shard_gids))
        for (shard, minute), chunk in chunks.items():
            changes[shard].add("APPEND", Keys(shard).seen(minute), [chunk])
            changes[shard].add("SADD", Keys(shard).minutes, [minute])
        for level in computed.levels:
            self.store.revision(int(level.candles.records.data["revision"].max(initial=0)))
            gids, blobs = level.candles.instrument, level.candles.records.encode()
            for (shard, start_us), rows in groups(instruments.shard[gids], level.candles.start_us):
                block = Block(level.timeframe.name, start_us)
                names = [instruments.fields[gid] for gid in gids[rows].tolist()]
                shard_blobs = [blobs[row] for row in rows.tolist()]
                changes[shard].put(Keys(shard).block(block), names, shard_blobs)
                changes[shard].opened[block] += int(level.opened[rows].sum())

    def _by_shard(self, gids: Ints) -> Iterator[tuple[int, Ints]]:
        """Yield the gids of each shard, in their order."""
        for (shard,), rows in groups(self.cache.instruments.shard[gids]):
            yield shard, gids[rows]
