"""Batches on their way to the broker: bounded, kept until taken, in flight several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from concurrent.futures import ThreadPoolExecutor

from functions.udp_bridge.batcher import Batch
from shared import metrics
from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.errors import TransientError

log = logging.getLogger(__name__)


class Outbox:
    """Encodes batches beside the caller and sends them until the broker has each.

    It holds at most `max_bytes` while the broker is away. A batch that was not answered is sent
    again under the same id, so that nothing is doubled. Past the bound the newest batch is refused:
    the caller counts its payloads as dropped.
    """

    def __init__(self, sink: Sink, *, max_bytes: int, senders: int = 4) -> None:
        self._sink = sink
        self._max_bytes = max_bytes
        self._senders = senders
        self._bytes = 0
        self._payloads = 0
        self._batches: asyncio.Queue[Batch] = asyncio.Queue()
        self._events: asyncio.Queue[tuple[OutgoingEvent, int]] = asyncio.Queue()
        self._unsent = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._packer = ThreadPoolExecutor(1, thread_name_prefix="packer")
        self._tasks = [asyncio.create_task(self._pack_all())]
        self._tasks += [asyncio.create_task(self._send_all()) for _ in range(senders)]

    @property
    def is_busy(self) -> bool:
        """Whether every sender has an event: another one would only wait."""
        return self._unsent >= self._senders

    def put(self, batch: Batch) -> bool:
        """Take a batch; return False when the outbox is full and the batch is not taken."""
        if self._bytes + batch.size > self._max_bytes:
            return False
        self._payloads += len(batch)
        self._hold(batch.size, 1)
        self._batches.put_nowait(batch)
        return True

    async def _pack_all(self) -> None:
        """Encode and compress in a thread, so that the socket is read meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._batches.get()
            packed = await loop.run_in_executor(self._packer, _packed, batch)
            for event, payloads in packed:
                self._hold(len(event.body), 1)
                self._events.put_nowait((event, payloads))
            self._hold(-batch.size, -1)

    async def _send_all(self) -> None:
        while True:
            event, payloads = await self._events.get()
            await self._send(event)
            metrics.UDP_SENT.inc(payloads)
            self._payloads -= payloads
            self._hold(-len(event.body), -1)

    def _hold(self, more_bytes: int, more_unsent: int) -> None:
        self._bytes += more_bytes
        self._unsent += more_unsent
        metrics.UDP_BUFFERED.set(self._bytes)
        if self._unsent:
            self._empty.clear()
        else:
            self._empty.set()

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
        """Wait until all is sent, at most so long; return the payloads that are given up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._packer.shutdown(wait=False, cancel_futures=True)
        await self._sink.close()
        return self._payloads


def _packed(batch: Batch) -> list[tuple[OutgoingEvent, int]]:
    return list(batch.events())
