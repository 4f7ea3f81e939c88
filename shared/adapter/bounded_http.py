"""uvicorn's HTTP with bounds on heads and trailers of requests, which it has none for."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 64 * 1024
"""As of h11; also for trailers. What one read brings, up to 256 KiB, is looked at whole."""
HEAD_S: Final = 30.0
"""Time for the first request of a connection to begin, and for the head of each to be complete.

Also for a request after a blank line or the rest of one that was answered early: these end
uvicorn's own wait for the next request.
"""


class BoundedHttp(HttpToolsProtocol):
    """Closes connections without a request, and those with half a head or too long a one."""

    _is_in_head = False
    _head_bytes = 0
    """Bytes since the last head, part of a body or request was complete."""
    _expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._expiry = self.loop.call_later(HEAD_S, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head or trailers that are incomplete after them are bounded."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return  # closed, or a WebSocket's
        if self._head_bytes > HEAD_BYTES:
            self.send_400_response(f"Head and trailers have at most {HEAD_BYTES} bytes each.")
        elif self._expiry is None and (self._is_in_head or not self._is_response_due()):
            self._expiry = self.loop.call_later(HEAD_S, self._expire)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the wait."""
        self._is_in_head, self._head_bytes = False, 0
        self._cancel()
        super().on_headers_complete()
        self.scope["headers"] = self.headers.copy()  # uvicorn adds trailers to its own

    def on_body(self, body: bytes) -> None:
        """Count from here."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count from here."""
        self._head_bytes = 0
        super().on_message_complete()

    def _is_response_due(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expire(self) -> None:
        self._expiry = None
        if self._is_response_due():
            # A request whose response is under way was followed by half of another.
            self._expiry = self.loop.call_later(HEAD_S, self._expire)
        else:
            self.transport.close()

    def _cancel(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
