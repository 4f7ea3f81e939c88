"""Event handler: a raw batch to ticks, quotes, busts and rejects; pure except for metrics.

Trades of watched instruments are also sent to screens directly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from functions.normalize.accounts import count_rejects, count_unread
from functions.normalize.assemble_quotes import assemble_quotes
from functions.normalize.mid import QuotesAsTicks, mid_ticks
from functions.normalize.watched import Screens
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.errors import PermanentError
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.columns.rows import joined
from shared.inputs.formats import parse
from shared.inputs.objects.busts import BustRow
from shared.inputs.outgoing import STAGE, fitting, halves, reject_events, tick_events, two_halves
from shared.market.shards import DEFAULT_SHARDS
from shared.realtime.leases import Watched
from shared.runtime import metrics
from shared.runtime.latency import note_tick_seconds
from shared.wire import busts, events
from shared.wire.quotes import Quotes
from shared.wire.raw_batch import LINE_BITS, RawBatch


@dataclass(frozen=True, slots=True)
class Normalize:
    """The stage's handler. `shards`: number of partitions of the instruments.

    `watched`: instruments on screens; None without screens.
    """

    rule: ClockRule
    shards: int = DEFAULT_SHARDS
    feeds: FeedRules = field(default_factory=FeedRules)
    quotes_as_ticks: QuotesAsTicks = QuotesAsTicks.NONE
    watched: Watched | None = None

    def __call__(self, event: Event) -> Outcome:
        """Parse the batch. Raises PermanentError if it is not a RawBatch of a known format."""
        if event.type != events.RAW:
            raise PermanentError("unexpected_type", f"normalize takes {events.RAW} only")
        batch = RawBatch.decode(event.data())
        parsed = parse(batch, self.feeds)
        rows, rejected = parsed.rows, list(parsed.rejected)
        quotes, late_quotes = assemble_quotes(batch, parsed.quotes, self.rule)
        rejected += late_quotes
        if self.quotes_as_ticks is QuotesAsTicks.MID:
            mids, without_mid = mid_ticks(batch, parsed.quotes)
            rows = joined(rows, mids)
            rejected += without_mid
        ticks, wide, late = assemble(batch, rows, self.rule, self.shards)
        # A message that is both quote and tick may be rejected twice for the same reason.
        rejected = list(dict.fromkeys(rejected + late))
        key = event.attributes.get(events.IDEMPOTENCY_KEY)
        extensions = {} if key is None else {events.IDEMPOTENCY_KEY: key}
        tick_outputs = [*tick_events(event.id, "ticks", ticks, extensions)]
        wide_outputs = [] if wide is None else [*tick_events(event.id, "wide", wide, extensions)]
        outputs = [
            *tick_outputs,
            *wide_outputs,
            *_quote_events(event.id, quotes),
            *_bust_events(event.id, batch, parsed.busts),
            *reject_events(event.id, batch, rejected, extensions),
        ]
        note_tick_seconds(STAGE, batch.receive_time_us)
        metrics.TICKS.inc(len(ticks) + (0 if wide is None else len(wide)))
        metrics.QUOTES.inc(len(quotes))
        count_rejects(batch.source, rejected)
        count_unread(batch.source, parsed.unread)
        for kind, count in parsed.skipped.items():
            metrics.MESSAGES_SKIPPED.labels(kind).inc(count)
        screens = Screens(event.id, ((ticks, tick_outputs), (wide, wide_outputs)))
        return screens.outcome(outputs, self.watched)


def _quote_events(cause: str, quotes: Quotes) -> Iterator[OutgoingEvent]:
    if not len(quotes):
        return
    for n, piece in enumerate(fitting(quotes, Quotes.encode, halves)):
        yield OutgoingEvent.packed(f"{cause}/{STAGE}/quotes.{n}", events.QUOTES, piece)


def _bust_events(cause: str, batch: RawBatch, rows: Sequence[BustRow]) -> Iterator[OutgoingEvent]:
    items = [
        replace(
            bust,
            receive_time_us=int(batch.receive_time_us[payload]),
            sequence=((batch.first_sequence + payload) << LINE_BITS) + line,
        )
        for payload, line, bust in rows
    ]
    pieces = fitting(
        items, lambda chunk: busts.encode(batch.source, batch.format, chunk), two_halves
    )
    for n, piece in enumerate(pieces if items else ()):
        yield OutgoingEvent.packed(f"{cause}/{STAGE}/busts.{n}", events.BUSTS, piece)
