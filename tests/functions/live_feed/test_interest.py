"""Leases of watched instruments last as long as somebody watches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import nats
import pytest
import redis

from functions.live_feed import initial_values, interest, stream
from shared.errors import TransientError
from shared.market import trading_days
from shared.market.calendar_timeframes import timeframe_of
from shared.realtime.channels import ChannelError
from shared.runtime.tasks import end
from tests.functions.live_feed.conftest import Room
from tests.local.broker.processes import until

Run = Callable[[Callable[[Room], Awaitable[None]]], None]


@pytest.mark.parametrize("answers", [True, False])
def test_leases_are_renewed_while_nats_does_not_list_its_clients(
    run: Run, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """During a NATS outage the watchers' leases are renewed."""
    store = redis.Redis.from_url(servers["REDIS_URL"].rsplit("/", 1)[0] + "/2")
    monkeypatch.setattr(interest, "_EXTERNAL_S", 0.1)

    def leased() -> bool:
        return any(store.exists(f"{{{shard}}}:watched") for shard in range(2))

    async def away() -> set[str]:
        if not answers:
            await asyncio.Event().wait()
        raise TransientError("NATS is away")

    async def test(room: Room) -> None:
        room.interest.external = away
        client = room.client()
        await client.ask(op="subscribe", channels=["ticks:A"])
        assert leased()
        store.flushdb()  # they have expired
        await until(leased)

    run(test)
    store.close()


@pytest.mark.parametrize("failing", ["external", "renew"])
def test_leases_are_renewed_after_an_unexpected_failure(
    run: Run, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """An error that nobody foresaw ends one renewal of the leases, not all that follow."""
    store = redis.Redis.from_url(servers["REDIS_URL"].rsplit("/", 1)[0] + "/2")
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)

    def leased() -> bool:
        return any(store.exists(f"{{{shard}}}:watched") for shard in range(2))

    async def test(room: Room) -> None:
        await room.client().ask(op="subscribe", channels=["ticks:A"])
        part = room.interest if failing == "external" else room.interest.leases
        done, failed = getattr(part, failing), list[str]()

        def fails_once(*names: object) -> object:
            if not failed:
                failed.append(failing)
                raise KeyError("unforeseen")
            return done(*names)

        monkeypatch.setattr(part, failing, fails_once)
        await until(lambda: bool(failed))
        store.flushdb()  # they have expired
        await until(leased)

    run(test)
    store.close()


def test_a_listing_of_nats_clients_that_is_given_up_leaves_no_subscription(run: Run) -> None:
    """Else each listing during an outage would leave one on the connection of all clients."""

    async def test(room: Room) -> None:
        await room.stream.watched()
        connection = room.stream._client
        assert connection is not None
        before = len(connection._subs)
        listing = asyncio.create_task(room.stream.watched())
        async with asyncio.timeout(60):
            while len(connection._subs) == before:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
        await end(listing)
        assert len(connection._subs) == before

    run(test)


def test_every_watcher_on_nats_is_seen(
    run: Run, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NATS lists its clients page by page: those of later pages are leased too."""
    monkeypatch.setattr(stream, "_PAGE", 2)

    async def test(room: Room) -> None:
        watchers = [await nats.connect(servers["NATS_URL"]) for _ in range(5)]
        for number, each in enumerate(watchers):
            await each.subscribe(f"live.ticks.-.PAGED{number}")
            await each.flush()
        seen = await room.stream.watched()
        for each in watchers:
            await each.close()
        assert seen >= {f"PAGED{number}" for number in range(5)}

    run(test)


def test_candles_of_a_calendar_can_be_subscribed_to(run: Run) -> None:
    """Candles of a zone, session or exchange can be subscribed to; `7d` is refused for `1w`."""

    async def test(room: Room) -> None:
        good = ["1M", "1y", "1d@America/New_York", "4h@1700@America/New_York", "1w@XNYS"]
        channels = [f"candles:{each}:A" for each in good]
        client = room.client()
        await client.ask(op="subscribe", channels=channels)
        assert room.hub.wanted == set(channels)
        for bad, why in (("7d", "1w begins on Mondays"), ("1d@NOWHERE", "NOWHERE"), ("8d", "long")):
            with pytest.raises(ChannelError, match=why):
                room.interest.check(f"candles:{bad}:A")

    run(test)


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that load a calendar, which all fail."""
    threads: list[str] = []

    def fail(*_: object, **__: object) -> bytes:
        threads.append(threading.current_thread().name)
        raise OSError("no process")

    monkeypatch.setattr("subprocess.check_output", fail)
    monkeypatch.setattr(trading_days, "_schedules", {})
    timeframe_of.cache_clear()
    return threads


@pytest.mark.parametrize(
    "request_",
    [
        {"op": "subscribe", "channels": ["ticks:B", "candles:1d@XNYS:A"]},
        {"op": "subscribe", "channels": ["ticks:B", "candles:1d@XNYS:A@B"]},
        {"op": "replay", "channels": ["candles:1d@XNYS:A"], "from": "2026-11-27T14Z"},
    ],
)
def test_a_calendar_that_cannot_be_loaded_is_an_error_of_its_channel(
    run: Run, unloaded: list[str], request_: dict[str, Any]
) -> None:
    """A failed load, in a thread of its own, is an error of the channel; the client stays."""

    async def test(room: Room) -> None:
        client = room.client()
        (frame,) = await client.ask(**request_)
        assert (frame["type"], frame["code"]) == ("error", "bad_channels")
        assert request_["channels"][-1] in frame["msg"]
        assert "the sessions of XNYS cannot be loaded" in frame["msg"]
        assert unloaded
        assert threading.main_thread().name not in unloaded
        assert [each["type"] for each in await client.ask(op="ping")] == ["pong"]

    run(test)


def test_an_instrument_called_like_a_channel_does_not_stop_the_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values are re-read also while somebody watches an instrument named `candles`."""
    monkeypatch.setattr(initial_values, "_RELOAD_S", (0.0, 60.0))

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["ticks:candles", "ticks:A"])
        (read,) = {room.interest._initial._read_as[name] for name in ("candles", "A")}
        source = room.interest.reads._channels[read].source
        await until(lambda: 0 < source.due_s() < 60)

    run(test)
