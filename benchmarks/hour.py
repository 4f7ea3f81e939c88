"""Redis memory of candle-aggregate over an hour of ticks with trade ids, as fast as it goes.

From the environment: WIDTH (instruments), RATE (ticks a second of event time) and MINUTES. The
engine works over real Redis and Postgres by a clock that is moved on; closed candles are stored and
blocks leave as the clock has it every ten seconds, and every event is recorded a minute later. So
all terms are those of event time. Printed each minute: Redis in all, and what grew by key.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import redis

from benchmarks._platform import running
from benchmarks.aggregate import RULES, Market, NoStorage
from functions.candle_aggregate.engine import Applied, Engine
from functions.candle_aggregate.handler import wall_clock_us
from functions.candle_aggregate.maintenance.evict import Eviction
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Store
from functions.persist.writer import Writer
from shared.stores.postgres import Postgres
from shared.stores.redis import connect
from shared.wire import events
from shared.wire.candle_columns import decode_columns
from shared.wire.compression import decompress

WIDTH = int(os.environ.get("WIDTH", "10000"))
RATE = int(os.environ.get("RATE", "20000"))
MINUTES = int(os.environ.get("MINUTES", "60"))
EVENTS_A_SECOND: Final = 20
SECOND_US: Final = 1_000_000
RECORDED_AFTER_S: Final = 60


class Hour:
    """The stage by a clock of its own, and who stores what it emits."""

    def __init__(self, client: redis.Redis, postgres: Postgres) -> None:
        self.now_us = wall_clock_us() // SECOND_US * SECOND_US
        self._engine = Engine(Store(client), RULES, NoStorage(), lambda: self.now_us)
        self._market, self._writer = Market(WIDTH), Writer(postgres)
        self._eviction = Eviction(postgres, RULES)
        self._applied: deque[list[str]] = deque()

    def second(self, number: int) -> None:
        """Let a second pass."""
        ids = [f"udp-bench/{number}/{n}" for n in range(EVENTS_A_SECOND)]
        count, first = RATE // EVENTS_A_SECOND, number * EVENTS_A_SECOND
        some = [self._market.batch(first + n, count, self.now_us) for n in range(len(ids))]
        self._store(self._engine.apply(map(TickEvent, ids, some)))
        self._applied.append(ids)
        self.now_us += SECOND_US
        if number % 10 == 9:
            self._maintain()

    def close(self) -> None:
        """End its threads."""
        self._engine.close()

    def _store(self, applied: Sequence[Applied]) -> None:
        for emission in dict.fromkeys(each for one in applied for each in one.emissions):
            for out in emission.emit:
                if out.type == events.CANDLES:
                    self._writer.candles(decode_columns(decompress(out.body)))
            if emission.after_emit is not None:
                emission.after_emit()

    def _maintain(self) -> None:
        recorded = []
        while len(self._applied) > RECORDED_AFTER_S:
            recorded += self._applied.popleft()

        def record(session: Session) -> None:
            session.record(recorded)
            session.forget_recorded(self.now_us // 1000 - RULES.marker_ms)

        for shard in range(RULES.shards):
            self._engine.run(shard, record)
            self._eviction.evict(self._engine, shard)


def by_key(client: redis.Redis) -> Counter[str]:
    """Return the bytes of keys by what they are: blocks by timeframe, ids, markers, ..."""
    found: Counter[str] = Counter()
    for key in client.scan_iter(count=1_000):
        kind = key.decode().split(":")[1]
        found[kind] += client.memory_usage(key, samples=0) or 0
    return found


def run() -> None:
    """Print Redis' memory minute by minute."""
    with running("--functions", "none") as platform:
        client = connect(platform.environment["REDIS_URL"])
        hour = Hour(client, Postgres(platform.environment["DATABASE_URL"], size=4))
        for minute in range(MINUTES):
            for second in range(60):
                hour.second(60 * minute + second)
            used = client.info("memory")["used_memory"] / 2**20
            kinds = ", ".join(f"{k} {n / 2**20:.1f}" for k, n in by_key(client).most_common(6))
            print(f"minute {minute + 1}: Redis {used:.1f} MiB: {kinds}", flush=True)
        hour.close()
