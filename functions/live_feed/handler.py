"""Ticks, candles and patterns to the live stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.live_feed.fanout import messages
from functions.live_feed.stream import LiveStream
from shared import metrics
from shared.adapter.app import Outcome
from shared.adapter.event import Event

STAGE: Final = "live-feed"


@dataclass(frozen=True, slots=True)
class Show:
    """The stage's handler."""

    stream: LiveStream
    ticks_an_event: int

    async def __call__(self, event: Event) -> Outcome:
        """Publish what an event says. Raises TransientError and PermanentError."""
        found, left_out = messages(event, self.ticks_an_event)
        if found:
            await self.stream.publish(event.id, found)
        metrics.LIVE_TICKS_CONFLATED.inc(left_out)
        return Outcome()
