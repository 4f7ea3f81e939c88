"""A shard under its lease, for what is no step of ticks: repair, gaps, eviction, rebuild."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.publish import STAGE, OutboxRow, outbox_rows
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Changes, Store, Turn
from shared.blocks import CLOSED, Records
from shared.errors import TransientError
from shared.live_instruments import INSTRUMENT
from shared.live_keys import Block, Keys

__all__ = ["STAGE", "Session"]


class Session:
    """Reads a shard, and collects what one script is to write to it.

    Of a record that is put the revision is raised above the one before; one that is closed is
    emitted. All methods raise TransientError while Redis is away.
    """

    def __init__(self, store: Store, rules: Rules, turn: Turn, now_us: int) -> None:
        self.turn = turn
        self.changes = Changes()
        self.rows: list[OutboxRow] = []
        self._store = store
        self._rules = rules
        self._keys = Keys(turn.shard)
        self._now_us = now_us

    def read(self, block: Block, names: Sequence[str] | None = None) -> tuple[list[str], Records]:
        """Return the records of a block, of the names that are there; None: of all."""
        key = self._keys.block(block)
        if names is None:
            found = self._store.read_whole([key])[0]
            pairs = [(name.decode(), blob) for name, blob in found.items()]
        else:
            blobs = self._store.read_hashes([(key, list(names))])[0] if names else []
            pairs = [(n, b) for n, b in zip(names, blobs, strict=True) if b is not None]
        return [name for name, _ in pairs], Records.decode([blob for _, blob in pairs])

    def instruments(self, names: Sequence[str] | None = None) -> tuple[list[str], NDArray[np.void]]:
        """Return the records of instruments, of the names that are there; None: of all."""
        key, size = self._keys.instruments, INSTRUMENT.itemsize
        if names is None:
            found = self._store.read_whole([key])[0]
            pairs = [(name.decode(), blob) for name, blob in found.items()]
        else:
            blobs = self._store.read_hashes([(key, list(names))])[0] if names else []
            pairs = [(n, b) for n, b in zip(names, blobs, strict=True) if b is not None]
        whole = b"".join(blob[:size] for _, blob in pairs)
        return [name for name, _ in pairs], np.frombuffer(whole, dtype=INSTRUMENT).copy()

    def put(
        self,
        block: Block,
        names: Sequence[str],
        records: Records,
        *,
        emit: bool = True,
        above: NDArray[np.int64] | None = None,
        keep_revision: bool = False,
    ) -> None:
        """Write records; `above`: revisions that theirs must exceed, besides those in the state."""
        before, present = self.read(block, names)
        known = dict(zip(before, present.data["flags"].tolist(), strict=True))
        revisions = dict(zip(before, present.data["revision"].tolist(), strict=True))
        if not keep_revision:
            least = np.array([revisions.get(name, 0) for name in names], dtype=np.int64)
            if above is not None:
                least = np.maximum(least, above)
            records.data["revision"] = np.maximum(least + 1, self._now_us)
        pairs: list[str | int | bytes] = []
        for name, blob in zip(names, records.encode(), strict=True):
            pairs += [name, blob]
        self.changes.add("HSET", self._keys.block(block), pairs)
        is_open = (records.data["flags"] & CLOSED) == 0
        was_open = [name in known and not known[name] & CLOSED for name in names]
        self.changes.opened[block] += int(is_open.sum()) - sum(was_open)
        if emit:
            self.emit(outbox_rows(self.turn.shard, block, names, records))

    def emit(self, rows: Iterable[OutboxRow]) -> None:
        """Add rows to the outbox."""
        stamp = (self._now_us // 1000).to_bytes(8, "big")
        for row in rows:
            self.changes.add("HSET", self._keys.outbox, [row.id, stamp + row.body])
            self.rows.append(row)

    def put_instruments(self, names: Sequence[str], data: NDArray[np.void]) -> None:
        """Write records of instruments; of new ones the number is set."""
        numbers = self.turn.numbers
        self.turn.numbers += len(names)
        data = data.copy()
        data["number"] = np.arange(numbers, numbers + len(names))
        pairs: list[str | int | bytes] = []
        for name, record in zip(names, data, strict=True):
            pairs += [name, record.tobytes()]
        self.changes.add("HSET", self._keys.instruments, pairs)

    def drop(self, blocks: Iterable[Block]) -> None:
        """Delete whole blocks."""
        for block in blocks:
            self.changes.add("DEL", self._keys.block(block))
            self.changes.add("HDEL", self._keys.blocks, [block.field])
            self.changes.dropped.append(block)

    def raise_floor(self, floor_us: int) -> None:
        """Let the state begin at a time; its seen ids before that leave as well."""
        self.changes.add("HSET", self._keys.head, ["floor_us", floor_us])
        self.changes.floor_us = floor_us

    def mark(self, event_ids: Sequence[str], applied_ms: int) -> None:
        """Set markers of events that are in the state."""
        pairs: list[str | int | bytes] = []
        for event_id in event_ids:
            pairs += [applied_ms, event_id]
        if pairs:
            self.changes.add("ZADD", self._keys.applied, pairs)

    def clear(self) -> None:
        """Delete all of the shard but who writes it, at once. Raises TransientError."""
        spared = {
            each.encode()
            for each in (self._keys.head, self._keys.lease, self._keys.waiting, self._keys.asked)
        }
        self.changes.add("HDEL", self._keys.head, ["lineage", "ladder", "shards", "floor_us"])
        self.commit()
        self.turn.lineage = ""  # from here on there is no state: who dies within begins anew
        for some in self._store.keys_of(self.turn.shard):
            self._store.unlink([key for key in some if key not in spared])
        self.turn.blocks.clear()
        self.turn.numbers = 0

    def begin(self, lineage: str, floor_us: int) -> None:
        """Let the state be in force, under a new lineage, once this is committed."""
        ladder, shards = self._rules.made_for
        self.changes.add(
            "HSET",
            self._keys.head,
            *[["lineage", lineage, "ladder", ladder, "shards", shards, "floor_us", floor_us]],
        )

    def commit(self) -> None:
        """Write what was collected. Raises TransientError when the lease was lost."""
        if not self.changes:
            return
        (written,) = self._store.write([(self.turn, self.changes)], self._now_us)
        if written.answer != "ok":
            raise TransientError(f"shard {self.turn.shard} was {written.answer} meanwhile")
        self.changes = Changes()
