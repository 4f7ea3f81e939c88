"""What storage does to a shard under its lease: reads past the cache, and one step that writes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.publish import outcome
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Changes, Store, Turn
from shared.adapter.app import Outcome
from shared.blocks import CLOSED, PRICED, Records
from shared.candle_columns import CandleColumns
from shared.errors import TransientError
from shared.live_instruments import INSTRUMENT
from shared.live_keys import Block, Keys

LATE: Final = "late/"
"""How the id of a late batch in the outbox begins."""
_CANDLES_AN_EVENT: Final = 2_000

T = TypeVar("T")


class Engine(Protocol):
    """Who holds the leases: everything that changes a shard runs there, one after the other."""

    store: Store

    def run(self, shard: int, job: Callable[[Turn], T]) -> T:
        """Run a job under the shard's lease. Raises TransientError when it cannot be had."""

    def apply(self, events: Sequence[TickEvent]) -> StepResult:
        """Apply tick events. Raises TransientError."""


def on(engine: Engine, rules: Rules, shard: int, job: Callable[[Work], T]) -> T:
    """Run a job on a shard under its lease. Raises TransientError."""
    return engine.run(shard, lambda turn: job(Work(engine.store, turn, rules)))


class Work:
    """A shard whose lease is held. What was put is seen by later reads; `commit` writes it.

    Every method raises TransientError while Redis is away.
    """

    def __init__(self, store: Store, turn: Turn, rules: Rules) -> None:
        self._store, self.turn, self._rules = store, turn, rules
        self._keys = Keys(turn.shard)
        self._changes = Changes()
        self._read: dict[Block, dict[str, bytes]] = defaultdict(dict)
        self._whole: set[Block] = set()
        self._put: dict[Block, dict[str, bytes]] = defaultdict(dict)
        self._outputs: dict[str, bytes] = {}
        self._blocks = dict(turn.blocks)
        self._markers: dict[str, int] = {}

    @property
    def shard(self) -> int:
        """The shard."""
        return self.turn.shard

    def blocks(self) -> list[Block]:
        """Return the blocks of the state, in order."""
        return sorted(self._blocks)

    def open_count(self, block: Block) -> int:
        """Return how many records of a block are open."""
        return self._blocks.get(block, 0)

    def read(self, block: Block, names: Sequence[str] | None = None) -> tuple[list[str], Records]:
        """Return the records of a block, of all instruments or of those that are named and there."""
        if block not in self._blocks:
            return [], Records.empty(0)
        here = self._read[block]
        key = self._keys.block(block)
        if names is None and block not in self._whole:
            here.update({k.decode(): v for k, v in self._store.read_all(key).items()})
            here.update(self._put[block])
            self._whole.add(block)
        elif names is not None and block not in self._whole:
            missing = [name for name in names if name not in here]
            (values,) = self._store.read_hashes([(key, missing)]) if missing else ([],)
            here.update({n: v for n, v in zip(missing, values, strict=True) if v is not None})
        found = [name for name in (names if names is not None else sorted(here)) if name in here]
        return found, Records.decode([here[name] for name in found])

    def instruments(self, names: Sequence[str]) -> tuple[list[str], NDArray[np.void]]:
        """Return the records of those of the instruments that are in the state."""
        if not names:
            return [], np.zeros(0, dtype=INSTRUMENT)
        (blobs,) = self._store.read_hashes([(self._keys.instruments, list(names))])
        there = {name: blob for name, blob in zip(names, blobs, strict=True) if blob is not None}
        size = INSTRUMENT.itemsize
        whole = b"".join(blob[:size] for blob in there.values())
        return list(there), np.frombuffer(whole, dtype=INSTRUMENT)

    def outbox(self) -> dict[str, bytes]:
        """Return what waits to be emitted: output id -> batch."""
        entries = self._store.read_all(self._keys.outbox)
        return {name.decode(): value[8:] for name, value in entries.items()}

    def put(
        self,
        block: Block,
        names: Sequence[str],
        records: Records,
        now_us: int,
        *,
        keep_revision: bool = False,
        emit: bool = True,
    ) -> None:
        """Write records of a block; those that are closed and have a price go to the outbox.

        A revision becomes max(that before + 1, now), unless it is kept.
        """
        if not len(records):
            return
        present, before = self.read(block, names)
        known = dict(zip(present, before.data, strict=True))
        if not keep_revision:
            revisions = [int(known[name]["revision"]) if name in known else 0 for name in names]
            newer = np.maximum(records.data["revision"], np.array(revisions, dtype=np.int64)) + 1
            records.data["revision"] = np.maximum(newer, now_us)
        was_open = sum(not int(known[name]["flags"]) & CLOSED for name in present)
        is_open = int(np.count_nonzero(~records.has(CLOSED)))
        self._blocks[block] = self._blocks.get(block, 0) + is_open - was_open
        values = dict(zip(names, records.encode(), strict=True))
        self._put[block].update(values)
        self._read[block].update(values)
        ready = np.flatnonzero(records.has(CLOSED) & records.has(PRICED))
        if emit and len(ready):
            starts = np.full(len(ready), block.start_us, dtype=np.int64)
            some = [names[row] for row in ready.tolist()]
            self.publish(CandleColumns(block.timeframe, some, starts, records.at(ready)), now_us)

    def publish(self, columns: CandleColumns, now_us: int) -> None:
        """Put candles into the outbox."""
        for first in range(0, len(columns), _CANDLES_AN_EVENT):
            some = columns.at(np.arange(first, min(first + _CANDLES_AN_EVENT, len(columns))))
            body = some.encode()
            self._output(hashlib.sha256(body).hexdigest()[:32], body, now_us)

    def delete(self, block: Block, name: str) -> None:
        """Let a closed record leave the state."""
        self._changes.add("HDEL", self._keys.block(block), [name])
        self._read[block].pop(name, None)

    def clear(self, now_us: int) -> None:
        """Delete the state, in a step of its own; what is written from here on has no lineage."""
        for key in self._store.keys_of(self.shard):
            if key not in self._keys.of_leases:
                self._changes.add("UNLINK", key)
        self._changes.add("HDEL", self._keys.head, ["lineage"])
        self._blocks.clear()
        self._read.clear()
        self._whole.clear()
        self.commit(now_us)
        self.turn.lineage = ""

    def begin(self, lineage: str, floor_us: int, now_us: int) -> Outcome:
        """Put the state in force: the last of the steps that make it."""
        ladder, shards = self._rules.made_for
        values = {
            "lineage": lineage,
            "ladder": ladder,
            "shards": shards,
            "floor_us": floor_us,
            "began_us": now_us,
        }
        for name, value in values.items():
            self._changes.add("HSET", self._keys.head, [name, value])
        found = self.commit(now_us)
        self.turn.lineage, self.turn.made_for = lineage, self._rules.made_for
        self.turn.floor_us = floor_us
        return found

    def put_instruments(self, names: Sequence[str], blobs: Sequence[bytes]) -> None:
        """Write records of instruments, numbered as they stand here."""
        flat = [part for pair in zip(names, blobs, strict=True) for part in pair]
        if flat:
            self._changes.add("HSET", self._keys.instruments, flat)
            self._changes.add("HSET", self._keys.head, ["numbers", len(names)])

    def mark(self, event_ids: Sequence[str], now_ms: int) -> None:
        """Set the markers of events."""
        for event_id in event_ids:
            self._changes.add("ZADD", self._keys.applied, [now_ms, event_id])

    def are_applied(self, event_ids: Sequence[str]) -> list[bool]:
        """Tell for each event whether it has its marker."""
        return self._store.are_applied(self._keys, event_ids)

    def oldest_applied_us(self) -> int | None:
        """Return when the event was applied that waits longest to be recorded, if one does."""
        oldest_ms = self._store.lowest(self._keys.applied)
        return None if oldest_ms is None else oldest_ms * 1000

    def has_recorded(self) -> bool:
        """Tell whether there are markers that end after a while."""
        return self._store.lowest(self._keys.recorded) is not None

    def note_recorded(self, event_ids: Sequence[str], now_ms: int) -> None:
        """Let the markers of events end after a while: Postgres knows what they say."""
        for event_id in event_ids:
            self._changes.add("ZREM", self._keys.applied, [event_id])
            self._changes.add("ZADD", self._keys.recorded, [now_ms, event_id])

    def forget_recorded(self, before_ms: int) -> None:
        """Let markers go whose events were recorded before that time."""
        self._changes.add("ZREMRANGEBYSCORE", self._keys.recorded, ["-inf", before_ms])

    def append_seen(self, minute: int, body: bytes) -> None:
        """Add trades to those seen in a minute."""
        self._changes.add("APPEND", self._keys.seen(minute), [body])

    def raise_floor(self, floor_us: int) -> None:
        """Let absent candles before that time be looked for in storage."""
        if floor_us > self.turn.floor_us:
            self._changes.add("HSET", self._keys.head, ["floor_us", floor_us])

    def commit(self, now_us: int) -> Outcome:
        """Write all in one step; return what is to be emitted.

        Raises TransientError when the lease was lost, or the state is another.
        """
        for block, values in self._put.items():
            flat: list[str | int | bytes] = [part for pair in values.items() for part in pair]
            self._changes.add("HSET", self._keys.block(block), flat)
            self._changes.add("HSET", self._keys.blocks, [block.field, self._blocks[block]])
        if not self._changes:
            return Outcome()
        (written,) = self._store.write([(self.turn, self._changes)], now_us)
        if written.answer != "ok":
            raise TransientError(f"shard {self.shard}: the step was not written: {written.answer}")
        self.turn.blocks = dict(self._blocks)
        self._changes, self._put = Changes(), defaultdict(dict)
        outputs, self._outputs = self._outputs, {}
        return outcome(self._store, self.shard, outputs)

    def _output(self, output_id: str, body: bytes, now_us: int) -> None:
        stamped = (now_us // 1000).to_bytes(8, "big") + body
        self._changes.add("HSET", self._keys.outbox, [output_id, stamped])
        self._outputs[output_id] = body
