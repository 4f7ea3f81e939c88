"""HTTP client with kept-alive connections; a response, or its absence, is a value."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import aiohttp
import aiohttp.hdrs
from yarl import URL

from local.broker.delivery import Answer, Failure

REPLY_BYTES: Final = 2 * 1024 * 1024
"""A longer response cannot become an event; the rest is not read."""
KEEP_ALIVE_SECONDS: Final = 4.0
"""Shorter than the five seconds after which uvicorn closes an idle connection: the side that closes
first must be this one, else a request now and then meets a connection that is just being closed."""

_LEFT_OUT: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class HttpClient:
    """One connection pool, shared by all triggers.

    Each trigger's maxAckPending bounds the number of connections.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def post(self, url: str, headers: dict[str, str], body: bytes, seconds: float) -> Answer:
        """Make one attempt with a timeout. Never raises for a bad response."""
        session = self._opened()
        target = self._urls.get(url)
        if target is None:
            target = self._urls[url] = URL(url, encoded=True)
        try:
            async with asyncio.timeout(seconds):
                async with session.post(
                    target, data=body, headers=headers, allow_redirects=False
                ) as response:
                    reply = await response.content.read(REPLY_BYTES)
                    while reply and len(reply) < REPLY_BYTES:
                        chunk = await response.content.read(REPLY_BYTES - len(reply))
                        if not chunk:
                            break
                        reply += chunk
                    names = tuple((name.lower(), value) for name, value in response.raw_headers)
                    return Answer(response.status, names, reply)
        except TimeoutError:
            return Answer(0, failure=Failure.TIMEOUT)
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError):
            return Answer(0, failure=Failure.UNREACHABLE)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                skip_auto_headers=_LEFT_OUT,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
