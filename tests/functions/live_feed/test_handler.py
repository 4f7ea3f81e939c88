"""Events to the live stream, of candles only the watched ones."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import redis

from functions.live_feed.fanout import Message
from functions.live_feed.handler import LiveHandler
from functions.live_feed.stream import Limits, LiveStream
from shared.adapter.event import Event
from shared.errors import TransientError
from shared.realtime.leases import Leases, Watched
from shared.stores.redis import connect
from shared.wire import events
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from tests.functions.live_feed.conftest import Room
from tests.local.broker.processes import NatsServer, until

Run = Callable[[Callable[[Room], Awaitable[None]]], None]


def test_candles_that_nobody_watches_are_not_published(run: Run, servers: dict[str, str]) -> None:
    """Only watched candles are published, and for a longer fold its base candles."""
    one = Decimal(1)
    made = [
        Candle(name, frame, 0, one, one, one, one, one, one, 1, one, one, 0, 0)
        for name in ("A", "B", "C")
        for frame in ("1m", "5m")
    ]
    client = connect(servers["REDIS_URL"].rsplit("/", 1)[0] + "/2")

    async def test(room: Room) -> None:
        watcher = room.client()
        channels = ["candles:5m:A", "ticks:B", "candles:3m:C"]
        await watcher.ask(op="subscribe", channels=channels)
        show = LiveHandler(room.stream, Watched(client), 2, 50)
        await show(Event("e1", events.CANDLES, "/test", {}, encode_batch(made)))
        assert (await room.stream.state()).messages == 2
        await until(lambda: room.hub.seq >= 2)
        present = {each.channel for each in room.hub.present(["candles:*:*"])}
        assert present == {"candles:1m:C", "candles:5m:A"}

    run(test)
    client.close()


class Noted(LiveStream):
    """Records the first time that an event was not published."""

    def __init__(self, url: str) -> None:
        super().__init__(url, Limits())
        self.failed = asyncio.Event()

    async def publish(
        self, event_id: str, messages: Sequence[Message], *, first_seq: int | None = None
    ) -> None:
        try:
            await super().publish(event_id, messages)
        except TransientError:
            self.failed.set()
            raise


def test_an_event_outlives_a_restart_of_nats(valkey: redis.Redis, tmp_path: Path) -> None:
    """An event is published once after a restart of NATS, however often it is redelivered."""
    server = NatsServer(tmp_path)
    server.start()

    async def test() -> None:
        stream = Noted(server.url)
        Leases(valkey, 2).renew(["candles:1m:A"], 0)
        show = LiveHandler(stream, Watched(valkey), 2, 50)
        await show(event("e0"))
        server.stop(signal.SIGKILL)
        first = asyncio.create_task(show(event("e1")))
        await asyncio.wait_for(stream.failed.wait(), 30)
        again = asyncio.create_task(show(event("e1")))
        await asyncio.to_thread(server.start)
        await asyncio.wait_for(asyncio.gather(first, again), 60)
        assert (await stream.state()).messages == 2
        await stream.close()

    try:
        asyncio.run(test())
    finally:
        server.stop()


def event(id_: str) -> Event:
    """A watched candle."""
    one = Decimal(1)
    made = Candle("A", "1m", 0, one, one, one, one, one, one, 1, one, one, 0, 0)
    found = replace(made, revision=int(id_[1:]))
    return Event(id_, events.CANDLES, "/test", {}, encode_batch([found]))
