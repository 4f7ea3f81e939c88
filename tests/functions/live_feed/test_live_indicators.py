"""Live indicator values equal those of the history API as candles grow, close and change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.runtime.tasks import end
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, columns, generated
from tests.functions.live_feed.conftest import candle, room
from tests.functions.live_feed.test_live_bars import MINUTE_US, api_url, came, house, until

__all__ = ["api_url", "house"]

CHANNEL = "indicators:sma:3:1m:A/B"
Values = dict[int, dict[str, Any]]


def market(first: int, count: int) -> list[Tick]:
    """A trade a minute."""
    start_us = 1_600_050_000_000_000
    return [
        tick._replace(
            time_us=start_us + (first + n) * MINUTE_US,
            source="u",
            price_scale=2,
            number=first + n,
            kind=1,
            text="",
            sequence=first + n,
        )
        for n, tick in enumerate(generated(first + 3, count))
    ]


def rows(house: House, timeframe: str, name: str) -> dict[int, dict[str, Any]]:
    """The values of the history API by time."""
    answer = house.get("/api/candles/A/B", timeframe=timeframe, indicators=name, limit="1000")
    return {each["t"]: each["indicators"] for each in answer.json()["candles"]}


@pytest.mark.parametrize(
    ("channel", "timeframe", "name"),
    [
        (CHANNEL, "1m", "sma:3"),
        ("indicators:macd:3:5:2:2m:A/B", "2m", "macd:3:5:2"),  # folded for the watcher
    ],
)
def test_values_follow_the_candles_and_are_corrected(
    house: House, servers: dict[str, str], api_url: str, channel: str, timeframe: str, name: str
) -> None:
    """A watcher gets the newest values, then each change; a late trade corrects later values."""
    house.take(columns(market(0, 20), "A/B"))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = place.client(bound=1_000)
            _, snapshot = await client.ask(op="subscribe", channels=[channel])
            (item,) = snapshot["items"]
            before = await asyncio.to_thread(rows, house, timeframe, name)
            newest = max(before)
            assert item["data"]["t"] == newest
            assert item["data"]["values"] == before[newest]
            assert (item["data"]["symbol"], item["data"]["timeframe"]) == ("A/B", timeframe)
            values: Values = {newest: item["data"]}
            for n in range(20, 24):
                await came(house, place, market(n, 1))
            after = await asyncio.to_thread(rows, house, timeframe, name)
            fresh = [each for each in after if each >= newest]

            def same() -> bool:
                return all(each in values and values[each]["values"] == now[each] for each in fresh)

            now = after
            await until(client, channel, values, same, "t")
            late = market(23, 1)[0]._replace(
                time_us=market(21, 1)[0].time_us + 1, number=99, sequence=99, price=777
            )
            await came(house, place, [late])
            now = await asyncio.to_thread(rows, house, timeframe, name)
            assert now != after
            await until(client, channel, values, same, "t")
            place.hub.unsubscribe(client.session.client, [channel])

    asyncio.run(test())


def test_a_late_trade_far_back_corrects_the_newest_value(
    house: House, servers: dict[str, str], api_url: str
) -> None:
    """A late trade far back corrects the newest VWAP, of more candles than one read has."""
    channel = "indicators:vwap:1m:A/B"
    house.take(columns(market(0, 620), "A/B"))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = place.client(bound=10_000)
            _, snapshot = await client.ask(op="subscribe", channels=[channel])
            (item,) = snapshot["items"]
            newest = item["data"]["t"]
            late = market(5, 1)[0]
            late = late._replace(time_us=late.time_us + 1, number=9_999, sequence=9_999, price=777)
            await asyncio.to_thread(house.take, columns([late], "A/B"))
            now = await asyncio.to_thread(rows, house, "1m", "vwap")
            assert now[newest] != item["data"]["values"]
            start_us = late.time_us // MINUTE_US * MINUTE_US
            await place.publish(candle("A/B", start_us, "5", 1_000))
            values: Values = {}

            def is_corrected() -> bool:
                return newest in values and values[newest]["values"] == now[newest]

            await until(client, channel, values, is_corrected, "t")
            place.hub.unsubscribe(client.session.client, [channel])

    asyncio.run(test())


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ("indicators:cats:3:1m:A", "there is no indicator"),
        ("indicators:sma:1m:A", "a period"),
        ("indicators:sma:3:A", "such as indicators:macd:12:26:9:1m:BTC-USD"),
        ("indicators:sma:3:1m:*", "of a named symbol"),
        ("indicators:sma:3:7s:A", "not made"),
    ],
)
def test_an_invalid_indicator_is_refused(
    servers: dict[str, str], channel: str, reason: str
) -> None:
    """An invalid indicator is refused with a valid example."""

    async def test() -> None:
        async with room(servers, api_url="http://127.0.0.1:9") as place:
            client = place.client()
            (answer,) = await client.ask(op="subscribe", channels=[channel])
            assert answer["code"] == "bad_channels"
            assert reason in answer["msg"]

    asyncio.run(test())


@pytest.mark.parametrize("channel", [CHANNEL, "bars:tick:5:A/B"])
def test_a_watcher_who_leaves_at_once_stops_no_channel(
    house: House, servers: dict[str, str], api_url: str, channel: str
) -> None:
    """Whoever watches after a client that left before the first value gets values and changes."""
    house.take(columns(market(0, 20), "A/B"))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            first = asyncio.create_task(place.client().session.subscribe([channel], None))
            while channel not in place.hub.derived:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0)
            await end(first)
            client = place.client(bound=1_000)
            _, snapshot = await client.ask(op="subscribe", channels=[channel])
            (item,) = snapshot["items"]
            await asyncio.to_thread(house.take, columns(market(20, 1), "A/B"))
            await place.publish(
                candle("A/B", market(20, 1)[0].time_us // MINUTE_US * MINUTE_US, "5")
            )
            values: Values = {}
            newest = item["data"]["t"]
            await until(client, channel, values, lambda: max(values, default=0) > newest, "t")

    asyncio.run(test())
