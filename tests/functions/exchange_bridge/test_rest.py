"""REST requests of a feed, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from functions.exchange_bridge.rest import Rest, RestError


async def _dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)


def test_a_response_that_never_ends_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then delays the next request by the deadline at most."""
    monkeypatch.setattr("functions.exchange_bridge.rest.DEADLINE_S", 0.3)

    async def request() -> None:
        async with await asyncio.start_server(_dribble, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            rest = Rest("x", f"http://127.0.0.1:{port}", 0.0)
            try:
                await asyncio.wait_for(rest.get("/trades", {}), 10)
            finally:
                await rest.close()

    with pytest.raises(RestError, match="cannot be reached: TimeoutError"):
        asyncio.run(request())
