"""Event handler: ticks, a venue's history, and the clock's maintenance."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.publish import STAGE, OutboxRow, waiting_rows
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.storage import Storage
from shared.adapter.app import Outcome
from shared.adapter.event import Event
from shared.errors import PermanentError, TransientError
from shared.realtime.keys import Block, Keys
from shared.runtime import metrics
from shared.runtime.latency import note_tick_seconds
from shared.wire import events
from shared.wire.candle_history import CandleHistory
from shared.wire.ticks import Ticks

log = logging.getLogger(__name__)

RESEND_AFTER_MS: Final = 5_000
RESEND_AT_ONCE: Final = 500
DECODE_HERE_BYTES: Final = 65_536
"""An event up to here (some 5,000 ticks) is decoded in 0.6 ms; a thread is woken for it, twice."""


def wall_clock_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class Aggregate:
    """The stage's handler. `clock`: the wall clock in microseconds since 1970 UTC."""

    engine: Engine
    storage: Storage
    clock: Callable[[], int] = wall_clock_us
    _decoder: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="decode")
    )
    _storage_lock: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, event: Event) -> Outcome:
        """Apply an event. Raises PermanentError for what the stage does not take."""
        loop = asyncio.get_running_loop()
        if event.type == events.TICKS:
            if 0 <= event.data_bytes() <= DECODE_HERE_BYTES:
                ticks = Ticks.decode(event.data())
            else:
                ticks = await loop.run_in_executor(
                    self._decoder, lambda: Ticks.decode(event.data())
                )
            return await self._ticks(event, ticks) if len(ticks) else Outcome()
        if event.type == events.HISTORY:
            history = CandleHistory.decode(event.data())
            emission = await loop.run_in_executor(None, self.storage.history, self.engine, history)
            return Outcome(shared=[emission])
        if event.type == events.BUSTS:  # persist queues the candles: here they are for screens
            if (display := self.engine.display) is None:
                return Outcome()
            shards = self.engine.rules.shards
            return Outcome(show=await loop.run_in_executor(None, display.busts, event, shards))
        if event.type == events.CLOCK:
            if event.age_s(self.clock()) > events.CLOCK_MAX_AGE_S:
                return Outcome()
            return await loop.run_in_executor(None, self.tick_clock)
        raise PermanentError(
            "unexpected_type",
            f"candle-aggregate does not take {event.type}",
        )

    async def _ticks(self, event: Event, ticks: Ticks) -> Outcome:
        may_repeat = events.IDEMPOTENCY_KEY in event.attributes
        applied = await asyncio.wrap_future(
            self.engine.submit(TickEvent(event.id, ticks, may_repeat))
        )
        if applied.repeated:
            metrics.EVENTS_REPEATED.labels(STAGE).inc()
            return applied.outcome
        note_tick_seconds(STAGE, ticks.receive_time_us)
        metrics.WATERMARK_DELAY.set(self.clock() / 1e6 - int(ticks.event_time_us.max()) / 1e6)
        return applied.outcome

    def tick_clock(self) -> Outcome:
        """Close what is quiet, show what no tick came after, and re-send what waits.

        The work with storage comes after that.
        """
        self._begin_missing()
        closed = self.close_quiet(self.clock())
        rows = self._waiting_rows()
        resent = [self.engine.emission(rows)] if rows else []
        after = Outcome(after_emit=self._with_storage, shared=resent)
        return Outcome.together([*self.engine.outcomes(), closed, self.engine.show(), after])

    def _begin_missing(self) -> None:
        """Start the rebuild of missing states, even without a tick for them."""
        shards = range(self.engine.rules.shards)
        heads = self.engine.store.read_hashes([(Keys(shard).head, ["lineage"]) for shard in shards])
        self.engine.begin(
            shard for shard, (lineage,) in zip(shards, heads, strict=True) if not lineage
        )

    def close_quiet(self, now_us: int) -> Outcome:
        """Close candles whose end, and the allowed lateness, have passed by the wall clock.

        Only of instruments that received nothing for the idle time, so that replaying old data does
        not trip it.
        """
        engine, rules = self.engine, self.engine.rules
        until_us = now_us - rules.allowed_lateness_us
        stored = engine.store.read_whole([Keys(shard).blocks for shard in range(rules.shards)])
        ended = [
            shard
            for shard, blocks in enumerate(stored)
            if any(
                rules.timeframe(block.timeframe).next_us(block.start_us) <= until_us
                for block in (Block.of(field) for field, count in blocks.items() if int(count))
            )
        ]
        if not ended:
            return Outcome()
        return engine.step(
            ended,
            lambda leases, at_us: engine.steps.close_quiet(
                leases, until_us, at_us - rules.idle_us, at_us
            ),
        ).outcome

    def _waiting_rows(self) -> Sequence[OutboxRow]:
        store, shards = self.engine.store, range(self.engine.rules.shards)
        stored = store.read_whole([Keys(shard).outbox for shard in shards])
        now_ms = self.clock() // 1000
        return waiting_rows(dict(enumerate(stored)), now_ms, RESEND_AFTER_MS, RESEND_AT_ONCE)

    def _with_storage(self) -> Outcome | None:
        """Do the clock's work with storage, unless an earlier second still does."""
        if not self._storage_lock.acquire(blocking=False):
            return None
        try:
            emissions = list(self.storage.work(self.engine, self.clock() // 1_000_000))
            if (display := self.engine.display) is None:
                return Outcome(shared=emissions)
            outputs = [output for each in emissions for output in each.emit]
            show = display.repaired(outputs, self.engine.rules.shards)
            return Outcome(shared=emissions, show=show)
        except TransientError as error:
            log.warning("the clock's work with storage waits: %s", error)
            return None
        finally:
            self._storage_lock.release()
