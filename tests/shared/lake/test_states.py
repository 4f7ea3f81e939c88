"""Copies of the live state, and a database restored from object storage alone."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import redis
from typer.testing import CliRunner

from functions.candle_aggregate.rules import Rules
from local.cli.commands import snapshot
from shared.lake import states
from shared.lake.maintenance.expiry import expire_snapshots, remove_orphans
from shared.lake.maintenance.settings import Terms
from shared.lake.recovery import adopt, finish, is_empty, ticks_of
from shared.lake.states import (
    StateObject,
    end_states,
    list_states,
    live_instruments,
    read_state,
    state_is_due,
    take_state,
)
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.market.utc_days import begin_us, day_of
from shared.realtime.readers import LiveState
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.history_query.market import batches, generated
from tests.shared.lake.house import House
from tests.shared.lake.test_lake import keys, stored

LADDER = parse_ladder(DEFAULT_LADDER)


def test_the_live_state_comes_back_from_its_copy(lake: House, valkey: redis.Redis) -> None:
    """The restored live state has each latest trade and open candle exactly."""
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


def test_the_ticks_of_a_copied_state_are_in_the_lake(
    lake: House, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kandle snapshot take` in a moving market copies the ticks that its copied state has seen."""

    def in_a_moving_market(*arguments: Any) -> StateObject:
        lake.put(generated(3, 400))
        return take_state(*arguments)

    monkeypatch.setattr(states, "take_state", in_a_moving_market)
    for name in ("S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, servers[name])
    stores = ["--database-url", lake.dsn, "--redis-url", lake.redis_url]
    result = CliRunner().invoke(snapshot.app, ["take", *stores])
    assert result.output.startswith("400 ticks copied\n"), result.output


def test_an_empty_database_is_filled_from_the_lake(lake: House, servers: dict[str, str]) -> None:
    """An empty database is restored from the lake; older days stay there.

    Of the last two days only what was received by then.
    """
    ticks = generated(5, 900, 200_000_000)  # crosses midnight twice
    lake.put(ticks[:700])
    lake.copy()
    lake.compact()
    lake.put(ticks[700:])
    lake.copy()
    days = sorted({day_of(tick.time_us) for tick in ticks})
    assert len(days) > 2
    until_us = sorted(tick.receive_us for tick in ticks)[-50]
    ((mine,),) = lake.sql("SELECT name FROM lake_identity")
    lost = f"{lake.symbol.lower().replace('/', '_')}_lost"
    with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {lost}".encode())
    new = House(servers, servers["DATABASE_URL"].rsplit("/", 1)[0] + f"/{lost}", lake.symbol)
    try:
        new.copy()
        for _ in range(2):  # an interrupted attempt is repeated
            assert is_empty(new.postgres)
            adopted = adopt(new.postgres, new.access, new.store, str(mine), begin_us(days[-1]))
            assert (adopted.cold, adopted.hot) == (days[:-2], days[-2:])
            for day in adopted.hot:
                for event in ticks_of(new.postgres, new.access, day, until_us):
                    new.writer([event])
        queued = finish(new.postgres, new.access, adopted, LADDER)
        hot_from_us = begin_us(days[-2])
        expected = [
            tick for tick in ticks if tick.time_us < hot_from_us or tick.receive_us <= until_us
        ]
        assert len(expected) < len(ticks)
        assert stored(new) == keys(expected)
        assert new.repeated == 0
        assert new.sql("SELECT count(*) FROM repairs") == [(queued,)]
        assert queued > 0
        with new.postgres.connection() as connection:
            firsts = connection.execute("SELECT first_time_us, last_time_us FROM first_ticks")
            ((first_us, last_us),) = firsts.fetchall()
        assert first_us == min(ticks).time_us
        assert 0 <= max(expected).time_us - last_us < 60_000_000
        new.settle()
        new.copy()
        new.compact()
        new.age()
        new.retain()
        new.age()
        new.retain()
        assert new.in_postgres() == 0
        assert stored(new) == keys(expected)
        assert expire_snapshots(new.postgres, new.access, Terms(), now_ms=2**50) > 0
        remove_orphans(new.postgres, new.access, new.store, grace=timedelta(0))
        assert stored(new) == keys(expected)
    finally:
        new.postgres.close()
