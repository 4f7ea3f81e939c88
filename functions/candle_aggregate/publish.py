"""Outbox: a step writes its output; it is posted as few events, then deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Instruments
from functions.candle_aggregate.steps.levels import Level
from functions.candle_aggregate.steps.step import Computed
from functions.candle_aggregate.steps.store import Store
from shared.adapter.event import OutgoingEvent
from shared.market.blocks import CLOSED, PRICED, Records
from shared.market.runs import groups
from shared.realtime.keys import Block, Keys
from shared.wire import events
from shared.wire.candle_columns import CandleColumns
from shared.wire.late import decode_late, encode_late

STAGE: Final = "candle-aggregate"
CANDLES_A_ROW: Final = 2_000
BYTES_AN_EVENT: Final = 300_000
"""Before compression; many rows of the outbox are one event."""
LATE: Final = "late/"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row of a shard's outbox: a CandleBatch, or a LateBatch whose id begins with `late/`."""

    shard: int
    id: str
    body: bytes
    candles: int = 0


def fill_outbox(computed: Computed, instruments: Instruments, now_us: int) -> list[OutboxRow]:
    """Add the step's output to its changes; return the rows."""
    rows = [
        OutboxRow(shard, LATE + _digest(body), body)
        for shard, by_event in computed.late.items()
        for (event_id, reason), candles in by_event.items()
        for body in [encode_late(event_id, sorted(candles), reason)]
    ]
    for level in computed.levels:
        rows += _closed(level, instruments)
    stamp = (now_us // 1000).to_bytes(8, "big")
    for row in rows:
        outbox = Keys(row.shard).outbox
        computed.changes[row.shard].add("HSET", outbox, [row.id, stamp + row.body])
    return rows


def _closed(level: Level, instruments: Instruments) -> Iterable[OutboxRow]:
    ready = _is_ready(level.candles.records).nonzero()[0]
    for (shard,), rows in groups(instruments.shard[level.candles.instrument[ready]]):
        candles = level.candles.at(ready[rows])
        yield from candle_rows(shard, candles.columns(level.timeframe.name, instruments.names))


def outbox_rows(
    shard: int, block: Block, names: Sequence[str], records: Records
) -> Iterator[OutboxRow]:
    """Yield the rows of a block's closed candles."""
    starts = np.full(len(names), block.start_us)
    columns = CandleColumns(block.timeframe, names, starts, records)
    yield from candle_rows(shard, columns.at(np.flatnonzero(_is_ready(records))))


def _is_ready(records: Records) -> NDArray[np.bool_]:
    return records.has(CLOSED) & records.has(PRICED)


def candle_rows(shard: int, columns: CandleColumns) -> Iterator[OutboxRow]:
    """Yield the rows of candles."""
    for body, candles in candle_bodies(columns):
        yield OutboxRow(shard, _digest(body), body, candles)


def candle_bodies(columns: CandleColumns) -> Iterator[tuple[bytes, int]]:
    """Yield CandleBatches, and how many candles each has."""
    for first in range(0, len(columns), CANDLES_A_ROW):
        chunk = columns.at(np.arange(first, min(first + CANDLES_A_ROW, len(columns))))
        yield chunk.encode(), len(chunk)


def output_events(rows: Sequence[OutboxRow]) -> list[OutgoingEvent]:
    """Return the events of outbox rows, named by their content."""
    outgoing = []
    for row in rows:
        if row.id.startswith(LATE):
            id_ = f"{decode_late(row.body).event_id}/{STAGE}/late/{_digest(row.body)[:16]}"
            outgoing.append(OutgoingEvent.packed(id_, events.LATE, row.body))
    bodies = (row.body for row in rows if not row.id.startswith(LATE))
    return [*outgoing, *candle_events(STAGE, bodies, {events.CLOSED: "true"})]


def candle_events(
    name: str, bodies: Iterable[bytes], extensions: Mapping[str, str]
) -> Iterator[OutgoingEvent]:
    """Yield events of several CandleBatches each, named by their content."""
    batch: list[bytes] = []
    size = 0
    for body in (*bodies, b""):
        if batch and (not body or size + len(body) > BYTES_AN_EVENT):
            whole = b"".join(batch)
            yield OutgoingEvent.packed(
                f"{name}/{_digest(whole)}", events.CANDLES, whole, extensions
            )
            batch, size = [], 0
        batch.append(body)
        size += len(body)


def delete_sent(store: Store, rows: Iterable[OutboxRow]) -> None:
    """Delete rows that the broker has. Raises TransientError."""
    by_shard: dict[int, list[str]] = {}
    for row in rows:
        by_shard.setdefault(row.shard, []).append(row.id)
    store.delete_fields({Keys(shard).outbox: ids for shard, ids in by_shard.items()})


def waiting_rows(
    stored: Mapping[int, Mapping[bytes, bytes]], now_ms: int, after_ms: int, limit: int
) -> list[OutboxRow]:
    """Return rows of outboxes, by shard, that have waited for so long, or since a later time.

    That one is from before the clock was set back.
    """
    return [
        OutboxRow(shard, id_.decode(), value[8:])
        for shard, outbox in stored.items()
        for id_, value in outbox.items()
        if abs(now_ms - int.from_bytes(value[:8], "big")) >= after_ms
    ][:limit]


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
