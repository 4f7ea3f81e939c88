"""Requests of a client, and the errors of those that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from functions.live_feed import initial_values, interest
from functions.live_feed.derived import history_api
from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.subscriber import (
    ReplicaEndsError,
    SlowConsumerError,
    Subscriber,
)
from shared.runtime.token_bucket import TokenBucket
from tests.functions.live_feed.conftest import Room, room, tick

Run = Callable[[Callable[[Room], Awaitable[None]]], None]


@pytest.mark.parametrize("is_slow", [True, False])
def test_a_client_is_told_the_first_cause_of_its_end(is_slow: bool) -> None:
    """A slow client of a replica that then ends was too slow; one of a replica that ends is not."""

    async def test() -> None:
        client = Subscriber(Form.JSON, 1)
        if not is_slow:
            client.leave()
        for _ in range(2):
            client.say(b"frame")
        if is_slow:
            client.leave()
        assert (client.overflown, client.is_leaving) == (is_slow, not is_slow)
        with pytest.raises(SlowConsumerError if is_slow else ReplicaEndsError):
            await client.next()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"nonsense", "bad_request"),
        (b"[]", "bad_request"),
        (b"{}", "unknown_op"),
        (b'{"op": "shout"}', "unknown_op"),
        (b'{"op": ["subscribe"]}', "unknown_op"),
        (b'{"op": "subscribe"}', "bad_channels"),
        (b'{"op": "subscribe", "channels": []}', "bad_channels"),
        (b'{"op": "subscribe", "channels": [1]}', "bad_channels"),
        (b'{"op": "subscribe", "channels": ["prices:A"]}', "bad_channels"),
        (b'{"op": "subscribe", "channels": ["ticks:A"], "from_seq": -1}', "bad_channels"),
        (b'{"op": "subscribe", "channels": ["ticks:A"], "from_seq": true}', "bad_channels"),
        (b'{"op": "subscribe", "channels": ["ticks:A"], "from_seq": "9"}', "bad_channels"),
        (b'{"op": "subscribe", "channels": ["ticks:A"], "stream": 4}', "bad_channels"),
        (b'{"op": "unsubscribe", "channels": "ticks:A"}', "bad_channels"),
        (
            b'{"op": "subscribe", "channels": ["ticks:A", "ticks:B", "ticks:C"]}',
            "too_many_channels",
        ),
    ],
)
def test_a_bad_request_gets_an_error_and_nothing_else(run: Run, text: bytes, code: str) -> None:
    """A bad request gets an error, subscribes to nothing, and the connection goes on."""

    async def test(room: Room) -> None:
        client = room.client(channels=2)
        await client.session.receive(text)
        (frame,) = await client.read()
        assert (frame["type"], frame["code"]) == ("error", code)
        assert frame["msg"]
        assert ("is missing" in frame["msg"]) is (text == b"{}")
        assert not client.session.client.wanted
        assert [each["type"] for each in await client.ask(op="ping")] == ["pong"]

    run(test)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"op": "subscribe", "channels": ["ticks:A"], "from-seq": 7}', "call it from_seq"),
        (b'{"op": "subscribe", "channel": ["ticks:A"]}', "call it channels"),
        (b'{"op": "resume", "sped": 2}', "call it speed"),
        (b'{"op": "ping", "id": 1}', "'id' is none of op"),
    ],
)
def test_an_unknown_key_is_an_error(run: Run, text: bytes, said: str) -> None:
    """An unknown key is an error: a misspelt `from_seq` would silently give a snapshot."""

    async def test(room: Room) -> None:
        client = room.client()
        await client.session.receive(text)
        (frame,) = await client.read()
        assert (frame["type"], frame["code"]) == ("error", "bad_request")
        assert said in frame["msg"]
        assert not client.session.client.wanted

    run(test)


def test_unsubscribe_ends_the_updates(run: Run) -> None:
    """Unsubscribing ends a channel's updates, and others go on."""

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["ticks:A", "ticks:B"])
        (said,) = await client.ask(op="unsubscribe", channels=["ticks:A"])
        assert said == {"type": "unsubscribed", "channels": ["ticks:A"]}
        await room.publish(tick("A", "1"), tick("B", "2"))
        assert [each["channel"] for each in await client.read()] == ["ticks:B"]

    run(test)


@dataclass
class _History:
    """A history API with the answer `present`, given while `opened` is set."""

    url: str = ""
    present: list[dict[str, Any]] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def _history() -> AsyncIterator[_History]:
    history = _History()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while await reader.readline() != b"\r\n":
                pass
            history.asked.set()
            await history.opened.wait()
            body = orjson.dumps(history.present)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        history.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        yield history


def test_a_busy_market_does_not_overflow_a_client_that_is_being_subscribed(
    servers: dict[str, str],
) -> None:
    """A slow snapshot lets other channels go on, and has the newest state when it comes."""

    async def test() -> None:
        async with _history() as history, room(servers, api_url=history.url) as made:
            client = made.client(bound=10)
            history.opened.set()
            await client.ask(op="subscribe", channels=["ticks:OTHER"])
            history.opened.clear()
            history.asked.clear()
            request = b'{"op": "subscribe", "channels": ["ticks:A"]}'
            subscribing = asyncio.create_task(client.session.receive(request))
            await history.asked.wait()
            assert "ticks:A" in made.hub.wanted
            await made.publish(*(tick("A", str(n), n) for n in range(50)), tick("OTHER", "7"))
            assert [each["channel"] for each in await client.read()] == ["ticks:OTHER"]
            history.opened.set()
            await subscribing
            subscribed, snapshot = await client.read()
            assert subscribed["seq"] == made.hub.seq
            assert [each["data"]["price"] for each in snapshot["items"]] == ["49"]

    asyncio.run(test())


def test_a_message_of_the_stream_is_not_shown_from_storage_too(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trade that the stream will bring is not shown from storage as well.

    While NATS is away storage is ahead of the stream, which has every trade in order.
    """
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)
    monkeypatch.setattr(initial_values, "_RELOAD_S", tuple(n / 5 for n in range(1, 600)))

    async def test() -> None:
        async with _history() as history, room(servers, api_url=history.url) as made:
            history.opened.set()
            client = made.client()
            await client.ask(op="subscribe", channels=["ticks:A"])
            await made.publish(tick("A", "1", 1_001_000))
            assert [each["data"]["price"] for each in await client.read()] == ["1"]
            history.present = [
                {"symbol": "A", "price": "2", "size": "1", "t": 1_002, "received": 1_002}
                | {"candle": None}
            ]
            history.asked.clear()
            await history.asked.wait()
            history.asked.clear()
            await history.asked.wait()  # earlier responses have been processed by now
            await made.publish(tick("A", "2", 1_002_000))
            found = await client.read()
            assert [(each["data"]["price"], each["late"]) for each in found] == [("2", False)]

    asyncio.run(test())


def test_values_not_stored_yet_at_subscription_are_shown_later(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trade that was being stored when the first watcher came is shown from storage.

    Nobody watched when it came, so it was published to nobody; and nothing follows it.
    """
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)

    def stored(price: str, time_ms: int) -> list[dict[str, Any]]:
        return [
            {"symbol": "A", "price": price, "size": "1", "t": time_ms}
            | {"received": time_ms, "candle": None}
        ]

    async def test() -> None:
        async with _history() as history, room(servers, api_url=history.url) as made:
            history.opened.set()
            client = made.client()
            _, snapshot = await client.ask(op="subscribe", channels=["ticks:A"])
            assert snapshot["items"] == []
            history.present = stored("2", 1_002)
            (update,) = await client.read()
            assert (update["data"]["price"], update["late"]) == ("2", False)
            await made.publish(tick("A", "3", 1_003_000))
            assert [each["data"]["price"] for each in await client.read()] == ["3"]
            history.asked.clear()
            await history.asked.wait()  # storage is behind: nothing new
            await made.publish(tick("A", "4", 1_004_000))
            assert [each["data"]["price"] for each in await client.read()] == ["4"]

    asyncio.run(test())


def test_leases_do_not_wait_for_history(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are renewed while history does not answer."""
    monkeypatch.setattr(interest, "_RENEW_EACH_S", 0.05)
    monkeypatch.setattr(initial_values, "_RELOAD_S", (0.0,))
    monkeypatch.setattr(history_api, "_TIMEOUT_S", 600.0)
    store = redis.Redis.from_url(servers["REDIS_URL"].rsplit("/", 1)[0] + "/2")

    async def test() -> None:
        async with _history() as history, room(servers, api_url=history.url) as made:
            history.opened.set()
            await made.client().ask(op="subscribe", channels=["ticks:A"])
            history.opened.clear()
            history.asked.clear()
            await history.asked.wait()
            store.flushdb()  # they have expired
            async with asyncio.timeout(60):
                while not any(  # noqa: ASYNC110 - seen as an emitter would
                    store.exists(f"{{{shard}}}:watched") for shard in range(2)
                ):
                    await asyncio.sleep(0.05)
            history.opened.set()

    asyncio.run(test())
    store.close()


def test_a_rate_limited_request_is_answered_with_a_retry_time(run: Run) -> None:
    """A request over the burst gets an error with a time to retry, and changes nothing else."""

    async def test(room: Room) -> None:
        client = room.client(requests_a_second=0.5, burst=3)
        answers: list[dict[str, Any]] = []
        for _ in range(4):
            answers += await client.ask(op="ping")
        assert [each["type"] for each in answers] == ["pong", "pong", "pong", "rate_limit"]
        assert 0 < answers[-1]["retry_ms"] <= 2000

    run(test)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_a_bucket_gives_no_more_than_its_rate(pauses: list[float]) -> None:
    """Over any span a bucket gives at most its burst and the rate's share of the time."""
    bucket, now, given_out = TokenBucket(2.0, 5.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait == 0:
            given_out += 1
        else:
            assert bucket.take(now + wait + 1e-6) == 0
            given_out += 1
            now += wait + 1e-6
        assert given_out <= 5 + 2 * now + 1e-3
