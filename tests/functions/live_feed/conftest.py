"""A hub over a real stream, emptied for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import nats
import nats.js.errors
import orjson
import pytest

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.fanout import Message
from functions.live_feed.hub import Hub
from functions.live_feed.interest import Interest
from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.replica import ClientSlots, Replica
from functions.live_feed.protocols.session import Session, SessionLimits
from functions.live_feed.replays.replay import Replays
from functions.live_feed.stream import Limits, LiveStream
from shared.market.timeframes import parse_ladder
from shared.realtime import channels as live
from shared.realtime.leases import Leases
from shared.schema import live_pb2
from shared.stores.redis import connect
from shared.wire.candle import Candle
from tests.local.broker.processes import until

LADDER = parse_ladder("1m,5m")
_numbers = itertools.count()


class Room:
    """One replica, with publishers and clients."""

    def __init__(self, hub: Hub, stream: LiveStream, interest: Interest) -> None:
        self.hub = hub
        self.stream = stream
        self.interest = interest

    async def publish(self, *messages: Message, event_id: str = "") -> None:
        """Publish an event; return when the hub has it."""
        await self.stream.publish(event_id or f"e{next(_numbers)}", messages)
        last_seq = (await self.stream.state()).last_seq  # a replica may republish besides
        await until(lambda: self.hub.seq >= last_seq)

    def client(self, form: Form = Form.JSON, bound: int = 100, **limits: float) -> Client:
        return Client(self.replica(bound, **limits).session(form))  # type: ignore[arg-type]

    def replica(self, bound: int = 100, max_clients: int = 10, **limits: float) -> Replica:
        what = SessionLimits(**limits)  # type: ignore[arg-type]
        replays = Replays(self.interest.history, LADDER, 2)
        return Replica(self.hub, self.interest, ClientSlots(max_clients), replays, bound, what)


class Client:
    """A session without a network."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def ask(self, **request: object) -> list[dict[str, Any]]:
        await self.session.receive(orjson.dumps(request))
        return await self.read()

    async def read(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            return [orjson.loads(frame) for frame in await self.session.client.next()]


def tick(symbol: str, price: str, time_us: int = 0) -> Message:
    """A live tick; among those of one time a later call gives a later tick."""
    payload = live_pb2.LiveTick(
        *(), symbol=symbol, exact_price=price, size="1", time_us=time_us, sequence=next(_numbers)
    )
    return Message(f"ticks:{symbol}", payload.SerializeToString())


def candle(symbol: str, start_us: int, close: str, revision: int = 1) -> Message:
    """A live one-minute candle."""
    price = Decimal(close)
    made = Candle(
        *(symbol, "1m", start_us, price, price, price, price, Decimal(1), price, 1),
        *(Decimal(0), Decimal(0), start_us, start_us),
        revision=revision,
    )
    return Message(f"candles:1m:{symbol}", made.to_message().SerializeToString())


@pytest.fixture
def run(servers: dict[str, str]) -> Callable[[Callable[[Room], Awaitable[None]]], None]:
    """Runs a test's coroutine with a room on empty streams."""

    def running(test: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            async with room(servers) as made:
                await test(made)

        asyncio.run(inside())

    return running  # type: ignore[return-value]


@asynccontextmanager
async def room(
    servers: dict[str, str],
    *,
    remembered: int = 100,
    emptied: bool = True,
    api_url: str = "",
    latest_age_s: float = 0.0,
) -> AsyncIterator[Room]:
    """A replica on the streams, emptied first."""
    url = servers["NATS_URL"]
    if emptied:
        await forget(url)
    limits = Limits(latest_age_s=latest_age_s)
    stream = LiveStream(url, limits)
    hub = Hub(LiveStream(url, limits), remembered, latest_age_s)
    client = connect(servers["REDIS_URL"].rsplit("/", 1)[0] + "/2")
    if emptied:
        client.flushdb()
    interest = Interest(hub, Leases(client, 2), HistoryApi(api_url), LADDER, until_emitted_s=0.0)
    try:
        await hub.ready()
        yield Room(hub, stream, interest)
    finally:
        await interest.close()
        await hub.close()
        client.close()
        await stream.close()


async def forget(url: str) -> None:
    """Delete both streams."""
    client = await nats.connect(url)
    for name in (live.LATEST_STREAM, live.STREAM):
        with suppress(nats.js.errors.NotFoundError):
            await client.jetstream().delete_stream(name)
    await client.close()


async def mirrored(url: str, seq: int) -> None:
    """Return once the mirror of the newest messages has all up to that seq."""
    client = await nats.connect(url)
    async with asyncio.timeout(60):
        while True:
            info = await client.jetstream().stream_info(live.LATEST_STREAM)
            if info.state.last_seq >= seq:
                break
            await asyncio.sleep(0.05)
    await client.close()


async def last_is(url: str, message: Message) -> None:
    """Return once the mirror's last message of the subject is this one."""
    client = await nats.connect(url)
    async with asyncio.timeout(60):
        while True:
            with suppress(nats.js.errors.NotFoundError):
                stream = client.jetstream()
                last = await stream.get_last_msg(
                    live.LATEST_STREAM, live.subject_of(message.channel)
                )
                if last.data == message.payload:
                    break
            await asyncio.sleep(0.02)
    await client.close()
