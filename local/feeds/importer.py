"""Importer of recorded trades: ticks directly to Broker ticks, in order, several batches in flight.

A batch is normalized here into the same ticks, rejects and ids as by normalize. What is sent is a
pure function of the files' content: batch n of a file always has the same id, source and sequences,
so that a repeated batch counts once. A position file beside the data records the last batch that
the broker has; the next run resumes there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.feeds.batches import Numbered
from local.instance import write_json
from shared.adapter.event import OutgoingEvent
from shared.adapter.sink import Sink
from shared.errors import TransientError
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.formats import original, parse
from shared.inputs.outgoing import reject_events, tick_events
from shared.inputs.price_rules import PriceRules
from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
from shared.runtime.settings import FromEnvironment, integer, parsed
from shared.wire import events

ON_THE_WAY: Final = 4
"""Unanswered batches in flight: the broker's responses pace the import."""
PATIENCE_S: Final = 300.0
"""How long a batch is retried while the broker does not accept it."""
SHOWN_ERRORS: Final = 5


class NotAcceptedError(Exception):
    """The broker did not accept a batch for too long."""


@dataclass(frozen=True, slots=True)
class Normalizing(FromEnvironment):
    """Normalization of lines, with normalize's settings."""

    rule: ClockRule = integer("MAX_CLOCK_SKEW_MS", 5_000, 0, 86_400_000, times=1000, to=ClockRule)
    feeds: FeedRules = parsed(
        "PRICE_RULES", "", lambda text: FeedRules(prices=PriceRules.parse(text))
    )
    shards: int = integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)


@dataclass(slots=True)
class Imported:
    """Result of an import: lines by outcome, the first errors, batches already present.

    `skipped`: lines other than trades, by kind. `unread`: unknown fields.
    """

    accepted: int = 0
    rejected: int = 0
    passed_over: int = 0
    batches: int = 0
    first_errors: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> int:
        """Lines sent by this run."""
        return self.accepted + self.rejected


class Positions:
    """Next batch of each part, in a file; unknown parts start at 0.

    Without a path nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._next: dict[str, int] = {}
        if path is not None and path.exists():
            self._next = json.loads(path.read_text())

    def next_of(self, identity: str) -> int:
        """Return the number of the first batch that the broker is not known to have."""
        return self._next.get(identity, 0)

    def forget(self) -> None:
        """Reset all parts."""
        self._next = {}

    def advance(self, identity: str, number: int) -> None:
        """Record that the broker has this batch and all before it."""
        self._next[identity] = number + 1
        if self._path is not None:
            write_json(self._path, self._next)


async def send(
    batches: Iterator[Numbered],
    normalizing: Normalizing,
    sink: Sink,
    positions: Positions,
    report: Callable[[int], None],
    stopped: Callable[[], bool],
) -> Imported:
    """Send all batches the broker is not known to have; return the result, and close the sink.

    Raises NotAcceptedError, and FileError of the files.
    """
    result = Imported()
    received_us = time.time_ns() // 1000
    on_the_way: deque[tuple[Numbered, asyncio.Task[None]]] = deque()

    async def confirm() -> None:
        batch, task = on_the_way.popleft()
        await task
        positions.advance(batch.identity, batch.number)
        report(result.lines)

    try:
        for batch in batches:
            if stopped():
                break
            if batch.number < positions.next_of(batch.identity):
                result.passed_over += len(batch.lines)
                continue
            events = _normalized(batch, received_us, normalizing, result)
            while len(on_the_way) >= ON_THE_WAY:
                await confirm()
            on_the_way.append((batch, asyncio.create_task(_emit(sink, events, stopped))))
            result.batches += 1
            await asyncio.sleep(0)
        while on_the_way:
            await confirm()
    finally:
        for _, task in on_the_way:
            task.cancel()
        await sink.close()
    return result


async def _emit(sink: Sink, events: Sequence[OutgoingEvent], stopped: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            await sink.emit(events)
        except TransientError as error:
            if time.monotonic() > until_s or stopped():
                raise NotAcceptedError(f"{error}; run the same command to resume") from None
            await asyncio.sleep(1.0)
        else:
            return


def _normalized(
    batch: Numbered, received_us: int, normalizing: Normalizing, result: Imported
) -> list[OutgoingEvent]:
    """Return the ticks and rejects of a batch as events, and count them."""
    read = batch.raw_batch(received_us)
    parsed = parse(read, normalizing.feeds)
    ticks, wide, ahead = assemble(read, parsed.rows, normalizing.rule, normalizing.shards)
    rejected = [*parsed.rejected, *ahead]
    result.accepted += len(parsed.rows) - len(ahead)
    result.rejected += len(rejected)
    result.skipped.update(parsed.skipped)
    result.unread.update(parsed.unread)
    for reject in rejected[: SHOWN_ERRORS - len(result.first_errors)]:
        text = original(read, reject.payload, reject.line).decode(errors="replace")
        result.first_errors.append(f"{batch.part}: {reject.code}: {reject.detail} ({text[:80]})")
    cause = f"import-{batch.identity}-{batch.number}"
    carried = {events.IDEMPOTENCY_KEY: cause}  # on a retry, the receive times differ
    return [
        *tick_events(cause, "ticks", ticks, carried),
        *(tick_events(cause, "wide", wide, carried) if wide is not None else ()),
        *reject_events(cause, read, rejected, carried),
    ]
