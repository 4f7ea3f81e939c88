"""Ticks, candles and patterns to the live stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from functions.live_feed.fanout import messages
from functions.live_feed.stream import LiveStream
from shared import events, metrics
from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.shards import shard_of
from shared.watched import Watched

STAGE: Final = "live-feed"


@dataclass(frozen=True, slots=True)
class Show:
    """The stage's handler."""

    stream: LiveStream
    watched: Watched
    shards: int
    ticks_an_event: int

    async def __call__(self, event: Event) -> Outcome:
        """Publish what an event says. Raises TransientError and PermanentError."""
        if event.type == events.CANDLES:
            await asyncio.to_thread(self._read)
        found, left_out = messages(event, self.ticks_an_event, self._shows)
        if found:
            await self.stream.publish(event.id, found)
        metrics.LIVE_TICKS_CONFLATED.inc(left_out)
        return Outcome()

    def _read(self) -> None:
        for shard in range(self.shards):
            self.watched.of(shard)

    def _shows(self, timeframe: str, instrument: str) -> bool:
        return self.watched.of(shard_of(instrument, self.shards)).shows(timeframe, instrument)
