"""Live information bars equal those of the history API, and are corrected by revision."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import redis

from functions.live_feed.derived import live_bars
from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.derived.live_bars import LiveBars
from shared.schema import candles_pb2
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, columns, generated
from tests.functions.live_feed.conftest import LADDER, Client, Room, candle, room
from tests.served import served

MINUTE_US = 60_000_000
CHANNEL = "bars:tick:3:A/B"

Bars = dict[int, dict[str, Any]]
_prices = itertools.count(1)


@pytest.fixture
def house(database: str, valkey: redis.Redis) -> Iterator[House]:
    postgres = Postgres(database, size=4)
    made = House(postgres, valkey)
    yield made
    made.replica.engine.close()
    postgres.close()


@pytest.fixture
def api_url(house: House) -> Iterator[str]:
    """The history API over both stores."""
    with served(house.app) as url:
        yield url


def market(count: int, first: int = 0) -> list[Tick]:
    """Trades of one day, 20 s apart."""
    return [
        tick._replace(
            time_us=1_600_050_000_000_000 + (first + n) * 20_000_000,
            source="u",
            price_scale=2,
            number=first + n,
            kind=1,
            text="",
            sequence=first + n,
        )
        for n, tick in enumerate(generated(3, count))
    ]


async def until(
    client: Client, channel: str, newest: dict[Any, Any], there: Callable[[], bool], *key: str
) -> list[dict[str, Any]]:
    """Read updates, the highest revision of each by its key, until the condition holds."""
    seen = []
    async with asyncio.timeout(60):
        while not there():
            for frame in await client.read():
                if frame.get("channel") == channel:
                    data = frame["data"]
                    seen.append({**data, "late": frame["late"]})
                    name = tuple(data[each] for each in key) if len(key) > 1 else data[key[0]]
                    if data["revision"] > newest.get(name, {"revision": 0})["revision"]:
                        newest[name] = data
    return seen


async def came(house: House, place: Room, ticks: list[Tick]) -> None:
    """Store trades, and publish the candle of the last one."""
    await asyncio.to_thread(house.take, columns(ticks, "A/B"))
    start_us = ticks[-1].time_us // MINUTE_US * MINUTE_US
    await place.publish(candle("A/B", start_us, "5", next(_prices)))


def shown(house: House) -> list[tuple[Any, ...]]:
    rows = house.get("/api/bars/A/B", type="tick:3", **{"from": "0"}).json()["bars"]
    return [tuple(row[name] for name in ("t", "end", "o", "c", "v", "n", "closed")) for row in rows]


def known(bars: Bars) -> list[tuple[Any, ...]]:
    rows = [bars[n] for n in sorted(bars) if bars[n]["n"]]
    return [tuple(row[name] for name in ("t", "end", "o", "c", "v", "n", "closed")) for row in rows]


def test_bars_follow_the_trades_and_are_corrected(
    house: House, servers: dict[str, str], api_url: str
) -> None:
    """A watcher gets the present bars, then each change; a late trade corrects later bars."""
    house.take(columns(market(10), "A/B"))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = place.client(bound=1_000)
            _, snapshot = await client.ask(op="subscribe", channels=[CHANNEL])
            (item,) = snapshot["items"]
            assert (item["data"]["number"], item["data"]["n"]) == (3, 1)
            assert item["data"]["type"] == "tick:3"
            bars: Bars = {3: item["data"]}
            await came(house, place, market(9, first=10))
            await until(client, CHANNEL, bars, lambda: 6 in bars, "number")
            rows = await asyncio.to_thread(shown, house)
            assert known(bars) == rows[3:]
            late = market(1)[0]._replace(time_us=market(5)[4].time_us + 1, number=99, sequence=99)
            before = {number: each["revision"] for number, each in bars.items()}
            await came(house, place, [late])
            rows = await asyncio.to_thread(shown, house)
            seen = await until(client, CHANNEL, bars, lambda: known(bars) == rows[1:], "number")
            assert {each["number"] for each in seen if each["late"]} >= {1, 2, 3}
            assert all(bars[number]["revision"] > before[number] for number in (3, 4, 5, 6))
            place.hub.unsubscribe(client.session.client, [CHANNEL])

    asyncio.run(test())


def test_an_answer_of_another_form_does_not_end_a_channel(
    house: House, servers: dict[str, str], api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that fails unexpectedly is repeated, and the bars that are new are sent.

    It is none of the tries after which bars that lack trades are given up.
    """
    monkeypatch.setattr(live_bars, "_TRIES", 1)
    house.take(columns(market(3), "A/B"))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = place.client(bound=1_000)
            await client.ask(op="subscribe", channels=[CHANNEL])
            read = place.interest.history.bars
            failed = asyncio.Event()

            async def answers_another_form(*arguments: Any) -> Any:
                monkeypatch.setattr(place.interest.history, "bars", read)
                failed.set()
                raise KeyError("bars")

            monkeypatch.setattr(place.interest.history, "bars", answers_another_form)
            ticks = market(3, first=3)
            await asyncio.to_thread(house.take, columns(ticks, "A/B"))
            await place.publish(candle("A/B", ticks[-1].time_us // MINUTE_US * MINUTE_US, "5"))
            bars: Bars = {}
            await until(client, CHANNEL, bars, lambda: 1 in bars, "number")
            assert failed.is_set()

    asyncio.run(test())


@pytest.mark.parametrize("channel", [CHANNEL, "candles:3m:A/B", "indicators:sma:2:1m:A/B"])
def test_a_resume_replays_what_this_replica_computed_and_another_says_that_it_cannot(
    house: House, servers: dict[str, str], api_url: str, channel: str
) -> None:
    """Missed bars, folded candles and indicator values are replayed by the replica that made them,
    with all of the last position; another replica sends a snapshot, and says so. Positions of
    folded candles are the same on all that had a watcher."""
    house.take(columns(market(10), "A/B"))

    async def test() -> None:
        async with (
            room(servers, api_url=api_url) as place,
            room(servers, api_url=api_url, emptied=False) as other,
        ):
            stays, watches = place.client(bound=1_000), other.client(bound=1_000)
            told, _ = await stays.ask(op="subscribe", channels=[channel])
            await watches.ask(op="subscribe", channels=[channel])
            updates = []
            async with asyncio.timeout(60):
                for begin in (10, 16):
                    more = market(6, first=begin)
                    await asyncio.to_thread(house.take, columns(more, "A/B"))
                    start_us = more[-1].time_us // MINUTE_US * MINUTE_US
                    await place.publish(candle("A/B", start_us, "5", time.time_ns() // 1000))
                    updates += [u for u in await stays.read() if u["type"] == "update"]
            assert {each["channel"] for each in updates} == {channel}
            first, last = updates[0]["seq"], updates[-1]["seq"]
            resumed = {"op": "subscribe", "channels": [channel], "stream": told["stream"]}
            for seq in (first, last):
                again, *missed = await place.client(bound=1_000).ask(**resumed, from_seq=seq)
                assert again["replayed"]
                expected = [each for each in updates if each["seq"] >= seq]
                assert [each for each in missed if each in expected] == expected
            async with asyncio.timeout(60):
                while other.hub.seq < place.hub.seq:  # noqa: ASYNC110 - as a client sees it
                    await asyncio.sleep(0.01)
            again, *_ = await other.client(bound=1_000).ask(**resumed, from_seq=last)
            assert again["replayed"] is channel.startswith("candles")
            async with room(servers, api_url=api_url, emptied=False) as new:
                again, snapshot = await new.client(bound=1_000).ask(**resumed, from_seq=last)
                assert not again["replayed"]
                assert snapshot["type"] == "snapshot"
            place.hub.unsubscribe(stays.session.client, [channel])

    asyncio.run(test())


def test_a_late_trade_far_back_in_the_minute_corrects_its_bar(
    house: House, servers: dict[str, str], api_url: str
) -> None:
    """A late trade two hundred bars back is corrected while the symbol goes on trading."""

    def within_a_minute(ticks: list[Tick]) -> list[Tick]:
        begin_us = market(1)[0].time_us
        return [t._replace(time_us=begin_us + (t.time_us - begin_us) // 400) for t in ticks]

    house.take(columns(within_a_minute(market(600)), "A/B"))
    start_us = market(1)[0].time_us

    async def busy(place: Room) -> None:
        while True:
            await place.publish(candle("A/B", start_us, "5", next(_prices)))
            await asyncio.sleep(0.02)

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = place.client(bound=10_000)
            _, snapshot = await client.ask(op="subscribe", channels=[CHANNEL])
            (item,) = snapshot["items"]
            bars: Bars = {item["data"]["number"]: item["data"]}
            more = within_a_minute(market(9, first=600))
            await asyncio.to_thread(house.take, columns(more, "A/B"))
            trading = asyncio.create_task(busy(place))
            await until(client, CHANNEL, bars, lambda: 202 in bars, "number")
            late = more[0]._replace(time_us=start_us + 200_001, number=9_999, sequence=9_999)
            await asyncio.to_thread(house.take, columns([late], "A/B"))
            rows = await asyncio.to_thread(shown, house)
            await until(client, CHANNEL, bars, lambda: known(bars) == rows[1:], "number")
            trading.cancel()
            place.hub.unsubscribe(client.session.client, [CHANNEL])

    asyncio.run(test())


DAY_US = 86_400_000_000


def later(ticks: list[Tick], by_us: int, number: int) -> list[Tick]:
    """The same trades at another time."""
    return [
        each._replace(time_us=each.time_us + by_us, number=number + n, sequence=number + n)
        for n, each in enumerate(ticks)
    ]


Days = dict[tuple[int, int], dict[str, Any]]


@pytest.mark.parametrize("days", ["", "@1700@America/New_York"])
def test_a_late_trade_corrects_the_bars_of_its_own_day(
    house: House, servers: dict[str, str], api_url: str, days: str
) -> None:
    """A late trade of an ended day corrects that day's bars from it on, and their end."""
    channel = f"bars:tick:3{days}:A/B"
    first, second = market(10), later(market(4), DAY_US, 100)
    house.take(columns(first, "A/B"))
    house.take(columns(second, "A/B"))

    def counts(day: int) -> list[int]:
        return [bars[each]["n"] for each in sorted(bars) if each[0] == day]

    bars: Days = {}

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = place.client(bound=1_000)

            async def there(holds: Callable[[], bool]) -> None:
                await until(client, channel, bars, holds, "day", "number")

            _, snapshot = await client.ask(op="subscribe", channels=[channel])
            (item,) = snapshot["items"]
            today = item["data"]["day"]
            assert (item["data"]["number"], item["data"]["n"]) == (1, 1)
            bars[today, 1] = item["data"]
            yesterday = today - DAY_US // 1000
            late = first[4]._replace(time_us=first[4].time_us + 1, number=99, sequence=99)
            await came(house, place, [late])
            await there(lambda: counts(yesterday) == [3, 3, 2, 0])
            assert min(each for each in bars if each[0] == yesterday) == (yesterday, 1)
            (after,) = later([late], 1, 98)
            await came(house, place, [after])  # only those that differ
            await there(lambda: counts(yesterday) == [3, 3, 3, 0])
            before = {each: bars[each]["revision"] for each in bars}
            await came(house, place, later(market(2), DAY_US + 100 * MINUTE_US, 200))
            await there(lambda: counts(today) == [3])
            assert all(bars[each]["revision"] == before[each] for each in before if each[0] < today)
            tomorrow = today + DAY_US // 1000
            await came(house, place, later(market(4), 2 * DAY_US, 300))
            await there(lambda: counts(tomorrow) == [3, 1])
            place.hub.unsubscribe(client.session.client, [channel])

    asyncio.run(test())


def test_a_read_is_of_one_day_and_the_newest_comes_every_other_time(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import of history takes turns with other channels, and with the newest day's bars."""

    async def test() -> None:
        async with room(servers) as place:
            history, days, read = HistoryApi(""), list[int](), list[list[int]]()
            source = LiveBars(CHANNEL, place.hub, history, LADDER[0])

            async def bars(_s: str, _t: str, from_us: int, *_: object) -> tuple[list[Any], None]:
                days.append(from_us // DAY_US)
                return [], None

            async def candles(*_: object) -> list[Candle]:
                return [made]

            monkeypatch.setattr(history, "bars", bars)
            monkeypatch.setattr(history, "candles", candles)
            for day in range(4):
                payload = candle("A/B", day * DAY_US, "5").payload
                made = replace(
                    Candle.from_message(candles_pb2.Candle.FromString(payload)),
                    trade_count=0,
                    volume=Decimal(0),
                    notional=Decimal(0),
                )
                source.take(made, 0)
            for _ in range(4):
                days.clear()
                await source.read()
                source.take(made, 0)
                read.append([*days])
            assert read == [[3], [2], [3], [1]]

    asyncio.run(test())


def test_candles_that_arrive_while_many_bars_are_read_are_not_lost(
    house: House, servers: dict[str, str], api_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Candles that arrive while pages of bars are read are shown; the hub follows the stream."""
    house.take(columns(market(5_600), "A/B"))
    start_us = market(1)[0].time_us // MINUTE_US * MINUTE_US

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            watcher, client = place.client(bound=10_000), place.client(bound=10_000)
            await watcher.ask(op="subscribe", channels=["candles:1m:A/B"])
            begun = asyncio.create_task(
                client.ask(op="subscribe", channels=["bars:tick:1:A/B"])  # 5,600 of them
            )
            sent = 0
            while not begun.done():
                sent += 1
                await place.publish(candle("A/B", start_us, "5", 10**17 + sent))
            assert {each["type"] for each in begun.result()} == {"subscribed", "snapshot"}
            seen: set[int] = set()
            async with asyncio.timeout(60):
                while 10**17 + sent not in seen:
                    frames = await watcher.read()
                    seen |= {each["data"]["revision"] for each in frames if "data" in each}
            place.hub.unsubscribe(client.session.client, ["bars:tick:1:A/B"])
        assert not [each for each in caplog.records if each.name == "functions.live_feed.hub"]

    asyncio.run(test())


def test_bars_of_all_symbols_and_without_history_are_refused(servers: dict[str, str]) -> None:
    """Bars of all symbols, or without a history API, are refused."""

    async def test() -> None:
        for url, channel, why in (
            ("http://127.0.0.1:9", "bars:tick:3:*", "named symbols"),
            ("http://127.0.0.1:9", "bars:cats:3:A", "not a type"),
            ("", CHANNEL, "API_URL"),
        ):
            async with room(servers, api_url=url) as place:
                (refused,) = await place.client().ask(op="subscribe", channels=[channel])
                assert (refused["code"], why in refused["msg"]) == ("bad_channels", True)

    asyncio.run(test())
