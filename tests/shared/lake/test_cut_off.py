"""kill -9 before, between and after every step: stored ticks stay, each once."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Final

import pytest
import redis

from functions.candle_aggregate.rules import Rules
from shared.lake.maintenance.expiry import expire_snapshots, remove_orphans
from shared.lake.maintenance.settings import Terms
from shared.lake.states import end_states, list_states, live_instruments, read_state, take_state
from shared.lake.tables.definitions import CANDLES
from shared.lake.takeover import take_over
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.history_query.market import batches, generated
from tests.functions.persist.test_row_retention import counts, fill
from tests.local.broker.processes import eventually
from tests.shared.lake import cut
from tests.shared.lake.house import House
from tests.shared.lake.test_candle_days import (
    DAY_US,
    START_US,
    candle,
    everything,
    minutes,
    shown,
    write,
)
from tests.shared.lake.test_lake import keys, stored
from tests.shared.lake.test_takeover import an_old_lake, cold_candles

PROCESSES: Final = multiprocessing.get_context("forkserver")  # it loads libraries once
PROCESSES.set_forkserver_preload(["tests.shared.lake.cut", "shared.lake.reading.cold", "boto3"])


def cut_off(lake: House, servers: dict[str, str], work: str, place: str, number: int) -> bool:
    """Do the work in a process that is killed at the point; return whether it was."""
    # the server releases a dead process's lock a little later
    eventually(lambda: not lake.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    process = PROCESSES.Process(
        target=cut.do, args=(servers, lake.dsn, lake.symbol, work, place, number)
    )
    process.start()
    process.join(100)
    assert process.exitcode in (0, -signal.SIGKILL), (work, place, number)
    return process.exitcode != 0


# objects of a commit: a file a day, manifest, manifest list, metadata
PLACES = {
    "copy": [
        *[("before an object", n) for n in (1, 2, 3, 4)],
        *[("after an object", n) for n in (1, 3, 5, 8)],
        *[("after a statement", n) for n in (4, 8, 11, 14)],
        *[("before a commit", 1), ("after a commit", 1)],
    ],
    "compact": [
        *[("before an object", 1), ("after an object", 1), ("after an object", 4)],
        *[("after a statement", n) for n in (6, 10)],
        *[("before a commit", 2), ("after a commit", 2)],
    ],
    "retain": [
        *[("after a statement", n) for n in (4, 8, 12, 14, 16)],
        *[("before a commit", n) for n in (3, 4, 5)],
        *[("after a statement", n) for n in (18, 20, 24)],
        *[("after a commit", n) for n in (4, 5, 6)],
    ],
    "retain old days": [
        *[("after a statement", n) for n in (4, 8, 12, 16)],
        *[("before a commit", n) for n in (4, 6)],
        *[("after a commit", n) for n in (3, 5)],
    ],
    "expire": [
        *[("before an object", 1), ("after an object", 1)],
        *[("before a commit", 1), ("after a commit", 1)],
    ],
    "remove": [("after a removal", 1), ("after a removal", 3)],
}


@pytest.mark.parametrize("work", PLACES)
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    lake: House, servers: dict[str, str], work: str
) -> None:
    """After a kill at any step every tick is there once, and the next try finishes the work."""
    ticks = generated(11, 150, 60_000_000)
    if work != "retain old days":
        lake.make_days(ticks)
    for some in (ticks[:80], ticks[80:]):
        lake.put(some)
        if work != "copy":
            lake.copy()
    if work not in ("copy", "compact"):
        lake.compact()
    if work == "remove":
        expire_snapshots(lake.postgres, lake.access, Terms(), now_ms=2**50)
    kills = []
    for place, number in PLACES[work]:
        if work.startswith("retain"):
            lake.age()
        if cut_off(lake, servers, work, place, number):
            kills.append((place, number))
        assert stored(lake) == keys(ticks), (place, number)
        assert lake.repeated == 0
    assert len(kills) >= len(PLACES[work]) // 2, kills
    lake.copy()
    lake.compact()
    for _ in range(2):
        lake.age()
        lake.retain()
    expire_snapshots(lake.postgres, lake.access, Terms(), now_ms=2**50)
    remove_orphans(lake.postgres, lake.access, lake.store, grace=timedelta(0))
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0
    assert lake.in_postgres() == 0
    assert {f"s3://ticks/{key}" for key in lake.objects()} == set(lake.files())


def at_each_step(
    lake: House,
    servers: dict[str, str],
    work: str,
    *places: str,
    begin: Callable[[], None],
    check: Callable[[], None],
) -> int:
    """Repeat the work with a kill at the point: the first time it is reached, the second, and so on
    until it ends before. Of statements, each third. Return the number of kills.
    """
    kills = 0
    for place in places:
        for number in count(1, 3 if place == "after a statement" else 1):
            begin()
            killed = cut_off(lake, servers, work, place, number)
            check()
            if not killed:
                break
            kills += 1
    return kills


COMMITS = "after an object", "after a statement", "after a commit"


def test_a_kill_while_candles_are_copied(
    lake: House, servers: dict[str, str], valkey: redis.Redis
) -> None:
    """A kill while candles are copied leaves each candle once, in Postgres or the lake."""
    candles = minutes(lake.symbol)
    write(lake, candles)
    revisions = count(2)

    def correct() -> None:
        candles[5] = replace(candles[5], revision=next(revisions))
        write(lake, candles[5:6])

    def check() -> None:
        assert everything(lake, valkey) == shown(candles)

    assert at_each_step(lake, servers, "copy candles", *COMMITS, begin=correct, check=check) > 8
    lake.copy_candles()
    assert lake.sql("SELECT 1 FROM lake_pending_candles") == []
    days = {each.start_us // DAY_US for each in candles}
    assert len(lake.files(CANDLES)) == len(days)
    lake.sql("DELETE FROM candles")
    lake.sql(
        "INSERT INTO cold_candle_days SELECT DISTINCT"
        f" date '1970-01-01' + {START_US // DAY_US} + n FROM generate_series(0, 3) AS n"
    )
    assert everything(lake, valkey) == shown(candles)


def test_a_kill_while_candles_leave_postgres(
    lake: House, servers: dict[str, str], valkey: redis.Redis
) -> None:
    """Candles deleted before a kill are read from the lake, and the next try deletes the rest."""
    candles = [
        candle(lake.symbol, "1m", each.start_us % DAY_US + START_US) for each in minutes("")[:20]
    ]
    write(lake, [*candles, candle(lake.symbol, "1d", START_US)])
    lake.copy_candles()
    lake.sql("CREATE TABLE saved AS SELECT * FROM candles")

    def bring_back() -> None:
        lake.sql("INSERT INTO candles SELECT * FROM saved ON CONFLICT DO NOTHING")
        lake.sql("UPDATE lake_candle_days SET is_in_postgres = true")

    def check() -> None:
        assert everything(lake, valkey) == shown(candles)

    places = "after a statement", "after a commit"
    assert at_each_step(lake, servers, "drop candles", *places, begin=bring_back, check=check) > 5
    lake.drop_candles()
    assert lake.sql("SELECT DISTINCT timeframe FROM candles") == [("1d",)]
    check()


def test_a_kill_while_the_live_state_is_copied(
    lake: House, servers: dict[str, str], valkey: redis.Redis
) -> None:
    """A kill while the live state is copied leaves whole copies, and the next one is made."""
    rules = Rules(parse_ladder(DEFAULT_LADDER), 2_000_000, 5_000_000, 1_000_000, shards=1)
    replica = Replica(valkey, "a", rules)
    for number, batch in enumerate(batches(generated(3, 100), lake.symbol, 50)):
        replica.apply(**{f"e{number}": batch})
    replica.engine.close()
    expected = {each.symbol: each for each in live_instruments(valkey, 1)}
    ((mine,),) = lake.sql("SELECT name FROM lake_identity")

    def states() -> list[dict[str, object]]:
        found = [each for each in list_states(lake.store) if each.lake == mine]
        return [dict(read_state(lake.store, each).instruments) for each in found]

    def check() -> None:
        assert all(each == expected for each in states())

    def nothing() -> None:
        """Leave the state as it is."""

    places = "after a statement", "after a commit", "before a state", "after a state"
    kills = at_each_step(lake, servers, "take the state", *places, begin=nothing, check=check)
    assert kills >= 4
    before = len(states())
    assert 1 < before <= kills
    now_us = time.time_ns() // 1000
    take_state(lake.postgres, valkey, lake.store, 1, now_us)
    assert len(states()) == before + 1
    at_each_step(lake, servers, "end states", "after a removal", begin=nothing, check=check)
    assert end_states(lake.postgres, lake.store, Terms(), now_us) == 0
    assert states() == []


def test_a_kill_while_days_leave_the_lake(lake: House, servers: dict[str, str]) -> None:
    """After a kill a day past its retention is in both the table and its record, or neither."""
    seeds = count(9)

    def check() -> None:
        ((days,),) = lake.sql("SELECT count(*) FROM lake_days WHERE row_count > 0")
        assert len(lake.files()) == days

    def begin() -> None:
        if lake.files():
            return
        write(lake, [*minutes(lake.symbol)[:20], candle(lake.symbol, "1d", START_US)])
        lake.put(generated(next(seeds), 30, 9_000_000))
        lake.copy()
        lake.copy_candles()
        lake.compact()
        lake.age()
        lake.retain()
        lake.age()
        lake.retain()
        lake.drop_candles()

    assert at_each_step(lake, servers, "end days", *COMMITS, begin=begin, check=check) > 8
    begin()
    cut.WORK["end days"](lake)
    assert lake.files() == lake.files(CANDLES) == []
    assert stored(lake) == []


def test_a_kill_while_an_old_lake_is_taken_over(lake: House, servers: dict[str, str]) -> None:
    """After a kill each day is in the tables or still to be taken over, in the end once."""
    ticks, candles = an_old_lake(lake)
    for number in (3, 6, 9, 14):
        assert cut_off(lake, servers, "take over", "after a statement", number)
    for number in (1, 5):
        assert cut_off(lake, servers, "take over", "after an object", number)
        assert cut_off(lake, servers, "take over", "before a commit", number // 2 + 1)
    list(take_over(lake.postgres, lake.access))
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0
    assert cold_candles(lake) == candles


def test_a_kill_while_rows_end(lake: House, servers: dict[str, str]) -> None:
    """A kill while rows expire leaves those within retention, and the next try removes the rest."""
    lake.sql("SELECT 1")
    fill(lake.dsn, 40)
    old = "SELECT 1 FROM partition_days WHERE parent = 'applied_events' AND day < current_date - 20"
    lake.sql("SELECT make_partition('applied_events', current_date - 25)")

    def check() -> None:
        found = counts(lake.dsn)
        assert found["rejects"] == found["candles"] == 40
        assert found["repairs"] >= 30
        assert found["applied_events"] >= 15

    for place, number in (("statement", 8), ("statement", 22), ("commit", 8), ("commit", 14)):
        assert cut_off(lake, servers, "end rows", f"after a {place}", number), number
        check()
    assert lake.sql(old)
    cut.WORK["end rows"](lake)
    check()
    found = counts(lake.dsn)
    assert found["repairs"] <= 31
    assert found["applied_events"] <= 16
    assert not lake.sql(old)
