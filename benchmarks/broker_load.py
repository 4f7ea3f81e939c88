"""The two ends of the broker benchmark, each a process of its own: `receive PORT`, `send URL ...`.

Both speak just enough HTTP/1.1 by hand, so that on a small machine the broker is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import cast

import uvloop

CONNECTIONS = 16
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Receiver(asyncio.Protocol):
    """Answers each POST with 204 at once; a GET answers what came since the last GET."""

    latencies: list[float] = []  # noqa: RUF012  one list for all connections
    last_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = bytearray()
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if self._missing > len(data):
            self._missing -= len(data)
            return
        if self._missing:
            data = data[self._missing :]
            self._missing = 0
            self._transport.write(_NO_CONTENT)
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).lower()
            if head.startswith(b"get"):
                self._report()
                self._buffer.clear()
                return
            sent = float(_header(head, b"ce-sent:"))
            _Receiver.last_at = time.monotonic()
            _Receiver.latencies.append(_Receiver.last_at - sent)
            missing = end + 4 + int(_header(head, b"content-length:")) - len(self._buffer)
            if missing > 0:
                self._missing = missing
                self._buffer.clear()
                return
            del self._buffer[: len(self._buffer) + missing]
            self._transport.write(_NO_CONTENT)

    def _report(self) -> None:
        text = json.dumps({"latencies": _Receiver.latencies, "last_at": _Receiver.last_at})
        _Receiver.latencies = []
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n"
        self._transport.write((head + text).encode())


def _header(head: bytes, name: bytes) -> bytes:
    start = head.index(name) + len(name)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)]


async def receive(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", port)
    await server.serve_forever()


async def send(port: int, path: str, size: int, count: int, rate: float) -> None:
    """POST `count` events of `size` random bytes, `rate` a second (0: as fast as possible)."""
    numbers = iter(range(count))
    run = os.urandom(6).hex()
    body = os.urandom(size)
    started = time.monotonic()

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            if rate:
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            while True:
                head = (
                    f"POST {path} HTTP/1.1\r\nHost: broker\r\nce-specversion: 1.0\r\n"
                    f"ce-id: {run}-{number}\r\nce-source: /benchmark\r\nce-type: benchmark\r\n"
                    f"ce-sent: {time.monotonic()}\r\ncontent-type: application/octet-stream\r\n"
                    f"content-length: {size}\r\n\r\n"
                )
                writer.write(head.encode() + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                if answer.startswith(b"HTTP/1.1 202"):
                    break
                await asyncio.sleep(0.05)  # 500: a sender repeats
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    print(json.dumps({"started": started}))


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        uvloop.run(receive(int(sys.argv[2])))
    else:
        port, path, size, count, rate = sys.argv[2:]
        uvloop.run(send(int(port), path, int(size), int(count), float(rate)))
