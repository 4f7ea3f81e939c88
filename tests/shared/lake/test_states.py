"""Copies of the live state, and a database filled from object storage alone."""

from __future__ import annotations

import time
from decimal import Decimal

import psycopg
import redis

from functions.candle_aggregate.rules import Rules
from functions.persist.tick_writer import TickWriter
from shared.lake.garbage import remove_superseded
from shared.lake.lifetimes import end_lake_files, end_states
from shared.lake.places import begin_us
from shared.lake.plan import plan_ticks
from shared.lake.recovery import find, is_empty, outrank, register, ticks_of
from shared.lake.states import (
    list_states,
    live_instruments,
    read_state,
    state_is_due,
    take_state,
)
from shared.lake.terms import Terms
from shared.live_state import LiveState
from shared.stores.postgres import Postgres, next_epoch
from shared.stores.segments import ticks_in_postgres
from shared.timeframes import DEFAULT_LADDER, parse_ladder
from shared.trades import Rows
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.history_query.market import START_US, batches, generated
from tests.shared.lake.house import FOR_EVER_US, House
from tests.shared.lake.test_lake import keys, stored

LADDER = parse_ladder(DEFAULT_LADDER)
HOUR_US = 3_600_000_000


def test_the_live_state_comes_back_from_its_copy(lake: House, valkey: redis.Redis) -> None:
    """Latest trades and every open candle, to the last digit; when it is due again is known."""
    replica = Replica(valkey, "a", Rules(LADDER, 2_000_000, 5_000_000, 1_000_000, shards=1))
    for number, batch in enumerate(batches(generated(3, 400), lake.symbol, 200)):
        replica.apply(**{f"e{number}": batch})
    replica.engine.close()
    now_us = time.time_ns() // 1000
    terms = Terms(state_s=300, state_days=1)
    assert state_is_due(lake.postgres, lake.store, terms, now_us)
    taken = take_state(lake.postgres, valkey, lake.store, 1, now_us)
    assert [each for each in list_states(lake.store) if each.lake == taken.lake] == [taken]
    state = read_state(lake.store, taken)
    assert state.instruments == {each.symbol: each for each in live_instruments(valkey, 1)}
    (instrument,) = state.instruments.values()
    live = LiveState(valkey, 1, LADDER)
    every = [each for frame in LADDER for each in live.all_candles(frame).candles()]
    expected = [each for each in every if not each.closed]
    assert len(expected) == len(LADDER)
    assert list(instrument.candles) == expected
    last = max(generated(3, 400))
    assert (instrument.price, instrument.time_us) == (last.decimal_price, last.time_us)
    assert isinstance(instrument.candles[0].volume, Decimal)
    assert not state_is_due(lake.postgres, lake.store, terms, now_us + 299_000_000)
    assert state_is_due(lake.postgres, lake.store, terms, now_us + 301_000_000)
    assert end_states(lake.postgres, lake.store, terms, now_us) == 0
    assert end_states(lake.postgres, lake.store, terms, now_us + 86_400_000_001) == 1
    assert taken not in list_states(lake.store)


def test_an_empty_database_is_filled_from_the_lake(lake: House, servers: dict[str, str]) -> None:
    """The days before the last two stay there; of the last two only what was received by then."""
    ticks = generated(5, 900, 200_000_000)  # crosses midnight twice
    lake.put(ticks[:700])
    lake.copy_all()
    lake.compact()
    lake.put(ticks[700:])
    lake.copy_all()
    assert len(lake.objects()) > lake.live_files()  # superseded ones are still there
    objects = lake.objects()
    days = sorted({tick.time_us // (24 * HOUR_US) for tick in ticks})
    assert len(days) > 2
    until_us = sorted(tick.receive_us for tick in ticks)[-50]
    with lake.postgres.connection() as connection:
        mine = connection.execute("SELECT name FROM lake_identity").fetchone()
    assert mine is not None
    lost = f"{lake.symbol.lower().replace('/', '_')}_lost"
    with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {lost}".encode())
    empty = Postgres(servers["DATABASE_URL"].rsplit("/", 1)[0] + f"/{lost}", size=2)
    try:
        writer = TickWriter(empty)
        for _ in range(2):  # an attempt that was cut off is begun anew
            assert is_empty(empty)
            outrank(empty, 7)
            found = find(lake.store, mine[0], days[-1] * 24 * HOUR_US)
            assert {each.path for each in found.files} >= objects
            for place, files in found.hot.items():
                for event_id, batch in ticks_of(lake.store, place, files, until_us):
                    writer([(event_id, batch)])
            queued = register(empty, lake.store, lake.cold, found, LADDER)
        assert len(found.cold_days) == len(days) - 2
        hot_from_us = begin_us(found.hot_from)
        expected = [
            tick for tick in ticks if tick.time_us < hot_from_us or tick.receive_us <= until_us
        ]
        assert len(expected) < len(ticks)
        with empty.connection() as connection:
            plan = plan_ticks(connection, lake.symbol, 0, 10**16)
            hot = [
                Rows.of(each)
                for each in ticks_in_postgres(connection, lake.symbol, 0, 10**16, plan)
            ]
            rows = connection.execute("SELECT first_time_us FROM first_ticks").fetchall()
            assert next_epoch(connection) > 7
            cold_candles = connection.execute("SELECT count(*) FROM repairs").fetchone()
        cold = [each for _, each in lake.cold.rows(plan.files, 0, 10**16)]
        assert keys(expected) == sorted(
            key
            for part in [*hot, *cold]
            for key in zip(
                part.time_us.tolist(), part.source.tolist(), part.sequence.tolist(), strict=True
            )
        )
        assert rows == [(min(ticks).time_us,)]
        assert cold_candles == (queued,)
        assert queued > 0
    finally:
        empty.close()


def test_files_end_only_where_postgres_has_nothing(lake: House) -> None:
    """Past the lake's term their records go first, then the objects."""
    lake.put(generated(6, 300, 9_000_000))
    lake.copy_all()
    lake.compact()
    forty_days = START_US + 40 * 24 * HOUR_US
    terms = Terms(lake_days=30)
    assert end_lake_files(lake.postgres, terms, forty_days) == 0
    lake.age()
    assert lake.retain()
    assert stored(lake)
    assert end_lake_files(lake.postgres, Terms(), FOR_EVER_US) == 0
    assert end_lake_files(lake.postgres, terms, START_US) == 0
    assert end_lake_files(lake.postgres, terms, forty_days) > 0
    assert lake.live_files() == 0
    remove_superseded(lake.postgres, lake.store, grace_s=0)
    assert lake.objects() == set()
