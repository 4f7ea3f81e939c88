"""Ticks that left Postgres still count: repairs and rebuilds read them from the lake."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
import redis

from functions.candle_aggregate.apply import TickEvent, apply_events
from functions.candle_aggregate.rebuild import rebuild
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Store
from shared.decimals import to_text
from shared.state import Keys
from shared.stores.recompute import recomputed
from shared.timeframes import DEFAULT_LADDER, parse_ladder
from tests.functions.history_query.market import Tick, candles, columns, generated
from tests.shared.lake.house import House

LADDER = parse_ladder(DEFAULT_LADDER)
RULES = Rules(LADDER, 2_000_000, 5_000_000, 1_000_000)


@pytest.fixture
def cold(servers: dict[str, str], database: str) -> Iterator[tuple[House, list[Tick], list[Tick]]]:
    """A lake with days that left Postgres, their ticks, and others that come late."""
    house = House(servers, database, f"C{uuid.uuid4().hex[:8]}")
    ticks = generated(31, 160, 30_000_000)
    early, late = ticks[::2], ticks[1::2]
    house.put(early)
    house.copy_all()
    house.compact()
    house.age()
    assert house.retain()
    assert house.in_postgres() == 0
    yield house, early, late
    house.postgres.close()


def hours(house: House, ticks: list[Tick]) -> dict[int, tuple[str, str, int]]:
    """Recompute the hours of the ticks from storage, all at once."""
    hour = next(each for each in LADDER if each.name == "1h")
    first, last = (hour.start_us(which(ticks).time_us) for which in (min, max))
    with house.postgres.connection() as connection:
        found = recomputed(
            connection, house.symbol, first, last + hour.length_us, (hour,), house.cold
        )
    return {
        key[2] // 1000: (
            to_text(state.bar.open),
            to_text(state.bar.volume),
            state.bar.trade_count,
        )
        for key, state in found.items()
    }


def defined(ticks: list[Tick]) -> dict[int, tuple[str, str, int]]:
    return {each["t"]: (each["o"], each["v"], each["n"]) for each in candles(ticks, 3600)}


def test_a_late_tick_repairs_a_candle_over_hot_and_cold(
    cold: tuple[House, list[Tick], list[Tick]],
) -> None:
    """The cold ticks count with the late ones, before and after these go to the lake too."""
    house, early, late = cold
    assert hours(house, early) == defined(early)
    house.put(late)
    for step in (house.settle, house.copy, house.compact):
        step()
        assert hours(house, early + late) == defined(early + late)


def test_a_rebuilt_state_lets_no_late_tick_begin_a_second_candle(
    cold: tuple[House, list[Tick], list[Tick]], valkey: redis.Redis
) -> None:
    """The instrument is known from the lake: what comes for its old candles is late."""
    house, early, _ = cold
    store = Store(valkey, Keys(0))
    rebuild(store, house.postgres, RULES, time.time_ns() // 1000, house.cold)
    epoch = store.epoch()
    assert epoch is not None
    last = max(early)
    late = last._replace(sequence=1 << 50, kind=0, number=0, text="", source="later")
    event = TickEvent("late", columns([late], house.symbol))
    applied, repeated = apply_events(store, RULES, epoch, [event], time.time_ns() // 1000)
    assert not repeated
    assert not applied.open
    assert not applied.closed
    assert {key[1] for keys in applied.late.values() for key in keys} == {
        each.name for each in LADDER
    }
