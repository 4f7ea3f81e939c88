"""CandleFeed with a generated client, over a real stream."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_tools import protoc

from functions.live_feed.protocols.grpc_feed import Feed
from shared.schema import feed_service_pb2, live_pb2
from tests.functions.live_feed.conftest import Room, candle, tick

ROOT = Path(__file__).parents[3]
MINUTE = 60_000_000
Run = Callable[[Callable[[Room], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client generated from the .proto."""
    into = tmp_path_factory.mktemp("client")
    source = "shared/schema/feed_service.proto"
    assert protoc.main(["protoc", f"-I{ROOT}", f"--grpc_python_out={into}", source]) == 0
    (into / "shared" / "schema" / "feed_service_pb2_grpc.py").rename(into / "feed_client.py")
    sys.path.insert(0, str(into))
    yield importlib.import_module("feed_client")
    sys.path.remove(str(into))


@asynccontextmanager
async def serving(room: Room, generated: Any, bound: int = 100, max_clients: int = 10) -> Any:
    """A server on the room's hub, and a stub."""
    feed = Feed(room.replica(bound, max_clients))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((feed.handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield generated.CandleFeedStub(channel), feed
    finally:
        await server.stop(0)


async def read(call: Any, count: int) -> list[Any]:
    async with asyncio.timeout(60):
        return [await call.read() for _ in range(count)]


def test_a_response_is_a_protobuf_frame() -> None:
    """A response's bytes are those of a protobuf frame: equal field numbers and types."""
    frame = {each.number: each for each in live_pb2.Frame.DESCRIPTOR.fields}
    for message in (
        feed_service_pb2.CandleUpdate,
        feed_service_pb2.PatternUpdate,
        feed_service_pb2.TickUpdate,
    ):
        for field in message.DESCRIPTOR.fields:
            same = frame[field.number]
            if field.number == 4:
                assert same.name == "payload"
            else:
                assert (field.name, field.type) == (same.name, same.type)


def test_a_stream_begins_with_the_present(run: Run, generated: Any) -> None:
    """A stream has subscribed, snapshot and updates of the subscribed candles only."""

    async def test(room: Room) -> None:
        await room.publish(candle("A", 0, "1"), candle("B", 0, "2"))
        async with serving(room, generated) as (stub, _):
            asked = feed_service_pb2.StreamCandlesRequest(symbols=["A"], timeframes=["1m"])
            call = stub.StreamCandles(asked)
            subscribed, snapshot = await read(call, 2)
            assert subscribed.type == "subscribed"
            assert list(subscribed.channels) == ["candles:1m:A"]
            assert subscribed.stream
            assert (snapshot.type, snapshot.candle.close) == ("snapshot", "1")
            await room.publish(candle("A", MINUTE, "3"), candle("B", MINUTE, "4"), tick("A", "5"))
            await room.publish(candle("A", MINUTE, "6", 2))
            updates = await read(call, 2)
            assert [(each.type, each.candle.close) for each in updates] == [
                ("update", "3"),
                ("update", "6"),
            ]
            assert subscribed.seq < updates[0].seq < updates[1].seq

    run(test)


def test_a_client_resumes_with_the_last_seq(run: Run, generated: Any) -> None:
    """A client resumes at its last seq, without repetition or snapshot.

    A stream with another name gives a snapshot.
    """

    async def test(room: Room) -> None:
        async with serving(room, generated) as (stub, _):
            request = feed_service_pb2.StreamTicksRequest
            call = stub.StreamTicks(request(symbols=["A"]))
            subscribed, _ = await read(call, 2)
            await room.publish(tick("A", "1"))
            (first,) = await read(call, 1)
            call.cancel()
            await room.publish(tick("A", "2"), tick("A", "3"))
            again = request(symbols=["A"], from_seq=first.seq, stream=subscribed.stream)
            told, *missed = await read(stub.StreamTicks(again), 3)
            assert told.replayed
            assert [each.tick.exact_price for each in missed] == ["2", "3"]
            other = request(symbols=["A"], from_seq=first.seq, stream="other")
            told, snapshot = await read(stub.StreamTicks(other), 2)
            assert not told.replayed
            assert (snapshot.type, snapshot.tick.exact_price) == ("snapshot", "3")

    run(test)


def test_every_client_gets_everything_and_a_slow_one_harms_none(run: Run, generated: Any) -> None:
    """A client that does not read is ended when its queue is full, and others miss nothing."""

    async def test(room: Room) -> None:
        async with serving(room, generated, bound=150) as (stub, _):
            asked = feed_service_pb2.StreamTicksRequest()
            calls = [stub.StreamTicks(asked) for _ in range(4)]
            for call in calls:
                await read(call, 2)
            slow, *quick = calls
            count, large = 60, "9" * 4_000
            for first in range(0, 3_000, count):
                some = [tick("A", f"{n}.{large}") for n in range(first, first + count)]
                await room.publish(*some)
                for call in quick:
                    found = await read(call, count)
                    prices = [int(each.tick.exact_price.partition(".")[0]) for each in found]
                    assert prices == list(range(first, first + count))
            got = [int(each.tick.exact_price.partition(".")[0]) async for each in until_ended(slow)]
            assert got == list(range(len(got)))  # no gap before the end
            assert len(got) < 3_000
            assert await slow.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    run(test)


async def until_ended(call: Any) -> Any:
    try:
        while (each := await asyncio.wait_for(call.read(), 20)) is not grpc.aio.EOF:
            yield each
    except grpc.aio.AioRpcError:
        return


@pytest.mark.parametrize(
    "request_",
    [
        feed_service_pb2.StreamCandlesRequest(timeframes=["1x"]),
        feed_service_pb2.StreamCandlesRequest(symbols=["A" * 200]),
        feed_service_pb2.StreamCandlesRequest(symbols=[f"S{n}" for n in range(501)]),
        feed_service_pb2.StreamCandlesRequest(from_seq=2**64 - 1),
    ],
    ids=["timeframe", "symbol", "count", "seq"],
)
def test_a_bad_request_is_refused(
    run: Run, generated: Any, request_: feed_service_pb2.StreamCandlesRequest
) -> None:
    """A bad request is INVALID_ARGUMENT with a fix."""

    async def test(room: Room) -> None:
        async with serving(room, generated) as (stub, _):
            call = stub.StreamCandles(request_)
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert await call.details()

    run(test)


def test_calls_above_the_limit_of_a_replica_are_refused(run: Run, generated: Any) -> None:
    """A call over the replica's bound is UNAVAILABLE, until another one ends."""

    async def test(room: Room) -> None:
        async with serving(room, generated, max_clients=1) as (stub, _):
            first = stub.StreamPatterns(feed_service_pb2.StreamPatternsRequest())
            await read(first, 2)
            second = stub.StreamPatterns(feed_service_pb2.StreamPatternsRequest())
            assert await second.code() is grpc.StatusCode.UNAVAILABLE
            first.cancel()
            async with asyncio.timeout(60):
                while True:
                    third = stub.StreamPatterns(feed_service_pb2.StreamPatternsRequest())
                    with suppress(grpc.aio.AioRpcError):  # or EOF, by when the refusal is read
                        if await third.read() is not grpc.aio.EOF:
                            break

    run(test)


def test_a_replica_that_ends_says_so(run: Run, generated: Any) -> None:
    """A replica that ends ends every call with UNAVAILABLE after its pending messages."""

    async def test(room: Room) -> None:
        async with serving(room, generated) as (stub, feed):
            call = stub.StreamTicks(feed_service_pb2.StreamTicksRequest())
            await read(call, 2)
            feed.leave()
            assert await call.code() is grpc.StatusCode.UNAVAILABLE

    run(test)
