"""candle-aggregate and persist with queues between them, under the test's control.

Everything is real but the broker, whose queues are lists, and the clock, which the test sets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import redis

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.maintenance.sample import sample
from functions.candle_aggregate.publish import waiting_rows
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.storage import Storage
from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import grouped
from functions.persist.handler import Persist
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.adapter.app import Emission
from shared.adapter.event import Event, OutgoingEvent
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.market.timeframes import parse_ladder
from shared.realtime.keys import Keys
from shared.stores.applied import not_aggregated
from shared.stores.postgres import Postgres
from shared.wire import busts, events
from shared.wire.candle import Candle, CandleKey
from shared.wire.candle_columns import decode_batch
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_SCANNER
from shared.wire.ticks import INTEGER_ID
from tests.databases import empty, filled
from tests.functions.candle_aggregate.replicas import FragileStore, live_candles
from tests.functions.candle_aggregate.truth import Row, as_ticks, true_candles

RULES: Final = Rules(
    parse_ladder("1m,5m"),
    allowed_lateness_us=2_000_000,
    idle_us=5_000_000,
    keep_us=60_000_000,
    unused_us=0,
    shards=2,
)
MINUTE: Final = 60_000_000
NOW_US: Final = 1_800_000_000_000_000
RESEND_AFTER_MS: Final = 5_000
WAITING: Final = """
    SELECT FROM repairs UNION ALL SELECT FROM pending_busts UNION ALL SELECT FROM unaggregated
    UNION ALL SELECT FROM gaps WHERE NOT judged OR NOT queued
    UNION ALL SELECT FROM candle_histories WHERE NOT settled LIMIT 1
"""


@dataclass
class World:
    """The stages, their stores, events in flight, and the view of a consumer of candles."""

    client: redis.Redis
    database: str
    rules: Rules = RULES
    now_us: int = NOW_US
    sent: dict[str, list[Row]] = field(default_factory=dict)
    to_apply: list[str] = field(default_factory=list)
    to_store: list[str] = field(default_factory=list)
    outbox: list[OutgoingEvent] = field(default_factory=list)
    delivered: set[int] = field(default_factory=set)
    repeatable: set[str] = field(default_factory=set)
    seen: dict[tuple[CandleKey, int], Candle] = field(default_factory=dict)
    busts: list[busts.Bust] = field(default_factory=list)
    postgres: Postgres = field(init=False)
    engine: Engine = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.database, size=12)
        self.persist = self._persist()
        self.sql = psycopg.connect(self.database, autocommit=True)
        self.not_empty = filled(self.sql)
        self.start()

    def _persist(self) -> Persist:
        return Persist(
            grouped(TickWriter(self.postgres), 0),
            Writer(self.postgres),
            PatternWriter(self.postgres),
            FeedWriter(self.postgres),
            QuoteWriter(self.postgres),
            BustWriter(self.postgres),
        )

    def start(self) -> None:
        """Start candle-aggregate."""
        self.store = FragileStore(self.client)
        self.storage = Storage(self.store, self.postgres, self.rules, self._clock)
        self.engine = Engine(self.store, self.rules, self.storage, self._clock)

    @property
    def context(self) -> JobContext:
        return JobContext(self.engine, self.postgres)

    def _clock(self) -> int:
        """The wall clock, which never stands still, of all replicas."""
        with self._lock:
            self.now_us += 1
            return self.now_us

    def restart(self, rules: Rules | None = None) -> None:
        """End candle-aggregate and start it again, perhaps with other settings."""
        self.engine.close()
        self.rules = rules or self.rules
        self.start()

    def end_leases(self) -> None:
        """Let Redis end the leases of a process that is gone, five seconds early."""
        for shard in range(self.rules.shards):
            self.client.pexpire(Keys(shard).lease, 1)

    def reset(self) -> None:
        """Restart with empty stores."""
        self.rules = RULES
        for each in (self.sent, self.to_apply, self.to_store, self.outbox, self.delivered):
            each.clear()
        self.seen.clear()
        self.busts.clear()
        self.repeatable.clear()
        self.now_us = NOW_US
        self.engine.close()
        self.client.flushdb()
        self.postgres.check()
        empty(self.sql, filled(self.sql) - self.not_empty)
        self.persist = self._persist()
        self.start()

    def close(self) -> None:
        self.engine.close()
        self.sql.close()
        self.postgres.close()

    # Time

    def step(self, seconds: int) -> None:
        """Advance the wall clock, also of stores that measure time themselves."""
        self.now_us += seconds * 1_000_000
        self.sql.execute("UPDATE pending_busts SET next_at = now() - interval '1 second'")
        self.sql.execute("UPDATE repairs SET requested_at = now() - interval '1 second'")

    # What comes and goes

    def send(self, rows: Sequence[Row], *, may_repeat: bool = False) -> str:
        """A batch of normalize, in flight to both stages."""
        event_id = f"e{len(self.sent)}"
        self.sent[event_id] = list(rows)
        self.to_apply.append(event_id)
        self.to_store.append(event_id)
        if may_repeat:
            self.repeatable.add(event_id)
        return event_id

    def ship(self, rows: Sequence[Row]) -> str:
        """A batch that is stored and applied at once."""
        event_id = self.send(rows)
        self.persist_ticks(event_id)
        assert self.apply(event_id)
        return event_id

    def bust(self, row: Row, *, price: str = "", size: str = "", said: bool = True) -> str:
        """Deliver a cancel of a trade to persist, or with price or size a correction.

        `said`: whether it has the trade's time.
        """
        self.now_us += 1
        trade_id = str(row.id_number) if row.id_kind == INTEGER_ID else row.id_text
        bust = busts.Bust(
            *(row.instrument, None, trade_id, row.time_us if said else 0),
            bool(price or size),
            price,
            size,
            self.now_us,
            len(self.busts),
            b"a bust",
        )
        self.busts.append(bust)
        event_id = f"bust{len(self.busts)}"
        body = busts.encode("udp-2", FORMAT_SCANNER, [bust])
        self.to_persist(OutgoingEvent.packed(event_id, events.BUSTS, body))
        return event_id

    def persist_ticks(self, event_id: str) -> None:
        """Deliver a batch to persist."""
        columns = as_ticks(self.sent[event_id]).sharded(self.rules.shards)
        out = OutgoingEvent.packed(event_id, events.TICKS, columns.encode())
        if self.to_persist(out):
            self.sql.execute(
                "UPDATE applied_events SET applied_at = to_timestamp(%s) WHERE event_id = %s",
                (self.now_us / 1e6, event_id),
            )
            self.sql.execute(
                "UPDATE unaggregated SET stored_at = to_timestamp(%s) WHERE event_id = %s",
                (self.now_us / 1e6, event_id),
            )
        if event_id in self.to_store:
            self.to_store.remove(event_id)

    def persist_outbox(self, place: int) -> None:
        """Deliver one of the emitted events to persist; it stays for another delivery."""
        self.to_persist(self.outbox[place])
        self.delivered.add(place)

    def deliver_all(self) -> None:
        """Deliver every emitted event that persist has not had."""
        for place in sorted(set(range(len(self.outbox))) - self.delivered):
            self.persist_outbox(place)

    def to_persist(self, out: OutgoingEvent) -> bool:
        """Deliver an event to persist; return whether it was new."""
        known = self.sql.execute(
            "SELECT 1 FROM applied_events WHERE event_id = %s", (out.id,)
        ).fetchone()
        attributes = {"id": out.id, "type": out.type, **out.extensions}
        self.persist(Event(out.id, out.type, "/test", attributes, out.body))
        return known is None

    def apply(self, event_id: str, *, cut: str = "") -> bool:
        """Deliver a batch to candle-aggregate; return whether it was answered 204.

        `cut`: the process dies "before" emitting, or "after" emitting and before noting it.
        """
        ticks = as_ticks(self.sent[event_id])
        event = TickEvent(event_id, ticks, event_id in self.repeatable)

        def work() -> Iterable[Emission]:
            return [each for one in self.engine.apply([event]) for each in one.emissions]

        if not self.deliver(work, cut):
            return False
        if event_id in self.to_apply:
            self.to_apply.remove(event_id)
        return True

    def tick_clock(self, *, cut: str = "") -> bool:
        """Deliver a clock event."""
        return self.deliver(self._clock_work, cut)

    def _clock_work(self) -> Iterable[Emission]:
        rules, shards = self.rules, range(self.rules.shards)
        closed = self.engine.step(
            shards,
            lambda leases, now_us: self.engine.steps.close_quiet(
                leases, now_us - rules.allowed_lateness_us, now_us - rules.idle_us, now_us
            ),
        )
        yield from closed.emissions
        outboxes = self.store.read_whole([Keys(shard).outbox for shard in shards])
        stored = dict(zip(shards, outboxes, strict=True))
        waiting = waiting_rows(stored, self.now_us // 1000, RESEND_AFTER_MS, 1_000)
        yield self.engine.emission(waiting)
        yield from self.storage.work(self.engine, self.now_us // 1_000_000)

    def deliver(self, work: Callable[[], Iterable[Emission]], cut: str = "") -> bool:
        """Do work that emits; return whether it finished."""
        try:
            for emission in work():
                if cut == "before":
                    return False
                self.take(emission.emit)
                if cut == "after":
                    return False
                if emission.after_emit is not None:
                    emission.after_emit()
        except TransientError:
            return False
        return True

    def take(self, outputs: Iterable[OutgoingEvent]) -> None:
        """Take emitted events as the broker does, and update the consumer's view."""
        for out in outputs:
            if out.type == events.CANDLES:
                for candle in decode_batch(decompress(out.body)):
                    key = (candle.instrument, candle.timeframe, candle.start_us)
                    known = self.seen.setdefault((key, candle.revision), candle)
                    assert known == candle, f"one revision says one thing: {known} and {candle}"
            self.outbox.append(out)

    # What is there

    def live(self) -> dict[CandleKey, Candle]:
        """The records of the live state; of longer timeframes the folds of closed parts."""
        return live_candles(self.client, self.rules)

    def stored(self) -> dict[CandleKey, dict[str, Any]]:
        """The candles in Postgres."""
        with self.sql.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            rows = cursor.execute("SELECT * FROM candles").fetchall()
        return {(row["instrument"], row["timeframe"], row["start_us"]): row for row in rows}

    def keyspace(self) -> dict[bytes, bytes]:
        """Return a dump of Redis without leases, which would have expired."""
        return {
            key: value
            for key in self.client.scan_iter()
            if not key.endswith((b":lease", b":waiting"))
            and (value := self.client.dump(key)) is not None
        }

    def go_back(self, keyspace: dict[bytes, bytes]) -> None:
        """Restore Redis from a dump; later writes are lost."""
        self.client.flushdb()
        for key, value in keyspace.items():
            self.client.restore(key, 0, value)

    # The end

    def settle(self) -> None:
        """Deliver all events in flight, and let the clock work until two minutes change nothing."""
        self.store.writes_left = None
        for event_id in list(self.to_store):
            self.persist_ticks(event_id)
        self.now_us += -self.now_us % 60_000_000 + 1  # a second at which the clock does all
        states = [self._state()]
        while len(states) <= 10 and (states[-3:-1] != [states[-1]] * 2 or self._is_waiting()):
            for event_id in list(self.to_apply):
                assert self.apply(event_id)
            self.step(60)
            self.now_us -= self.now_us % 1_000_000
            self.persist.busts.retry()
            assert self.tick_clock()
            self.deliver_all()
            states.append(self._state())

    def _state(self) -> tuple[dict[bytes, bytes], int]:
        """The live state without the leases' counters, and how many events were emitted."""
        keyspace = self.keyspace()
        heads = {Keys(shard).head.encode() for shard in range(self.rules.shards)}
        return {key: keyspace[key] for key in keyspace.keys() - heads}, len(self.outbox)

    def _is_waiting(self) -> bool:
        """Tell whether Postgres has work for a later second."""
        return self.sql.execute(WAITING).fetchone() is not None

    def assert_right(self) -> None:
        """Assert that every candle equals its stored ticks, and nothing is left over."""
        rows = [row for some in self.sent.values() for row in some]
        expected: dict[CandleKey, dict[str, Any]] = {}
        for timeframe in self.rules.ladder:
            expected |= true_candles(rows, timeframe, self.busts)
        stored = self.stored()
        emptied = {key for key, row in stored.items() if not row["trade_count"]}
        assert not emptied & expected.keys()
        ladder = {each.name for each in self.rules.ladder}
        assert {
            key: {name: row[name] for name in expected.get(key, row)}
            for key, row in stored.items()
            if key[1] in ladder and key not in emptied
        } == expected
        assert all(row["closed"] for row in stored.values())
        highest: dict[CandleKey, int] = {}
        for key, revision in self.seen:
            highest[key] = max(revision, highest.get(key, 0))
        assert {key: row["revision"] for key, row in stored.items()} == highest
        for key, candle in self.live().items():
            assert candle.revision == highest[key]
        assert self.sql.execute("SELECT * FROM repairs").fetchall() == []
        for shard in range(self.rules.shards):
            assert not self.not_aggregated(shard)
            assert not self.client.zcard(Keys(shard).applied)
            assert not self.client.hlen(Keys(shard).outbox)

    def not_aggregated(self, shard: int) -> list[str]:
        """The stored events that are not recorded as aggregated."""
        with self.postgres.connection() as connection:
            return [each.event_id for each in not_aggregated(connection, shard, 2**61, 10_000)]

    def shard_of(self, instrument: str) -> int:
        """The shard of an instrument."""
        return shard_of(instrument, self.rules.shards)


def finish(world: World) -> None:
    """Settle, and compare every candle with the ticks that were sent."""
    world.settle()
    world.assert_right()


def sampled(world: World) -> set[tuple[str, str, int]]:
    """Differences found by many samples taken a while later."""
    world.step(180)
    return {key for _ in range(20) for key in sample(world.context)}
