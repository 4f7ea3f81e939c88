"""Events for screens to Broker display: one attempt each, in the background, never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from shared import metrics
from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink

MAX_UNDER_WAY: Final = 32
TIMEOUT_S: Final = 2.0


class Display:
    """Broker display as an emitter sees it. Used by one event loop."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._under_way: set[asyncio.Task[None]] = set()

    def offer(self, events: Sequence[OutgoingEvent], traceparent: str | None = None) -> None:
        """Begin to post the events; what is too much at once is dropped, as is what fails."""
        for event in events:
            if len(self._under_way) >= MAX_UNDER_WAY:
                metrics.DISPLAY_EVENTS.labels("dropped").inc()
                continue
            task = asyncio.create_task(self._post(event, traceparent))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _post(self, event: OutgoingEvent, traceparent: str | None) -> None:
        try:
            accepted = await asyncio.wait_for(self._sink.post_once(event, traceparent), TIMEOUT_S)
        except TimeoutError:
            accepted = False
        metrics.DISPLAY_EVENTS.labels("accepted" if accepted else "failed").inc()
