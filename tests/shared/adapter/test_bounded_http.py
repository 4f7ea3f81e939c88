"""Bounds on the head of a request, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
import websockets
from starlette.types import Receive, Scope, Send

from shared.adapter import bounded_http

PROTOCOL = "shared.adapter.bounded_http:BoundedHttp"
HALF = b"GET / HTTP/1.1\r\nHost: x\r\nA: "
WHOLE = HALF + b"b\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def connected(
    answer: asyncio.Event | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server whose responses wait for `answer`.

    POST reads the body and answers with the names of the headers; a WebSocket returns its messages.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "bytes": message["bytes"]})
            return
        if answer is not None:
            await answer.wait()
        body = b"done"
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
            body = b" ".join([*(name for name, _ in scope["headers"]), body])
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        app, port=0, http=PROTOCOL, lifespan="off", log_level="error", timeout_keep_alive=3600
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("begun", [b"", b"G", HALF], ids=["nothing", "a letter", "half a head"])
def test_a_connection_without_a_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """A connection that sends no request, or half the head of one, is closed after a while."""
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.1)

    async def test() -> None:
        async with connected() as (reader, writer):
            writer.write(begun)
            assert await reader.read() == b""

    asyncio.run(test())


def test_half_a_head_after_a_request_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a head is bounded in a connection that is kept alive, too, once its response is sent."""
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.1)
    expired, answer = asyncio.Event(), asyncio.Event()
    expire = bounded_http.BoundedHttp._expire

    def noted(protocol: bounded_http.BoundedHttp) -> None:
        expire(protocol)
        expired.set()

    monkeypatch.setattr(bounded_http.BoundedHttp, "_expire", noted)

    async def test() -> None:
        async with connected(answer) as (reader, writer):
            writer.write(WHOLE + HALF)
            await expired.wait()
            answer.set()
            response = await reader.read()
            assert response.startswith(b"HTTP/1.1 200 OK")
            assert response.endswith(b"done")
            assert response.count(b"HTTP/1.1") == 1

    asyncio.run(test())


def test_a_long_head_is_refused() -> None:
    """A head of more than 64 KiB is refused before it is complete; one of less is read."""

    async def test() -> None:
        async with connected() as (reader, writer):
            writer.write(HALF + b"b" * 32 * 1024 + b"\r\n\r\n")
            assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK")
            writer.write(HALF)
            for _ in range(bounded_http.HEAD_BYTES // 1024):
                writer.write(b"b" * 1024)
            response = await reader.read()
            assert response.startswith(b"HTTP/1.1 400 Bad Request")
            assert b"at most 65536 bytes" in response

    asyncio.run(test())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """It is set when the server has read something. A head has 1 KiB at most."""
    monkeypatch.setattr(bounded_http, "HEAD_BYTES", 1024)
    event, data_received = asyncio.Event(), bounded_http.BoundedHttp.data_received

    def noted(protocol: bounded_http.BoundedHttp, data: bytes) -> None:
        data_received(protocol, data)
        event.set()

    monkeypatch.setattr(bounded_http.BoundedHttp, "data_received", noted)
    return event


@pytest.mark.parametrize("trailers", [b"a: b\r\n" * 500, b"x" * 2048], ids=["many", "a long one"])
def test_trailers_are_bounded(read: asyncio.Event, trailers: bytes) -> None:
    """Too many or too long trailers after a body of chunks are refused."""

    async def test() -> None:
        async with connected() as (reader, writer):
            writer.write(CHUNKED + b"1\r\nx\r\n0\r\nName: ")
            await read.wait()
            writer.write(trailers)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request")

    asyncio.run(test())


def test_trailers_are_no_headers() -> None:
    """Trailers are left out: an application would take them for headers."""

    async def test() -> None:
        async with connected() as (reader, writer):
            writer.write(CHUNKED + b"1\r\nx\r\n0\r\nAuthorization: x\r\n\r\n")
            response = await reader.readuntil(b"done")
            assert response.endswith(b"\r\n\r\ntransfer-encoding done")

    asyncio.run(test())


@pytest.mark.parametrize(
    ("request_", "rest"),
    [(WHOLE, b"\r\n"), (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", b"x")],
    ids=["a blank line", "the rest of a request answered early"],
)
def test_a_request_must_follow_what_comes_after_a_response(
    monkeypatch: pytest.MonkeyPatch, request_: bytes, rest: bytes
) -> None:
    """Bytes after a response that begin no request do not keep a connection for good."""
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.1)

    async def test() -> None:
        async with connected() as (reader, writer):
            writer.write(request_)
            assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK")
            writer.write(rest)
            assert await reader.read() == b""

    asyncio.run(test())


def test_a_body_is_no_part_of_the_next_head(read: asyncio.Event) -> None:
    """A long body does not count as part of the next request's head, which follows in pieces."""

    async def test() -> None:
        answer = asyncio.Event()
        async with connected(answer) as (reader, writer):
            post = b"POST / HTTP/1.1\r\nContent-Length: 2048\r\n\r\n"
            writer.write(post + b"x" * 2048 + HALF)
            await read.wait()
            writer.write(b"b\r\n\r\n")
            answer.set()
            for _ in range(2):
                assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK")

    asyncio.run(test())


def test_the_framing_of_chunks_is_no_head(read: asyncio.Event) -> None:
    """A body of many small chunks is read, each of which has more framing than content."""

    async def test() -> None:
        async with connected() as (reader, writer):
            writer.write(CHUNKED)
            for _ in range(512):
                read.clear()
                writer.write(b"1\r\nx\r\n")
                await read.wait()
            writer.write(b"0\r\n\r\n")
            assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK")

    asyncio.run(test())


def test_a_websocket_has_no_bounds_of_a_request(
    monkeypatch: pytest.MonkeyPatch, read: asyncio.Event
) -> None:
    """Once upgraded to a WebSocket, a connection outlives the time of a head, and its bytes."""
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.1)

    async def test() -> None:
        async with connected() as (_, writer):
            port = writer.get_extra_info("peername")[1]
            async with websockets.connect(f"ws://127.0.0.1:{port}", proxy=None) as client:
                ends = asyncio.get_running_loop().time() + 3 * bounded_http.HEAD_S
                while asyncio.get_running_loop().time() < ends:
                    await client.send(b"x" * 2048)
                    assert await client.recv() == b"x" * 2048

    asyncio.run(test())
