"""Redis memory of candle-aggregate over an hour of ticks with trade ids, as fast as it goes.

From the environment: WIDTH (instruments), RATE (ticks a second of event time) and MINUTES. The
engine works over real Redis and Postgres by a clock that is moved on; closed candles are stored and
blocks leave as the clock has it every ten seconds, and every event is recorded a minute later. So
all terms are those of event time. Printed each minute: Redis in all, and what grew by key.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

import redis

from benchmarks._market import events as market
from benchmarks._measure import number
from benchmarks._platform import running
from functions.candle_aggregate.engine import Applied, Engine
from functions.candle_aggregate.handler import wall_clock_us
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Store
from functions.candle_aggregate.storage import Storage
from functions.persist.writer import Writer
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle_columns import decode_columns
from shared.wire.compression import decompress

WIDTH = number("WIDTH", 10_000)
RATE = number("RATE", 20_000)
MINUTES = number("MINUTES", 60)
RULES: Final = Rules(parse_ladder(DEFAULT_LADDER), 2_000_000, 5_000_000, 600_000, unused_us=0)
EVENTS_A_SECOND: Final = 20
SECOND_US: Final = 1_000_000
RECORDED_AFTER_S: Final = 60


class Hour:
    """The stage by a clock of its own, and who stores what it emits."""

    def __init__(self, client: redis.Redis, postgres: Postgres) -> None:
        self.now_us = wall_clock_us() // SECOND_US * SECOND_US
        store = Store(client)
        self._storage = Storage(store, postgres, RULES, lambda: self.now_us)
        self._engine = Engine(store, RULES, self._storage, lambda: self.now_us)
        count, event_us = MINUTES * 60 * EVENTS_A_SECOND, SECOND_US // EVENTS_A_SECOND
        begin_us = self.now_us - SECOND_US
        self._events = market(WIDTH, begin_us, count, RATE // EVENTS_A_SECOND, event_us)
        self._writer = Writer(postgres)
        self._applied: deque[list[str]] = deque()

    def second(self, nth: int) -> None:
        """Let a second pass."""
        some = [TickEvent(*each) for each in islice(self._events, EVENTS_A_SECOND)]
        self._store(self._engine.apply(some))
        self._applied.append([each.id for each in some])
        self.now_us += SECOND_US
        if nth % 10 == 9:
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
            self._storage.eviction.evict(self._engine, shard)


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
        client = platform.redis()
        hour = Hour(client, Postgres(platform.environment["DATABASE_URL"], size=4))
        for minute in range(MINUTES):
            for second in range(60):
                hour.second(60 * minute + second)
            used = platform.redis_bytes() / 2**20
            kinds = ", ".join(f"{k} {n / 2**20:.1f}" for k, n in by_key(client).most_common(6))
            print(f"minute {minute + 1}: Redis {used:.1f} MiB: {kinds}", flush=True)
        hour.close()
