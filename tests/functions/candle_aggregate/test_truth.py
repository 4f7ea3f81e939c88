"""Storage behind the live state: lost, late or repeated ticks end as the stored ticks define."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import redis

from functions.candle_aggregate.maintenance.state_check import adopt, check, check_base
from functions.candle_aggregate.session import Session
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.market.timeframes import parse_ladder
from shared.reading import recompute
from shared.realtime.instrument_records import INSTRUMENT
from shared.realtime.keys import Keys
from tests.functions.candle_aggregate.trades import BEGIN_US, SECOND, trade, trades
from tests.functions.candle_aggregate.world import MINUTE, RULES, World, finish, sampled


def test_what_is_in_order_is_right_and_the_sample_finds_nothing(world: World) -> None:
    """Ordered ticks give exact candles, and sampling finds no difference."""
    world.ship(trades(0, 40) + trades(0, 40, name="B"))
    world.ship(trades(40, 6))
    finish(world)
    assert sampled(world) == set()


def test_closed_stored_and_untouched_candles_leave_the_state(world: World) -> None:
    """A closed candle is evicted after its retention, if Postgres has that revision."""
    world.ship(trades(0, 20))
    world.ship(trades(20, 20))
    world.settle()
    assert world.live() == {}
    assert floor_us(world, "A") == BEGIN_US + 15 * MINUTE
    world.ship(trades(60, 20))
    world.tick_clock()
    world.deliver_all()
    world.step(30)
    world.tick_clock()
    assert len(world.live()) > 1
    world.sql.execute("DELETE FROM candles WHERE start_us = %s", (BEGIN_US + 20 * MINUTE,))
    before = world.live()
    for _ in range(5):
        world.step(60)
        world.tick_clock()
    assert world.live() == before


def test_what_is_new_here_begins_live_whatever_its_time(world: World) -> None:
    """History of a new instrument is live, though others' candles of that time are evicted."""
    shard = world.shard_of("A")
    other = next(name for name in "BCDEFGH" if world.shard_of(name) == shard)
    world.ship(trades(0, 40))
    world.settle()
    assert world.live() == {}
    world.ship(trades(10, 20, name=other))
    assert len(world.live()) > 1
    world.ship(trades(30, 10, name=other))
    world.deliver_all()
    assert world.sql.execute("SELECT count(*) FROM repairs").fetchone() == (0,)
    finish(world)
    assert floor_us(world, other) == BEGIN_US + 15 * MINUTE


def floor_us(world: World, name: str) -> int:
    """The time up to which an instrument's candles are evicted."""
    blob = world.client.hget(Keys(world.shard_of(name)).instruments, name)
    assert isinstance(blob, bytes)
    return int(np.frombuffer(blob, dtype=INSTRUMENT)["floor_us"][0])


def test_a_late_tick_is_repaired_from_storage(world: World) -> None:
    """A late tick of an evicted candle is repaired once stored, longer candles too."""
    world.ship(trades(0, 40))
    world.settle()
    before = world.stored()
    late = world.send([trade(5, 9_000, 999)])
    assert world.apply(late)
    world.deliver_all()
    world.step(60)
    world.tick_clock()
    assert world.stored() == before  # the ticks are not stored yet
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["trade_count"] == 4
    assert world.stored()["A", "5m", BEGIN_US]["high"] * 100 == 999


def test_a_lost_state_is_rebuilt(world: World) -> None:
    """A state lost within an interval is rebuilt, with ticks not yet stored or emitted."""
    world.ship(trades(0, 40))
    slow = world.send(trades(40, 2))
    assert world.apply(slow)
    world.ship(trades(42, 1))
    world.client.flushdb()
    world.ship(trades(43, 3))
    finish(world)


def test_a_replica_of_another_version_loses_no_trade_ids(world: World) -> None:
    """A state that a replica of another version wrote is rebuilt.

    Versions without a form dropped a minute's ids without a notice to the others.
    """
    for first in (20, 0):
        world.ship(trades(first, 10, every_s=1))
    keys = Keys(shard_of("A", world.rules.shards))
    before = world.client.hget(keys.head, "lineage")
    world.client.hset(keys.head, "version", "0123456789abcdef")
    world.client.hincrby(keys.head, "steps", 1)
    world.client.delete(keys.seen(BEGIN_US // MINUTE))
    world.ship(trades(25, 10, every_s=1))
    assert world.client.hget(keys.head, "lineage") != before
    finish(world)


def test_an_event_before_the_newest_minutes_is_not_counted_twice(world: World) -> None:
    """An event older than the ten minutes of a rebuild is not counted twice.

    The first trade, without an id, is in the interval where they begin and older than ten minutes.
    """
    for second in (10, 40, 630):
        world.ship([trade(second, None, 100)])
    world.client.flushdb()
    world.ship([trade(631, None, 101)])
    world.step(60)
    finish(world)


def test_what_was_stored_but_not_applied_is_reconciled(world: World) -> None:
    """The clock applies an event that was stored and never applied."""
    world.ship(trades(0, 10))
    lost = world.send(trades(10, 2))
    world.persist_ticks(lost)
    world.to_apply.clear()
    finish(world)


def test_many_stored_events_are_applied_in_few_steps(world: World) -> None:
    """Many stored events are reconciled in few steps."""
    world.ship([trade(0, 0, 100)])
    for n in range(1, 60):
        world.persist_ticks(world.send([trade(n, n, 100 + n)]))
    world.to_apply.clear()
    shard = world.shard_of("A")
    world.step(60)
    world.now_us -= world.now_us % 60_000_000
    before = int(world.client.hget(Keys(shard).head, "steps") or 0)
    assert world.tick_clock()
    assert int(world.client.hget(Keys(shard).head, "steps") or 0) - before < 20
    finish(world)


def test_redis_goes_back_and_what_was_recorded_since_is_not_lost(world: World) -> None:
    """After Redis went back, events that Postgres records as applied are not lost."""
    world.ship(trades(0, 7))
    dump = world.keyspace()
    world.ship(trades(7, 33))
    world.settle()  # all is recorded as aggregated
    world.go_back(dump)
    late = world.send([trade(65, 9_000, 999)])
    assert world.apply(late)
    finish(world)
    assert sampled(world) == set()


def test_sampling_finds_a_wrong_candle_of_any_timeframe(world: World) -> None:
    """Sampling finds a wrong candle of any timeframe, also a stored one."""
    world.ship(trades(0, 40))
    world.settle()
    world.sql.execute("UPDATE candles SET trade_count = 99")
    assert {key[1] for key in sampled(world)} == {"1m", "5m"}


@pytest.mark.parametrize(("ladder", "shards"), [("1m,5m,1h", 2), ("1m,15m", 3), ("1m", 1)])
def test_other_timeframes_and_shards_in_the_middle_of_every_interval(
    world: World, ladder: str, shards: int
) -> None:
    """Changed timeframes and shards within intervals lose and double no tick.

    At minute 40 of an hour; added timeframes are whole.
    """
    world.ship(trades(0, 121) + trades(0, 121, name="B") + trades(0, 121, name="C"))
    world.tick_clock()
    world.deliver_all()
    world.restart(replace(RULES, ladder=parse_ladder(ladder), shards=shards))
    world.ship(trades(121, 70) + trades(121, 70, name="B"))
    finish(world)


def test_other_shards_read_all_of_an_event_that_is_only_stored(world: World) -> None:
    """Ticks of an event outside the time range of its former shard are in the candles."""
    second, first = (next(n for n in "ABCDEFGH" if world.shard_of(n) == each) for each in (0, 1))
    assert world.tick_clock()
    world.persist_ticks(world.send([trade(30, 1, 100, name=first), trade(300, 2, 90, name=second)]))
    world.restart(replace(RULES, shards=1))
    finish(world)


def test_an_event_of_another_number_of_shards_is_not_forgotten(world: World) -> None:
    """An event that comes with other shards than the candles', and is only stored, is applied."""
    name = next(n for n in "ABCDEFGH" if world.shard_of(n) == 1)
    assert world.tick_clock()
    world.restart(replace(RULES, shards=1))  # and is not at work before the setting is back
    world.persist_ticks(world.send([trade(30, 1, 100, name=name)]))
    world.restart(RULES)
    finish(world)


def test_a_timeframe_that_comes_back_is_corrected(world: World) -> None:
    """A timeframe that is configured again has the repairs made meanwhile."""
    world.ship(trades(0, 40))
    world.settle()
    world.restart(replace(RULES, ladder=parse_ladder("1m")))
    world.ship([trade(5, 9_000, 999)])
    world.settle()
    world.restart(RULES)
    finish(world)


def test_other_settings_that_cannot_be_are_refused(world: World) -> None:
    """Another base timeframe is refused, and so are settings that another process replaced."""
    world.ship(trades(0, 4))
    other = replace(RULES, ladder=parse_ladder("5m"))
    with pytest.raises(TransientError, match="TIMEFRAMES must begin with it"):
        adopt(world.postgres, other)
    not_ready = pytest.raises(TransientError, match="TIMEFRAMES must begin with it")
    with world.postgres.connection() as connection, not_ready:
        check_base(connection, other)
    adopt(world.postgres, replace(RULES, ladder=parse_ladder("1m,1h")))
    overruled = pytest.raises(TransientError, match="give every function the same")
    with world.postgres.connection() as connection, overruled:
        check(connection, RULES)
    world.restart(RULES)
    world.ship(trades(4, 1))
    finish(world)


def test_of_a_contradiction_the_first_in_the_total_order_counts(world: World) -> None:
    """Of two versions of a trade the first in the total order counts, in any arrival."""
    world.ship([trade(10, 7, 500, received=9), trade(30, 8, 300)])
    world.ship([trade(10, 7, 100, received=1), trade(400, 9, 300)])
    finish(world)
    assert world.stored()["A", "1m", BEGIN_US]["open"] * 100 == 100


def test_ids_that_are_no_integers_order_nothing(world: World) -> None:
    """Among equal times with text ids the first received tick is the open."""
    world.ship([trade(10, "b", 500, received=1), trade(10, "a", 300, received=2)])
    finish(world)
    candle = world.stored()["A", "1m", BEGIN_US]
    assert (candle["open"] * 100, candle["close"] * 100) == (500, 300)


def test_a_trade_with_an_id_counts_once_in_its_minute(world: World) -> None:
    """A repeated trade counts once in its minute, and in another minute is another trade."""
    for second in (10, 10, 59, 61):
        world.ship([trade(second, 7, 500)])
    world.settle()
    world.ship([trade(10, 7, 500)])
    finish(world)
    counts = {key[2]: row["trade_count"] for key, row in world.stored().items() if key[1] == "1m"}
    assert counts == {BEGIN_US: 1, BEGIN_US + MINUTE: 1}


def test_a_busy_minute_is_recomputed_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute with more ticks than one part is recomputed exactly, with repeated ticks."""
    monkeypatch.setattr(recompute, "HELD_TICKS", 16)
    rows = [trade(n % 60, n if n % 3 else None, 100 + n, sequence=n + 1) for n in range(1, 200)]
    for first in range(0, len(rows), 10):
        world.ship(sorted(rows[first : first + 10], key=lambda row: row.place))
    world.ship([trade(200, 9_000, 100)])
    world.settle()
    world.ship([trade(7, 9_001, 999), *rows[:2]])
    finish(world)


def test_an_old_event_is_looked_up_when_its_marker_has_ended(world: World) -> None:
    """An event replayed after its marker expired counts once."""
    event_id = world.ship(trades(0, 10))
    world.settle()
    world.step(3 * 86_400)
    world.tick_clock()
    for shard in range(world.rules.shards):
        assert not world.client.exists(Keys(shard).recorded)
    assert world.apply(event_id)
    finish(world)


@pytest.mark.parametrize("writes", [0, 1, 2, 4])
@pytest.mark.parametrize("what", ["rebuild", "repair", "reconcile"])
def test_cut_off_at_any_write_the_next_one_ends_it(
    world: World, what: str, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill at any write to Redis another replica finishes the work."""
    world.ship(trades(0, 40) + trades(0, 40, name="B"))
    if what == "repair":
        world.settle()
        world.ship([trade(5, 9_000, 999), trade(305, 9_001, 1, name="B")])
        world.deliver_all()
    if what == "rebuild":
        world.client.flushdb()
    if what == "reconcile":
        world.persist_ticks(world.send(trades(40, 8)))
    world.now_us += -world.now_us % (60 * SECOND)
    world.step(60)
    monkeypatch.setattr("functions.candle_aggregate.engine.WAIT_S", 0.5)
    world.store.writes_left = writes
    world.tick_clock()
    monkeypatch.undo()
    world.end_leases()
    world.restart()
    finish(world)


def test_one_that_was_overtaken_while_it_rebuilt_writes_nothing(
    world: World, valkey: redis.Redis
) -> None:
    """A replica that lost its lease during a rebuild leaves the state of another one."""
    world.ship(trades(0, 10))
    shard = world.shard_of("A")
    keys = Keys(shard)
    world.restart()
    valkey.delete(keys.lease)
    (lease,) = world.store.acquire([shard], {}).values()
    valkey.delete(keys.lease)
    world.ship(trades(10, 1))
    head = valkey.hgetall(keys.head)
    with pytest.raises(TransientError, match="fenced"):
        Session(world.store, RULES, lease, world.now_us).clear()
    assert valkey.hgetall(keys.head) == head
    finish(world)


def test_a_repeated_trade_is_settled_while_its_candle_is_live(world: World) -> None:
    """In a live candle the first tick of a repeated trade in the total order counts."""
    world.restart(replace(RULES, keep_us=3_600_000_000))
    world.ship([trade(10, 1, 100), trade(20, 2, 101)])
    world.ship([trade(5, 1, 105)])
    world.ship(trades(30, 3))
    for _ in range(4):
        world.step(20)
        world.now_us -= world.now_us % 10_000_000
        assert world.tick_clock()
        world.deliver_all()
    assert ("A", "1m", BEGIN_US) in world.live()
    assert world.sql.execute("SELECT count(*) FROM repairs").fetchone() == (0,)
    assert world.stored()["A", "1m", BEGIN_US]["open"] * 100 == 105
    finish(world)


@pytest.mark.parametrize("hours", [0, 2])
def test_a_live_candle_waits_for_what_storage_lacks(world: World, hours: int) -> None:
    """A repair of a live candle waits until its applied ticks are stored.

    Also where they were applied by a replica whose clock was hours ahead.
    """
    world.restart(replace(RULES, keep_us=6 * 3_600_000_000))
    world.ship([trade(10, 1, 100), trade(20, 2, 101)])
    world.step(hours * 3_600)
    ahead = world.send([trade(30, 3, 250)])
    assert world.apply(ahead)
    world.step(-hours * 3_600)
    world.ship([trade(5, 1, 105)])
    world.ship(trades(30, 3))
    for _ in range(2):
        world.step(20)
        world.now_us -= world.now_us % 10_000_000
        assert world.tick_clock()
        world.deliver_all()
    assert world.live()["A", "1m", BEGIN_US].trade_count == 3
    assert world.sql.execute("SELECT count(*) FROM repairs").fetchone() == (1,)
    finish(world)


def test_weeks_begin_on_mondays(world: World) -> None:
    """Weeks begin on Mondays live, late and rebuilt."""
    world.restart(replace(RULES, ladder=parse_ladder("1h,1d,1w")))
    half_days = [trade(-n * 43_200, 100 + n, 100 + n) for n in range(50, 30, -1)]
    for some in (half_days[:8], half_days[8:15], half_days[16:]):
        world.ship(some)
        world.deliver_all()
    world.client.flushdb()
    world.ship(half_days[15:16])
    finish(world)
    starts = [key[2] for key in world.stored() if key[1] == "1w"]
    assert len(starts) > 1
    assert {datetime.fromtimestamp(at / 1e6, UTC).weekday() for at in starts} == {0}
