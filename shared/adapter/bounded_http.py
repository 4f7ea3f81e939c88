"""uvicorn's HTTP with bounds on the head of a request, which it has none for: bytes and time."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES: Final = 64 * 1024
"""As of h11. What one read brings, up to 256 KiB, is looked at whole."""
HEAD_S: Final = 30.0
"""Time for the first request of a connection to begin, and for the head of each to be complete."""


class BoundedHttp(HttpToolsProtocol):
    """Closes connections without a request, and those with half a head or too long a one."""

    _is_in_head = False
    _head_bytes = 0
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
        """Take bytes; a head that is incomplete after them is counted and timed."""
        super().data_received(data)
        if not self._is_in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self.send_400_response(f"The head of a request has at most {HEAD_BYTES} bytes.")
        elif self._expiry is None:
            self._expiry = self.loop.call_later(HEAD_S, self._expire)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End the wait."""
        self._is_in_head = False
        self._cancel()
        super().on_headers_complete()

    def _expire(self) -> None:
        self._expiry = None
        if self.cycle is not None and not self.cycle.response_complete:
            # A request whose response is under way was followed by half of another.
            self._expiry = self.loop.call_later(HEAD_S, self._expire)
        else:
            self.transport.close()

    def _cancel(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
