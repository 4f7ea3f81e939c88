"""detect-pattern's state and persist's tables, without the broker between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

import psycopg
import redis

from functions.detect_pattern.evaluate import EvaluationRules, Request
from functions.detect_pattern.publish import publication
from functions.detect_pattern.step import REFRESH_MS, Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Store
from functions.detect_pattern.window import Window
from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import grouped
from functions.persist.handler import Persist
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.analysis.finding import Finding
from shared.realtime.pattern_series import Name
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from shared.wire.patterns import Pattern, decode_patterns

MINUTE = 60_000_000
NAME: Name = ("A", "1m")
LOOKBACK = 5
GRACE_MS = 3_000
NOW_MS = 1_800_000_000_000

Told = set[tuple[str, int]]
"""Patterns by name and minute of the candle that completes them."""


def candle(minute: int, close: int, revision: int = 1, instrument: str = "A") -> Candle:
    """A closed one-minute candle."""
    price = Decimal(close)
    return Candle(
        instrument,
        "1m",
        minute * MINUTE,
        *(price, price + 1, price - 1, price, Decimal(10), price * 10, 1, Decimal(0), Decimal(0)),
        minute * MINUTE,
        minute * MINUTE + 1,
        closed=True,
        revision=revision,
    )


def cancelled(minute: int, close: int) -> Candle:
    """The event of a candle whose trades were all cancelled."""
    price, none = Decimal(close), Decimal(0)
    flat = replace(candle(minute, close, revision=2), open=price, high=price, low=price)
    return replace(flat, close=price, volume=none, notional=none, trade_count=0)


def simple(requests: Sequence[Request]) -> list[list[Finding]]:
    """Two patterns: `rise`, above the previous candle; `top`, above all others of the window."""
    results = []
    for request in requests:
        candles = request.candles
        findings = []
        for n in range(request.first, len(candles)):
            window = candles.close[max(0, n - LOOKBACK + 1) : n + 1]
            names = []
            if len(window) > 1 and window[-1] > window[-2]:
                names.append("rise")
            if len(window) == LOOKBACK and window[-1] > window[:-1].max():
                names.append("top")
            start_us = int(candles.start_us[n])
            for name in names:
                confidence = round(0.65 + float(window[-1] - window.min()) / 1000, 4)
                findings.append(Finding(name, n, start_us, start_us, 1, confidence, {"n": 1.0}))
        results.append(findings)
    return results


RULES = EvaluationRules(
    simple, lambda _: "chart", LOOKBACK, cooldown_us=3 * MINUTE, grace_ms=GRACE_MS
)


def reference(candles: Iterable[Candle], rules: EvaluationRules = RULES) -> Told:
    """The patterns of a set of candles, all at once, with the cooldown in event time."""
    newest: dict[int, Candle] = {}
    for each in candles:
        present = newest.get(each.start_us)
        if present is None or each.revision > present.revision:
            newest[each.start_us] = each
    window = Window.of(list(newest.values()))
    fired: dict[str, int] = {}
    told: Told = set()
    requests = [Request("A", window.floats(0, len(window)), 0)] if len(window) else []
    for found in [each for some in simple(requests) for each in some]:
        start_us = int(window.starts[found.index])
        if start_us - fired.get(found.pattern, -(10**15)) >= rules.cooldown_us:
            fired[found.pattern] = start_us
            told.add((found.pattern, start_us // MINUTE))
    return told


class House:
    """detect-pattern beside persist, with one shard or more. `now_ms` is the wall clock."""

    def __init__(
        self,
        client: redis.Redis,
        database: str,
        rules: EvaluationRules = RULES,
        shards: int = 1,
    ) -> None:
        self.client = client
        self.database = database
        self.postgres = Postgres(database)
        self.store = Store(client, shards)
        self.store.adopt()
        self.steps = Steps(Storage(self.postgres), rules)
        self.persist = Persist(
            grouped(TickWriter(self.postgres), 0),
            Writer(self.postgres),
            PatternWriter(self.postgres),
            FeedWriter(self.postgres),
            QuoteWriter(self.postgres),
            BustWriter(self.postgres),
        )
        self.now_ms = NOW_MS
        self.emitted: list[Pattern] = []
        self.alerts: list[str] = []
        self.late: list[OutgoingEvent] | None = None

    def persist_stops(self) -> None:
        """Stop persist: emissions and candles wait."""
        self.late = [] if self.late is None else self.late

    def persist_goes_on(self) -> None:
        """Let persist take what has waited."""
        waiting, self.late = self.late or [], None
        for out in waiting:
            self._persist(out)

    def receive(self, candles: Sequence[Candle]) -> Outcome:
        """Deliver closed candles to detect-pattern and persist."""
        self.persist_candles(candles)
        by_name: dict[Name, list[Candle]] = {}
        for each in candles:
            name = (each.instrument, each.timeframe)
            by_name.setdefault(name, []).append(each)
        windows = {name: Window.of(some, self.now_ms) for name, some in by_name.items()}
        changed = self.steps.take(self.store, windows, self.now_ms)
        return publication(self.store, changed, self.steps.due, self.now_ms)

    def persist_candles(self, candles: Sequence[Candle]) -> None:
        names = " ".join(f"{c.instrument}{c.start_us}.{c.revision}" for c in candles)
        out = OutgoingEvent.packed(f"candles/{names}", events.CANDLES, encode_batch(list(candles)))
        self._persist(out)

    def deliver(self, outcome: Outcome) -> None:
        """Deliver every emitted event to persist, then mark it as emitted."""
        for out in outcome.emit:
            if out.type == events.PATTERNS:
                event = Event(out.id, out.type, "", dict(out.extensions), out.body)
                self.emitted += decode_patterns(event.data())
            else:
                self.alerts.append(out.id)
            self._persist(out)
        if outcome.after_emit is not None:
            outcome.after_emit()

    def tick(self, wait_ms: int = 0) -> None:
        """Advance the clock, and do all that is due."""
        self.now_ms += wait_ms
        longest_ms = self.steps.longest_wait_ms
        if shards := self.store.unloaded_shards(self.now_ms, longest_ms):
            self.store.begin(shards, self.steps.storage.all_series(), self.now_ms + REFRESH_MS)
        names = self.store.due(self.now_ms, longest_ms, 100)
        changed = self.steps.take(self.store, {name: Window.of(()) for name in names}, self.now_ms)
        self.deliver(publication(self.store, changed, self.steps.due, self.now_ms))

    def settle(self) -> None:
        """Advance the clock beyond every wait: the grace, the refresh, re-emission."""
        for _ in range(4):
            self.tick(40_000)

    def _persist(self, out: OutgoingEvent) -> None:
        if self.late is not None:
            self.late.append(out)
            return
        attributes = {"id": out.id, "type": out.type, **out.extensions}
        self.persist(Event(out.id, out.type, "/test", attributes, out.body))

    def stored(self, *, retracted: bool = False) -> Told:
        """The patterns that are valid, or retracted, in Postgres."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                "SELECT pattern, start_us FROM patterns WHERE retracted = %s", (retracted,)
            ).fetchall()
        return {(name, start // MINUTE) for name, start in rows}

    def heard(self) -> Told:
        """The view of a consumer that stores the highest revision of each id."""
        highest: dict[str, Pattern] = {}
        for each in self.emitted:
            present = highest.get(each.id)
            if present is None or each.revision > present.revision:
                highest[each.id] = each
            elif each.revision == present.revision:
                assert replace(each, revision=0) == replace(present, revision=0)
        return {(p.pattern, p.start_us // MINUTE) for p in highest.values() if not p.retracted}
