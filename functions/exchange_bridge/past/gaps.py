"""Gaps: report missing trades, fetch them over REST, report the gap as filled."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass, field
from typing import Final

from functions.exchange_bridge.exchange import Fetched
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import RestError, UnfillableError, understood
from functions.exchange_bridge.seen_ids import Missing
from shared.adapter.event import OutgoingEvent
from shared.runtime import metrics
from shared.sources.outbox import Outbox
from shared.wire import events
from shared.wire.gaps import Gap, GapState, encode_gaps

log = logging.getLogger(__name__)

LAST_RETRY_S: Final = 60.0
"""The longest pause while the exchange cannot be reached."""
LAST_REFUSED_S: Final = 86_400.0
"""The longest pause while the exchange does not list it, or refuses."""
PIECE: Final = 200
"""Fetched trades per batch: small enough to fit into the outbox."""


@dataclass(slots=True)
class Gaps:
    """The gaps of a feed: ids missing for `grace_s`. Those of more than `max_trades` stay open."""

    intake: Intake
    outbox: Outbox
    grace_s: float
    max_trades: int
    _unreported: list[tuple[int, OutgoingEvent]] = field(default_factory=list)

    def look(self) -> None:
        """Detect new and closed gaps; called several times a second."""
        feed, now_s = self.intake.exchange.name, self.intake.now_s()
        # While the broker is far behind holes grow instead: a long outage leaves few gaps.
        grace_s = self.grace_s if self.outbox.has_room else math.inf
        for ids in self.intake.ids.values():
            for missing in ids.lasting(now_s, grace_s):
                gap = self._gap(missing, GapState.OPEN)
                extent = "times (ms)" if gap.by_time else f"{gap.count} trades"
                log.warning(
                    "%s: %s of %s are missing, %d to %d",
                    *(feed, extent, gap.symbol, gap.first_id, gap.last_id),
                )
                metrics.GAPS.labels(feed).inc()
                self._queue(gap)
            for missing in ids.closed():
                metrics.GAPS_FILLED.labels(feed).inc()
                self.intake.health.error = ""
                self._queue(self._gap(missing, GapState.FILLED))
        metrics.GAPS_OPEN.labels(feed).set(sum(len(ids.gaps) for ids in self.intake.ids.values()))
        self._send()

    async def fill(self) -> None:
        """Fetch missing trades, one gap at a time, until cancelled."""
        while True:
            missing = self._next()
            if missing is None:
                await asyncio.sleep(0.05)
                continue
            left, is_final = missing.left, True
            try:
                with understood():
                    await self._fetch(missing)
                reason = "the exchange does not list all of them yet"
            except UnfillableError as error:
                reason, missing.pause_s = str(error), math.inf
                self.intake.health.error = ""
            except RestError as error:
                reason, is_final = str(error), error.is_final
                self.intake.health.error = reason
            if missing.left:
                self._retry(missing, reason, is_final=is_final, has_more=missing.left != left)

    def _retry(self, missing: Missing, reason: str, *, is_final: bool, has_more: bool) -> None:
        """Try a gap again later; one that cannot be filled stays open in Postgres only."""
        feed, ids = self.intake.exchange.name, self.intake.of(missing.symbol)
        if has_more:
            missing.pause_s = 1.0
        if missing.pause_s == math.inf:  # kept, each connection could add one without end
            ids.gaps = [gap for gap in ids.gaps if gap is not missing]
            log.warning("%s: a gap of %s stays open: %s", feed, missing.symbol, reason)
            return
        log.warning(
            "%s: the gap of %s is tried again in %g s: %s",
            *(feed, missing.symbol, missing.pause_s, reason),
        )
        missing.retry_at_s = self.intake.now_s() + missing.pause_s
        longest_s = LAST_REFUSED_S if is_final else LAST_RETRY_S
        missing.pause_s = min(missing.pause_s * 2, longest_s)

    async def _fetch(self, missing: Missing) -> None:
        feed = self.intake.exchange.name
        before, after = missing.neighbours
        for first, last in list(missing.left):
            reaches = first - 1
            ends = before._replace(id=first), after._replace(id=last)
            async for page in self.intake.exchange.missing(missing.symbol, *ends):
                await self._hand_on(page)
                reaches = max(reaches, page.reaches)
            for a, b in self.intake.of(missing.symbol).settle(missing, first, reaches):
                log.warning("%s: %s lists no trades %d to %d", feed, missing.symbol, a, b)

    async def _hand_on(self, page: Fetched) -> None:
        """Forward what was fetched at the broker's pace; nothing is dropped."""
        for first in range(0, len(page.payloads), PIECE):
            batches = self.intake.packed(page.payloads[first : first + PIECE])
            await self.outbox.put_when_room(*batches)
            trades = page.trades[first : first + PIECE]
            self.intake.note(trades)
            metrics.BACKFILLED.labels(self.intake.exchange.name).inc(len(trades))
        await self.outbox.until_accepted(self.outbox.put_count)

    def _next(self) -> Missing | None:
        now_s = self.intake.now_s()
        for ids in self.intake.ids.values():
            for missing in ids.gaps:
                if 0 < ids.count(missing) <= self.max_trades and now_s >= missing.retry_at_s:
                    return missing
        return None

    def _gap(self, missing: Missing, state: GapState) -> Gap:
        hole = missing.hole
        exchange = self.intake.exchange
        return Gap(
            *(missing.symbol, exchange.instrument(missing.symbol)),
            *(hole.first, hole.last, hole.from_us, hole.to_us),
            state,
            *(missing.absent, self.intake.now_us()),
            by_time=not exchange.contiguous,
        )

    def _queue(self, gap: Gap) -> None:
        """Queue the event; it is sent after everything forwarded before it."""
        self.intake.flush(due_only=False)
        after = self.outbox.put_count if gap.state is GapState.FILLED else 0
        self._unreported.append((after, gap_event(self.intake.exchange.name, gap)))

    def _send(self) -> None:
        """Send the events that are due, as far as the outbox has room."""
        later = [
            (after, event)
            for after, event in self._unreported
            if self.outbox.accepted_count < after or not self.outbox.put_event(event)
        ]
        self._unreported = later

    @property
    def unreported(self) -> int:
        """Number of events not yet reported."""
        return len(self._unreported)


def gap_event(feed: str, gap: Gap) -> OutgoingEvent:
    """Return the event of a gap's state."""
    id_ = f"{feed}/{gap.symbol}/gap/{gap.first_id}-{gap.last_id}/{gap.state}"
    return OutgoingEvent.packed(id_, events.GAP, encode_gaps(feed, [gap]))
