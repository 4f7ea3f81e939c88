"""The live feed for clients: WebSocket, Server-Sent Events, and NATS for browsers."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import nats
import nats.errors
import pytest
from websockets.asyncio.client import connect
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire import events
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from tests.e2e.client import candles, eventually, fresh_symbol, kill, web

ACK_WAIT_S = 60
"""eventing/channel.yaml."""


def post(pipeline: dict[str, str], *lines: str, key: str = "") -> None:
    """Send CSV lines; the broker has them on return. With a key they count once."""
    headers = {"content-type": "text/csv"} | ({"idempotency-key": key} if key else {})
    answer = web.post(pipeline["INGEST_URL"], content="\n".join(lines), headers=headers)
    assert answer.status_code == 202, answer.text


def post_until_taken(pipeline: dict[str, str], *lines: str) -> None:
    """Send CSV lines until they are accepted, as a sender does in an outage."""
    deadline, key = time.monotonic() + 60, uuid.uuid4().hex
    while True:
        try:
            return post(pipeline, *lines, key=key)
        except (AssertionError, httpx.TransportError):
            assert time.monotonic() < deadline
            time.sleep(0.2)


@contextmanager
def watching(
    pipeline: dict[str, str], *channels: str, **place: object
) -> Iterator[ClientConnection]:
    """A subscribed WebSocket."""
    with connect_sync(pipeline["LIVE_URL"].replace("http", "ws") + "/ws", proxy=None) as socket:
        socket.send(json.dumps({"op": "subscribe", "channels": channels, **place}))
        yield socket


def until(
    socket: ClientConnection, holds: Callable[[dict[str, Any]], bool], patience_s: float = 60
) -> list[dict[str, Any]]:
    """Frames up to the first that holds."""
    found = []
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found.append(json.loads(socket.recv(timeout=patience_s)))
        if holds(found[-1]):
            return found
    raise AssertionError(f"never came: {found[-5:]}")


def test_a_tick_reaches_a_watcher_with_its_candle(pipeline: dict[str, str]) -> None:
    """A tick reaches a watcher with exact texts, and the shown candle equals the API's."""
    symbol = fresh_symbol("LIVE")
    now_ms = int(time.time() * 1000)
    with watching(pipeline, f"ticks:{symbol}", f"candles:1m:{symbol}") as socket:
        subscribed, snapshot = until(socket, lambda frame: frame["type"] == "snapshot")
        assert subscribed["channels"] == [f"ticks:{symbol}", f"candles:1m:{symbol}"]
        assert snapshot["items"] == []
        post(
            pipeline, f"{symbol},100.10,0.5,{now_ms},buy,1", f"{symbol},100.30,0.5,{now_ms},sell,2"
        )
        ticks = until(socket, lambda f: f.get("data", {}).get("trade_id") == "2")
        shown = [f["data"]["price"] for f in ticks if f["channel"].startswith("ticks")]
        assert shown == ["100.1", "100.3"]
        seen = ticks if ticks[-1]["channel"].startswith("candles") else []
        if not any(f["channel"].startswith("candles") for f in ticks):
            seen = until(socket, lambda f: f["channel"].startswith("candles"))
        frame = [f for f in [*ticks, *seen] if f["channel"].startswith("candles")][-1]
        assert frame["received"] in {
            f["received"] for f in ticks if f["channel"] == f"ticks:{symbol}"
        }
        candle = frame["data"]
    (known,) = eventually(lambda: candles(pipeline["API_URL"], symbol), lambda found: bool(found))
    same = {"t", "o", "h", "l", "c", "v", "vw", "n", "bv", "sv"}
    assert {k: candle[k] for k in same} == {k: known[k] for k in same}
    with watching(pipeline, f"candles:1m:{symbol}") as socket:
        _, snapshot = until(socket, lambda frame: frame["type"] == "snapshot")
        assert snapshot["items"][0]["data"]["c"] == "100.3"


def test_a_late_tick_corrects_a_candle_for_watchers(pipeline: dict[str, str]) -> None:
    """After a late tick a watcher gets the closed candle with a higher revision."""
    symbol = fresh_symbol("LIVELATE")
    minute_ms = 1_700_000_040_000
    with watching(pipeline, f"candles:1m:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        post(pipeline, f"{symbol},10,1,{minute_ms}", f"{symbol},11,1,{minute_ms + 120_000}")
        first = until(socket, lambda f: f.get("data", {}).get("closed") is True)[-1]["data"]
        post(pipeline, f"{symbol},12,1,{minute_ms + 30_000}")
        again = until(socket, lambda f: f.get("data", {}).get("h") == "12")[-1]["data"]
        assert (first["t"], first["c"]) == (minute_ms, "10")
        assert (again["t"], again["c"], again["closed"]) == (minute_ms, "12", True)
        assert again["revision"] > first["revision"]


def test_watchers_outlive_a_restart_of_nats(pipeline: dict[str, str]) -> None:
    """After kill -9 of NATS the connection stays, and no tick is missing or repeated.

    Events in flight to a stage at that time are redelivered after the channel's `ackWait`.
    """
    symbol = fresh_symbol("NATSCUT")
    count = 60
    with watching(pipeline, f"ticks:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        for n in range(count):
            if n == 20:
                kill(pipeline, "nats")
            post_until_taken(pipeline, f"{symbol},{n + 1},1,,,{n}", f"{symbol},{n + 1}.5,1,,,{n}h")
        wanted = {f"{n}{half}" for n in range(count) for half in ("", "h")}
        seen: list[dict[str, Any]] = []
        while missing := wanted - {frame["data"]["trade_id"] for frame in seen}:
            try:
                frames = until(socket, lambda frame: frame["type"] == "update", 2 * ACK_WAIT_S)
            except TimeoutError:
                pytest.fail(f"{sorted(missing)} did not come")
            seen += [frame for frame in frames if frame["type"] == "update"]
    places = [frame["seq"] for frame in seen]
    assert places == sorted(set(places))
    ids = [frame["data"]["trade_id"] for frame in seen]
    assert len(ids) == len(set(ids)) == 2 * count


def test_an_event_stream_goes_on_where_it_was_cut(pipeline: dict[str, str]) -> None:
    """An event stream resumes by Last-Event-ID, with the missed messages once and in order."""
    symbol = fresh_symbol("SSE")

    def read(headers: dict[str, str], ends: str) -> tuple[list[str], str]:
        prices, place = [], ""
        url = f"{pipeline['LIVE_URL']}/sse?channels=ticks:{symbol}"
        with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    place = line.removeprefix("id: ")
                if line.startswith("data: "):
                    frame = json.loads(line.removeprefix("data: "))
                    if frame["type"] == "snapshot":
                        prices += [item["data"]["price"] for item in frame["items"]]
                    if frame["type"] == "update":
                        prices.append(frame["data"]["price"])
                    if ends in prices:
                        break
        return prices, place

    post(pipeline, f"{symbol},1", f"{symbol},2")
    prices, place = read({}, "2")
    assert prices[-1] == "2"
    post(pipeline, f"{symbol},3", f"{symbol},4")
    again, _ = read({"last-event-id": place}, "4")
    assert again[-2:] == ["3", "4"]
    assert "1" not in again


@pytest.mark.parametrize("query", ["", "?channels=", "?channels=prices:A", "?channels=ticks"])
def test_a_bad_event_stream_is_refused(pipeline: dict[str, str], query: str) -> None:
    """A bad event stream is a problem that names the parameter."""
    answer = web.get(f"{pipeline['LIVE_URL']}/sse{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # called by nats-py
def test_a_browser_may_subscribe_to_live_and_nothing_else(pipeline: dict[str, str]) -> None:
    """Over NATS a browser gets TickerUpdates, and may use no other subject or JetStream."""
    symbol = fresh_symbol("BROWSER")
    errors: list[str] = []

    async def remember(error: Exception) -> None:
        errors.append(str(error))

    async def test() -> None:
        client = await nats.connect(pipeline["NATS_BROWSER_URL"], error_cb=remember)
        own = await nats.connect(pipeline["NATS_URL"])
        try:
            got = await client.subscribe(f"live.ticks.-.{symbol}")
            other = await client.subscribe("secret.subject")
            everything = await client.subscribe(">")
            await client.flush()
            await own.publish("secret.subject", b"not for browsers")
            await own.flush()
            await client.publish(f"live.ticks.-.{symbol}", b"forged")
            await client.publish("$JS.API.STREAM.NAMES", b"")
            await client.flush()
            waiting = asyncio.create_task(got.next_msg(timeout=20))
            while not waiting.done():  # they come once the watcher is noticed
                await asyncio.to_thread(post, pipeline, f"{symbol},5.25,2")
                await asyncio.wait((waiting,), timeout=0.5)
            message = waiting.result()
            update = TickerUpdate.FromString(message.data)
            assert (update.symbol, update.price, update.volume) == (symbol, 5.25, 2)
            for closed in (other, everything):
                with pytest.raises((nats.errors.Error, TimeoutError)):
                    await closed.next_msg(timeout=0.2)
            refused = " ".join(errors).lower()
            assert refused.count("permissions violation") == 4
        finally:
            await client.close()
            await own.close()

    asyncio.run(test())


def test_a_reader_that_stalls_harms_no_other(pipeline: dict[str, str]) -> None:
    """A client that stops reading is closed, and another gets every tick."""
    symbol = fresh_symbol("STALL")
    url = pipeline["LIVE_URL"].replace("http", "ws") + "/ws"
    request = json.dumps({"op": "subscribe", "channels": [f"ticks:{symbol}"]})

    async def prices(socket: Any, count: int) -> AsyncIterator[str]:
        while count:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 30))
            if frame["type"] == "update":
                count -= 1
                yield frame["data"]["price"]

    async def test() -> None:
        async with (
            connect(url, proxy=None, max_queue=1) as stalled,
            connect(url, proxy=None) as quick,
        ):
            for socket in (stalled, quick):
                await socket.send(request)
                while json.loads(await socket.recv())["type"] != "snapshot":
                    pass
            sent = 0
            for _ in range(40):
                some = [f"{symbol},{sent + n + 1}" for n in range(50)]
                await asyncio.to_thread(post, pipeline, *some)
                found = [price async for price in prices(quick, 50)]
                assert found == [str(sent + n + 1) for n in range(50)]
                sent += 50

    asyncio.run(test())


def test_a_strangers_event_is_refused_and_shown_to_nobody(pipeline: dict[str, str]) -> None:
    """A forged candle with a giant revision is 403, and later candles are shown."""
    symbol, start_ms = fresh_symbol("FORGED"), 1_700_000_040_000
    price = Decimal(666)
    forged = Candle(
        *(symbol, "1m", start_ms * 1000, price, price, price, price, price, price, 1),
        *(price, price, start_ms * 1000, start_ms * 1000),
        revision=2**62,
    )
    headers = {"ce-specversion": "1.0", "ce-id": "x", "ce-source": "/x", "ce-type": events.CANDLES}
    with watching(pipeline, f"candles:1m:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        answer = web.post(pipeline["LIVE_URL"], content=encode_batch([forged]), headers=headers)
        assert answer.status_code == 403
        post(pipeline, f"{symbol},1,1,{start_ms}")
        (shown,) = until(socket, lambda frame: frame["type"] == "update")
        assert shown["data"]["c"] == "1"


@pytest.mark.parametrize("timeframe", ["3m", "2h", "1w"])
def test_any_timeframe_is_folded_while_it_grows(pipeline: dict[str, str], timeframe: str) -> None:
    """A fold of stored and live candles ends as the API's candle."""
    symbol = fresh_symbol("FOLD")
    start_ms = 1_700_000_100_000  # the first minute of a 3m candle
    post(pipeline, *(f"{symbol},{10 + n},1,{start_ms + n * 60_000}" for n in range(2)))
    eventually(lambda: candles(pipeline["API_URL"], symbol), lambda found: len(found) == 2)
    with watching(pipeline, f"candles:{timeframe}:{symbol}") as socket:
        _, snapshot = until(socket, lambda frame: frame["type"] == "snapshot")
        (present,) = snapshot["items"]
        assert (present["data"]["o"], present["data"]["c"], present["data"]["n"]) == ("10", "11", 2)
        post(pipeline, f"{symbol},5,2,{start_ms + 70_000}")
        same = ("t", "o", "h", "l", "c", "v", "qv", "n", "revision")

        def is_made(frame: dict[str, Any]) -> bool:
            shown = frame.get("data", {})
            (made,) = candles(pipeline["API_URL"], symbol, timeframe)
            return shown.get("n") == 3 and all(shown[name] == made[name] for name in same)

        until(socket, is_made)


def test_a_timeframe_that_nobody_makes_is_refused_by_name(pipeline: dict[str, str]) -> None:
    """A timeframe that is not a multiple of the base is refused with the valid ones."""
    with watching(pipeline, "candles:90s:BTC-USD") as socket:
        (refused,) = until(socket, lambda frame: frame["type"] == "error")
    assert refused["code"] == "bad_channels"
    assert "90s is not made; there are 1m, 5m, 15m, 1h, 4h, 1d" in refused["msg"]
