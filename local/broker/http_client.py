"""HTTP client with kept-alive connections; a response, or its absence, is a value."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import aiohttp
from yarl import URL

from local.broker.delivery import Answer, Failure
from shared.adapter.sink import open_session

REPLY_BYTES: Final = 2 * 1024 * 1024
"""A longer response cannot become an event; the rest is not read."""


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
                    reply = b""
                    while chunk := await response.content.read(REPLY_BYTES - len(reply)):
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
            self._session = open_session(connections=0)
        return self._session
