"""Replicas share the shards: nothing lost, nothing twice, no step computed in vain."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import redis

from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.store import Changes, Lease, Store, Written
from shared.market.instruments import Market
from shared.market.shards import shard_of
from shared.realtime.keys import Keys
from shared.runtime import metrics
from shared.wire.candle import CandleKey
from shared.wire.instrument_table import Entries
from shared.wire.ticks import Ticks
from tests.functions.candle_aggregate.replicas import MINUTE, RULES, Replica, live_candles
from tests.functions.candle_aggregate.test_engine import assert_exact, trades
from tests.functions.candle_aggregate.trades import trade
from tests.functions.candle_aggregate.truth import Row, as_ticks


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


def test_a_lease_passes_to_who_waits_longest(valkey: redis.Redis) -> None:
    """It gets a signal; the holder before can write no more; who no longer waits is skipped."""
    first, gone, second, third = (Store(valkey, name) for name in "agbc")
    (held,) = first.acquire([0], {}).values()
    for each in (gone, second, third):
        assert not each.acquire([0], {})
    gone.release([0])
    first.release([0])
    assert second.wait(30)
    assert not third.acquire([0], {})
    (lease,) = second.acquire([0], {}).values()
    assert lease.fence > held.fence
    assert [each.answer for each in first.write([(held, Changes(["e0"]))], 0)] == ["fenced"]
    (written,) = second.write([(lease, Changes(["e0"]))], 0)
    assert (written.answer, written.is_held) == ("ok", False)
    assert third.wait(30)
    assert third.acquire([0], {})
    assert not gone.wait(0.01)


def test_a_lease_is_kept_until_a_lost_state_is_made(valkey: redis.Redis) -> None:
    """Else two replicas would take turns to begin, and none would come to the end."""
    maker, other = Store(valkey, "a"), Store(valkey, "b")
    (lease,) = maker.acquire([0], {}).values()
    assert not other.acquire([0], {})
    session = Session(maker, RULES, lease, 0)
    session.clear()
    assert not other.acquire([0], {})
    session.begin("new")
    session.commit()
    (lease,) = other.acquire([0], {}).values()
    assert lease.lineage == "new"


@pytest.mark.parametrize("shard", [0, RULES.shards - 1], ids=["first", "last"])
def test_who_holds_the_first_shard_waits_for_the_others(
    valkey: redis.Redis, replica: Replica, monkeypatch: pytest.MonkeyPatch, shard: int
) -> None:
    """One step does all shards; who lacks the first goes on, so that nobody waits in a circle."""
    monkeypatch.setattr("functions.candle_aggregate.leases.TENURE_S", 60.0)
    replica.apply(e0=as_ticks(trades(60)))
    other = Store(valkey, "other")
    while not other.acquire([shard], {}):  # the replica gives it back as soon as it is idle
        assert other.wait(30)
    written: list[int] = []
    first_written = threading.Event()
    write = replica.store.write

    def noted(
        steps: Sequence[tuple[Lease, Changes]], now_us: int, *, release: bool = True
    ) -> list[Written]:
        answers = write(steps, now_us, release=release)
        written.append(len(steps))
        first_written.set()
        return answers

    monkeypatch.setattr(replica.store, "write", noted)
    event = replica.event("e1", as_ticks(trades(60, seed=2)))
    assert {shard_of(name, RULES.shards) for name in event.ticks.names} == set(range(RULES.shards))
    waiting = replica.engine.submit(event)
    if shard == 0:
        assert first_written.wait(30)
    while not valkey.zcard(Keys(shard).waiting):
        time.sleep(0.01)
    other.release([shard])
    assert not waiting.result(30).repeated
    assert written == ([RULES.shards - 1, 1] if shard == 0 else [RULES.shards])


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
        session.raise_floors(dict.fromkeys(session.instrument_blobs(), 2**62))

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


def test_replicas_count_each_trade_once_in_any_order_of_ids(
    valkey: redis.Redis, replica: Replica, other: Replica
) -> None:
    """Batches whose ids interleave, some of them sent again among others, count once."""
    rows = trades(400, seed=5)
    chance = random.Random(5)
    starts = [*range(0, 400, 10), *chance.sample(range(5, 395, 10), 15)]
    chance.shuffle(starts)
    for number, first in enumerate(starts):
        each = chance.choice((replica, other))
        each.apply(**{f"e{number}": as_ticks(rows[first : first + 10])})
    replica.emitted += other.emitted
    replica.emitted.sort(key=lambda candle: candle.revision)
    assert_exact(valkey, replica, rows)


@pytest.mark.parametrize("first", [0, 200])
def test_another_venues_ids_hide_no_trade_that_came_twice(
    valkey: redis.Redis, replica: Replica, first: int
) -> None:
    """Batches of one venue overlap, and ids of another venue stand between them: each counts once.

    Above the highest id that was seen, and below it.
    """
    rows = [trade(n / 10, n, 100) for n in range(300)]
    if first == 0:
        replica.apply(e0=_of_venue(rows[200:], "X"))
    ours = rows[first : first + 100]
    replica.apply(
        a=_of_venue(ours, "X"), b=_of_venue(ours[50:56], "Y"), c=_of_venue(ours[60:71], "X")
    )
    (candle,) = [c for (_, name, _), c in live_candles(valkey).items() if name == "1m"]
    assert candle.trade_count == len(ours) + 6 + (100 if first == 0 else 0)


def _of_venue(rows: Sequence[Row], venue: str) -> Ticks:
    ticks = as_ticks(rows)
    entries = (replace(each, market=Market(venue, "A")) for each in ticks.entries)
    return replace(ticks, entries=Entries.of(*entries))


def test_ids_that_another_replica_appended_are_read_alone(
    valkey: redis.Redis, replica: Replica, other: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look at a minute reads what came to its ids since the first."""
    read: list[int] = []
    read_ends = replica.store.read_ends

    def noted(strings: Sequence[tuple[str, int]]) -> list[bytes]:
        found = read_ends(strings)
        read.append(sum(map(len, found)))
        return found

    monkeypatch.setattr(replica.store, "read_ends", noted)
    rows = [trade(n / 10, n, 100) for n in range(100)]
    other.apply(e0=as_ticks(rows[40:60:2] + rows[80:]))
    replica.apply(e1=as_ticks(rows[:20]))
    other.apply(e2=as_ticks(rows[20:30]))
    replica.apply(e3=as_ticks(rows[30:40]))
    key = Keys(shard_of("A", RULES.shards)).seen(rows[0].time_us // MINUTE)
    first, second = [size for size in read if size]
    assert first + second < valkey.strlen(key)
    assert first > second
    (candle,) = [c for (_, name, _), c in live_candles(valkey).items() if name == "1m"]
    assert candle.trade_count == 70


def test_ids_that_have_left_the_state_are_forgotten(
    valkey: redis.Redis, replica: Replica, other: Replica
) -> None:
    """Another replica drops the ids of a minute: what was read of them counts no more."""
    rows = [trade(n / 10, n, 100) for n in range(40)]
    replica.apply(e0=as_ticks(rows[20:]))
    replica.apply(e1=as_ticks(rows[:10]))
    shard, minute = shard_of("A", RULES.shards), rows[0].time_us // MINUTE
    other.engine.run(shard, lambda session: session.drop_seen([minute]))
    replica.apply(e2=as_ticks(rows[20:30]))
    (candle,) = [c for (_, name, _), c in live_candles(valkey).items() if name == "1m"]
    assert candle.trade_count == 40


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
