"""Folded candles are settled beside all other reads, and only while they are watched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from functions.live_feed import initial_values, interest
from functions.live_feed.derived import live_candles
from functions.live_feed.derived.history_api import HistoryApi, NoAnswerError
from functions.live_feed.derived.live_candles import LiveCandles
from functions.live_feed.fanout import Message
from shared.errors import TransientError
from shared.market.timeframes import Timeframe
from shared.schema import candles_pb2
from shared.wire.candle import Candle
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import columns
from tests.functions.live_feed.conftest import LADDER, Client, Room, candle, room
from tests.functions.live_feed.test_live_bars import MINUTE_US, api_url, house, market
from tests.local.broker.processes import until

__all__ = ["api_url", "house"]

SLOW, OTHER = "candles:3m:A/B", "candles:2m:A/B"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads follow each other at once."""
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)
    monkeypatch.setattr(live_candles, "_EACH_S", 0.05)


class Reads:
    """Reads of 3m candles from the history API that wait, or fail; the candles have ended."""

    def __init__(
        self,
        place: Room,
        monkeypatch: pytest.MonkeyPatch,
        problem: type[TransientError] | None = None,
    ) -> None:
        self.begun, self.others, self.go_on = (asyncio.Event() for _ in range(3))
        candles = place.interest.history.candles

        async def held(
            symbol: str, timeframe: str, from_us: int, to_us: int | None = None
        ) -> list[Candle]:
            if timeframe == "3m":
                self.begun.set()
                if problem is not None:
                    raise problem("it cannot be read")
                await self.go_on.wait()
            elif self.begun.is_set():
                self.others.set()
            found = await candles(symbol, timeframe, from_us, to_us)
            return [replace(each, closed=True) for each in found]

        monkeypatch.setattr(place.interest.history, "candles", held)


async def watching(place: Room, house: House, channels: Iterable[str]) -> Client:
    await asyncio.to_thread(house.take, columns(market(10), "A/B"))
    client = place.client(bound=1_000)
    await client.ask(op="subscribe", channels=list(channels))
    return client


def changed(revision: int = 1) -> Message:
    """A state of the first minute, whose longer candles are over."""
    return candle("A/B", market(1)[0].time_us // MINUTE_US * MINUTE_US, "5", revision)


def test_a_symbol_without_a_candle_is_read_ever_more_rarely(servers: dict[str, str]) -> None:
    """Folded candles of such a symbol leave the reads to others, until a candle comes."""

    async def test() -> None:
        async with room(servers) as place:
            frame = Timeframe.parse("3m")
            source = LiveCandles(SLOW, frame, place.hub, HistoryApi(""), LADDER)
            await source.begin()
            due_s = [source.due_s()]
            for _ in range(12):
                await source.read()
                due_s.append(source.due_s())
            expected = [min(0.05 * 2**n, 64) for n in range(13)]
            assert due_s == pytest.approx(expected, abs=0.02)
            source.take(Candle.from_message(candles_pb2.Candle.FromString(changed().payload)), 0)
            assert source.due_s() <= 0.05

    asyncio.run(test())


@pytest.mark.parametrize("problem", [TransientError, NoAnswerError])
def test_a_candle_that_cannot_be_read_does_not_keep_others_from_being_settled(
    house: House,
    servers: dict[str, str],
    api_url: str,
    monkeypatch: pytest.MonkeyPatch,
    problem: type[TransientError],
) -> None:
    """A channel whose read fails is tried again later; the others are read meanwhile."""

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            await watching(place, house, [SLOW, OTHER])
            reads = Reads(place, monkeypatch, problem)
            await place.publish(changed())
            await asyncio.wait_for(reads.begun.wait(), 60)
            await place.publish(changed(2))
            await asyncio.wait_for(reads.others.wait(), 60)

    asyncio.run(test())


def test_first_values_are_read_again_while_a_candle_is_settled(
    house: House, servers: dict[str, str], api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow read of a candle that is settled does not delay reads of the present."""
    monkeypatch.setattr(initial_values, "_RELOAD_S", tuple(n / 10 for n in range(600)))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            await watching(place, house, [SLOW, "ticks:A/B"])
            reads = Reads(place, monkeypatch)
            await place.publish(changed())
            await asyncio.wait_for(reads.begun.wait(), 60)
            read_again, get = asyncio.Event(), place.interest.history._get

            async def noted(path: str, query: dict[str, Any]) -> Any:
                if path == "/api/overview":
                    read_again.set()
                return await get(path, query)

            monkeypatch.setattr(place.interest.history, "_get", noted)
            await asyncio.wait_for(read_again.wait(), 60)
            assert not reads.go_on.is_set()

    asyncio.run(test())


def test_a_folded_channel_is_forgotten_with_its_last_watcher(
    house: House, servers: dict[str, str], api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candle being settled when the last watcher leaves is not published: NATS would get it."""

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            client = await watching(place, house, [SLOW])
            reads = Reads(place, monkeypatch)
            await place.publish(changed())
            await asyncio.wait_for(reads.begun.wait(), 60)
            settling = place.interest.reads._tasks[SLOW]
            place.hub.unsubscribe(client.session.client, [SLOW])
            await until(lambda: SLOW not in place.hub.derived)
            assert place.hub.present([SLOW]) == []
            reads.go_on.set()
            await until(settling.done)
            assert place.hub.present([SLOW]) == []

    asyncio.run(test())
