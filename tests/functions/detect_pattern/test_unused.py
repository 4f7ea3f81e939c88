"""Unused series expire, and one that comes back is as if it had stayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event as ThreadEvent
from threading import Thread
from typing import Any

import pytest
import redis

from functions.detect_pattern import handler
from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.handler import DetectPattern
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Read, Store
from shared.adapter.event import Event
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.realtime.pattern_series import SHARDS_KEY, Name, adopt, due_key, end_instrument
from shared.runtime import metrics
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from tests.functions.detect_pattern.house import RULES, House, candle, reference

DAY_MS = 86_400_000
FALLING = [candle(n, 100 - n, instrument="A") for n in range(8)]
RISING = [candle(n, 100 + n, instrument="A") for n in range(8, 12)]


def keys(house: House) -> set[bytes | str]:
    return set(house.client.keys("*patterns:series:*"))


def test_a_year_leaves_the_series_of_the_last_days(house: House) -> None:
    """After a year only the series within retention are left, indexes included."""
    end_ms = house.now_ms + 365 * DAY_MS
    days = range(0, 365, 5)
    for day in days:
        house.deliver(house.receive([candle(1, 100, instrument=f"S{day}")]))
        house.tick(40_000)
        house.now_ms += 5 * DAY_MS - 40_000
    assert house.store.instruments() == len(days)
    expected = {f"{{0}}:patterns:series:1m:S{day}".encode() for day in days if day >= 275}
    assert house.store.end_unused(end_ms - 90 * DAY_MS) == len(days) - len(expected)
    assert keys(house) == expected
    assert house.client.zcard("{0}:patterns:used") == len(expected)
    assert house.client.zcard("{0}:patterns:due") == 0


def test_a_series_that_comes_back_is_evaluated_as_if_it_had_stayed(house: House) -> None:
    """A series that comes back is evaluated from storage, and nothing is published again."""
    house.deliver(house.receive(FALLING))
    house.settle()
    assert end_instrument(house.client, 1, "A", house.now_ms) == 1
    assert keys(house) == set()
    house.deliver(house.receive(RISING))
    house.settle()
    assert house.stored() == house.heard() == reference(FALLING + RISING)
    assert house.stored()


def test_what_is_to_be_published_stays(house: House) -> None:
    """A series with an unpublished pattern stays."""
    changed = house.receive(FALLING + RISING)
    assert end_instrument(house.client, 1, "A", house.now_ms + DAY_MS) == 0
    assert house.store.end_unused(house.now_ms + DAY_MS) == 0
    house.deliver(changed)
    house.settle()
    assert house.stored() == reference(FALLING + RISING)
    assert end_instrument(house.client, 1, "AB", house.now_ms + DAY_MS) == 0
    assert end_instrument(house.client, 1, "A", house.now_ms + DAY_MS) == 1


def test_another_number_of_shards_leaves_no_series_behind(
    valkey: redis.Redis, database: str
) -> None:
    """Series of former shards are deleted; patterns go on as if nothing had changed.

    A series that stayed would come back with old candles and revisions.
    """
    emitted = []
    candles: list[Candle] = []
    for shards, some in ((7, FALLING), (2, RISING[:2]), (7, RISING[2:])):
        house = House(valkey, database, shards=shards)
        candles += some
        house.tick()
        house.deliver(house.receive(some))
        house.settle()
        emitted += house.emitted
        house.emitted = emitted
        series = f"{{{shard_of('A', shards)}}}:patterns:series:1m:A".encode()
        assert keys(house) == {series}
        assert house.stored() == house.heard() == reference(candles)
        house.postgres.close()


def test_a_replica_of_the_former_shards_writes_no_more(valkey: redis.Redis, database: str) -> None:
    """While SHARDS changes from replica to replica, the former ones leave nothing behind."""
    former = House(valkey, database, shards=7)
    former.tick()
    former.deliver(former.receive(FALLING[:2]))
    house = House(valkey, database, shards=2)
    house.tick()
    house.deliver(house.receive(FALLING))
    handle = DetectPattern(
        former.steps, former.store, Delivery(former.steps.storage, frozenset()), None
    )
    with pytest.raises(TransientError, match=r"SHARDS \(2\)"):
        handle(Event("t", events.CLOCK, "", {}, b""))
    with pytest.raises(TransientError, match=r"SHARDS \(2\)"):
        handle(Event("c", events.CANDLES, "", {}, encode_batch([candle(9, 100)])))
    assert keys(house) == {f"{{{shard_of('A', 2)}}}:patterns:series:1m:A".encode()}
    former.postgres.close()
    house.postgres.close()


def test_a_replica_that_started_earlier_takes_nothing_by_a_later_first_event(
    valkey: redis.Redis, database: str
) -> None:
    """Readiness adopts the series: a former replica is not ready, and its first event refused."""
    steps = Steps(Storage(Postgres(database)), RULES)
    delivery = Delivery(steps.storage, frozenset())
    former, newest = (DetectPattern(steps, Store(valkey, shards), delivery) for shards in (7, 2))
    former.ready()
    newest.ready()
    clock = Event("t", events.CLOCK, "", {}, b"")
    for refused in (former.ready, lambda: former(clock)):
        with pytest.raises(TransientError, match=r"SHARDS \(2\)"):
            refused()
    newest(clock)
    newest.ready()
    steps.storage.postgres.close()


def test_a_step_under_way_while_the_shards_change_writes_nothing(
    valkey: redis.Redis, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A former replica that has read its series before the change, and writes after, is refused."""
    former = House(valkey, database, shards=7)
    read = former.store.read

    def then_another_starts(names: Iterable[Name]) -> dict[Name, Read]:
        found = read(names)
        adopt(valkey, 2)
        return found

    monkeypatch.setattr(former.store, "read", then_another_starts)
    with pytest.raises(TransientError, match=r"SHARDS \(2\)"):
        former.receive(FALLING)
    assert valkey.keys("*}:patterns:*") == []
    former.postgres.close()


def test_a_redis_that_lost_all_is_adopted_again(house: House) -> None:
    """After Redis lost its data a step writes, and a replica of other shards still takes over."""
    house.client.flushdb()
    house.deliver(house.receive(FALLING))
    assert keys(house) == {b"{0}:patterns:series:1m:A"}
    adopt(house.client, 2)
    assert keys(house) == set()
    with pytest.raises(TransientError):
        house.receive(RISING)


def deletion_fails(client: redis.Redis, monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    """Let a replica of these shards fail in the middle of the deletion of stale series."""

    def away(**options: Any) -> Any:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(client, "scan_iter", away)
        with pytest.raises(TransientError, match="away"):
            Store(client, shards).adopt()


def test_a_deletion_that_fails_is_finished(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion of stale series that fails after Redis lost its data is finished by a later step.

    So it is by another replica of the same number, and by none of the former.
    """
    house.client.flushdb()
    deletion_fails(house.client, monkeypatch, 1)
    house.deliver(house.receive(FALLING))
    assert keys(house) == {b"{0}:patterns:series:1m:A"}
    deletion_fails(house.client, monkeypatch, 2)
    with pytest.raises(TransientError, match=r"SHARDS \(2\) .* to be 1, restart"):
        house.receive(RISING)
    assert Store(house.client, 2).unloaded_shards(house.now_ms, 1000) == [0, 1]
    assert (keys(house), house.client.get(SHARDS_KEY)) == (set(), b"2")


def test_a_deletion_is_not_finished_once_another_has_the_series(house: House) -> None:
    """A replica that saw no number, and then another adopt the series, takes them from no one."""
    adopt(house.client, 2)
    adopt(house.client, 1, starts=False)
    assert house.client.get(SHARDS_KEY) == b"2"


def test_a_lock_that_ran_out_is_no_defect(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that took longer than its lock lasts raises TransientError."""
    scan = valkey.scan_iter

    def long_scan(**options: Any) -> Any:
        valkey.delete("patterns:adopting")
        return scan(**options)

    monkeypatch.setattr(valkey, "scan_iter", long_scan)
    with pytest.raises(TransientError, match="lock"):
        adopt(valkey, 7)


def test_a_replica_waits_for_the_deletion_of_another_only_shortly(valkey: redis.Redis) -> None:
    """While another replica deletes stale series a probe is soon answered: not ready."""
    valkey.set("patterns:adopting", "another", px=20_000)
    with pytest.raises(TransientError, match="another holds it"):
        Store(valkey, 7).ready()
    valkey.delete("patterns:adopting")
    Store(valkey, 7).ready()


def test_a_former_replica_marks_nothing_as_due(house: House) -> None:
    """Series that a replica listed from storage before the change, it does not mark as due after.

    Nor does it after Redis lost its data: then it lists the shard again.
    """
    adopt(house.client, 2)
    with pytest.raises(TransientError, match=r"SHARDS \(2\)"):
        house.store.begin([0], [("A", "1m")], house.now_ms)
    with pytest.raises(TransientError, match=r"SHARDS \(2\)"):
        house.store.begin([0], [], house.now_ms)
    assert house.client.keys("*}:patterns:*") == []
    house.client.flushdb()
    house.store.begin([0], [("A", "1m")], house.now_ms)
    assert house.client.keys("*}:patterns:*") == []
    house.store.begin([0], [("A", "1m")], house.now_ms)
    assert len(house.client.keys("*}:patterns:*")) == 2


def test_replicas_that_start_at_once_delete_nothing_that_one_of_them_began(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that starts while another deletes stale series leaves what that one begins."""
    other = redis.Redis(connection_pool=valkey.connection_pool)
    thread = Thread(target=adopt, args=(other, 7))
    asked, begun = ThreadEvent(), ThreadEvent()
    execute: Callable[..., Any] = other.execute_command
    scan = valkey.scan_iter

    def noted(*arguments: Any, **options: Any) -> Any:
        answer = execute(*arguments, **options)
        asked.set()
        return answer

    def meanwhile(**options: Any) -> Any:
        thread.start()
        assert asked.wait(60)
        return scan(**options)

    def afterwards(**options: Any) -> Any:
        assert begun.wait(60)
        return scan(**options)

    monkeypatch.setattr(other, "execute_command", noted)
    monkeypatch.setattr(other, "scan_iter", afterwards)
    monkeypatch.setattr(valkey, "scan_iter", meanwhile)
    adopt(valkey, 7)
    valkey.zadd(due_key(3), {"1m:A": 1})
    begun.set()
    thread.join()
    assert valkey.exists(due_key(3))


def test_the_clock_ends_what_is_past_its_term(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler's clock removes expired series and counts them."""
    monkeypatch.setattr(handler, "COUNT_EACH_S", 1)
    house.deliver(house.receive([candle(1, 100)]))
    house.settle()
    before = metrics.PATTERN_SERIES_UNUSED._value.get()
    delivery = Delivery(house.steps.storage, frozenset())
    handle = DetectPattern(house.steps, house.store, delivery, None, unused_ms=-(10**15))
    handle(Event("t", events.CLOCK, "", {}, b""))
    assert keys(house) == set()
    assert metrics.PATTERN_SERIES_UNUSED._value.get() == before + 1
