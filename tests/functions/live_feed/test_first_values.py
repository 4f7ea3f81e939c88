"""The first values of a watcher are the present ones, and one that fails delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from functions.live_feed import history_reads, initial_values, interest
from functions.live_feed.derived.history_api import NoAnswerError
from functions.live_feed.fanout import Message
from local.servers.ports import free_port
from shared.errors import TransientError
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import columns
from tests.functions.live_feed.conftest import Client, Room, candle, mirrored, room, tick
from tests.functions.live_feed.test_live_bars import api_url, house, market
from tests.local.broker.processes import until
from tests.local.feeds.receivers import Answer, http_receiver

__all__ = ["api_url", "house"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed at once."""
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)


async def updates_of(client: Client, channels: set[str]) -> None:
    """Return once each channel has been updated."""
    async with asyncio.timeout(60):
        while channels:
            channels = channels - {each.get("channel") for each in await client.read()}


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
    monkeypatch.setattr(initial_values, "_RELOAD_S", ())
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


def fail_for(
    place: Room,
    monkeypatch: pytest.MonkeyPatch,
    failing: set[str],
    problem: type[TransientError],
) -> None:
    """Let the reads of some symbols fail."""
    get = place.interest.history._get

    async def some(path: str, query: dict[str, Any]) -> Any:
        if any(quote(each) in path or each in query.get("symbol", ()) for each in failing):
            raise problem("it cannot be read")
        return await get(path, query)

    monkeypatch.setattr(place.interest.history, "_get", some)


CHANNELS = [
    *("candles:3m:C/D", "candles:5m:C/D", "bars:tick:3:C/D", "ticks:C/D"),
    *("candles:3m:A/B", "candles:5m:A/B", "bars:tick:3:A/B", "ticks:A/B"),
]
"""First those of a symbol that cannot be read, then the others."""


def test_a_state_published_before_the_lease_gives_way_to_the_stored_one(
    servers: dict[str, str],
) -> None:
    """A state from before the lease is outdated, whenever it was republished.

    A replica that started after that read only the republished message.
    """

    async def test() -> None:
        outdated, stored = candle("A", 0, "1", revision=1), candle("A", 0, "2", revision=2)
        async with room(servers) as first:
            await first.publish(outdated)
            first_seq = first.hub.seq
            await first.publish(tick("B", "1"))
            leased = first.hub.seq
            await first.stream.publish("newest/1", [outdated], first_seq=first_seq)
            await mirrored(servers["NATS_URL"], leased + 1)
        async with room(servers, emptied=False) as second:
            second.hub.take_history(stored, leased)
            (update,) = second.hub.present([stored.channel])
            assert update.payload == stored.payload

    asyncio.run(test())


@pytest.mark.parametrize("problem", [TransientError, NoAnswerError])
def test_a_first_value_that_cannot_be_read_delays_no_other(
    house: House,
    servers: dict[str, str],
    api_url: str,
    monkeypatch: pytest.MonkeyPatch,
    problem: type[TransientError],
) -> None:
    """While reads of one symbol fail, watchers get the others; it follows once it can be read.

    Also where each of its reads takes as long as if nothing answered at all.
    """
    monkeypatch.setattr(initial_values, "_NAMES_A_REQUEST", 1)
    for symbol in ("A/B", "C/D"):
        house.take(columns(market(10), symbol))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            failing = {"C/D"}
            fail_for(place, monkeypatch, failing, problem)
            client = place.client()
            _, snapshot = await client.ask(op="subscribe", channels=CHANNELS)
            shown = {each["channel"] for each in snapshot["items"]}
            assert shown == set(CHANNELS[4:])
            failing.clear()
            await updates_of(client, set(CHANNELS[:4]))

    asyncio.run(test())


def test_symbols_that_get_no_answer_do_not_keep_others_from_being_read_again(
    house: House, servers: dict[str, str], api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage every symbol begins but those whose reads still get no answer."""
    monkeypatch.setattr(initial_values, "_NAMES_A_REQUEST", 1)
    house.take(columns(market(10), "A/B"))
    slow = [each.replace("C/D", f"{n}/D") for n in range(3) for each in CHANNELS[:4]]

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            failing = {"A/B", "0/D", "1/D", "2/D"}
            fail_for(place, monkeypatch, failing, NoAnswerError)
            client = place.client()
            _, snapshot = await client.ask(op="subscribe", channels=[*slow, *CHANNELS[4:]])
            assert snapshot["items"] == []
            failing.discard("A/B")
            await updates_of(client, set(CHANNELS[4:]))

    asyncio.run(test())


def test_a_later_read_that_fails_is_repeated(
    house: House, servers: dict[str, str], api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that may have been on its way to storage is read again until a read succeeds."""
    monkeypatch.setattr(initial_values, "_RELOAD_S", (0.0,))

    async def test() -> None:
        async with room(servers, api_url=api_url) as place:
            present, reads, repeated = place.interest.history.present, 0, asyncio.Event()

            async def fails_once(names: Sequence[str], base: str) -> list[Message]:
                nonlocal reads
                reads += 1
                if reads == 2:
                    raise TransientError("it cannot be read")
                if reads == 3:
                    repeated.set()
                return await present(names, base)

            monkeypatch.setattr(place.interest.history, "present", fails_once)
            await place.client().ask(op="subscribe", channels=["ticks:A/B"])
            await asyncio.wait_for(repeated.wait(), 60)

    asyncio.run(test())


def test_a_symbol_without_an_answer_takes_one_place_of_first_values(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored and folded candles, and bars, of a symbol are read one after the other."""
    monkeypatch.setattr(history_reads, "_PATIENCE_S", 0.5)

    async def test() -> None:
        async with room(servers, api_url="http://127.0.0.1:9") as place:
            asked = list[str]()

            async def silent(path: str, query: dict[str, Any]) -> Any:
                asked.append(path)
                await asyncio.Event().wait()

            monkeypatch.setattr(place.interest.history, "_get", silent)
            await place.client().ask(op="subscribe", channels=CHANNELS[:4])
            assert sorted(asked) == ["/api/candles/C/D", "/api/overview"]

    asyncio.run(test())


def test_values_without_a_lease_are_read_again_at_one_pace(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away nothing failed at the history API: its growing pauses do not apply."""
    monkeypatch.setattr(history_reads, "_PAUSE_S", 600.0)
    monkeypatch.setattr(initial_values, "_RELOAD_S", (0.01, 30.0))

    async def test() -> None:
        async with room(servers, api_url="http://127.0.0.1:9") as place:
            renew, reads = place.interest.leases.renew, 0

            def away(names: set[str], seq: int) -> dict[str, int]:
                raise TransientError("Redis is away")

            async def present(names: Sequence[str], base: str) -> list[Message]:
                nonlocal reads
                reads += 1
                return []

            monkeypatch.setattr(place.interest.leases, "renew", away)
            monkeypatch.setattr(place.interest.history, "present", present)
            await place.client().ask(op="subscribe", channels=["ticks:A/B"])
            await until(lambda: reads >= 3)
            monkeypatch.setattr(place.interest.leases, "renew", renew)
            (values,) = [each.source for each in place.interest.reads._channels.values()]
            await until(lambda: 1 < values.due_s() <= 30)

    asyncio.run(test())


@pytest.mark.parametrize("answers", [False, True])
def test_an_api_that_is_away_does_not_cost_one_timeout_a_channel(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """All wait once nothing accepts connections, or two get 503; 16 are read at once.

    The first of them without an answer frees a place for one more, until another has none.
    """
    monkeypatch.setattr(history_reads, "_PAUSE_S", 600.0)

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
            channels = [f"candles:{each}:{symbol}" for each in ("3m", "5m") for symbol in range(20)]
            _, snapshot = await place.client().ask(op="subscribe", channels=channels)
            assert snapshot["items"] == []
            assert 1 + answers <= len(asked) <= 17

    asyncio.run(test())
