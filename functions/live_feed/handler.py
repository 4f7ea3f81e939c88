"""Event handler: ticks, busts, candles, patterns and alerts to the live stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from functions.live_feed.fanout import Message, messages
from functions.live_feed.stream import LiveStream
from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.errors import TransientError
from shared.market.shards import shard_of
from shared.realtime.leases import Selection, Watched
from shared.runtime import metrics
from shared.wire import events

STAGE: Final = "live-feed"
PATIENCE_S: Final = 30.0
_RETRY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class LiveHandler:
    """The stage's handler."""

    stream: LiveStream
    watched: Watched
    shards: int
    ticks_an_event: int

    async def __call__(self, event: Event) -> Outcome:
        """Publish the event's messages. Raises TransientError and PermanentError."""
        selections: Mapping[int, Selection] = {}
        if event.type == events.CANDLES:
            selections = await asyncio.to_thread(self.watched.all_of, range(self.shards))

        def is_watched(timeframe: str, instrument: str) -> bool:
            return selections[shard_of(instrument, self.shards)].shows(timeframe, instrument)

        outgoing, left_out = messages(event, self.ticks_an_event, is_watched)
        if outgoing:
            await self._publish(event.id, outgoing)
        metrics.LIVE_TICKS_CONFLATED.inc(left_out)
        return Outcome()

    async def _publish(self, event_id: str, outgoing: list[Message]) -> None:
        """Publish, even if NATS returns only after the broker has given up on this attempt.

        A restart of NATS can use up the few attempts of display; duplicates are dropped.
        """
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                await self.stream.publish(event_id, outgoing)
                return
            except TransientError:
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(_RETRY_S)
