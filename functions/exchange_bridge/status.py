"""Status reports of a feed: every few seconds and on each change; only the newest is sent."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from functions.exchange_bridge.exchange import Trade
from functions.exchange_bridge.health import Seen
from functions.exchange_bridge.intake import Intake
from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.errors import TransientError
from shared.runtime import metrics
from shared.sources.outbox import Outbox
from shared.wire import events
from shared.wire.feed_status import FeedStatus, SymbolStatus

log = logging.getLogger(__name__)

LOOK_S: Final = 0.2


@dataclass(slots=True)
class Reporter:
    """Reports the status of the feed.

    A trade id in a report is a promise: the broker has every trade up to it, or the gap that
    contains it. So ids are reported only once everything forwarded with them has been accepted, and
    only after the previous run's position is known, since its promise would be lost otherwise.
    """

    intake: Intake
    outbox: Outbox
    sink: Sink
    source: str
    every_s: float
    unreported_gaps: Callable[[], int]
    _number: Iterable[int] = field(default_factory=itertools.count)
    _safe: dict[str, Trade] = field(default_factory=dict)
    _pending: tuple[int, int, dict[str, Trade]] | None = None

    async def run(self) -> None:
        """Report until cancelled."""
        reported: object = None
        reported_s = 0.0
        while True:
            self.settle()
            status = self.status()
            current = [status.error, *((each.symbol, each.state) for each in status.symbols)]
            if current != reported or self.intake.now_s() - reported_s >= self.every_s:
                reported, reported_s = current, self.intake.now_s()
                await self.publish(status)
            await asyncio.sleep(LOOK_S)

    async def publish(self, status: FeedStatus) -> None:
        """Send a status; a failed one is superseded by a newer one."""
        id_ = f"{self.source}/feed/{next(iter(self._number))}"
        try:
            await self.sink.emit([OutgoingEvent.packed(id_, events.FEED, status.encode())])
        except TransientError as error:
            log.warning("the status was not accepted: %s", error)

    def settle(self) -> None:
        """Advance the ids that are safe to report."""
        if self._pending is not None and self.intake.forgotten != self._pending[1]:
            self._pending = None  # something in the batch may have been dropped since
        if self._pending is not None and self.outbox.accepted_count >= self._pending[0]:
            self._safe.update(self._pending[2])
            self._pending = None
        if self._pending is None and self.intake.has_resumed and not self.unreported_gaps():
            certain = {
                symbol: trade
                for symbol, ids in self.intake.ids.items()
                if (trade := ids.certain()) is not None
            }
            waiting = self.intake.batcher.waiting > 0
            self._pending = (self.outbox.put_count + waiting, self.intake.forgotten, certain)

    def status(self) -> FeedStatus:
        """Return the status of the feed now."""
        health, now_us = self.intake.health, self.intake.now_us()
        if health.skew.us is not None:
            metrics.FEED_SKEW.labels(self.intake.exchange.name).set(health.skew.us / 1e6)
        names = {*self.intake.exchange.symbols, *health.symbols, *self.intake.ids}
        symbols = [self._symbol(name, now_us) for name in sorted(names)]
        if not symbols:  # the server names them, and has not been heard: the feed's own state
            symbols = [SymbolStatus("", "", health.state("", now_us))]
        return FeedStatus(
            self.intake.exchange.name,
            self.source,
            now_us,
            health.reconnects,
            health.skew.us,
            health.error,
            tuple(symbols),
        )

    def _symbol(self, symbol: str, now_us: int) -> SymbolStatus:
        health, ids = self.intake.health, self.intake.ids.get(symbol)
        seen = health.symbols.get(symbol) or Seen()
        safe = self._safe.get(symbol)
        return SymbolStatus(
            symbol,
            self.intake.exchange.instrument(symbol),
            health.state(symbol, now_us),
            seen.message_us,
            seen.trade_us,
            None if safe is None else safe.id,
            0 if safe is None else safe.time_us,
            0 if ids is None else len(ids.gaps),
            0 if ids is None else ids.filled,
            seen.trades_per_minute(now_us),
            seen.history_done,
            seen.history_parts,
        )
