"""Leases are kept without work by a replica that is alone, and by no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from functions.candle_aggregate import engine, leases
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.steps.store import Lease, Store
from shared.adapter.app import Outcome
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.realtime.keys import Keys
from tests.functions.candle_aggregate.replicas import RULES, NoStorage, Replica, live_candles
from tests.functions.candle_aggregate.trades import trade
from tests.functions.candle_aggregate.truth import as_ticks
from tests.local.broker.processes import eventually


def test_a_replica_that_is_shut_down_keeps_no_lease(
    valkey: redis.Redis, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone it keeps them between events, until it is to end; what comes then is still applied."""
    monkeypatch.setattr(leases, "ALONE_S", 600.0)
    rows = [trade(n / 10, n, 100) for n in range(20)]
    replica.apply(e0=as_ticks(rows[:10]))
    lease = Keys(shard_of("A", RULES.shards)).lease
    assert valkey.persist(lease)  # it does not end by itself
    replica.engine.drain()
    eventually(lambda: not valkey.exists(lease))
    replica.apply(e1=as_ticks(rows[10:]))
    eventually(lambda: not valkey.exists(lease))
    (candle,) = [c for (_, name, _), c in live_candles(valkey).items() if name == "1m"]
    assert candle.trade_count == 20


def test_a_state_that_cannot_be_made_is_logged_once_and_its_lease_returned(
    valkey: redis.Redis, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """A replica that cannot make states says so once, and holds no lease afterwards."""
    tried: list[int] = []

    def make(lease: Lease) -> Outcome:
        tried.append(lease.shard)
        raise TransientError("Postgres is away")

    makers = leases.Leases(
        *(replica.store, replica.engine.steps, lambda _: False, make, threading.Condition())
    )
    while len(tried) < 6:
        makers.acquire({0, 1})
        makers.wait()
    makers.close()
    assert not any(valkey.exists(Keys(shard).lease) for shard in (0, 1))
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_what_an_event_waits_for_is_named(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that is being rebuilt, or has to be, is not said to be of another replica."""
    monkeypatch.setattr(leases, "MAKERS", 1)
    ended = threading.Event()

    def make(_: Lease) -> Outcome:
        ended.wait()
        return Outcome()

    makers = leases.Leases(
        *(replica.store, replica.engine.steps, lambda _: False, make, threading.Condition())
    )
    try:
        makers.acquire({0, 11})
        assert (
            makers.reason({0, 2, 11}) == "another replica has shards 2; being rebuilt: shards 0, 11"
        )
        assert makers.reason({2, 3}) == "another replica has shards 2, 3"
    finally:
        ended.set()
        makers.close()


def test_the_lease_of_a_made_state_is_returned_when_nothing_waits_for_it(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that waited for a state has failed meanwhile: another replica has the shard next."""
    goes_on = threading.Event()

    def make(self: NoStorage, maker: Engine, lease: Lease) -> Outcome:
        goes_on.wait(60)
        return made(self, maker, lease)

    def leave(self: leases.Leases) -> None:
        left(self)
        goes_on.set()

    made, left = NoStorage.make, leases.Leases.leave
    monkeypatch.setattr(NoStorage, "make", make)
    monkeypatch.setattr(leases.Leases, "leave", leave)
    monkeypatch.setattr(engine, "WAIT_S", 0.0)
    replica, lease = Replica(valkey, "a"), Keys(shard_of("A", RULES.shards)).lease
    with pytest.raises(TransientError):
        replica.apply(e0=as_ticks([trade(0, 1, 100)]))
    eventually(lambda: goes_on.is_set() and not replica.engine._leases.making)
    valkey.persist(lease)  # it does not end by itself
    eventually(lambda: not valkey.exists(lease))
    replica.engine.close()


def test_the_lease_of_a_made_state_is_kept_for_work_that_waits(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that wants the shard is queued behind one that wants another shard."""
    goes_on, cycles = threading.Event(), threading.Semaphore(0)

    def make(self: NoStorage, maker: Engine, lease: Lease) -> Outcome:
        goes_on.wait(60)
        return made(self, maker, lease)

    def gather(self: leases.Leases, requested: set[int]) -> None:
        gathered(self, requested)
        if goes_on.is_set() and not self.making:
            cycles.release()

    made, gathered = NoStorage.make, leases.Leases.gather
    monkeypatch.setattr(NoStorage, "make", make)
    monkeypatch.setattr(leases.Leases, "gather", gather)
    monkeypatch.setattr(engine, "GROUP_TICKS", 0)  # an event waits while there is another
    monkeypatch.setattr(engine, "WAIT_S", 60.0)
    first, second = (shard_of(name, RULES.shards) for name in "AB")
    third, replica = Store(valkey, "third"), Replica(valkey, "a")
    assert third.acquire([first], {})
    valkey.persist(Keys(first).lease)
    blocked = replica.engine.submit(replica.event("e0", as_ticks([trade(0, 1, 100)])))
    monkeypatch.setattr(engine, "WAIT_S", 0.0)
    replica.engine.begin([second])
    eventually(lambda: replica.engine._leases.making)
    monkeypatch.setattr(engine, "WAIT_S", 60.0)
    queued = replica.engine.submit(replica.event("e1", as_ticks([trade(0, 1, 100, name="B")])))
    goes_on.set()
    eventually(lambda: not replica.engine._leases.making)
    valkey.persist(Keys(second).lease)
    for _ in range(2):
        cycles.acquire()
    assert not third.acquire([second], {})
    third.release([first])
    assert not any(each.result(60).repeated for each in (blocked, queued))
    replica.engine.close()


def test_only_a_replica_alone_keeps_its_leases_for_long(
    valkey: redis.Redis, replica: Replica, other: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that granted or was refused a lease within SHARED_S returns its own once idle."""
    monkeypatch.setattr(leases, "ALONE_S", 600.0)
    shard = shard_of("A", RULES.shards)
    lease, waiting = Keys(shard).lease, Keys(shard).waiting
    rows = [trade(n / 10, n, 100) for n in range(4)]
    replica.apply(e0=as_ticks(rows[:1]))
    held, others = replica.engine._leases, other.engine._leases
    assert held.idle_s > leases.IDLE_S
    third = Store(valkey, "third")
    assert not third.acquire([shard], {})
    replica.apply(e1=as_ticks(rows[1:2]))
    assert third.acquire([shard], {})
    assert held.idle_s == leases.IDLE_S
    refused = other.engine.submit(other.event("e2", as_ticks(rows[2:3])))
    eventually(lambda: valkey.zcard(waiting))
    third.release([shard])
    assert not refused.result(30).repeated
    assert others.idle_s == leases.IDLE_S
    eventually(lambda: not valkey.exists(lease))
    later_s = time.monotonic() + leases.SHARED_S
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: later_s))
    replica.apply(e3=as_ticks(rows[3:]))
    assert held.idle_s > leases.IDLE_S


def test_a_step_of_a_replica_alone_is_one_round_trip(
    valkey: redis.Redis, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica alone keeps its leases between events, so that each costs one write."""
    monkeypatch.setattr(leases, "ALONE_S", 60.0)
    monkeypatch.setattr(leases, "IDLE_S", 0.0)
    rows = [trade(n / 10, n, 100) for n in range(11)]
    replica.apply(first=as_ticks(rows[:1]))
    sent: list[object] = []
    send: Callable[..., None] = redis.connection.AbstractConnection.send_packed_command

    def counted(*arguments: Any, **options: Any) -> None:
        sent.append(arguments)
        send(*arguments, **options)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)
    for n, row in enumerate(rows[1:]):
        replica.engine.apply([replica.event(f"e{n}", as_ticks([row]))])
    assert len(sent) == 10
