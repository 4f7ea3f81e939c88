"""A raw batch becomes ticks, quotes, busts and rejects: a pure function of it.

Trades of watched instruments go to screens from here too, past everything that is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from functions.normalize.accounts import count_rejects, count_unread
from functions.normalize.assemble import assemble
from functions.normalize.assemble_quotes import assemble_quotes
from functions.normalize.mid import QuotesAsTicks, mid_ticks
from functions.normalize.shown import watched_ticks
from shared import busts, events, metrics, rejects
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.errors import PermanentError
from shared.inputs.busts import BustSaid
from shared.inputs.clock import ClockRule
from shared.inputs.formats import parse
from shared.inputs.parsed import FeedRules
from shared.inputs.rejected import Rejected
from shared.inputs.rows import joined
from shared.latency import note_tick_seconds
from shared.quotes import Quotes
from shared.raw import LINE_BITS, RawBatch
from shared.shards import DEFAULT_SHARDS
from shared.ticks import Ticks
from shared.watched import Watched

STAGE = "normalize"

T = TypeVar("T")
Columns = TypeVar("Columns", Ticks, Quotes)


@dataclass(frozen=True, slots=True)
class Normalize:
    """The stage's handler. `shards`: how many parts the instruments are divided among.

    `watched`: what screens watch, None where there are none.
    """

    rule: ClockRule
    shards: int = DEFAULT_SHARDS
    feeds: FeedRules = field(default_factory=FeedRules)
    quotes_as_ticks: QuotesAsTicks = QuotesAsTicks.NONE
    watched: Watched | None = None

    def __call__(self, event: Event) -> Outcome:
        """Parse the batch. Raises PermanentError for what is no RawBatch of a known format."""
        if event.type != events.RAW:
            raise PermanentError("unexpected_type", f"normalize takes {events.RAW} only")
        batch = RawBatch.decode(event.data())
        found = parse(batch, self.feeds)
        rows, rejected = found.rows, list(found.rejected)
        quotes, late_quotes = assemble_quotes(batch, found.quotes, self.rule)
        rejected += late_quotes
        if self.quotes_as_ticks is QuotesAsTicks.MID:
            mids, without_mid = mid_ticks(batch, found.quotes)
            rows = joined(rows, mids)
            rejected += without_mid
        ticks, wide, late = assemble(batch, rows, self.rule, self.shards)
        # A message that is both a quote and a tick can be refused as both, for the same reason.
        rejected = list(dict.fromkeys(rejected + late))
        outputs = [
            *_tick_events(event, "ticks", ticks),
            *(_tick_events(event, "wide", wide) if wide is not None else ()),
            *_quote_events(event.id, quotes),
            *_bust_events(event.id, batch, found.busts),
            *_reject_events(event.id, batch, rejected),
        ]
        note_tick_seconds(STAGE, batch.receive_time_us)
        metrics.TICKS.inc(len(ticks) + (0 if wide is None else len(wide)))
        metrics.QUOTES.inc(len(quotes))
        count_rejects(batch.source, rejected)
        count_unread(batch.source, found.unread)
        for kind, count in found.skipped.items():
            metrics.MESSAGES_SKIPPED.labels(kind).inc(count)
        return Outcome(outputs, show=self._shown(event, ticks, wide))

    def _shown(self, event: Event, ticks: Ticks, wide: Ticks | None) -> list[OutgoingEvent]:
        if self.watched is None:
            return []
        shown = [*_tick_events(event, "shown", watched_ticks(ticks, self.watched))]
        if wide is not None:
            shown += _tick_events(event, "shown.wide", watched_ticks(wide, self.watched))
        return shown


def _tick_events(event: Event, name: str, ticks: Ticks) -> Iterator[OutgoingEvent]:
    if not len(ticks):
        return
    key = event.attributes.get(events.IDEMPOTENCY_KEY)
    carried = {} if key is None else {events.IDEMPOTENCY_KEY: key}
    for n, piece in enumerate(_fitting(ticks, Ticks.encode, _halves)):
        yield OutgoingEvent.packed(f"{event.id}/{STAGE}/{name}.{n}", events.TICKS, piece, carried)


def _quote_events(cause: str, quotes: Quotes) -> Iterator[OutgoingEvent]:
    if not len(quotes):
        return
    for n, piece in enumerate(_fitting(quotes, Quotes.encode, _halves)):
        yield OutgoingEvent.packed(f"{cause}/{STAGE}/quotes.{n}", events.QUOTES, piece)


def _bust_events(cause: str, batch: RawBatch, said: Sequence[BustSaid]) -> Iterator[OutgoingEvent]:
    items = [
        busts.Bust(
            *(each.instrument, each.venue, each.trade_id, each.time_us),
            *(each.is_correction, each.price, each.size),
            int(batch.receive_time_us[each.payload]),
            ((batch.first_sequence + each.payload) << LINE_BITS) + each.line,
            each.original,
        )
        for each in said
    ]
    pieces = _fitting(
        items, lambda some: busts.encode(batch.source, batch.format, some), _two_halves
    )
    for n, piece in enumerate(pieces if items else ()):
        yield OutgoingEvent.packed(f"{cause}/{STAGE}/busts.{n}", events.BUSTS, piece)


def _reject_events(
    cause: str, batch: RawBatch, rejected: Sequence[Rejected]
) -> Iterator[OutgoingEvent]:
    if not rejected:
        return
    items = [
        rejects.Reject(
            r.original,
            r.code,
            r.detail,
            int(batch.receive_time_us[r.payload]),
            ((batch.first_sequence + r.payload) << LINE_BITS) + r.line,
            batch.format,
        )
        for r in sorted(rejected, key=lambda r: (r.payload, r.line))
    ]
    pieces = _fitting(items, lambda some: rejects.encode(batch.source, some), _two_halves)
    for n, piece in enumerate(pieces):
        yield OutgoingEvent.packed(f"{cause}/{STAGE}/rejects.{n}", events.REJECTS, piece)


def _two_halves(some: list[T]) -> tuple[list[T], list[T]]:
    return some[: len(some) // 2], some[len(some) // 2 :]


def _halves(whole: Columns) -> tuple[Columns, Columns]:
    first = np.arange(len(whole)) < len(whole) // 2
    return whole.select(first), whole.select(~first)


def _fitting(
    whole: T, encode: Callable[[T], bytes], halve: Callable[[T], tuple[T, T]]
) -> Iterator[bytes]:
    """Encode in as many pieces as it takes for each to fit one event, even uncompressed."""
    body = encode(whole)
    if len(body) <= events.MAX_EVENT_BYTES or len(whole) < 2:  # type: ignore[arg-type]
        yield body
        return
    for half in halve(whole):
        yield from _fitting(half, encode, halve)
