"""What a step shows: watched instruments alone, open candles at most so often, the newest state."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import redis

from functions.candle_aggregate.display import Display
from shared import events
from shared.adapter.event import Event, OutgoingEvent
from shared.candle import Candle
from shared.candle_columns import decode_batch
from shared.kernel import partial_candles
from shared.ticks import Ticks
from shared.timeframes import Timeframe
from shared.watched import ALL, Leases, Watched
from tests.functions.candle_aggregate.reference import Tick, as_columns

MINUTE = 60_000_000


def candle(name: str, start_us: int, revision: int, *, closed: bool = False) -> Candle:
    (state,) = partial_candles(ticks(name, start_us), Timeframe.parse("1m"))
    state.revision, state.closed = revision, closed
    return state.candle


def ticks(name: str, time_us: int = 0) -> Ticks:
    columns = as_columns([Tick(name, time_us, 1, 100, 1, 1)])
    return replace(columns, receive_time_us=columns.event_time_us + 7)


@pytest.fixture
def display(valkey: redis.Redis) -> Display:
    Leases(valkey, 1).renew(["A", "B"], 1)
    return Display(Watched(valkey), 250)


def shown(found: list[OutgoingEvent]) -> list[tuple[str, int]]:
    candles: list[Candle] = []
    for each in found:
        if each.type == events.CANDLES:
            attributes = {events.CONTENT_ENCODING: events.ZSTD, **each.extensions}
            candles += decode_batch(Event(each.id, each.type, "", attributes, each.body).data())
    return sorted((each.instrument, each.revision) for each in candles)


def test_the_first_goes_at_once_and_the_newest_when_its_turn_comes(display: Display) -> None:
    """What came in between is never shown; another instrument does not wait for it."""
    offered: list[tuple[list[Candle], int, list[tuple[str, int]]]] = [
        ([candle("A", 0, 1)], 1_000, [("A", 1)]),
        ([candle("A", 0, 2)], 1_100, []),
        ([candle("B", 0, 1), candle("A", 0, 3)], 1_200, [("B", 1)]),
        ([], 1_250, [("A", 3)]),
        ([], 9_000, []),
    ]
    for candles, now_us, expected in offered:
        assert shown(display.events(0, [], candles, now_us)) == expected


def test_a_closed_candle_takes_the_place_of_its_open_state(display: Display) -> None:
    """It is shown at once, and its older open state never after it."""
    display.events(0, [], [candle("A", 0, 1)], 1_000)
    assert shown(display.events(0, [], [candle("A", 0, 2)], 1_100)) == []
    assert shown(display.events(0, [], [candle("A", 0, 3, closed=True)], 1_200)) == [("A", 3)]
    assert shown(display.events(0, [], [candle("A", MINUTE, 4)], 2_000)) == [("A", 4)]


def test_what_nobody_watches_is_not_shown(valkey: redis.Redis) -> None:
    """No lease: no event. A lease, or one of all: its ticks and candles, and when they came."""
    display = Display(Watched(valkey), 250)
    assert display.events(0, [("e", ticks("A"))], [candle("A", 0, 1)], 1_000) == []
    Leases(valkey, 1).renew(["B"], 1)
    display = Display(Watched(valkey), 250)
    assert display.events(0, [("e", ticks("A"))], [candle("A", 0, 1)], 1_000) == []
    found = display.events(0, [("e", ticks("B"))], [candle("B", 0, 1)], 1_000)
    assert [each.type for each in found] == [events.TICKS, events.CANDLES]
    assert found[1].extensions[events.RECEIVED] == "7"
    Leases(valkey, 1).renew([ALL], 1)
    display = Display(Watched(valkey), 250)
    assert len(display.events(0, [("e", ticks("A"))], [candle("A", 0, 1)], 1_000)) == 2


def test_a_lease_runs_out(valkey: redis.Redis) -> None:
    """An expired field counts for nothing, and the next lease of it begins anew."""
    leases = Leases(valkey, 1)
    assert leases.renew(["A"], 5) == {"A": 5}
    assert leases.renew(["A"], 9) == {"A": 5}
    valkey.hset("{0}:watched", "A", time.time_ns() // 1_000_000 - 1)
    assert not Watched(valkey).of(0)
    assert leases.renew(["A"], 12) == {"A": 12}
    assert Watched(valkey).of(0).selects("A")
    assert valkey.pttl("{0}:watched") > 0
