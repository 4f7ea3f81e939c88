"""Alert rules on a series: on which candles they come true, each once.

A number is crossed where a candle fulfils the condition and the one before it does not: an edge,
not a level, and a function of the candles alone. What was raised is not raised again, whatever a
correction makes of it; an alert cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from functions.detect_pattern.series import Series
from shared.alerts import Alert, Rule, as_event_json
from shared.decimals import to_text
from shared.patterns import Pattern
from shared.patterns import as_event_json as pattern_json
from shared.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule with its id; candles that start after `after_us` count."""

    id: str
    rule: Rule
    after_us: int


def raise_alerts(series: Series, rules: Iterable[RuleInForce]) -> bool:
    """Note the alerts of all judged candles in state that were not raised; return whether any."""
    found = [alert for each in rules for alert in _alerts(series, each)]
    fresh = [each for each in found if (each.rule_id, each.start_us) not in series.alerts]
    for alert in fresh:
        series.alerts[alert.rule_id, alert.start_us] = alert
    return bool(fresh)


def _alerts(series: Series, in_force: RuleInForce) -> Iterator[Alert]:
    rule, length_us = in_force.rule, Timeframe.parse(series.timeframe).length_us
    if rule.field == "pattern":
        for pattern in series.active.values():
            if pattern.pattern == rule.pattern and pattern.start_us > in_force.after_us:
                event = pattern_json(Pattern.from_message(pattern))
                start_us = pattern.start_us
                body = as_event_json(
                    in_force.id, rule, start_us, pattern.end_us, event["type"], **event["data"]
                )
                yield Alert(in_force.id, start_us, body)
        return
    window = series.candles.standing()
    # One candle before those that count, to see whether the condition is new.
    first = max(window.position(in_force.after_us + 1) - 1, 0)
    judged = window.position(series.judged_us + 1)
    candles = (window[index] for index in range(first, judged))
    for before, candle in pairwise(candles):
        value = getattr(candle, rule.field)
        if rule.holds(value) and not rule.holds(getattr(before, rule.field)):
            start_us = candle.start_us
            yield Alert(
                in_force.id,
                start_us,
                as_event_json(
                    in_force.id, rule, start_us, start_us + length_us, value=to_text(value)
                ),
            )
