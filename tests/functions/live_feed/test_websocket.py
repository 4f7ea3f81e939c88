"""The WebSocket and the event stream over a real server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from functions.live_feed.protocols.replica import ClientSlots
from functions.live_feed.protocols.sse import sse_endpoint
from functions.live_feed.protocols.websocket import (
    CODE_LATER,
    CODE_SLOW,
    CODE_TOO_LARGE,
    websocket_endpoint,
)
from shared.runtime import metrics
from shared.schema import live_pb2
from tests.functions.live_feed.conftest import Room, candle, tick
from tests.local.broker.processes import until

Run = Callable[[Callable[[Room], Awaitable[None]]], None]
LARGE = "9" * 4_000


@asynccontextmanager
async def serving(
    room: Room,
    bound: int = 150,
    max_clients: int = 10,
    slots: ClientSlots | None = None,
    **limits: float,
) -> AsyncIterator[str]:
    """A server on the room's hub; its host and port."""
    replica = room.replica(bound, max_clients, **limits)
    if slots is not None:
        replica = dataclasses.replace(replica, slots=slots)
    app = Starlette(
        routes=[
            WebSocketRoute("/ws", websocket_endpoint(replica)),
            Route("/sse", sse_endpoint(replica)),
        ]
    )
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await until(lambda: server.started)
        yield "{}:{}".format(*sock.getsockname())
    finally:
        server.should_exit = True
        await task
        sock.close()


async def ask(client: ClientConnection, **request: object) -> None:
    await client.send(json.dumps(request))


async def read(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        return [json.loads(await client.recv()) for _ in range(count)]


def let_go() -> float:
    return float(metrics.LIVE_DISCONNECTED.labels("slow_consumer")._value.get())


def test_every_request_is_answered(run: Run) -> None:
    """ping, subscribe, unsubscribe and an error have the responses of the protocol's reference."""

    async def test(room: Room) -> None:
        await room.publish(candle("A", 0, "1"))
        async with serving(room) as address, connect(f"ws://{address}/ws", proxy=None) as client:
            await ask(client, op="ping")
            await ask(client, op="subscribe", channels=["candles:1m:A"])
            await ask(client, op="unsubscribe", channels=["candles:1m:A"])
            await ask(client, op="dance")
            found = await read(client, 5)
            kinds = ["pong", "subscribed", "snapshot", "unsubscribed", "error"]
            assert [each["type"] for each in found] == kinds
            assert found[2]["items"][0]["data"]["c"] == "1"
            assert found[4]["code"] == "unknown_op"

    run(test)


def test_a_client_above_the_rate_limit_gets_a_retry_time(run: Run) -> None:
    """A client over its rate gets rate_limit with retry_ms, and the connection stays."""

    async def test(room: Room) -> None:
        async with (
            serving(room, requests_a_second=5.0, burst=2.0) as address,
            connect(f"ws://{address}/ws", proxy=None) as client,
        ):
            for _ in range(3):
                await ask(client, op="ping")
            *_, limited = await read(client, 3)
            assert limited["type"] == "rate_limit"
            await asyncio.sleep(limited["retry_ms"] / 1000 + 0.01)
            await ask(client, op="ping")
            assert [each["type"] for each in await read(client, 1)] == ["pong"]

    run(test)


def test_protobuf_by_subprotocol(run: Run) -> None:
    """The protobuf subprotocol has binary frames with the stream's own messages."""

    async def test(room: Room) -> None:
        async with (
            serving(room) as address,
            connect(
                f"ws://{address}/ws",
                proxy=None,
                subprotocols=[Subprotocol("kandle.v1.protobuf")],
            ) as client,
        ):
            assert client.subprotocol == "kandle.v1.protobuf"
            await ask(client, op="subscribe", channels=["ticks:A"])
            subscribed, snapshot = [
                live_pb2.Frame.FromString(await client.recv(decode=False)) for _ in range(2)
            ]
            assert (subscribed.type, list(subscribed.channels)) == ("subscribed", ["ticks:A"])
            assert (snapshot.type, snapshot.more) == ("snapshot", False)
            await room.publish(tick("A", "1.5"))
            update = live_pb2.Frame.FromString(await client.recv(decode=False))
            assert live_pb2.LiveTick.FromString(update.payload).exact_price == "1.5"

    run(test)


def test_a_request_without_end_is_refused(run: Run) -> None:
    """A request over the size limit closes with code 1009 and the reason."""

    async def test(room: Room) -> None:
        async with serving(room) as address, connect(f"ws://{address}/ws", proxy=None) as client:
            await client.send("x" * 70_000)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CODE_TOO_LARGE

    run(test)


def test_clients_above_the_limit_are_asked_to_retry(run: Run) -> None:
    """A client over the replica's bound is closed with 1013, until another leaves."""

    async def test(room: Room) -> None:
        async with serving(room, max_clients=1) as address:
            url = f"ws://{address}/ws"
            async with connect(url, proxy=None) as first:
                await ask(first, op="ping")
                await read(first, 1)
                async with connect(url, proxy=None) as second:
                    with pytest.raises(ConnectionClosed) as closed:
                        await second.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == CODE_LATER
            async with connect(url, proxy=None) as third:
                await ask(third, op="ping")
                assert [each["type"] for each in await read(third, 1)] == ["pong"]

    run(test)


async def flood(room: Room, quick: ClientConnection, enough: Callable[[], bool]) -> None:
    """Publish large ticks until enough; the quick client reads each of them in order."""
    sent = 0
    while not enough():
        assert sent < 6_000, "nobody was let go"
        await room.publish(*(tick("A", f"{n}.{LARGE}") for n in range(sent, sent + 60)))
        found = [each["data"]["price"].partition(".")[0] for each in await read(quick, 60)]
        assert found == [str(n) for n in range(sent, sent + 60)]
        sent += 60


def test_a_client_that_stops_reading_is_closed_with_a_code(run: Run) -> None:
    """A client that stops reading is closed with a code when its queue is full.

    The others miss nothing.
    """

    async def test(room: Room) -> None:
        before = let_go()
        async with (
            serving(room) as address,
            connect(f"ws://{address}/ws", proxy=None, max_queue=1) as stalled,
            connect(f"ws://{address}/ws", proxy=None) as quick,
        ):
            for each in (stalled, quick):
                await ask(each, op="subscribe", channels=["ticks:A"])
                await read(each, 2)
            await flood(room, quick, lambda: let_go() > before)
            async with asyncio.timeout(60):
                with contextlib.suppress(ConnectionClosed):
                    got = []
                    while True:
                        got.append(json.loads(await stalled.recv()))
            assert stalled.close_code == CODE_SLOW
            prices = [each["data"]["price"].partition(".")[0] for each in got]
            assert prices == [str(n) for n in range(len(got))]  # no gap before the end

    run(test)


def test_an_event_stream_that_is_not_read_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event stream that is not read ends, and the replica keeps nothing for it."""
    monkeypatch.setattr("functions.live_feed.protocols.sse._LAST_WORD_S", 0.1)

    async def test(room: Room) -> None:
        before = let_go()
        async with (
            serving(room) as address,
            connect(f"ws://{address}/ws", proxy=None) as quick,
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", f"http://{address}/sse?channels=ticks:A") as answer,
        ):
            assert answer.status_code == 200
            await ask(quick, op="subscribe", channels=["ticks:A"])
            await read(quick, 2)
            serving_now = metrics.LIVE_CLIENTS.labels("sse")._value
            assert serving_now.get() == 1
            await flood(room, quick, lambda: serving_now.get() == 0 or let_go() > before)
            await until(lambda: serving_now.get() == 0)

    run(test)


def test_an_event_stream_that_is_read_too_late_ends_with_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event stream that is read again ends with the error, and counts as one slow client."""
    monkeypatch.setattr("functions.live_feed.protocols.sse._LAST_WORD_S", 60)

    async def test(room: Room) -> None:
        before = let_go()
        async with (
            serving(room) as address,
            connect(f"ws://{address}/ws", proxy=None) as quick,
            httpx.AsyncClient(trust_env=False, timeout=60) as client,
            client.stream("GET", f"http://{address}/sse?channels=ticks:A") as answer,
        ):
            await ask(quick, op="subscribe", channels=["ticks:A"])
            await read(quick, 2)
            await flood(room, quick, lambda: let_go() > before)
            *_, last = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
            assert json.loads(last[6:])["code"] == "slow_consumer"
            assert let_go() == before + 1

    run(test)


def test_an_event_stream_refuses_an_unknown_parameter(run: Run) -> None:
    """An unknown parameter of an event stream is refused, and `channels` may be repeated.

    A misspelt parameter would silently give a snapshot.
    """

    async def test(room: Room) -> None:
        async with serving(room) as address, httpx.AsyncClient(trust_env=False) as client:
            url = f"http://{address}/sse?channels=ticks:A"
            refused = await client.get(f"{url}&from_seq=7")
            assert (refused.status_code, "last_event_id" in refused.text) == (400, True)
            async with client.stream("GET", f"{url}&channels=ticks:B") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        assert json.loads(line[6:])["channels"] == ["ticks:A", "ticks:B"]
                        break

    run(test)


def test_a_replay_without_history_is_refused_for_good(run: Run) -> None:
    """A live feed without a history API answers 501 to a replay, which a client does not repeat."""

    async def test(room: Room) -> None:
        async with serving(room) as address, httpx.AsyncClient(trust_env=False) as client:
            refused = await client.get(f"http://{address}/sse?channels=ticks:A&replay_from=-1h")
            assert (refused.status_code, refused.json()["title"]) == (501, "no_history")
            assert "retry-after" not in refused.headers

    run(test)


def test_an_event_has_an_id_once_the_client_has_all_up_to_it(run: Run) -> None:
    """An event has an id only at the end of a snapshot, so that a browser resumes completely."""

    async def test(room: Room) -> None:
        await room.publish(*(tick(f"S{n}", "1") for n in range(501)))
        async with serving(room) as address, httpx.AsyncClient(trust_env=False) as client:
            seen, place = [], ""
            async with client.stream("GET", f"http://{address}/sse?channels=ticks:*") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        place = line
                    if line.startswith("data: "):
                        frame = json.loads(line[6:])
                        seen.append((frame["type"], place))
                        if frame["type"] == "snapshot" and not frame["more"]:
                            break
            last = f"id: {room.hub.stream_name}/{room.hub.seq}"
            assert seen == [("subscribed", ""), ("snapshot", ""), ("snapshot", last)]

    run(test)
