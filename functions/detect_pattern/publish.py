"""Publish pending patterns and alerts of series as events, then mark them as published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from functions.detect_pattern.series import Series
from functions.detect_pattern.state_rules import note_emitted
from functions.detect_pattern.step import MAX_TRIES
from functions.detect_pattern.store import Replacement, Store
from shared.adapter.app import Outcome
from shared.adapter.event import OutgoingEvent
from shared.alerts.event import Alert
from shared.errors import TransientError
from shared.realtime.pattern_series import Name
from shared.runtime import metrics
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.patterns import Pattern, encode_patterns

STAGE: Final = "detect-pattern"
PATTERNS_AN_EVENT: Final = 500

Due = Callable[[Series, int], int | None]


def publication(store: Store, changed: Sequence[Series], due: Due, now_ms: int) -> Outcome:
    """Emit unpublished patterns and alerts, then mark them; after a crash between, emit again."""
    publishing = [each for each in changed if each.unpublished or _alerts(each)]
    patterns = [pattern for each in publishing for pattern in each.unpublished.values()]
    outputs = pattern_events(patterns)
    for series in publishing:
        outputs += map(alert_event, _alerts(series))

    def confirmed() -> None:
        with store.group.turn:
            _confirm(store, publishing, due, now_ms)
        for pattern in patterns:
            status = "retracted" if pattern.retracted else "active"
            metrics.PATTERNS_DETECTED.labels(pattern.kind, status).inc()
        metrics.ALERTS_RAISED.inc(len(outputs) - -(-len(patterns) // PATTERNS_AN_EVENT))

    return Outcome(outputs, confirmed, show=outputs) if outputs else Outcome()


def with_state_alerts(outcome: Outcome, raised: Sequence[Alert], postgres: Postgres) -> Outcome:
    """Add alerts of rules without candles to the outcome."""
    if not raised:
        return outcome
    outputs = [*outcome.emit, *map(alert_event, raised)]

    def confirmed() -> None:
        note_emitted(postgres, raised)
        metrics.ALERTS_RAISED.inc(len(raised))
        if outcome.after_emit is not None:
            outcome.after_emit()

    return Outcome(outputs, confirmed, show=outputs)


def alert_event(alert: Alert) -> OutgoingEvent:
    """Return the event of an alert, named by its rule and candle."""
    name = f"{STAGE}/alert/{alert.rule_id}/{alert.start_us}"
    extensions = {events.RULE: alert.rule_id}
    return OutgoingEvent(name, events.ALERTS, alert.body.encode(), events.JSON, extensions)


def pattern_events(patterns: Sequence[Pattern]) -> list[OutgoingEvent]:
    """Return events of patterns, with ids by content: same content, same id."""
    outputs = []
    for first in range(0, len(patterns), PATTERNS_AN_EVENT):
        batch = patterns[first : first + PATTERNS_AN_EVENT]
        names = (f"{each.id} {each.revision}" for each in batch)
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]
        outputs.append(
            OutgoingEvent.packed(
                f"{STAGE}/patterns/{digest}", events.PATTERNS, encode_patterns(batch)
            )
        )
    return outputs


def _alerts(series: Series) -> list[Alert]:
    return [alert for alert in series.alerts.values() if alert.body]


def _confirm(store: Store, published: Sequence[Series], due: Due, now_ms: int) -> None:
    """Clear patterns from `unpublished` at their emitted revision, and bodies of emitted alerts."""
    remaining: dict[Name, Series] = {each.name: each for each in published}
    for _ in range(MAX_TRIES):
        if not remaining:
            return
        replacements = []
        for name, read in store.read(list(remaining)).items():
            series = None if read.value is None else Series.decode(read.value)
            if series is None:
                del remaining[name]  # state lost meanwhile: storage has what was published
                continue
            for id_, pattern in remaining[name].unpublished.items():
                current = series.unpublished.get(id_)
                if current is not None and current.revision == pattern.revision:
                    del series.unpublished[id_]
            for alert in _alerts(remaining[name]):
                key = alert.rule_id, alert.start_us
                if key in series.alerts:
                    series.alerts[key] = replace(alert, body="")
            due_ms = due(series, now_ms)
            replacements.append(Replacement(name, read, read.number + 1, series.encode(), due_ms))
        for name, written in store.replace(replacements, now_ms).items():
            if written:
                del remaining[name]
    raise TransientError(f"{MAX_TRIES} conflicts in a row: too many workers on one series")
