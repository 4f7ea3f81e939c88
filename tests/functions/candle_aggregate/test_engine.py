"""Steps over real Redis: candles equal a plain recomputation."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import redis

from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.latest import Moved
from functions.candle_aggregate.steps.levels import candidates
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Lease, Store
from shared.market.shards import shard_of
from shared.realtime.keys import Block, Keys
from shared.wire.candle import Candle, CandleKey
from tests.functions.candle_aggregate.replicas import (
    MINUTE,
    NOW_US,
    RULES,
    NoStorage,
    Replica,
    content,
    live_candles,
)
from tests.functions.candle_aggregate.truth import Row, as_ticks, true_candles, with_id

BEGIN_US = NOW_US // MINUTE * MINUTE - 1_000 * MINUTE


def trades(count: int, seed: int = 1, source: str = "udp-1") -> list[Row]:
    """Trades of a few instruments over a quarter of an hour, in time order, with ids."""
    chance = random.Random(seed)
    rows = []
    time_us = BEGIN_US
    for n in range(count):
        time_us += chance.randrange(2 * 900_000_000 // count)
        rows.append(
            Row(
                *(chance.choice("ABCDEFG"), time_us, *with_id(n), time_us + 1_000, source, n),
                *(chance.randrange(-50, 5_000), chance.randrange(1, 900), chance.randrange(3)),
            )
        )
    return rows


def assert_exact(client: redis.Redis, replica: Replica, rows: list[Row]) -> None:
    """Assert that base candles and the latest emission of closed ones equal the ticks'."""
    live = live_candles(client)
    base, five = (true_candles(rows, each) for each in RULES.ladder)
    assert {k: content(c) for k, c in live.items() if k[1] == "1m"} == base
    emitted: dict[CandleKey, Candle] = {}
    for candle in replica.emitted:
        key = (candle.instrument, candle.timeframe, candle.start_us)
        assert candle.closed
        if key not in emitted or emitted[key].revision < candle.revision:
            emitted[key] = candle
    closed = {key: c for key, c in live.items() if c.closed}
    assert emitted == closed
    newest = {r.instrument: 0 for r in rows}
    for row in rows:
        newest[row.instrument] = max(newest[row.instrument], min(row.time_us, row.receive_us))
    for key, whole in (base | five).items():
        length = MINUTE if key[1] == "1m" else 5 * MINUTE
        ends = key[2] + length <= newest[key[0]] - RULES.allowed_lateness_us
        assert ends == (key in closed)
        if ends:
            assert content(closed[key]) == whole


def test_one_batch_after_the_other(valkey: redis.Redis, replica: Replica) -> None:
    """Batches in order, some repeated, give exact candles."""
    rows = trades(300)
    for n in range(0, 300, 20):
        replica.apply(**{f"e{n}": as_ticks(rows[n : n + 20])})
        replica.now_us += 1_000_000
        (again,) = replica.apply(**{f"e{n}": as_ticks(rows[n : n + 20])})
        assert again.repeated
    assert_exact(valkey, replica, rows)


def test_a_clock_that_is_ahead_closes_nothing_early(valkey: redis.Redis, replica: Replica) -> None:
    """A tick ahead of its receive time closes no candle of other sources early."""
    seconds = [BEGIN_US + n * 1_000_000 for n in range(50)]
    right = [
        Row("A", at_us, *with_id(n), at_us + 1_000, "udp-1", n, 100 + n, 1, 1)
        for n, at_us in enumerate(seconds)
    ]
    ahead = Row("A", seconds[1] + 90_000_000, *with_id(99), seconds[1], "udp-2", 1, 7, 1, 1)
    replica.apply(first=as_ticks(right[:1]), ahead=as_ticks([ahead]))
    for n, row in enumerate(right[1:]):
        replica.apply(**{f"e{n}": as_ticks([row])})
    assert replica.emitted == []
    assert_exact(valkey, replica, [*right, ahead])


def test_who_no_longer_waits_ends_nothing(valkey: redis.Redis, replica: Replica) -> None:
    """A request that timed out is left out of the step, and later ones are applied."""
    rows, begun, goes_on = trades(20), threading.Event(), threading.Event()

    def hold(_: Session) -> bool:
        begun.set()
        return goes_on.wait()

    with ThreadPoolExecutor(1) as other:
        busy = other.submit(replica.engine.run, 0, hold)
        begun.wait()
        assert replica.engine.submit(replica.event("given up", as_ticks(trades(5)))).cancel()
        goes_on.set()
        assert busy.result()
    replica.apply(e=as_ticks(rows))
    assert_exact(valkey, replica, rows)


def test_a_fold_has_the_revision_of_what_it_gained(valkey: redis.Redis, replica: Replica) -> None:
    """A fold's revision is the state's highest from the first time on."""
    rows = trades(300)
    for n in range(0, 300, 20):
        replica.apply(**{f"e{n}": as_ticks(rows[n : n + 20])})
        replica.now_us += 1_000_000
        live = live_candles(valkey)
        closed = [c for c in live.values() if c.timeframe == "1m" and c.closed]
        for fold in [c for c in live.values() if c.timeframe == "5m" and not c.closed]:
            minutes = [
                c.revision
                for c in closed
                if c.instrument == fold.instrument and 0 <= c.start_us - fold.start_us < 5 * MINUTE
            ]
            assert fold.revision == max(minutes)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_any_grouping(valkey: redis.Redis, replica: Replica, seed: int) -> None:
    """Batches that overlap in time give exact candles in any order and grouping."""
    chance = random.Random(seed)
    rows = trades(400, seed)
    shuffled = rows[:]
    chance.shuffle(shuffled)
    batches = {f"e{n}": as_ticks(shuffled[n : n + 25]) for n in range(0, 400, 25)}
    ids = list(batches)
    while ids:
        group, ids = ids[:3], ids[3:]
        replica.apply(**{each: batches[each] for each in group})
        replica.now_us += 7
    assert_exact(valkey, replica, rows)


def test_an_event_that_waits_for_a_shard_asks_postgres_once(
    valkey: redis.Redis, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that waits for a shard's lease queries Postgres once."""
    shard = shard_of("A", RULES.shards)
    replica.apply(e0=as_ticks([row for row in trades(40) if row.instrument == "A"][:2]))
    other = Store(valkey, "other")
    while not other.acquire([shard], {}):  # an idle replica gives it back at once
        time.sleep(0.01)
    asked: list[str] = []
    polls = threading.Semaphore(0)
    acquire, recorded = replica.store.acquire, NoStorage.recorded

    def noted(
        storage: NoStorage, events: Sequence[TickEvent], began: Mapping[int, int], now_us: int
    ) -> Mapping[str, set[int]]:
        asked.extend(event.id for event in events)
        return recorded(storage, events, began, now_us)

    def polled(shards: Sequence[int], cached: Mapping[int, Lease]) -> dict[int, Lease]:
        polls.release()
        return acquire(shards, cached)

    monkeypatch.setattr(NoStorage, "recorded", noted)
    monkeypatch.setattr(replica.store, "acquire", polled)
    rows = [row for row in trades(40, seed=2) if row.instrument == "A"][:2]
    waiting = replica.engine.submit(replica.event("e1", as_ticks(rows)))
    for _ in range(5):
        assert polls.acquire(timeout=30)
    other.release([shard])
    assert not waiting.result(30).repeated
    assert asked == ["e1"]


def test_a_repeated_event_leaves_no_lease_behind(
    valkey: redis.Redis, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated event releases its lease, or two replicas would wait for each other."""
    monkeypatch.setattr("functions.candle_aggregate.steps.store.LEASE_MS", 600_000)
    ticks = as_ticks([row for row in trades(40) if row.instrument == "A"][:2])
    replica.apply(e1=ticks)
    (again,) = replica.apply(e1=ticks)
    assert again.repeated
    lease = Keys(shard_of("A", RULES.shards)).lease
    end_s = time.monotonic() + 30
    while valkey.exists(lease):
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_step_looks_at_no_block_whose_end_no_limit_passes() -> None:
    """One instrument's limit stays before the end of the minute, and the other's was past it."""
    before_us, limit_us = (np.array(each) * MINUTE for each in ([0, 2], [0, 3]))
    moved = Moved(np.array([0, 1]), before_us, before_us)
    block = Block(RULES.base.name, 0)
    assert not any(candidates(RULES.ladder, {block}, moved, limit_us, before_us).values())
    limit_us = limit_us + MINUTE
    (((found, gids),), _) = candidates(RULES.ladder, {block}, moved, limit_us, before_us).values()
    assert (found, gids.tolist()) == (block, [0])
