"""The overview summarizes the trades of the last 24 hours in one pass over both stores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

import pytest

from shared.realtime.keys import Block, Keys
from tests.functions.candle_aggregate.reference import Tick, as_columns
from tests.functions.history_query.conftest import SHARDS, House

HOUR = 3_600_000_000


def trades(name: str, now_us: int) -> list[Tick]:
    """A trade in the middle of each of the last 40 hours at rising prices, and a current one."""
    hour = now_us // HOUR * HOUR
    every = [
        Tick(name, hour - n * HOUR + HOUR // 2, 100 - n, 10_000 - n, 1_000, 1) for n in range(1, 41)
    ]
    return [*sorted(every), Tick(name, now_us - 1_000, 500, 12_345, 2_000, 2)]


def first_since(ascending: Sequence[Tick], time_us: int) -> Tick:
    return next(each for each in ascending if each.time_us >= time_us)


def test_an_overview_is_the_last_day(house: House) -> None:
    """An overview has last trade, change in 24 hours, extremes, volume, points, newest candle."""
    now_us = time.time_ns() // 1000
    house.take(as_columns(trades("A", now_us)))
    house.take(as_columns([Tick("OLD", now_us - 48 * HOUR, 1, 500, 1_000, 0)]))
    a, old = house.get("/api/overview").json()
    first = next(t for t in trades("A", now_us) if t.time_us >= now_us // HOUR * HOUR - 23 * HOUR)
    day = [t for t in trades("A", now_us) if t >= first]
    assert (a["symbol"], a["price"], a["size"]) == ("A", "123.45", "2")
    assert a["t"] == (now_us - 1_000) // 1000
    assert (a["open"], a["high"]) == (str(first.decimal_price.normalize()), "123.45")
    assert a["low"] == str(min(t.decimal_price for t in day).normalize())
    assert a["volume"] == str(len(day) + 1)
    assert a["change"] == round(float((day[-1].decimal_price / first.decimal_price - 1) * 100), 4)
    assert len(a["points"]) == 24
    assert a["candle"]["c"] == "123.45"
    assert (a["spread"], old["spread"]) == (None, None)
    assert (old["symbol"], old["price"], old["points"]) == ("OLD", "5", [])
    assert (old["open"], old["change"], old["volume"]) == (None, None, "0")


def test_an_instrument_that_is_quiet_has_its_newest_candle_beside_others(house: House) -> None:
    """An instrument without a trade in the last minutes has its newest candle, as a busy one."""
    now_us = time.time_ns() // 1000
    for name, newest_us in (("BUSY", now_us - 1_000), ("QUIET", now_us - HOUR)):
        times = newest_us - 2 * 60_000_000, newest_us - 60_000_000, newest_us
        house.take(as_columns([Tick(name, t, n, 100 + n, 1_000, 1) for n, t in enumerate(times)]))
    rows = house.get("/api/overview").json()
    assert [row["candle"]["c"] for row in rows] == ["1.02", "1.02"]
    assert [row["candle"]["t"] // 60_000 for row in rows] == [row["t"] // 60_000 for row in rows]
    assert rows == house.get("/api/overview", symbols="BUSY,QUIET").json()


def test_an_overview_has_the_open_of_the_session(house: House) -> None:
    """An overview has the open of the UTC day or of a session, null without a trade in it."""
    now_us = time.time_ns() // 1000
    day = (now_us - 1_000) // (24 * HOUR) * 24 * HOUR  # the newest trade's
    house.take(as_columns(trades("A", now_us)))
    house.take(as_columns([Tick("OLD", now_us - 48 * HOUR, 1, 500, 1_000, 0)]))
    every = sorted(trades("A", now_us))
    a, old = house.get("/api/overview").json()
    assert Decimal(a["session_open"]) == first_since(every, day).decimal_price
    assert old["session_open"] is None
    began = (now_us - 90 * 60_000_000) // 60_000_000 * 60_000_000  # a session of this minute
    clock = time.strftime("%H:%M", time.gmtime(began // 1_000_000))
    (a,) = house.get("/api/overview", symbol="A", session=f"{clock}@UTC").json()
    assert Decimal(a["session_open"]) == first_since(every, began).decimal_price
    for change, expected in ((-99, a["session_open"]), (200, "7")):  # the higher revision's
        with house.postgres.connection() as connection:
            connection.execute(
                "UPDATE candles SET open = 7, revision = revision + %s WHERE start_us >= %s",
                (change, began),
            )
        (found,) = house.get("/api/overview", symbol="A", session=f"{clock}@UTC").json()
        assert found["session_open"] == expected
    assert "calendar" in house.get("/api/overview", calendar="NOWHERE").json()["detail"]


def leave(house: House, until_us: int) -> None:
    """Evict hours before a time from the live state."""
    client = house.replica.store.client
    for keys in map(Keys, range(SHARDS)):
        for name in cast(list[bytes], client.hkeys(keys.blocks)):
            block = Block.of(name)
            if block.timeframe == "1h" and block.start_us < until_us:
                client.hdel(keys.blocks, name)
                client.delete(keys.block(block))


def test_an_overview_is_the_same_when_candles_have_left_the_live_state(house: House) -> None:
    """An overview is the same after an eviction of some, none or all hours.

    Also where a live one is newer.
    """
    now_us = time.time_ns() // 1000
    hour = now_us // HOUR * HOUR
    ticks = [*trades("A", now_us), *trades("B", now_us)]
    ticks += [Tick("B", hour - 7 * HOUR + 1, 3, 777, 500, 1), Tick("B", now_us, 9, -50, 1, 1)]
    house.take(as_columns(sorted(ticks)))
    with house.postgres.connection() as connection:
        connection.execute(
            "UPDATE candles SET high = 9999, revision = 1"
            " WHERE timeframe = '1h' AND start_us = %s AND instrument = 'B'",
            (hour - 2 * HOUR,),
        )
    live = house.get("/api/overview", symbols="A,B").json()
    assert [each["low"] for each in live] == ["99.77", "-0.5"]
    for hours in (30, 20, 2):
        leave(house, hour - hours * HOUR)
        assert house.get("/api/overview", symbols="A,B").json() == live
    leave(house, hour)
    a, b = house.get("/api/overview", symbols="A,B").json()
    assert (a, b["high"]) == (live[0], "9999")


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("is_oldest", [True, False])
def test_an_hour_whose_trades_were_cancelled_is_not_there(
    house: House, is_oldest: bool, is_live: bool
) -> None:
    """An hour whose trades were all cancelled has no point, price or open."""
    now_us = time.time_ns() // 1000
    hour = now_us // HOUR * HOUR
    house.take(as_columns(trades("A", now_us)))
    if not is_live:
        leave(house, hour)
    (before,) = house.get("/api/overview", symbol="A").json()
    gone = (hour - 23 * HOUR if is_oldest else hour - 5 * HOUR,)
    with house.postgres.connection() as connection:
        connection.execute(
            "UPDATE candles SET trade_count = 0, volume = 0, high = 9999, low = -9999,"
            " revision = revision + 1 WHERE timeframe = '1h' AND start_us = %s",
            gone,
        )
    (after,) = house.get("/api/overview", symbol="A").json()
    assert len(after["points"]) == len(before["points"]) - 1
    assert Decimal(after["volume"]) == Decimal(before["volume"]) - 1
    assert (after["high"], after["low"]) != ("9999", "-9999")
    assert (after["open"] != before["open"]) == is_oldest


def test_symbols_are_selected_by_name(house: House) -> None:
    """Symbols are selected by comma-separated names, or one by one if a name has a comma."""
    now_us = time.time_ns() // 1000
    house.take(as_columns([Tick(name, now_us, 1, 500, 1_000, 0) for name in ("A", "B", "C,D")]))
    rows = house.get("/api/overview", symbols="A,B,NONE").json()
    assert [each["symbol"] for each in rows] == ["A", "B"]
    assert [e["symbol"] for e in house.get("/api/overview", symbol="C,D").json()] == ["C,D"]
    everything = house.get("/api/overview", symbols="all").json()
    assert [each["symbol"] for each in everything] == ["A", "B", "C,D"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"symbols": ","}, "symbols"),
        ({"symbols": ",".join(f"S{n}" for n in range(501))}, "symbols"),
        ({"symbols": "A" * 65}, "symbols"),
        ({"day": "1"}, "day"),
    ],
)
def test_an_invalid_parameter_is_named(house: House, query: dict[str, str], named: str) -> None:
    """A bad parameter is a 400 with a fix."""
    response = house.get("/api/overview", **query)
    assert response.status_code == 400
    assert named in response.json()["detail"]
