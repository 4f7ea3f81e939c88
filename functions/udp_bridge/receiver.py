"""Receiver: read datagrams into batches and send each when it is full or due."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from functions.udp_bridge.datagrams import DATAGRAMS_A_READ, Datagrams, Reader
from functions.udp_bridge.udp_socket import KernelDrops
from shared.runtime import metrics
from shared.sources.batcher import Batch, Batcher
from shared.sources.outbox import Outbox

log = logging.getLogger(__name__)

READS_A_TURN: Final = 2
"""Yield to the event loop after this many reads, so that posts to the sink progress."""
LONGEST_PAUSE_S: Final = 0.004
"""Pause after a read while the outbox is busy: a read per datagram would dominate the cost."""
LULL: Final = 0.2
"""A batch to which nothing is added for this part of its longest delay is sent: a burst is one
batch."""
SHORTEST_LULL_S: Final = 0.001
"""Timers of the event loop are no finer."""
ALONE_S: Final = 0.0003
"""With the shortest lull, what is read at once is sent if nothing follows within this: a lone
datagram does not wait for a timer."""
BUFFER_BYTES_A_S: Final = 256 * 1024 * 1024
"""Fill rate of the receive buffer to allow for in a pause: a default one lasts 1 ms."""

_REPORT_EVERY_S: Final = 1.0
_LAST_READS_S: Final = 1.0
_KERNEL: Final = (
    "the receive buffer was full: senders are faster than this listener,"
    " or net.core.rmem_max is too small for their bursts"
)

Sort = Callable[[Datagrams], Sequence[Datagrams]]


class Receiver:
    """One socket's datagrams. `sort` assigns what was read to `batchers`.

    While `outbox` is busy, a batch that is not full keeps growing.
    """

    def __init__(
        self,
        sock: socket.socket,
        reader: Reader,
        batchers: Sequence[Batcher],
        sort: Sort,
        outbox: Outbox,
    ) -> None:
        self._socket = sock
        self._reader = reader
        self._batchers = batchers
        self._sort = sort
        self._outbox = outbox
        buffer_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._pause_s = min(LONGEST_PAUSE_S, buffer_bytes / BUFFER_BYTES_A_S)
        lull_s = max(SHORTEST_LULL_S, LULL * batchers[0].limits.age_us / 1e6)
        self._alone_s = ALONE_S if lull_s <= SHORTEST_LULL_S else None
        self._short_pause_s = min(self._pause_s, lull_s)
        self._reads_a_lull = max(1, round(lull_s / self._short_pause_s))
        self._drops = KernelDrops(sock)
        self._refused = 0
        self._truncated = 0
        self._reported_s = 0.0
        self._readable = asyncio.Event()
        self._stopping = False
        for cause in ("kernel", "outbox_full", "truncated"):
            metrics.UDP_DROPPED.labels(cause)

    async def run(self) -> None:
        """Receive until `stop()`, then drain the socket and send it."""
        empty_reads = 0
        while not self._stopping:
            is_open = self._is_open()
            count = self._receive()
            empty_reads = 0 if count else empty_reads + 1
            if not self._outbox.is_busy:
                is_alone = count > 0 and not is_open and self._is_quiet()
                self._send(lull=is_alone or empty_reads >= self._reads_a_lull)
            if count >= READS_A_TURN * DATAGRAMS_A_READ:
                await asyncio.sleep(0)
            elif self._is_open():
                await self._pause()
            else:
                self._report()
                await self._wait()
            if time.monotonic() - self._reported_s >= _REPORT_EVERY_S:
                self._report()
        until_s = time.monotonic() + _LAST_READS_S
        while self._read() and time.monotonic() < until_s:
            pass
        self._send(lull=True)
        self._report()

    def stop(self) -> None:
        """End `run` once the socket is drained."""
        self._stopping = True
        self._readable.set()

    def _is_open(self) -> bool:
        """Return whether a batch has payloads."""
        return any(each.waiting for each in self._batchers)

    def _is_quiet(self) -> bool:
        """Return whether nothing more comes; blocks for less than a timer's resolution."""
        within_s = self._alone_s
        return within_s is not None and not select.select([self._socket], (), (), within_s)[0]

    async def _pause(self) -> None:
        """Wait for more, or until the next batch may be sent."""
        if self._outbox.is_busy:
            await self._outbox.until_free(self._pause_s)
        else:
            await asyncio.sleep(self._short_pause_s)

    async def _wait(self) -> None:
        """Sleep until the socket is readable: an idle receiver costs nothing."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._readable.set)
        try:
            await self._readable.wait()
        finally:
            loop.remove_reader(self._socket)
        if not self._stopping:
            self._readable.clear()

    def _receive(self) -> int:
        """Read a few times, as long as there is more; return how many datagrams came."""
        total = 0
        for _ in range(READS_A_TURN):
            count = self._read()
            total += count
            if count < DATAGRAMS_A_READ:
                break
        return total

    def _read(self) -> int:
        datagrams = self._reader.read()
        if datagrams is None:
            return 0
        self._truncated += datagrams.truncated
        metrics.UDP_DATAGRAMS.inc(len(datagrams) + datagrams.truncated)
        metrics.UDP_BYTES.inc(len(datagrams.payloads))
        now_us = time.time_ns() // 1000
        for batcher, part in zip(self._batchers, self._sort(datagrams), strict=True):
            for batch in batcher.add(part, now_us):
                self._hand_on(batch)
        return len(datagrams) + datagrams.truncated

    def _send(self, *, lull: bool) -> None:
        """Send batches that are due, or all in a lull."""
        now_us = time.time_ns() // 1000
        for batcher in self._batchers:
            if batcher.is_due(now_us) or (lull and batcher.waiting):
                self._hand_on(batcher.take())

    def _hand_on(self, batch: Batch) -> None:
        if not self._outbox.put(batch):
            self._refused += len(batch)

    def _report(self) -> None:
        """Count and log drops."""
        self._reported_s = time.monotonic()
        for cause, count, explanation in (
            ("kernel", self._drops.new(), _KERNEL),
            (
                "outbox_full",
                self._refused,
                "BUFFER_BYTES are full: the sink is away, or slower than what comes in",
            ),
            ("truncated", self._truncated, "each had more bytes than a datagram may have"),
        ):
            if count:
                metrics.UDP_DROPPED.labels(cause).inc(count)
                log.error("%d datagrams dropped: %s", count, explanation)
        self._refused = self._truncated = 0
