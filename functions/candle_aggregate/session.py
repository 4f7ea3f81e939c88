"""A shard under its lease, for work that is not a step: repair, gaps, eviction, rebuild."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.publish import OutboxRow, candle_rows, outbox_rows
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.steps.store import Changes, Lease, Store
from shared.errors import TransientError
from shared.market.blocks import CLOSED, PRICED, Records, decoded
from shared.market.bounds import LATEST_US
from shared.realtime.instrument_records import INSTRUMENT
from shared.realtime.keys import Block, Keys
from shared.wire.candle_columns import CandleColumns


class Session:
    """Reads a shard, and collects the writes of one script.

    Of a record that is put the revision is raised above the one before; one that is closed is
    emitted. All methods raise TransientError while Redis is away.
    """

    def __init__(self, store: Store, rules: Rules, lease: Lease, now_us: int) -> None:
        self.lease = lease
        self.changes = Changes()
        self.rows: list[OutboxRow] = []
        self.rules = rules
        self.now_us = now_us
        self.put_open: dict[str, int] = {}
        """By instrument the latest start of the open candles that were put."""
        self._store = store
        self._keys = Keys(lease.shard)
        self._put: dict[Block, dict[str, bytes]] = defaultdict(dict)

    def revision(self, least: int = 0) -> int:
        """Return what new revisions are at least, above all that this process gave before.

        Postgres hears of it (`state_check.record`), so that a state made later gives higher ones.
        """
        return self._store.revision(max(self.now_us, least))

    def blocks(self) -> list[Block]:
        """Return the blocks of the state, in order."""
        return sorted(self.lease.blocks.keys() | self._put.keys())

    def read(self, block: Block, names: Sequence[str]) -> tuple[list[str], Records]:
        """Return a block's records of the names that exist, uncommitted ones too."""
        return self.read_each([block], names)[0]

    def read_each(
        self, blocks: Sequence[Block], names: Sequence[str]
    ) -> list[tuple[list[str], Records]]:
        """Return of each block the records of the names that are there, all in one round trip.

        Includes uncommitted writes.
        """
        if not names:
            return [([], Records.empty(0)) for _ in blocks]
        stored = self._store.read_hashes([(self._keys.block(each), names) for each in blocks])
        every = []
        for block, blobs in zip(blocks, stored, strict=True):
            put = self._put.get(block, {})
            present = {n: b for n, b in zip(names, blobs, strict=True) if b is not None}
            present |= {name: put[name] for name in names if name in put}
            every.append((list(present), Records.decode(list(present.values()))))
        return every

    def read_all(self, blocks: Sequence[Block]) -> list[tuple[list[str], Records]]:
        """Return the records of whole blocks, as they are stored."""
        stored = self._store.read_whole([self._keys.block(block) for block in blocks])
        return [
            ([name.decode() for name in blobs], Records.decode(list(blobs.values())))
            for blobs in stored
        ]

    def sizes(self, blocks: Sequence[Block]) -> list[int]:
        """Return how many records each block has, as they are stored."""
        return self._store.sizes([self._keys.block(block) for block in blocks])

    def instruments(self, names: Sequence[str]) -> tuple[list[str], NDArray[np.void]]:
        """Return the records of the instruments that exist."""
        blobs = self._store.read_hashes([(self._keys.instruments, names)])[0] if names else []
        pairs = [(n, b) for n, b in zip(names, blobs, strict=True) if b is not None]
        body = b"".join(blob[: INSTRUMENT.itemsize] for _, blob in pairs)
        return [name for name, _ in pairs], decoded(body, INSTRUMENT)

    def instrument_blobs(self) -> dict[str, bytes]:
        """Return the records of all instruments as they are stored."""
        blobs = self._store.read_whole([self._keys.instruments])[0]
        return {name.decode(): blob for name, blob in blobs.items()}

    def drop_instruments(self, names: Sequence[str]) -> None:
        """Delete records of instruments that Postgres has."""
        if names:
            self.changes.add("HDEL", self._keys.instruments, names)
            self.changes.add("HINCRBY", self._keys.head, ["left", len(names)])
            self.changes.left += len(names)

    def put(
        self, block: Block, names: Sequence[str], records: Records, *, as_stored: bool = False
    ) -> None:
        """Write records under a revision above theirs and those in the state; emit closed ones.

        `as_stored`: Postgres has them under the revision that they have.
        """
        if not len(records):
            return
        before, present = self.read(block, names)
        flags = dict(zip(before, present.data["flags"].tolist(), strict=True))
        revisions = dict(zip(before, present.data["revision"].tolist(), strict=True))
        if not as_stored:
            least = np.array([revisions.get(name, 0) for name in names], dtype=np.int64)
            least = np.maximum(least, records.data["revision"])
            records.data["revision"] = np.maximum(least + 1, self.revision())
            self.revision(int(records.data["revision"].max()))
        blobs = records.encode()
        self._put[block].update(zip(names, blobs, strict=True))
        self.changes.put(self._keys.block(block), names, blobs)
        is_open = ~records.has(CLOSED)
        was_open = [name in flags and not flags[name] & CLOSED for name in names]
        self.changes.opened[block] += int(is_open.sum()) - sum(was_open)
        for row in np.flatnonzero(is_open & records.has(PRICED)).tolist():
            self.put_open[names[row]] = max(block.start_us, self.put_open.get(names[row], 0))
        if not as_stored:
            self.emit(outbox_rows(self.lease.shard, block, names, records))

    def emit(self, rows: Iterable[OutboxRow]) -> None:
        """Add rows to the outbox."""
        stamp = (self.now_us // 1000).to_bytes(8, "big")
        for row in rows:
            self.changes.add("HSET", self._keys.outbox, [row.id, stamp + row.body])
            self.rows.append(row)

    def publish(self, columns: CandleColumns) -> None:
        """Emit closed candles that are not in the state."""
        self.emit(candle_rows(self.lease.shard, columns))

    def put_instruments(self, names: Sequence[str], blobs: Sequence[bytes]) -> None:
        """Write the records of all instruments, numbered in this order."""
        self.lease.numbers = len(names)
        if names:
            self.changes.put(self._keys.instruments, names, blobs)

    def append_seen(self, minute: int, body: bytes) -> None:
        """Add trade ids to those seen in a minute."""
        self.changes.add("APPEND", self._keys.seen(minute), [body])
        self.changes.add("SADD", self._keys.minutes, [minute])

    def minutes(self) -> list[int]:
        """Return the minutes that have seen trade ids."""
        return sorted(self._store.members(self._keys.minutes))

    def drop_seen(self, minutes: Sequence[int]) -> None:
        """Delete the trade ids seen in minutes."""
        for minute in minutes:
            self.changes.add("UNLINK", self._keys.seen(minute))
            self.changes.add("SREM", self._keys.minutes, [minute])
        if minutes:
            self._note_eviction()

    def outbox(self) -> dict[str, bytes]:
        """Return pending output: output id -> batch."""
        (waiting,) = self._store.read_whole([self._keys.outbox])
        return {id_.decode(): value[8:] for id_, value in waiting.items()}

    def drop(self, blocks: Iterable[Block]) -> None:
        """Delete whole blocks."""
        for block in blocks:
            self.changes.add("DEL", self._keys.block(block))
            self.changes.add("HDEL", self._keys.blocks, [block.field])
            self.changes.dropped.append(block)

    def raise_floors(self, floors_us: Mapping[str, int], since_us: int | None = None) -> None:
        """Raise the floors of instruments: ticks below them are late.

        `since_us`: from when on they have candles, where that is before the first tick.
        """
        key, size = self._keys.instruments, INSTRUMENT.itemsize
        names = list(floors_us)
        blobs = self._store.read_hashes([(key, names)])[0] if names else []
        raised: dict[str, bytes] = {}
        for name, blob in zip(names, blobs, strict=True):
            if blob is not None:
                record = decoded(blob[:size], INSTRUMENT)
                record["floor_us"] = np.maximum(record["floor_us"], floors_us[name])
                if since_us is not None:
                    record["first_us"] = np.minimum(record["first_us"], since_us)
                raised[name] = record.tobytes() + blob[size:]
        if raised:
            self.changes.put(key, list(raised), list(raised.values()))
        self._note_eviction()

    def _note_eviction(self) -> None:
        self.changes.add("HINCRBY", self._keys.head, ["evictions", 1])
        self.changes.evictions += 1

    def mark(self, event_ids: Sequence[str], applied_ms: int) -> None:
        """Set markers of events that are in the state."""
        if event_ids:
            pairs = [part for event_id in event_ids for part in (applied_ms, event_id)]
            self.changes.add("ZADD", self._keys.applied, pairs)

    def are_applied(self, event_ids: Sequence[str]) -> list[bool]:
        """Tell for each event whether it has its marker."""
        return self._store.are_marked(self.lease.shard, event_ids)

    def oldest_applied_us(self) -> int | None:
        """Return when the event was applied that waits longest to be recorded, if one does."""
        oldest_ms = self._store.lowest_score(self._keys.applied)
        return None if oldest_ms is None else oldest_ms * 1000

    def applied(self, limit: int, *, since_us: int = 0, until_us: int = LATEST_US) -> list[str]:
        """Return events that were applied in a span and are not recorded, oldest first."""
        return self._store.scored(self._keys.applied, since_us // 1000, until_us // 1000, limit)

    def record(self, event_ids: Sequence[str]) -> None:
        """Set markers that expire: Postgres has recorded their events."""
        if event_ids:
            recorded_ms = self.revision() // 1000  # no earlier than their receipt by a former clock
            pairs = [part for event_id in event_ids for part in (recorded_ms, event_id)]
            self.changes.add("ZREM", self._keys.applied, event_ids)
            self.changes.add("ZADD", self._keys.recorded, pairs)

    def forget_recorded(self, before_ms: int) -> None:
        """Delete the markers recorded by then."""
        oldest_ms = self._store.lowest_score(self._keys.recorded)
        if oldest_ms is not None and oldest_ms <= before_ms:
            self.changes.add("ZREMRANGEBYSCORE", self._keys.recorded, ["-inf", before_ms])

    @property
    def leaves_records(self) -> bool:
        """Whether only markers and the outbox are written."""
        keys = self._keys
        others = {keys.applied, keys.recorded, keys.outbox}
        return all(key in others for _, key, _ in self.changes.commands)

    def clear(self) -> None:
        """Delete the shard's state but the lease, in a step of its own.

        From here on there is no state: who dies within begins anew. Raises TransientError.
        """
        keys = self._keys
        spared = {keys.head, keys.lease, keys.waiting, keys.watched}
        for batch in self._store.keys_of(self.lease.shard):
            for key in batch:
                if key.decode() not in spared:
                    self.changes.add("UNLINK", key.decode())
        self.changes.add("HDEL", keys.head, ["lineage"])
        self.commit(release=False)
        self.lease.lineage, self.lease.numbers = "", 0
        self.lease.blocks.clear()

    def begin(self, lineage: str) -> None:
        """Make the state valid, under a new lineage, at the commit."""
        ladder, shards = self.rules.made_for
        head: list[str | int | bytes] = ["lineage", lineage, "ladder", ladder, "shards", shards]
        self.changes.add("HSET", self._keys.head, [*head, "began_us", self.now_us])

    def commit(self, *, release: bool = True) -> None:
        """Write the collected changes. Raises TransientError if the lease was lost.

        `release`: hand it over if another replica waits for it.
        """
        if not self.changes:
            return
        (written,) = self._store.write([(self.lease, self.changes)], self.now_us, release=release)
        if written.answer != "ok":
            raise TransientError(f"shard {self.lease.shard} was {written.answer} meanwhile")
        self.changes = Changes()
        self._put.clear()
