"""Asks a component over HTTP whether it is ready, without a client for each question."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

_TIMEOUT_S = 2.0


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe: whether a GET of the loopback `url` is answered by 200."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await _status(url) == "200"
        except (OSError, TimeoutError):
            return False

    return probe


async def _status(url: str) -> str:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(
            f"GET {target or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        line = await reader.readline()
    finally:
        await close(writer)
    _, _, rest = line.decode("ascii", errors="replace").partition(" ")
    return rest[:3]


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is closed, whatever its other end does."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
