"""Alert rules on a series: on which candles they come true, each once.

An alert is a function of the candles alone, evaluated for all judged candles in state at once. What
was raised is not raised again, whatever a correction makes of it; an alert cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from functions.detect_pattern.series import Series
from functions.detect_pattern.window import CLOSE, HIGH, LOW, OPEN, VOLUME, Window
from shared.alerts.conditions import PatternFound
from shared.alerts.event import Alert, as_event_json
from shared.alerts.rule import Frequency, Rule
from shared.alerts.terms import Inputs
from shared.market.timeframes import Timeframe
from shared.wire.patterns import Pattern
from shared.wire.patterns import as_event_json as pattern_json

_ROWS = {"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE, "volume": VOLUME}


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule with its id; candles that start after `after_us` count."""

    id: str
    rule: Rule
    after_us: int


def needed(series: Series, rules: Iterable[RuleInForce]) -> int:
    """Return how many candles the rules look at before the one they judge."""
    length_us = Timeframe.parse(series.timeframe).length_us
    return max((each.rule.need(length_us) for each in rules), default=0)


def raise_alerts(series: Series, rules: Sequence[RuleInForce]) -> bool:
    """Note the alerts of all judged candles in state that were not raised; return whether any."""
    if not rules:
        return False
    window = series.candles.standing()
    judged = window.position(series.judged_us + 1)
    inputs = _inputs(series, window, judged)
    fresh = [alert for each in rules for alert in _alerts(series, each, inputs)]
    for alert in fresh:
        series.alerts[alert.rule_id, alert.start_us] = alert
    return bool(fresh)


def _inputs(series: Series, window: Window, judged: int) -> Inputs:
    patterns: dict[str, set[int]] = {}
    for each in series.active.values():
        patterns.setdefault(each.pattern, set()).add(each.start_us)
    exact = {
        name: (
            window.table[row, :judged],
            window.volume_scale if row == VOLUME else window.price_scale,
        )
        for name, row in _ROWS.items()
    }
    return Inputs(window.starts[:judged].astype(np.int64), exact, patterns)


def _alerts(series: Series, in_force: RuleInForce, inputs: Inputs) -> Iterator[Alert]:
    rule, length_us = in_force.rule, Timeframe.parse(series.timeframe).length_us
    first = int(np.searchsorted(inputs.start_us, in_force.after_us + 1))
    if not series.whole:  # nearer to the beginning values lack what has left the state
        first = max(first, rule.need(length_us))
    once = rule.frequency is Frequency.ONCE
    if once and any(rule_id == in_force.id for rule_id, _ in series.alerts):
        return
    for at in (np.flatnonzero(rule.fires(inputs)[first:]) + first).tolist():
        start_us = int(inputs.start_us[at])
        if (in_force.id, start_us) in series.alerts:
            continue
        yield Alert(in_force.id, start_us, _body(series, in_force, inputs, at, length_us))
        if once:
            return


def _body(series: Series, in_force: RuleInForce, inputs: Inputs, at: int, length_us: int) -> str:
    rule, start_us = in_force.rule, int(inputs.start_us[at])
    assert rule.condition is not None
    if isinstance(rule.condition, PatternFound):
        pattern = next(
            each
            for each in series.active.values()
            if each.start_us == start_us and each.pattern in rule.condition.names
        )
        event = pattern_json(Pattern.from_message(pattern))
        return as_event_json(
            in_force.id, rule, start_us, pattern.end_us, event["type"], **event["data"]
        )
    value = rule.condition.value(inputs, at)
    values = {} if value is None else {"value": value}
    return as_event_json(in_force.id, rule, start_us, start_us + length_us, **values)
