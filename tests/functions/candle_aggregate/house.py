"""candle-aggregate's state and persist's tables, for tests of what happens between them."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import redis

from functions.candle_aggregate.clock import unconfirmed_late
from functions.candle_aggregate.epoch import current_epoch
from functions.candle_aggregate.merge import Applied
from functions.candle_aggregate.publish import publication
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Store
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import GroupCommit
from functions.persist.handler import Persist
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared import events
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.kernel import CandleKey
from shared.state import Keys
from shared.stores.postgres import Postgres
from shared.ticks import Ticks
from shared.timeframes import parse_ladder
from tests.functions.candle_aggregate.reference import Tick, as_columns, reference_candles
from tests.functions.candle_aggregate.test_apply import apply_ticks

MINUTE = 60_000_000
RULES = Rules(
    parse_ladder("1m,5m"),
    allowed_lateness_us=0,
    idle_us=5_000_000,
    marker_ms=600_000,
    keep_us=60_000_000,
)
NOW_US = 1_800_000_000_000_000
LATER_US = NOW_US + 61_000_000


def persist_over(postgres: Postgres) -> Persist:
    """The stage's handler."""
    return Persist(
        GroupCommit(TickWriter(postgres), 0),
        Writer(postgres),
        PatternWriter(postgres),
        FeedWriter(postgres),
        QuoteWriter(postgres),
    )


class House:
    """candle-aggregate's state and persist's tables, without the broker between them."""

    def __init__(self, client: redis.Redis, database: str) -> None:
        self.client = client
        self.database = database
        self.postgres = Postgres(database)
        self.store = Store(client, Keys(0))
        self.persist = persist_over(self.postgres)

    @property
    def epoch(self) -> int:
        return current_epoch(self.store, self.postgres, RULES, NOW_US)

    def apply(self, event_id: str, ticks: Sequence[Tick], now_us: int = NOW_US) -> Applied:
        applied = apply_ticks(self.store, RULES, self.epoch, event_id, as_columns(ticks), now_us)
        assert applied is not None
        self.deliver(
            publication(self.store, applied.closed, unconfirmed_late(self.store, now_us, 0))
        )
        return applied

    def store_ticks(self, event_id: str, ticks: Sequence[Tick], now_us: int = NOW_US) -> None:
        self.store_columns(event_id, as_columns(ticks), now_us)

    def store_columns(self, event_id: str, ticks: Ticks, now_us: int = NOW_US) -> None:
        """Let persist write them, at the time of the test and not of the wall."""
        self.deliver(Outcome([OutgoingEvent.packed(event_id, events.TICKS, ticks.encode())]))
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "UPDATE applied_events SET applied_at = to_timestamp(%s) WHERE event_id = %s",
                (now_us / 1e6, event_id),
            )
            connection.execute(
                "UPDATE unaggregated SET stored_at = to_timestamp(%s) WHERE event_id = %s",
                (now_us / 1e6, event_id),
            )

    def deliver(self, outcome: Outcome) -> None:
        """Give every emitted event to persist, then note it as emitted."""
        for out in outcome.emit:
            attributes = {"id": out.id, "type": out.type, **out.extensions}
            self.persist(Event(out.id, out.type, "/test", attributes, out.body))
        if outcome.after_emit is not None:
            outcome.after_emit()

    def stored(self) -> dict[CandleKey, tuple[int, int]]:
        """Trade count and epoch of each candle in Postgres."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                "SELECT instrument, timeframe, start_us, trade_count, revision >> 32 FROM candles"
            ).fetchall()
        return {(name, timeframe, start): (n, epoch) for name, timeframe, start, n, epoch in rows}

    def live(self) -> set[CandleKey]:
        return {
            ("A", timeframe.name, start)
            for timeframe in RULES.ladder
            for start in self.store.candles("A", timeframe.name, 10_000)
        }

    def age(self, seconds: int) -> None:
        """Let stored events be older than they are."""
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "UPDATE applied_events SET applied_at = applied_at - %s * interval '1 second'",
                (seconds,),
            )
            connection.execute(
                "UPDATE unaggregated SET stored_at = stored_at - %s * interval '1 second'",
                (seconds,),
            )


def ticks(first: int, count: int) -> list[Tick]:
    """A trade every twenty seconds."""
    return [
        Tick("A", i * 20_000_000, i, 100 + i % 7, 1 + i % 3, i % 3)
        for i in range(first, first + count)
    ]


def counts(rows: Sequence[Tick]) -> dict[CandleKey, int]:
    return {
        (name, timeframe.name, start): candle["trade_count"]
        for timeframe in RULES.ladder
        for (name, start), candle in reference_candles(rows, timeframe.length_us).items()
    }
