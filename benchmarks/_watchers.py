"""WebSockets that cost as little as can be: many of them share the machine with what they measure.

They read frames of servers (RFC 6455, 5.2: not masked) and of each update only when its tick was
received; everything else of a message is left alone.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import socket
import struct
import time
from typing import Final, cast

_RECEIVED: Final = re.compile(rb'"received":(\d+)')
_TEXT, _PING, _PONG = 1, 9, 10


class Watcher(asyncio.Protocol):
    """One client. `waits`: of each tick, milliseconds from its receipt until it was here."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray()
        self._open = False
        self.transport: asyncio.Transport | None = None
        self.present = asyncio.Event()
        self.asked_ns = self.present_ns = 0
        self.waits: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self.transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            "GET /ws HTTP/1.1\r\nHost: kandle\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take what came; whole frames are read."""
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._buffer[:end]:
                raise SystemExit(f"no WebSocket: {bytes(self._buffer[:80])!r}")
            del self._buffer[: end + 4]
            self._open = True
            self.asked_ns = time.monotonic_ns()
            self._send(_TEXT, self._request)
        self._read_frames()

    def _read_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) >= at + 2:
            kind, length, start = buffer[at] & 15, buffer[at + 1] & 127, at + 2
            if length == 126:
                if len(buffer) < at + 4:
                    break
                (length,) = struct.unpack_from(">H", buffer, at + 2)
                start = at + 4
            elif length == 127:
                if len(buffer) < at + 10:
                    break
                (length,) = struct.unpack_from(">Q", buffer, at + 2)
                start = at + 10
            if len(buffer) < start + length:
                break
            self._take(kind, bytes(buffer[start : start + length]))
            at = start + length
        del buffer[:at]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _TEXT and payload.startswith(b'{"type":"update"'):
            found = _RECEIVED.search(payload)
            if found:
                self.waits.append(time.time_ns() // 1_000_000 - int(found[1]))
        elif kind == _TEXT and payload.startswith(b'{"type":"snapshot"'):
            self.present_ns = time.monotonic_ns()
            self.present.set()
        elif kind == _PING:
            self._send(_PONG, payload)

    def _send(self, kind: int, payload: bytes) -> None:
        assert self.transport is not None
        size = len(payload)
        head = bytes([128 | kind, 128 | size]) if size < 126 else struct.pack(
            ">BBH", 128 | kind, 254, size
        )  # fmt: skip
        self.transport.write(head + bytes(4) + payload)  # a mask of zeros leaves it as it is


async def watch(address: tuple[str, int], request: bytes, room: int = 0) -> Watcher:
    """Connect, subscribe, and wait for the snapshot. `room`: bytes that the kernel may hold."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    if room:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    sock.setblocking(False)
    await loop.sock_connect(sock, address)
    _, watcher = await loop.create_connection(lambda: Watcher(request), sock=sock)
    await asyncio.wait_for(watcher.present.wait(), 60)
    return watcher


async def stall(address: tuple[str, int], request: bytes) -> Watcher:
    """Return a client that reads nothing more, with as little room on its way as can be."""
    watcher = await watch(address, request, 4096)
    assert watcher.transport is not None
    watcher.transport.pause_reading()
    return watcher


async def leave(watchers: list[Watcher]) -> None:
    """Close the connections."""
    for each in watchers:
        if each.transport is not None:
            with contextlib.suppress(OSError):
                each.transport.abort()
    await asyncio.sleep(0.5)
