"""Queries over Postgres and Parquet equal queries over one store."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import redis

from shared.lake.maintenance import snapshot
from shared.lake.reading import plan
from shared.wire.ticks import NO_ID
from tests.functions.history_query.cold import ColdMarket, cold_market
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import START_US, candles, columns, generated, trades
from tests.functions.history_query.test_bars import plain, read, row
from tests.shared.lake.house import House as Lake

SHOWN = ("t", "o", "h", "l", "c", "v", "n", "bv", "sv")


@pytest.fixture
def market(servers: dict[str, str], database: str, valkey: redis.Redis) -> Iterator[ColdMarket]:
    with cold_market(servers, database, valkey) as found:
        yield found


def everything(market: ColdMarket, name: str, **parameters: str) -> list[dict[str, Any]]:
    """All pages in the order of time."""
    return market.house.rows(f"/api/{name}/{market.symbol}", **parameters)


def test_a_query_over_hot_and_cold_equals_a_plain_recomputation(market: ColdMarket) -> None:
    """A query over hot and cold days equals the plain recomputation.

    Stored timeframes, folds, seconds, and ticks; in both directions, in small pages.
    """
    assert 0 < market.lake.in_postgres() < len(market.ticks)
    (days,) = market.lake.sql("SELECT count(*) FROM cold_days")[0]
    assert isinstance(days, int)
    assert days >= 2
    for timeframe, seconds in (("1m", 60), ("1h", 3_600), ("7m", 420), ("2h", 7_200), ("5s", 5)):
        expected = candles(market.ticks, seconds)
        for start in ({"from": "0"}, {}):
            found = everything(market, "candles", timeframe=timeframe, limit="150", **start)
            assert [{key: row[key] for key in SHOWN} for row in found] == expected, timeframe
    for start in ({"from": "0"}, {}):
        rows = everything(market, "ticks", limit="170", columns="us,p", **start)
        assert [row["us"] for row in rows] == [tick.time_us for tick in trades(market.ticks)]


def test_bars_and_profiles_over_hot_and_cold_equal_a_plain_loop(market: ColdMarket) -> None:
    """Bars and profiles over hot and cold days equal the plain loop, in both directions."""
    ticks = trades(market.ticks)
    for type_ in ("tick:7", "volume:90", "dollar:2000", "range:3"):
        expected = [row(bar) for bar in plain(ticks, type_)]
        assert len(expected) > 20
        whole: list[list[dict[str, Any]]] = []
        for start in ({"from": "0"}, {}):
            query = {"type": type_, "limit": "40", "indicators": "sma:5", **start}
            whole.append(everything(market, "bars", **query))
            assert [read(each) for each in whole[-1]] == expected
        assert whole[0] == whole[1]
        closes = [float(each["c"]) for each in expected]
        means = [sum(closes[n - 4 : n + 1]) / 5 for n in range(4, len(closes))]
        values = [each["indicators"]["sma:5"] for each in whole[0]]
        assert values[4:] == pytest.approx(means, rel=1e-9)
    bounds = {"from": "0", "to": str(ticks[-1].time_us // 1000 + 1)}
    profile = market.house.get(f"/api/profile/{market.symbol}", **bounds).json()
    volumes: dict[Decimal, Decimal] = {}
    for tick in ticks:
        price = tick.decimal_price
        volumes[price] = volumes.get(price, Decimal(0)) + tick.decimal_size
    assert {Decimal(each["p"]): Decimal(each["v"]) for each in profile["levels"]} == volumes
    assert Decimal(profile["v"]) == sum(volumes.values())


def test_a_whole_range_is_streamed(market: ColdMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole range is streamed page by page, each row once.

    Hot and cold, stored candles and those made of ticks.
    """
    monkeypatch.setattr("functions.history_query.topics.candles.PAGE", 40)
    path = f"/api/candles/{market.symbol}"
    query = {"from": "0", "limit": "all"}
    for timeframe, seconds in (("1m", 60), ("7m", 420), ("5s", 5)):
        expected = candles(market.ticks, seconds)
        assert len(expected) > 80
        response = market.house.get(path, timeframe=timeframe, format="ndjson", **query)
        rows = [json.loads(line) for line in response.text.splitlines()]
        assert [{key: row[key] for key in SHOWN} for row in rows] == expected
        table = market.house.get(path, timeframe=timeframe, format="csv", columns="t,o", **query)
        assert table.text.splitlines() == ["t,o", *(f"{c['t']},{c['o']}" for c in expected)]
    for changes, detail in (
        ({"format": "json"}, "limit: all goes with format=ndjson or csv"),
        ({"format": "csv", "fill": "null"}, "limit: all does not go with fill"),
        ({"format": "csv", "from": ""}, "limit: all needs `from`"),
    ):
        refused = market.house.get(path, **{**query, **changes})
        assert refused.status_code == 400
        assert refused.json()["detail"] == detail
    unknown = market.house.get("/api/candles/NONE", format="csv", **query)
    assert unknown.status_code == 404


def test_cursors_are_stable_while_data_arrives(market: ColdMarket) -> None:
    """Two clients page forwards and backwards while ticks arrive and days leave Postgres."""
    path = f"/api/candles/{market.symbol}"
    before = candles(market.ticks, 60)
    forwards = market.house.pages(path, limit="60", **{"from": "0"})
    backwards = market.house.pages(path, limit="60")
    results: list[list[dict[str, Any]]] = [[], []]
    last_us = max(market.ticks).time_us
    rounds = 0
    ended = [False, False]
    while not all(ended):
        for client, reader in enumerate((forwards, backwards)):
            page = next(reader, None)
            if page is None:
                ended[client] = True
            elif client:
                results[client] = [*page, *results[client]]
            else:
                results[client] += page
        if rounds < 4:  # newer ones at the end, which the forward client reads too
            late_ticks = [
                tick._replace(
                    time_us=tick.time_us - START_US + last_us + 60_000_000 * (rounds + 1),
                    sequence=tick.sequence + ((rounds + 9) << 40),
                    number=tick.number + 10**13 * (rounds + 1),
                    text=tick.text and f"{tick.text}{rounds}",
                )
                for tick in generated(50 + rounds, 3, 1_000)
            ]
            market.take(late_ticks)
            market.ticks.extend(late_ticks)
            if rounds == 1:
                market.lake.copy()
                market.lake.compact()
        rounds += 1
    assert rounds > 4
    plain = [[{key: row[key] for key in SHOWN} for row in rows] for rows in results]
    assert plain[0] == candles(market.ticks, 60)
    assert plain[1] == before


def test_bars_read_again_after_a_late_trade_of_a_cold_day_have_it(market: ColdMarket) -> None:
    """Bars have a late trade of a cold day, also if nobody read them before it was copied."""
    ticks = list(market.ticks)
    query = {"type": "tick:7", "limit": "1000"}
    everything(market, "bars", **query)
    for number, copied in enumerate((False, True)):
        old = ticks[len(ticks) // 3]
        late = old._replace(kind=NO_ID, number=0, text="", sequence=(1 << 40) + number)
        ticks = sorted([*ticks, late], key=lambda tick: tick.place)
        market.house.take(columns([late], market.symbol))
        if copied:
            market.lake.settle()
            market.lake.copy()
            market.lake.age()
            stored = market.lake.in_postgres()
            market.lake.retain()
            assert market.lake.in_postgres() < stored
        bars = everything(market, "bars", **query)
        assert [read(each) for each in bars] == [row(bar) for bar in plain(trades(ticks), "tick:7")]


def test_bars_are_the_same_while_the_lake_copies(
    servers: dict[str, str], database: str, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trade counts once in bars that are read at any step of a copy or fold."""
    monkeypatch.setattr(plan, "MOST_TICKS", 0)  # the part of the lake that exists
    monkeypatch.setattr(snapshot, "_MOST_ROWS", 20)
    lake = Lake(servers, database, f"S{uuid.uuid4().hex[:8]}")
    ticks = generated(31, 100, 2_000_000)
    lake.make_days(ticks)
    lake.put(ticks, size=20)
    expected = [row(bar) for bar in plain(trades(ticks), "tick:7")]

    def keep() -> int:
        copies = 0
        while lake.copy():
            copies += 1
        lake.compact()
        return copies

    with ThreadPoolExecutor(1) as executor:
        copies = executor.submit(keep)
        reads = 0
        while not copies.done() or not reads:
            house = House(lake.postgres, valkey, lake.cold)  # without a checkpoint of bars
            bars = house.get(f"/api/bars/{lake.symbol}", type="tick:7", limit="1000").json()
            assert [read(each) for each in bars["bars"]] == expected
            reads += 1
        assert copies.result() == 5
    lake.postgres.close()
