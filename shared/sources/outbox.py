"""Outbox: batches on their way to the broker, bounded, retried until accepted, several at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from prometheus_client import Counter, Gauge

from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.adapter.tracing import Tracing
from shared.errors import TransientError
from shared.runtime.tasks import end
from shared.sources.batcher import Batch
from shared.sources.receipts import Receipts

log = logging.getLogger(__name__)

REST: Final = 6.0
"""Rest after an answer, in times of what it took: a slow broker gets fewer and larger events. Each
costs every stage its work, so that on a busy machine more of them make all wait longer."""
LONGEST_REST_S: Final = 0.025
"""Also the idle time that counts as rest taken in advance: after a pause a few events are sent
without any, so that a payload does not wait for the rest of the burst before it."""
_TIMER_S: Final = 0.001
"""Resolution of uvloop's timers: it does not sleep at all for less than half of it."""
_FULL_S: Final = 0.1
SMALL_BYTES: Final = 64 * 1024
"""Batches of up to this many payloads are encoded inline (0.2 ms), not in a thread."""


class Outbox:
    """Encodes batches in the background and retries until the broker has each.

    It holds at most `max_bytes` while the broker is away. An unanswered batch is retried under the
    same id, so that nothing is duplicated. Beyond the bound the newest batch is refused, and the
    caller counts its payloads as dropped. `sent` counts accepted payloads, `buffered` the waiting
    bytes of all outboxes of a process. `clock`: monotonic seconds.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        max_bytes: int,
        sent: Counter,
        buffered: Gauge,
        senders: int = 4,
        tracing: Tracing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._tracing = tracing or Tracing()
        self._max_bytes = max_bytes
        self._sent = sent
        self._buffered = buffered
        self._bytes = 0
        self._payloads = 0
        self._receipts = Receipts()
        self._batches: asyncio.Queue[tuple[int, Batch]] = asyncio.Queue()
        self._events: asyncio.Queue[tuple[int, OutgoingEvent, int]] = asyncio.Queue()
        self._unsent = 0
        self._rests_until_s = 0.0
        self._empty = asyncio.Event()
        self._empty.set()
        self._packer = ThreadPoolExecutor(1, thread_name_prefix="packer")
        self._tasks = [asyncio.create_task(self._pack_all())]
        self._tasks += [asyncio.create_task(self._send_all()) for _ in range(senders)]

    @property
    def is_busy(self) -> bool:
        """Whether the broker has not answered yet, or rests: a batch should grow meanwhile."""
        return self._unsent > 0 or self._clock() < self._rests_until_s

    async def until_free(self, within_s: float) -> None:
        """Wait until `is_busy` ends, with a timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
                if (rest_s := self._rests_until_s - self._clock()) > 0:
                    await asyncio.sleep(max(_TIMER_S, rest_s))

    def put(self, batch: Batch) -> bool:
        """Add a batch; return False if the outbox is full."""
        if self._bytes + batch.size > self._max_bytes:
            return False
        self._payloads += len(batch)
        self._hold(batch.size, 1)
        self._batches.put_nowait((self._receipts.issue(), batch))
        return True

    def put_event(self, event: OutgoingEvent) -> bool:
        """Add an event other than a batch; return False if the outbox is full."""
        if self._bytes + len(event.body) > self._max_bytes:
            return False
        self._hold(len(event.body), 1)
        self._events.put_nowait((self._receipts.issue(), event, 0))
        return True

    async def put_when_room(self, *items: Batch | OutgoingEvent) -> None:
        """Add batches or events, waiting for room: nothing is dropped."""
        for item in items:
            put: Callable[[Any], bool] = self.put if isinstance(item, Batch) else self.put_event
            while not put(item):  # noqa: ASYNC110 - room is nobody's event
                await asyncio.sleep(_FULL_S)

    @property
    def has_room(self) -> bool:
        """Whether the outbox is at most half full."""
        return self._bytes <= self._max_bytes // 2

    @property
    def put_count(self) -> int:
        """Number of batches and events put so far."""
        return self._receipts.issued

    @property
    def accepted_count(self) -> int:
        """The number of leading items put that the broker has accepted."""
        return self._receipts.settled

    async def until_accepted(self, count: int) -> None:
        """Wait until the broker has the first `count` items put."""
        await self._receipts.until_settled(count)

    async def _pack_all(self) -> None:
        """Encode and compress; a large batch in a thread, so that the socket is read meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            number, batch = await self._batches.get()
            if batch.size <= SMALL_BYTES:
                packed = _packed(batch)
            else:
                packed = await loop.run_in_executor(self._packer, _packed, batch)
            self._receipts.split(number, len(packed))
            for event, payloads in packed:
                self._hold(len(event.body), 1)
                self._events.put_nowait((number, event, payloads))
            self._hold(-batch.size, -1)

    async def _send_all(self) -> None:
        while True:
            number, event, payloads = await self._events.get()
            began_s = self._clock()
            with self._tracing.sending(event) as traceparent:
                await self._send(event, traceparent)
            now_s = self._clock()
            owed_s = max(-LONGEST_REST_S, self._rests_until_s - now_s) + REST * (now_s - began_s)
            self._rests_until_s = now_s + min(LONGEST_REST_S, owed_s)
            self._sent.inc(payloads)
            self._payloads -= payloads
            self._receipts.settle(number)
            self._hold(-len(event.body), -1)

    def _hold(self, more_bytes: int, more_unsent: int) -> None:
        self._bytes += more_bytes
        self._unsent += more_unsent
        self._buffered.inc(more_bytes)
        if self._unsent:
            self._empty.clear()
        else:
            self._empty.set()

    async def _send(self, event: OutgoingEvent, traceparent: str) -> None:
        pause_s = 0.2
        while True:
            try:
                await self._sink.emit([event], traceparent)
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
        """Wait until everything is sent, with a timeout; return the abandoned payloads."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        await end(*self._tasks)
        self._buffered.dec(self._bytes)
        self._bytes = 0
        self._packer.shutdown(wait=False, cancel_futures=True)
        await self._sink.close()
        return self._payloads


def _packed(batch: Batch) -> list[tuple[OutgoingEvent, int]]:
    return list(batch.events())
