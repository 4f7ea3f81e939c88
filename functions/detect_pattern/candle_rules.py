"""Alert rules on a series: the candles on which each becomes true.

An alert is a function of the candles alone, computed for all evaluated candles in state at once.
A raised alert is not raised again after a correction, and cannot be retracted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from functions.detect_pattern.series import Series
from functions.detect_pattern.window import BOUGHT, OPEN, SOLD, TRADES, VOLUME
from shared.alerts.candle_inputs import candle_inputs
from shared.alerts.conditions import PatternFound
from shared.alerts.event import Alert, as_event_json
from shared.alerts.rule import Frequency, Rule
from shared.alerts.terms import Inputs, Longer
from shared.market.timeframes import Timeframe
from shared.realtime.pattern_series import Name
from shared.wire.patterns import Pattern
from shared.wire.patterns import as_event_json as pattern_json


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule with its id; candles that start after `after_us` count.

    `muted`: its alerts are stored and sent to nobody.
    """

    id: str
    rule: Rule
    after_us: int
    muted: bool = False

    @property
    def names(self) -> list[Name]:
        """The series that the rule reads, its own first."""
        return [(self.rule.subject, each) for each in (self.rule.timeframe, *self.rule.longer)]


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """The rules of some instruments."""

    _of: dict[Name, list[ActiveRule]] = field(default_factory=dict)
    _reading: dict[Name, list[ActiveRule]] = field(default_factory=dict)

    @classmethod
    def index(cls, rules: Iterable[ActiveRule]) -> ActiveRules:
        """Return the rules by series."""
        index = cls()
        for rule in rules:
            index._of.setdefault(rule.names[0], []).append(rule)
            for name in rule.names:
                index._reading.setdefault(name, []).append(rule)
        return index

    def of(self, name: Name) -> Sequence[ActiveRule]:
        """Return the rules that alert on candles of a series."""
        return self._of.get(name, ())

    def reading(self, name: Name) -> Sequence[ActiveRule]:
        """Return all rules that read a series, including rules of other series."""
        return self._reading.get(name, ())

    def seen_together(self, names: Iterable[Name]) -> list[Name]:
        """Return the series and all others that share a rule with them.

        A rule of several timeframes is evaluated when any of its series changes. Each step reads
        all of them and writes each by compare-and-set; so of two concurrent steps that change two
        of them, one sees both changes.
        """
        related = dict.fromkeys(names)
        for name in list(related):
            for rule in self.reading(name):
                related |= dict.fromkeys(rule.names)
        return list(related)


def needed(series: Series, rules: Iterable[ActiveRule]) -> int:
    """Return how many candles the rules need before the one they evaluate."""
    return max((each.rule.need(series.timeframe) for each in rules), default=0)


def raise_alerts(
    series: Series, rules: Sequence[ActiveRule], by_name: Mapping[Name, Series]
) -> bool:
    """Add new alerts of all evaluated candles in state; return whether there are any.

    `by_name`: the series of longer timeframes that the rules read too.
    """
    if not rules:
        return False
    inputs = _inputs(series)
    longer_inputs = {
        name: _inputs(each)
        for name, each in by_name.items()
        if any(name in rule.names[1:] for rule in rules)
    }
    new_alerts: list[Alert] = []
    for rule in rules:
        longer = {
            timeframe: _longer(
                rule.rule, inputs, by_name[name], longer_inputs[name], series.timeframe
            )
            for name in rule.names[1:]
            if name in longer_inputs and (timeframe := name[1])
        }
        if len(longer) == len(rule.rule.longer):
            new_alerts += _alerts(series, rule, replace(inputs, longer=longer))
    for alert in new_alerts:
        series.alerts[alert.rule_id, alert.start_us] = alert
    return bool(new_alerts)


def _inputs(series: Series) -> Inputs:
    """Return the evaluated candles of a series."""
    window = series.candles.standing()
    evaluated = slice(window.position(series.evaluated_us + 1))
    patterns: dict[str, set[int]] = {}
    for each in series.active.values():
        patterns.setdefault(each.pattern, set()).add(each.start_us)
    return candle_inputs(
        window.starts[evaluated].astype(np.int64),
        (window.table[OPEN:VOLUME, evaluated], window.price_scale),
        (window.table[[VOLUME, BOUGHT, SOLD], evaluated], window.volume_scale),
        window.table[TRADES, evaluated],
        window.notional[evaluated],
        patterns,
    )


def _longer(
    rule: Rule, inputs: Inputs, series: Series, longer_inputs: Inputs, timeframe: str
) -> Longer:
    """Return the longer series as seen from each candle of `inputs`."""
    length_us = Timeframe.parse(timeframe).length_us
    longer = Longer.seen(
        longer_inputs, inputs.start_us, length_us, Timeframe.parse(series.timeframe)
    )
    if not series.whole:  # earlier values need candles no longer in the state
        longer.known &= longer.at >= rule.need(series.timeframe)
    return longer


def _alerts(series: Series, active: ActiveRule, inputs: Inputs) -> Iterator[Alert]:
    rule, length_us = active.rule, Timeframe.parse(series.timeframe).length_us
    first = int(np.searchsorted(inputs.start_us, active.after_us + 1))
    if not series.whole:  # earlier values need candles no longer in the state
        first = max(first, rule.need(series.timeframe))
    once = rule.frequency is Frequency.ONCE
    if once and any(rule_id == active.id for rule_id, _ in series.alerts):
        return
    for at in (np.flatnonzero(rule.fires(inputs)[first:]) + first).tolist():
        start_us = int(inputs.start_us[at])
        if (active.id, start_us) in series.alerts:
            continue
        yield Alert(active.id, start_us, _body(series, active, inputs, at, length_us))
        if once:
            return


def _body(series: Series, active: ActiveRule, inputs: Inputs, at: int, length_us: int) -> str:
    rule, start_us = active.rule, int(inputs.start_us[at])
    assert rule.condition is not None
    values: dict[str, Any] = {"muted": True} if active.muted else {}
    if isinstance(rule.condition, PatternFound):
        pattern = next(
            each
            for each in series.active.values()
            if each.start_us == start_us and each.pattern in rule.condition.names
        )
        event = pattern_json(Pattern.from_message(pattern))
        values |= event["data"]
        return as_event_json(active.id, rule, start_us, pattern.end_us, event["type"], **values)
    value = rule.condition.value(inputs, at)
    values |= {} if value is None else {"value": value}
    return as_event_json(active.id, rule, start_us, start_us + length_us, **values)
