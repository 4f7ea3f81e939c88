"""Posts events over kept-alive HTTP/1.1 connections, at a fifth of the cost of a general client.

Every event costs one request, so this is the busiest code of the broker: requests are written as
bytes and answers parsed by httptools, the parser of uvicorn. What bounds the number of connections
is each trigger's maxAckPending.
"""

from __future__ import annotations

import asyncio
import functools
from typing import cast
from urllib.parse import urlsplit

import httptools

from local.broker.delivery import Answer, Failure

REPLY_BYTES = 2 * 1024 * 1024
"""An answer longer than this cannot become an event; the rest of it is dropped."""
KEEP_ALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which uvicorn closes an idle connection: the side that closes
first must be this one, else a request now and then meets a connection that is just being closed."""
_JOIN_BYTES = 64 * 1024


@functools.lru_cache(maxsize=256)
def _split(url: str) -> tuple[tuple[str, int, bool], bytes]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return (host, port, secure), f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n".encode()


class HttpClient:
    """A pool of connections, shared by all triggers."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int, bool], list[_Connection]] = {}

    async def post(self, url: str, headers: dict[str, str], body: bytes, seconds: float) -> Answer:
        """Make one attempt that takes at most `seconds`. Never raises for a bad answer."""
        loop = asyncio.get_running_loop()
        origin, head = _split(url)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head += f"{lines}Content-Length: {len(body)}\r\n\r\n".encode()
        started = loop.time()
        connection = self._take(origin, started)
        if connection is None:
            host, port, secure = origin
            try:
                async with asyncio.timeout(seconds):
                    _, connection = await loop.create_connection(
                        _Connection, host, port, ssl=secure or None
                    )
            except TimeoutError:
                return Answer(0, failure=Failure.TIMEOUT)
            except OSError:
                return Answer(0, failure=Failure.UNREACHABLE)
        answer = await connection.exchange(head, body, seconds - (loop.time() - started))
        if connection.reusable:
            connection.idle_since = loop.time()
            self._idle.setdefault(origin, []).append(connection)
        else:
            connection.close()
        return answer

    async def close(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # lets the transports close

    def _take(self, origin: tuple[str, int, bool], now: float) -> _Connection | None:
        # the youngest first, so that what is not needed grows old and goes
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.reusable and now - connection.idle_since < KEEP_ALIVE_SECONDS:
                return connection
            connection.close()
        return None


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    idle_since = 0.0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._keep_alive = True
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._clear()

    def _clear(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._headers_complete = False

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        transport = self._transport
        return self._keep_alive and transport is not None and not transport.is_closing()

    async def exchange(self, head: bytes, body: bytes, seconds: float) -> Answer:
        """Send one request and wait for its answer."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return Answer(0, failure=Failure.UNREACHABLE)
        loop = asyncio.get_running_loop()
        self._begin()
        self._answer = loop.create_future()
        if len(body) < _JOIN_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        timer = loop.call_later(max(seconds, 0), self._fail, Failure.TIMEOUT)
        try:
            return await self._answer
        finally:
            timer.cancel()
            if not self._answer.done() or self._answer.cancelled():
                self.close()

    def close(self) -> None:
        """Close it, whatever is under way."""
        self._keep_alive = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, failure: Failure) -> None:
        self._keep_alive = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(0, failure=failure))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(Failure.UNREACHABLE)

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        self._keep_alive = False
        if self._headers_complete and not self._has_length():
            self.on_message_complete()  # an answer that ends with its connection
        self._fail(Failure.UNREACHABLE)

    def _has_length(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._headers_complete = True

    def on_body(self, body: bytes) -> None:
        if self._size < REPLY_BYTES:
            self._body.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._clear()  # 100 Continue and the like: the answer is still to come
            return
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            answer = Answer(status, tuple(self._headers), b"".join(self._body))
            self._answer.set_result(answer)
