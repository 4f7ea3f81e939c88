"""Replicas of candle-aggregate's engine over one Redis, and a reader of their state."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import redis

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.engine import Applied, Engine
from functions.candle_aggregate.maintenance.state_check import begin
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Changes, Lease, Store, Written
from shared.adapter.app import Emission, Outcome
from shared.errors import TransientError
from shared.market.blocks import PRICED, Records
from shared.market.timeframes import parse_ladder
from shared.realtime.keys import Block, Keys
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle import Candle, CandleKey
from shared.wire.candle_columns import CandleColumns, decode_batch
from shared.wire.compression import decompress
from shared.wire.late import Late, decode_late
from shared.wire.ticks import Ticks

MINUTE = 60_000_000
NOW_US = 1_800_000_000_000_000
RULES = Rules(
    parse_ladder("1m,5m"),
    allowed_lateness_us=2_000_000,
    idle_us=5_000_000,
    marker_ms=600_000,
    keep_us=60_000_000,
    unused_us=0,
    shards=4,
)


@dataclass(frozen=True, slots=True)
class NoStorage:
    """A lost state restarts empty. Postgres has no event; it records the lineage if it is given."""

    postgres: Postgres | None = None

    def is_trusted(self, lease: Lease) -> bool:
        """Whether the state exists."""
        return bool(lease.lineage)

    def make(self, engine: Engine, lease: Lease) -> Outcome:
        """Create an empty state."""
        session = Session(engine.store, engine.rules, lease, engine.clock())
        lineage = secrets.token_hex(8)
        if self.postgres is not None:
            with self.postgres.connection() as connection:
                begin(connection, lease.shard, lineage, engine.clock())
        session.clear()
        session.begin(lineage)
        session.commit()
        return Outcome()

    def recorded(
        self, events: Sequence[TickEvent], began_us: Mapping[int, int], now_us: int
    ) -> Mapping[str, set[int]]:
        """None."""
        return {}

    def returning(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """None."""
        return {}


class Replica:
    """An engine, and the candles and late batches that it emitted."""

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        rules: Rules = RULES,
        display: Display | None = None,
        postgres: Postgres | None = None,
    ) -> None:
        self.now_us = NOW_US
        self.store = Store(client, name)
        self.engine = Engine(self.store, rules, NoStorage(postgres), lambda: self.now_us, display)
        self.emitted: list[Candle] = []
        self.late: list[Late] = []

    def apply(self, **batches: Ticks) -> list[Applied]:
        """Apply events in one step, and emit the results."""
        applied = self.engine.apply(TickEvent(id_, ticks) for id_, ticks in batches.items())
        self.emit([each for one in applied for each in one.emissions])
        return applied

    def event(self, id_: str, ticks: Ticks) -> TickEvent:
        """Return a batch as an event."""
        return TickEvent(id_, ticks)

    def changes(self, shard: int, event_id: str) -> Changes:
        """Return a step that only marks an event."""
        return Changes([event_id])

    def emit(self, emissions: Sequence[Emission]) -> None:
        """Publish emissions, each once."""
        for emission in dict.fromkeys(emissions):
            for out in emission.emit:
                body = decompress(out.body)
                if out.type == events.CANDLES:
                    self.emitted += decode_batch(body)
                else:
                    self.late.append(decode_late(body))
            if emission.after_emit is not None:
                emission.after_emit()


class FragileStore(Store):
    """A store whose process dies after so many more writes; None: never."""

    writes_left: int | None = None

    def write(
        self, steps: Sequence[tuple[Lease, Changes]], now_us: int, *, release: bool = True
    ) -> list[Written]:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise TransientError("the process is gone")
        return super().write(steps, now_us, release=release)


def live_candles(client: redis.Redis, rules: Rules = RULES) -> dict[CandleKey, Candle]:
    """The records of every block with a price; of longer timeframes the closed ones."""
    found = {}
    for shard in range(rules.shards):
        for field in cast(list[bytes], client.hkeys(Keys(shard).blocks)):
            block = Block.of(field)
            stored = cast(dict[bytes, bytes], client.hgetall(Keys(shard).block(block)))
            names = [name.decode() for name in stored]
            records = Records.decode(list(stored.values()))
            starts = records.data["count"] * 0 + block.start_us
            whole = CandleColumns(block.timeframe, names, starts, records)
            for candle in whole.at(np.flatnonzero(records.has(PRICED))).candles():
                found[candle.instrument, candle.timeframe, candle.start_us] = candle
    return found


def content(candle: Candle) -> dict[str, Any]:
    """The part of a candle that ticks determine."""
    return {
        name: getattr(candle, name)
        for name in Candle.__dataclass_fields__
        if name
        not in ("instrument", "timeframe", "start_us", "closed", "complete", "revision", "origin")
    }
