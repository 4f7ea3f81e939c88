"""Replicas share the shards: nothing lost, nothing twice, no step computed in vain."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from functions.candle_aggregate.session import Session
from shared.market.shards import shard_of
from shared.realtime.keys import Keys
from shared.runtime import metrics
from shared.wire.candle import CandleKey
from tests.functions.candle_aggregate.replicas import MINUTE, RULES, Replica, live_candles
from tests.functions.candle_aggregate.test_engine import assert_exact, trades
from tests.functions.candle_aggregate.truth import as_ticks


@pytest.fixture
def other(valkey: redis.Redis) -> Iterator[Replica]:
    other = Replica(valkey, "b")
    yield other
    other.engine.close()


def conflicts() -> float:
    return float(metrics.APPLY_CONFLICTS._value.get())


def test_racing_replicas_lose_nothing_and_throw_nothing_away(
    valkey: redis.Redis, replica: Replica, other: Replica
) -> None:
    """Racing replicas with shared batches lose nothing and compute no step in vain."""
    rows = trades(400, seed=3)
    shuffled = rows[:]
    random.Random(3).shuffle(shuffled)
    batches = {f"e{n}": as_ticks(shuffled[n : n + 20]) for n in range(0, 400, 20)}
    before = conflicts()
    with ThreadPoolExecutor(6) as workers:
        work = []
        for place, (id_, batch) in enumerate(batches.items()):
            for each in ((replica, other), (replica,), (other,))[place % 3]:
                work += [workers.submit(each.engine.apply, [each.event(id_, batch)])]
        applied = [one for each in work for one in each.result()]
    replica.emit([emission for one in applied for emission in one.emissions])
    assert_exact(valkey, replica, rows)
    # the second finds a shared event applied, and repeats its step
    assert conflicts() - before <= len(batches) * RULES.shards


def test_a_holder_that_was_paused_past_its_lease_writes_nothing(
    valkey: redis.Redis, replica: Replica, other: Replica
) -> None:
    """A replica paused beyond its lease is fenced off, and its events are applied again."""
    rows = trades(60)
    replica.apply(e0=as_ticks(rows[:20]))
    held = replica.store.acquire(range(RULES.shards), {})
    for shard in held:
        valkey.delete(Keys(shard).lease)  # its lease has expired
    other.apply(e1=as_ticks(rows[20:40]))
    late = {lease.shard: lease for lease in held.values()}
    for shard, lease in late.items():
        changes = replica.changes(shard, "never")
        (written,) = replica.store.write([(lease, changes)], replica.now_us)
        assert written.answer in ("fenced", "changed")
        assert valkey.zscore(Keys(shard).applied, "never") is None
    replica.emitted += other.emitted
    replica.apply(e2=as_ticks(rows[40:]))
    assert_exact(valkey, replica, rows)


def test_a_holder_that_died_keeps_its_shards_no_longer_than_its_lease(
    valkey: redis.Redis, replica: Replica, other: Replica
) -> None:
    """The shards of a dead replica are free when its lease expires."""
    rows = trades(40)
    replica.apply(e0=as_ticks(rows[:20]))
    replica.store.acquire(range(RULES.shards), {})
    for shard in range(RULES.shards):
        valkey.pexpire(Keys(shard).lease, 50)
    other.apply(e1=as_ticks(rows[20:]))
    replica.emitted += other.emitted
    assert_exact(valkey, replica, rows)


def test_a_job_gives_its_shard_back(valkey: redis.Redis, replica: Replica) -> None:
    """A job gives its shard back, even without a write, so that no replica waits."""
    for shard in range(RULES.shards):
        replica.engine.run(shard, lambda session: session.blocks())
        assert not valkey.exists(Keys(shard).lease)


@pytest.mark.parametrize("marks", [False, True])
def test_a_job_that_leaves_records_leaves_the_cache(
    valkey: redis.Redis, replica: Replica, *, marks: bool
) -> None:
    """A job that changes no record leaves the cache, so that steps need no new read."""
    rows = trades(60)
    replica.apply(e0=as_ticks(rows[:40]))

    def reads() -> int:
        return int(valkey.info("commandstats")["cmdstat_hmget"]["calls"])

    def look(session: Session) -> None:
        session.blocks()
        if marks:
            session.record(["e0"])

    for shard in range(RULES.shards):
        replica.engine.run(shard, look)
    before = reads()
    replica.apply(e1=as_ticks(rows[30:40]))
    # only the writing script reads the head
    assert reads() - before == len({shard_of(row.instrument, RULES.shards) for row in rows[30:40]})
    replica.apply(e2=as_ticks(rows[40:]))
    assert_exact(valkey, replica, rows)


def test_a_job_that_writes_records_is_seen_by_the_next_step(
    valkey: redis.Redis, replica: Replica
) -> None:
    """The next step after a job sees its records instead of the cache."""
    rows = trades(60)
    replica.apply(e0=as_ticks(rows[:40]))

    def late(session: Session) -> None:
        names, _ = session.instruments()
        session.raise_floors(dict.fromkeys(names, 2**62))

    for shard in range(RULES.shards):
        replica.engine.run(shard, late)
    known = {row.instrument for row in rows[:40]}

    def counted() -> dict[CandleKey, int]:
        candles = live_candles(valkey).items()
        return {k: c.trade_count for k, c in candles if k[0] in known and k[1] == "1m"}

    before = counted()
    replica.apply(e1=as_ticks(rows[40:]))
    assert counted() == before
    assert {name for each in replica.late for name, _ in each.candles} == known & {
        row.instrument for row in rows[40:]
    }


def test_the_clock_closes_what_is_quiet(valkey: redis.Redis, replica: Replica) -> None:
    """The clock closes quiet candles of every timeframe, unless old ticks still arrive."""
    rows = trades(60)
    replica.apply(e0=as_ticks(rows))
    engine, until_us = replica.engine, replica.now_us
    since_us = replica.now_us - 1

    def close(idle_since_us: int) -> None:
        step = engine.steps.close_quiet
        applied = engine.step(
            range(RULES.shards),
            lambda leases, now_us: step(leases, until_us, idle_since_us, now_us),
        )
        replica.emit(applied.emissions)

    close(since_us)
    assert any(not candle.closed for candle in live_candles(valkey).values())
    close(replica.now_us)
    live = live_candles(valkey)
    assert all(candle.closed for candle in live.values())
    minutes = sum(c.trade_count for k, c in live.items() if k[1] == "1m")
    fives = sum(c.trade_count for k, c in live.items() if k[1] == "5m")
    assert minutes == fives == len(rows)
    emitted = {(c.instrument, c.timeframe, c.start_us, c.revision): c for c in replica.emitted}
    assert all((*k, c.revision) in emitted for k, c in live.items())
    assert MINUTE


def test_one_emission_serves_the_events_of_a_step(replica: Replica) -> None:
    """Each closed candle is in one emission of a step with several events."""
    rows = trades(200)
    batches = {f"e{n}": as_ticks(rows[n : n + 20]) for n in range(0, 200, 20)}
    replica.apply(**batches)
    keys = [(c.instrument, c.timeframe, c.start_us, c.revision) for c in replica.emitted]
    assert keys
    assert len(keys) == len(set(keys))
