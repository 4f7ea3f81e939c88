"""In any sequence of faults every candle ends as its stored ticks define it.

Hypothesis plays the network, the operator and the failing machine against both stages over real
stores. `KANDLE_MACHINE_EXAMPLES` and `KANDLE_MACHINE_STEPS` make it play longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from functions.candle_aggregate import engine
from functions.candle_aggregate.maintenance.idle_instruments import move_unused
from shared.errors import TransientError
from shared.market.timeframes import parse_ladder
from shared.wire.gaps import Gap, GapState, touches
from shared.wire.ticks import VOLUME_ONLY
from tests.functions.candle_aggregate.test_gaps import tell
from tests.functions.candle_aggregate.trades import trades
from tests.functions.candle_aggregate.truth import Row, with_id
from tests.functions.candle_aggregate.world import MINUTE, NOW_US, RULES, World

EXAMPLES = int(os.environ.get("KANDLE_MACHINE_EXAMPLES", "25"))
STEPS = int(os.environ.get("KANDLE_MACHINE_STEPS", "40"))
SHRINK = (Phase.shrink,) if "KANDLE_MACHINE_SHRINK" in os.environ else ()

BEGIN_US = NOW_US // 86_400_000_000 * 86_400_000_000 - 86_400_000_000
"""Event times are of the day before: the clock closes what is quiet."""

SECOND = 1_000_000
LADDERS = ("1m,5m", "1m,5m,15m", "1m,15m", "1m,7m")
PICK = st.integers(0, 1_000)
UNIQUE = 100
"""From here on ids have one content: a correction keeps the rest of what was stored first."""
ASK = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    VALUES (%s, %s, %s, %s, 'asked') ON CONFLICT DO NOTHING
"""
CORRECTIONS = st.sampled_from([("", ""), ("", ""), ("1.07", ""), ("", "0.012"), ("1.01", "0.001")])
CUTS = st.sampled_from(["", "", "", "before", "after"])
IDS = st.one_of(st.none(), st.integers(1, 12), st.sampled_from(["x", "y", "é"]))
MOVES = st.sampled_from(
    [0, 0, 1, 7, 20, 20, 45, 61, 130, 310, 700, 1_500, -1, -20, -61, -200, -400, -1_000]
)
STEPS_S = st.sampled_from([1, 2, 5, 10, 31, 61, 130, 700, -3, -40])

ticks = st.lists(
    st.tuples(
        st.sampled_from("AAAB"),
        MOVES,
        st.integers(0, 59) | st.just(0),
        IDS,
        st.integers(1, 9),
        st.integers(0, 3),
        st.integers(0, 2),
        st.sampled_from([0, 0, VOLUME_ONLY]),
    ),
    min_size=1,
    max_size=5,
)


def picked(some: list[str], pick: int) -> str:
    return some[pick % len(some)]


class Machine(RuleBasedStateMachine):
    """The rules of the state machine; the world has the state."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.time_us = BEGIN_US
        self.sequence = 0
        self.dump: Any = None
        self.gaps: list[Gap] = []
        self.other: Any = None

    @initialize()
    def begin(self) -> None:
        """Empty stores."""
        self.world.reset()

    def _row(self, instrument: str, time_us: int, trade_id: Any, *content: int) -> Row:
        self.sequence += 1
        ids = with_id(trade_id)
        stamp = (self.world.now_us, "udp-1", self.sequence)
        return Row(instrument, time_us, *ids, *stamp, *content)

    @rule(ticks=ticks, may_repeat=st.booleans())
    def send(self, ticks: list[Any], may_repeat: bool) -> None:
        """New ticks, some old or far ahead, some with repeated ids."""
        rows = []
        for instrument, move_s, second, trade_id, *content in ticks:
            time_us = max(self.time_us + move_s * SECOND, BEGIN_US - 30 * MINUTE)
            time_us += -time_us % MINUTE * (second == 0) + second * (second > 30)
            id_ = UNIQUE + self.sequence if trade_id == 12 else trade_id
            rows.append(self._row(instrument, time_us, id_, *content))
            self.time_us = max(self.time_us, min(time_us, self.time_us + 700 * SECOND))
        self.world.send(rows, may_repeat=may_repeat)

    @rule(picks=st.lists(st.tuples(PICK, st.integers(0, 3), st.integers(0, 59)), max_size=4))
    def send_again(self, picks: list[tuple[int, int, int]]) -> None:
        """Repeated trades in an event of its own, with the same content or another."""
        some = [r for rows in self.world.sent.values() for r in rows if r.id_kind]
        rows = []
        for pick, change, second in picks if some else []:
            row = some[pick % len(some)]
            change *= row.id_number < UNIQUE
            trade_id = row.id_number if row.id_kind == 1 else row.id_text
            time_us = row.time_us
            if change > 1:
                time_us = time_us // MINUTE * MINUTE + second * SECOND
            content = (row.price + change, row.size, row.side, row.flags)
            rows.append(self._row(row.instrument, time_us, trade_id, *content))
        if rows:
            self.world.send(rows)

    @rule(pick=PICK, correction=CORRECTIONS)
    def cancel(self, pick: int, correction: tuple[str, str]) -> None:
        """Cancel or correct a trade that is stored or in flight."""
        some = [r for rows in self.world.sent.values() for r in rows if r.id_kind]
        if some:
            row = some[pick % len(some)]
            price, size = correction if row.id_number >= UNIQUE else ("", "")
            self.world.bust(row, price=price, size=size)

    @rule(instrument=st.sampled_from("AB"), move_s=MOVES, seconds=st.integers(0, 200))
    def miss(self, instrument: str, move_s: int, seconds: int) -> None:
        """A feed has a gap. No repaired candle is on its way then: see docs/limits.md."""
        from_us, number = self.time_us + move_s * SECOND, len(self.gaps)
        to_us = from_us + seconds * SECOND
        self.deliver_all()
        self.gaps.append(Gap(instrument, instrument, number, number, from_us, to_us))
        tell(self.world, self.gaps[-1])

    @rule(pick=PICK)
    def fill(self, pick: int) -> None:
        """A gap is filled, perhaps once more."""
        if self.gaps:
            self.deliver_all()
            number = pick % len(self.gaps)
            self.gaps[number] = replace(self.gaps[number], state=GapState.FILLED)
            tell(self.world, self.gaps[number])

    @rule(pick=PICK)
    def ask(self, pick: int) -> None:
        """`kandle rebuild` of a stored candle."""
        if stored := sorted(self.world.stored()):
            self.world.sql.execute(ASK, (*stored[pick % len(stored)], f"asked {self.sequence}"))

    @rule(pick=PICK, cut=CUTS)
    def apply(self, pick: int, cut: str) -> None:
        """Deliver to candle-aggregate, perhaps interrupted."""
        if self.world.to_apply:
            self.world.apply(picked(self.world.to_apply, pick), cut=cut)

    @rule()
    def apply_all(self) -> None:
        """Deliver every waiting event in order."""
        for event_id in list(self.world.to_apply):
            self.world.apply(event_id)

    @rule(pick=PICK)
    def apply_any(self, pick: int) -> None:
        """Deliver any event, however old: a replayed dead letter, a repeated POST."""
        if self.world.sent:
            self.world.apply(picked(list(self.world.sent), pick))

    @rule(
        picks=st.lists(PICK, min_size=2, max_size=6),
        with_clock=st.booleans(),
        with_other=st.booleans(),
    )
    def apply_at_once(self, picks: list[int], with_clock: bool, with_other: bool) -> None:
        """Deliver from several threads on the same instruments, perhaps with the clock, to two."""
        if not self.world.sent:
            return
        some = [picked(list(self.world.sent), pick) for pick in picks]
        with ThreadPoolExecutor(4) as workers:
            work = [workers.submit(self.world.apply, event_id) for event_id in some]
            if with_other:
                self.turn_to_another_replica()
            if with_clock:
                work.append(workers.submit(self.world.tick_clock))
            for each in work:
                each.result()

    @rule(pick=PICK)
    def store(self, pick: int) -> None:
        """Deliver ticks to persist."""
        if self.world.to_store:
            self.world.persist_ticks(picked(self.world.to_store, pick))

    @rule()
    def store_all(self) -> None:
        """Store all waiting ticks."""
        for event_id in list(self.world.to_store):
            self.world.persist_ticks(event_id)

    @rule(picks=st.lists(PICK, min_size=1, max_size=5))
    def deliver(self, picks: list[int]) -> None:
        """Deliver some candle and late events to persist, old ones again."""
        for pick in picks if self.world.outbox else []:
            self.world.persist_outbox(pick % len(self.world.outbox))

    @rule()
    def deliver_all(self) -> None:
        """Deliver all of them."""
        for place in range(len(self.world.outbox)):
            self.world.persist_outbox(place)

    @rule(seconds=STEPS_S, cut=CUTS)
    def clock(self, seconds: int, cut: str) -> None:
        """Let time pass or set it back, and deliver a clock event."""
        self.world.step(seconds)
        self.world.tick_clock(cut=cut)

    @rule(minutes=st.integers(1, 3), cut=CUTS)
    def whole_minute(self, minutes: int, cut: str) -> None:
        """A second at which the clock does all of its work."""
        now_s = self.world.now_us // SECOND
        self.world.step(minutes * 60 - now_s % 60)
        self.world.tick_clock(cut=cut)

    @rule()
    def lose_redis(self) -> None:
        """Flush Redis or delete its data."""
        self.world.client.flushdb()

    @rule(writes=st.integers(0, 6), pick=PICK, is_clock=st.booleans())
    def die_within(self, writes: int, pick: int, is_clock: bool) -> None:
        """A delivery, or the clock, whose process is gone in the middle of its writes."""
        self.world.store.writes_left = writes
        patience_s = engine.WAIT_S
        vars(engine)["WAIT_S"] = 0.5  # nobody waits for who is gone
        if is_clock:
            now_s = self.world.now_us // SECOND
            self.world.step(60 - now_s % 60)
            self.world.tick_clock()
        elif self.world.sent:
            self.world.apply(picked(list(self.world.sent), pick))
        vars(engine)["WAIT_S"] = patience_s
        self.world.end_leases()
        self.world.restart()

    @rule()
    def dump_redis(self) -> None:
        """Write a dump of Redis."""
        self.dump = self.world.keyspace()

    @rule()
    def redis_goes_back(self) -> None:
        """Restart Redis from its last dump; later writes are lost."""
        if self.dump is not None:
            self.world.go_back(self.dump)

    @rule(ladder=st.sampled_from(LADDERS), shards=st.integers(1, 3))
    def change_settings(self, ladder: str, shards: int) -> None:
        """Restart candle-aggregate with other timeframes, or another number of shards."""
        self.world.restart(replace(RULES, ladder=parse_ladder(ladder), shards=shards))

    @rule()
    def turn_to_another_replica(self) -> None:
        """Another replica goes on, with the state as it knew it; this one pauses."""
        world = self.world
        here = world.store, world.storage, world.engine
        if self.other is not None and self.other[-1].rules == world.rules:
            world.store, world.storage, world.engine = self.other
        else:
            self.close_other()
            world.start()
        self.other = here

    def close_other(self) -> None:
        if self.other is not None:
            self.other[-1].close()

    @rule(unused_s=st.sampled_from([1, 60, 600]))
    def move_unused(self, unused_s: int) -> None:
        """Evict instruments that were unused for the retention."""
        world = self.world
        world.engine.rules = replace(world.rules, unused_us=unused_s * SECOND)
        with suppress(TransientError):
            move_unused(world.context)
        world.engine.rules = world.rules

    def teardown(self) -> None:
        """Settle, and compare everything."""
        self.close_other()
        if self.world.sent:
            self.world.settle()
            self.world.assert_right()
            self.assert_complete()

    def assert_complete(self) -> None:
        """Assert that the candles that touch an open gap are those that are incomplete."""
        stored, incomplete = self.world.stored(), set()
        for instrument, timeframe, start_us in stored:
            spans = [
                (gap.from_us, gap.to_us)
                for gap in self.gaps
                if gap.instrument == instrument and gap.state == GapState.OPEN
            ]
            has_trades = (
                timeframe == "1m" and stored[instrument, timeframe, start_us]["trade_count"]
            )
            if has_trades and touches(spans, start_us, start_us + MINUTE):
                incomplete |= {
                    (instrument, each.name, each.start_us(start_us))
                    for each in self.world.rules.ladder
                }
        ladder = {each.name for each in self.world.rules.ladder}
        assert incomplete == {
            key
            for key, row in stored.items()
            if row["trade_count"] and key[1] in ladder and not row["complete"]
        }


@pytest.fixture
def world(valkey: redis.Redis, database: str) -> Iterator[World]:
    world = World(valkey, database)
    yield world
    world.close()


@pytest.mark.timeout(3_600)
def test_every_candle_is_what_its_stored_ticks_say(world: World) -> None:
    """Candles are exact after any mixture of reordering, repetition, loss, kills and repairs."""

    run_state_machine_as_test(
        lambda: Machine(world),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, *SHRINK),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nothing_of_an_example_is_left_for_the_next(valkey: redis.Redis, database: str) -> None:
    """A reset empties every table, also of a database whose rows an earlier test deleted."""
    for _ in range(2):
        world = World(valkey, database)
        assert not any(counts(world))
        world.ship(trades(0, 40))
        world.settle()
        assert all(counts(world))
        world.reset()
        left = counts(world)
        world.close()
        assert not any(left)


def counts(world: World) -> list[int]:
    """The number of rows of tables that every example writes to."""
    queries = (
        "SELECT count(*) FROM candles",
        "SELECT count(*) FROM applied_events",
        "SELECT count(*) FROM shard_lineage",
    )
    return [int(row[0]) for query in queries for row in world.sql.execute(query)]
