"""Display: events to Broker display, posted in the background and never awaited.

The newest is posted first: after an outage a screen is up to date at once. Failed posts are retried
for a while, so that a restart of the broker or of NATS loses nothing; the queue is bounded, and the
oldest is dropped first.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.runtime import metrics

MAX_UNDER_WAY: Final = 16
MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
PATIENCE_S: Final = 45.0
TIMEOUT_S: Final = 2.0
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    event: OutgoingEvent
    traceparent: str | None
    until_s: float


class Display:
    """Queue of events to Broker display. Used by one event loop. `clock`: monotonic seconds."""

    def __init__(self, sink: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self._sink = sink
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._offered = 0
        self._bytes = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._failures = 0

    def offer(self, events: Sequence[OutgoingEvent], traceparent: str | None = None) -> None:
        """Queue the events; drop the oldest if the queue is full."""
        until_s = self._clock() + PATIENCE_S
        for event in events:
            self._offered += 1
            self._waiting.append(_Waiting(self._offered, event, traceparent, until_s))
            self._bytes += len(event.body)
        while self._bytes > MAX_WAITING_BYTES:
            self._take(0)
            metrics.DISPLAY_EVENTS.labels("dropped").inc()
        while len(self._workers) < min(MAX_UNDER_WAY, len(self._waiting)):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while self._waiting:
            waiting = self._take(-1)
            if waiting.until_s < self._clock():
                metrics.DISPLAY_EVENTS.labels("dropped").inc()
            elif await self._posted(waiting):
                self._failures = 0
                metrics.DISPLAY_EVENTS.labels("accepted").inc()
            else:
                self._failures += 1
                metrics.DISPLAY_EVENTS.labels("failed").inc()
                insort(self._waiting, waiting, key=lambda each: each.number)
                self._bytes += len(waiting.event.body)
                doublings = min(self._failures // MAX_UNDER_WAY, 5)
                await asyncio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**doublings))

    def _take(self, index: int) -> _Waiting:
        waiting = self._waiting.pop(index)
        self._bytes -= len(waiting.event.body)
        return waiting

    async def _posted(self, waiting: _Waiting) -> bool:
        try:
            return await asyncio.wait_for(
                self._sink.post_once(waiting.event, waiting.traceparent), TIMEOUT_S
            )
        except TimeoutError:
            return False
