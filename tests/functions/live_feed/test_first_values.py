"""The first values of a watcher are the present ones, and one that fails delays no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from functions.live_feed import interest
from local.servers.ports import free_port
from shared.errors import TransientError
from shared.wire.candle import Candle
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import columns
from tests.functions.live_feed.conftest import Client, candle, room
from tests.functions.live_feed.test_live_bars import api_url, house, market
from tests.local.feeds.receivers import Answer, http_receiver

__all__ = ["api_url", "house"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed at once."""
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)


async def updates_of(client: Client, channel: str) -> list[dict[str, Any]]:
    """Return the first updates of a channel."""
    async with asyncio.timeout(60):
        while not (found := [f for f in await client.read() if f.get("channel") == channel]):
            pass
    return found


@pytest.mark.parametrize("watched", ["ticks:A/B", "ticks:*"])
@pytest.mark.parametrize("timeframe", ["1m", "5m"])
def test_a_candle_that_nobody_watched_is_read_again(
    house: House,
    servers: dict[str, str],
    api_url: str,
    monkeypatch: pytest.MonkeyPatch,
    watched: str,
    timeframe: str,
) -> None:
    """The snapshot has the stored state of a candle, not the last one that was published.

    Its trades were watched all the time; its candles were not when it was corrected.
    """
    monkeypatch.setattr(interest, "_RELOAD_S", ())
    *first, corrected, last = market(9)
    channel = f"candles:{timeframe}:A/B"
    house.take(columns(first, "A/B"))

    def newest() -> dict[str, Any]:
        (row,) = house.get("/api/candles/A/B", timeframe=timeframe, limit="1").json()["candles"]
        return dict(row)

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            await place.client().ask(op="subscribe", channels=[watched])
            begun = await asyncio.to_thread(newest)
            outdated = candle("A/B", begun["t"] * 1000, "5", begun["revision"] + 1)
            await place.publish(outdated._replace(channel=channel))
            for each in (corrected, last):
                await asyncio.to_thread(house.take, columns([each], "A/B"))
            stored = await asyncio.to_thread(newest)
            assert stored["t"] == begun["t"]
            assert stored["revision"] > begun["revision"] + 1
            _, snapshot = await place.client().ask(op="subscribe", channels=[channel])
            (item,) = snapshot["items"]
            assert (item["data"]["n"], item["data"]["c"]) == (stored["n"], stored["c"])

    asyncio.run(test())


def test_a_first_value_that_cannot_be_read_delays_no_other(
    house: House, servers: dict[str, str], api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While reads of one symbol fail, watchers get the others; it follows once it can be read."""
    for symbol in ("A/B", "C/D"):
        house.take(columns(market(10), symbol))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            newest, fails = place.interest.history.newest, True

            async def some(symbol: str, timeframe: str) -> Candle | None:
                if fails and symbol == "C/D":
                    raise TransientError("it cannot be read")
                return await newest(symbol, timeframe)

            monkeypatch.setattr(place.interest.history, "newest", some)
            channels = [f"candles:{each}" for each in ("3m:C/D", "5m:C/D", "3m:A/B", "5m:A/B")]
            client = place.client()
            _, snapshot = await client.ask(op="subscribe", channels=channels)
            assert {each["channel"] for each in snapshot["items"]} == set(channels[2:])
            fails = False
            await updates_of(client, "candles:5m:C/D")

    asyncio.run(test())


@pytest.mark.parametrize("answers", [False, True])
def test_an_api_that_is_away_costs_one_timeout(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """A pass over many channels ends at the first read that nobody answers, or that gets 503."""
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 60.0)

    async def test() -> None:
        with http_receiver() as away:
            away.otherwise = Answer(503)
            await loads(away.url if answers else f"http://127.0.0.1:{free_port()}")

    async def loads(url: str) -> None:
        async with room(servers, api_url=url) as place:
            get, asked = place.interest.history._get, list[str]()

            async def counted(path: str, query: dict[str, Any]) -> Any:
                asked.append(path)
                return await get(path, query)

            monkeypatch.setattr(place.interest.history, "_get", counted)
            channels = [f"candles:{each}:{symbol}" for each in ("3m", "5m") for symbol in "ABC"]
            _, snapshot = await place.client().ask(op="subscribe", channels=channels)
            assert snapshot["items"] == []
            assert len(asked) == 1

    asyncio.run(test())
