"""Events to the live stream: of candles only what somebody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

from functions.live_feed.handler import Show
from shared import events
from shared.adapter.event import Event
from shared.candle import Candle
from shared.candle_columns import encode_batch
from shared.stores.redis import connect
from shared.watched import Watched
from tests.functions.live_feed.conftest import Room

Run = Callable[[Callable[[Room], Awaitable[None]]], None]


def test_candles_that_nobody_watches_are_not_published(run: Run, servers: dict[str, str]) -> None:
    """Another timeframe, another symbol; a longer one that is folded is made of the base."""
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
        show = Show(room.stream, Watched(client), 2, 50)
        await show(Event("e1", events.CANDLES, "/test", {}, encode_batch(made)))
        assert (await room.stream.state()).messages == 2
        async with asyncio.timeout(10):
            while room.hub.seq < 2:  # noqa: ASYNC110 - seen as a client would
                await asyncio.sleep(0.005)
        present = {each.channel for each in room.hub.present(["candles:*:*"])}
        assert present == {"candles:1m:C", "candles:5m:A"}

    run(test)
    client.close()
