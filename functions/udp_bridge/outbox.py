"""Batches on their way to the broker: bounded, kept until taken, in flight several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque

from shared import metrics
from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.errors import TransientError

log = logging.getLogger(__name__)


class Outbox:
    """Sends batches until the broker has each; holds at most `max_bytes` while it is away.

    A batch that was not answered is sent again under the same id, so that nothing is doubled. Past
    the bound the newest batch is refused: the caller counts its payloads as dropped.
    """

    def __init__(self, sink: Sink, *, max_bytes: int, senders: int = 4) -> None:
        self._sink = sink
        self._max_bytes = max_bytes
        self._queue: deque[tuple[OutgoingEvent, int]] = deque()
        self._bytes = 0
        self._unsent = 0
        self._arrived = asyncio.Condition()
        self._empty = asyncio.Event()
        self._empty.set()
        self._tasks = [asyncio.create_task(self._send_all()) for _ in range(senders)]

    async def put(self, event: OutgoingEvent, payloads: int) -> bool:
        """Take a batch; return False when the outbox is full and the batch is not taken."""
        if self._bytes + len(event.body) > self._max_bytes:
            return False
        self._bytes += len(event.body)
        self._unsent += 1
        self._empty.clear()
        metrics.UDP_BUFFERED.set(self._bytes)
        async with self._arrived:
            self._queue.append((event, payloads))
            self._arrived.notify()
        return True

    async def _send_all(self) -> None:
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: bool(self._queue))
                event, payloads = self._queue.popleft()
            await self._send(event)
            metrics.UDP_SENT.inc(payloads)
            self._bytes -= len(event.body)
            self._unsent -= 1
            if not self._unsent:
                self._empty.set()
            metrics.UDP_BUFFERED.set(self._bytes)

    async def _send(self, event: OutgoingEvent) -> None:
        pause_s = 0.2
        while True:
            try:
                await self._sink.emit([event])
                return
            except TransientError as error:
                log.warning(
                    "batch %s is not taken yet (%d waiting, %d bytes): %s",
                    event.id,
                    self._unsent,
                    self._bytes,
                    error,
                )
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311
                pause_s = min(pause_s * 2, 5.0)

    async def close(self, within_s: float) -> int:
        """Wait until all is sent, at most so long; return the batches that are given up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sink.close()
        return self._unsent
