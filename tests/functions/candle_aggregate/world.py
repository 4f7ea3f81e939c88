"""candle-aggregate and persist with queues between them that a test delivers as it likes.

Everything is real but the broker, whose queues are lists, and the clock, which the test sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import redis

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.epoch import current_epoch
from functions.candle_aggregate.handler import Aggregate
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Step, Store
from shared import events
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.candle import Candle, CandleState
from shared.candle_columns import decode_batch
from shared.compression import decompress
from shared.errors import TransientError
from shared.kernel import CandleKey
from shared.state import Keys, unpack
from shared.stores.postgres import Postgres
from shared.timeframes import parse_ladder
from shared.watched import Watched
from tests.functions.candle_aggregate.house import persist_over
from tests.functions.candle_aggregate.truth import Row, as_ticks, true_candles

RULES: Final = Rules(
    parse_ladder("1m,5m"),
    allowed_lateness_us=2_000_000,
    idle_us=5_000_000,
    marker_ms=600_000,
    keep_us=60_000_000,
)
MINUTE: Final = 60_000_000
NOW_US: Final = 1_800_000_000_000_000
TABLES: Final = (
    "applied_events, unaggregated, tick_segments, candles, repairs, first_ticks,"
    " lake_pending_candles"
)


class CutOffError(Exception):
    """The process is gone at this point."""


class FragileStore(Store):
    """A store whose process is gone after so many more writes; None: never."""

    writes_left: int | None = None

    def _write(self, step: Step, guard: str, epoch: int, markers: Any) -> str:
        self._count()
        return super()._write(step, guard, epoch, markers)

    def settle_markers(self, event_ids: Sequence[str], life_ms: int) -> None:
        self._count()
        super().settle_markers(event_ids, life_ms)

    def _count(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise CutOffError


@dataclass
class World:
    """The stages, their stores, what is on the way, and what a consumer of candles has seen."""

    client: redis.Redis
    database: str
    postgres: Postgres = field(init=False)
    now_us: int = NOW_US
    sent: dict[str, list[Row]] = field(default_factory=dict)
    to_apply: list[str] = field(default_factory=list)
    to_store: list[str] = field(default_factory=list)
    outbox: list[OutgoingEvent] = field(default_factory=list)
    delivered: set[int] = field(default_factory=set)
    repeatable: set[str] = field(default_factory=set)
    seen: dict[tuple[CandleKey, int], Candle] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.database, size=12)
        self.store = FragileStore(self.client, Keys(0))
        self.persist = persist_over(self.postgres)
        self.aggregate = Aggregate(
            RULES,
            [self.store],
            self.postgres,
            self._epoch,
            Display(Watched(self.client), 100_000),
            clock=lambda: self.now_us,
        )
        self.sql = psycopg.connect(self.database, autocommit=True)

    def reset(self) -> None:
        """Begin anew with empty stores."""
        for each in (self.sent, self.to_apply, self.to_store, self.outbox, self.delivered):
            each.clear()
        self.seen.clear()
        self.repeatable.clear()
        self.now_us = NOW_US
        self.client.flushdb()
        self.postgres.check()
        self.sql.execute(f"TRUNCATE {TABLES}".encode())
        self.persist = persist_over(self.postgres)

    def close(self) -> None:
        self.sql.close()
        self.postgres.close()

    def _epoch(self, store: Store) -> int:
        return current_epoch(store, self.postgres, RULES, self.now_us)

    # Time

    def step(self, seconds: int) -> None:
        """Let the wall clock step; stores that count time by themselves are told."""
        self.now_us += seconds * 1_000_000
        self.sql.execute("UPDATE repairs SET requested_at = now() - interval '1 second'")
        for key in list(self.client.scan_iter("{0}:applied:*")):
            left = self.client.ttl(key)
            if left >= 0:
                self.client.expire(key, max(left - seconds, 0))

    # What comes and goes

    def send(self, rows: Sequence[Row], *, may_repeat: bool = False) -> str:
        """A batch that normalize emitted: on the way to both stages."""
        event_id = f"e{len(self.sent)}"
        self.sent[event_id] = list(rows)
        self.to_apply.append(event_id)
        self.to_store.append(event_id)
        if may_repeat:
            self.repeatable.add(event_id)
        return event_id

    def persist_ticks(self, event_id: str) -> None:
        """Deliver a batch to persist."""
        columns = as_ticks(self.sent[event_id])
        out = OutgoingEvent.packed(event_id, events.TICKS, columns.encode())
        first = self._to_persist(out)
        if first:
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
        self._to_persist(self.outbox[place])
        self.delivered.add(place)

    def _to_persist(self, out: OutgoingEvent) -> bool:
        known = self.sql.execute(
            "SELECT 1 FROM applied_events WHERE event_id = %s", (out.id,)
        ).fetchone()
        attributes = {"id": out.id, "type": out.type, **out.extensions}
        self.persist(Event(out.id, out.type, "/test", attributes, out.body))
        return known is None

    def apply(self, event_id: str, *, cut: str = "") -> bool:
        """Deliver a batch to candle-aggregate; tell whether it was answered 204.

        `cut`: the process is gone "before" emitting, or "after" emitting and before noting it.
        """
        out = OutgoingEvent.packed(event_id, events.TICKS, as_ticks(self.sent[event_id]).encode())
        attributes = dict(out.extensions)
        if event_id in self.repeatable:
            attributes[events.IDEMPOTENCY_KEY] = event_id
        if not self._deliver(Event(event_id, events.TICKS, "/test", attributes, out.body), cut):
            return False
        if event_id in self.to_apply:
            self.to_apply.remove(event_id)
        return True

    def tick_clock(self, *, cut: str = "") -> bool:
        """Deliver a clock event."""
        return self._deliver(Event("clock", events.CLOCK, "/test", {}, b""), cut)

    def _deliver(self, event: Event, cut: str) -> bool:
        try:
            outcome = self.aggregate(event)
        except (TransientError, CutOffError):
            return False
        if cut == "before":
            self.gone()
            return False
        self._emit(outcome)
        if cut == "after":
            self.gone()
            return False
        if outcome.after_emit is not None:
            try:
                outcome.after_emit()
            except (TransientError, CutOffError):
                return False
        return True

    def gone(self) -> None:
        """The process is cut off here."""

    def _emit(self, outcome: Outcome) -> None:
        self.take(outcome.emit)

    def take(self, outputs: Iterable[OutgoingEvent]) -> None:
        """Take emitted events, as the broker does, and see what a consumer of candles sees."""
        for out in outputs:
            if out.type == events.CANDLES:
                for candle in decode_batch(decompress(out.body)):
                    key = (candle.instrument, candle.timeframe, candle.start_us)
                    known = self.seen.setdefault((key, candle.revision), candle)
                    assert known == candle, "one revision says one thing"
            self.outbox.append(out)

    # What is there

    def live(self) -> dict[CandleKey, CandleState]:
        """The candles of the live state."""
        found = {}
        for key in self.client.scan_iter("{0}:candle:*"):
            blob = self.client.get(key)
            assert isinstance(blob, bytes)
            state = CandleState.decode(unpack(blob)[1])
            found[state.instrument, state.timeframe, state.start_us] = state
        return found

    def stored(self) -> dict[CandleKey, dict[str, Any]]:
        """The candles in Postgres."""
        with self.sql.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            rows = cursor.execute("SELECT * FROM candles").fetchall()
        return {(row["instrument"], row["timeframe"], row["start_us"]): row for row in rows}

    # The end

    def settle(self) -> None:
        """Deliver all that is on the way, and let the clock do all that is left to do."""
        self.store.writes_left = None
        for event_id in list(self.to_store):
            self.persist_ticks(event_id)
        self.now_us += -self.now_us % 60_000_000  # a second at which the clock does everything
        for _ in range(8):
            for event_id in list(self.to_apply):
                assert self.apply(event_id)
            self.step(60)
            assert self.tick_clock()
            for place in set(range(len(self.outbox))) - self.delivered:
                self.persist_outbox(place)

    def assert_right(self) -> None:
        """Every candle is what its stored ticks say; nothing is left behind."""
        rows = [row for some in self.sent.values() for row in some]
        expected: dict[CandleKey, dict[str, Any]] = {}
        for timeframe in RULES.ladder:
            expected |= true_candles(rows, timeframe)
        stored = self.stored()
        assert {
            key: {name: row[name] for name in expected.get(key, row)} for key, row in stored.items()
        } == expected
        assert all(row["closed"] for row in stored.values())
        highest: dict[CandleKey, int] = {}
        for key, revision in self.seen:
            highest[key] = max(revision, highest.get(key, 0))
        assert {key: row["revision"] for key, row in stored.items()} == highest
        for key, state in self.live().items():
            assert state.revision == highest[key]
        left = self.sql.execute("SELECT * FROM repairs").fetchall()
        assert not left
        waiting = self.sql.execute("SELECT event_id FROM unaggregated").fetchall()
        assert not waiting
        assert not self.client.zcard(self.store.keys.pending)
        assert not self.client.zcard(self.store.keys.unpublished)
        assert not self.client.hlen(self.store.keys.late)
        for key in self.client.scan_iter("{0}:applied:*"):
            assert self.client.ttl(key) != -1, f"{key!r} would stay for ever"
