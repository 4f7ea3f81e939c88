"""Bounds on the head of a request, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from shared.adapter import bounded_http

PROTOCOL = "shared.adapter.bounded_http:BoundedHttp"
HALF = b"GET / HTTP/1.1\r\nHost: x\r\nA: "
WHOLE = HALF + b"b\r\n\r\n"


@asynccontextmanager
async def connected(
    answer: asyncio.Event | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server whose responses wait for `answer`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if answer is not None:
            await answer.wait()
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})

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
