"""Evaluation: the patterns and alerts of a series, a pure function of its candles.

A candle's patterns depend on the `lookback` candles that end with it, and on when they fired before
(the cooldown). So when a candle changes, all from there on are evaluated again in event time, and
differences from the published patterns are published: the result does not depend on arrival
order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from functions.detect_pattern.series import NOTHING_EVALUATED, Series
from functions.detect_pattern.window import RECEIVED, START, Prices
from shared.analysis.candle_series import Candles
from shared.analysis.finding import Finding
from shared.market.timeframes import Timeframe
from shared.wire.patterns import Pattern, alert_level, pattern_id

SERIES_LOOKBACKS: Final = 2
"""Lookbacks of candles kept in the state: a correction within the newest is evaluated from the
state alone, an older one reads storage."""


@dataclass(frozen=True, slots=True)
class Request:
    """Candles to evaluate: those from `first` on; earlier ones only fill windows.

    `offset`: index of the first of them among the standing candles of the series.
    """

    instrument: str
    candles: Candles
    first: int
    offset: int = 0


Detect = Callable[[Sequence[Request]], Sequence[Sequence[Finding]]]
"""Detects in all requests at once; each candle depends on the `lookback` that end with it."""


@dataclass(frozen=True, slots=True)
class EvaluationRules:
    """Evaluation rules. `grace_ms`: how long to wait for a missing candle.

    `kind_of` names the kind of a pattern: candlestick, chart or anomaly.
    """

    detect: Detect
    kind_of: Callable[[str], str]
    lookback: int = 50
    cooldown_us: int = 300_000_000
    grace_ms: int = 3_000

    @property
    def keep(self) -> int:
        """Number of candles in the state."""
        return SERIES_LOOKBACKS * self.lookback


def advance(series: Series, rules: EvaluationRules, now_ms: int) -> int | None:
    """Advance the frontier over candles that can be evaluated; return the first new one's start.

    A candle can be evaluated once the previous interval was, or after the grace period, since an
    interval without trades has no candle.
    """
    length_us = Timeframe.parse(series.timeframe).length_us
    window = series.candles
    first = at = series.next_to_evaluate
    starts, received = window.table[[START, RECEIVED], max(first - 1, 0) :].tolist()
    skipped = max(first - 1, 0)
    while at < len(window):
        start_us = starts[at - skipped]
        follows = at > 0 and start_us == starts[at - skipped - 1] + length_us
        begins = series.evaluated_us == NOTHING_EVALUATED and at == 0
        if not (follows or begins or received[at - skipped] + rules.grace_ms <= now_ms):
            break
        series.evaluated_us = start_us
        at += 1
    return starts[first - skipped] if at > first else None


def waits_until_ms(series: Series, rules: EvaluationRules) -> int | None:
    """Return the wall clock at which the next candle's grace ends; None if none waits."""
    at = series.next_to_evaluate
    if at == len(series.candles):
        return None
    return int(series.candles.table[RECEIVED, at]) + rules.grace_ms


def needs_older(series: Series, count: int, from_us: int) -> bool:
    """Tell whether fewer than `count` candles precede a time and storage may have more."""
    return not series.whole and series.candles.standing().position(from_us) < count


def evaluate(evaluated: Sequence[tuple[Series, int]], rules: EvaluationRules) -> None:
    """Evaluate each series from a candle (start in us) to its frontier; note what to publish."""
    requested = [_requests(series, rules, from_us) for series, from_us in evaluated]
    answers = iter(rules.detect([each for requests in requested for each in requests]))
    for (series, from_us), requests in zip(evaluated, requested, strict=True):
        findings = [
            (request.offset + each.index, each) for request in requests for each in next(answers)
        ]
        findings.sort(key=lambda each: (each[1].end_us, each[1].pattern, each[1].direction))
        _note_differences(series, from_us, _cooled(series, rules, from_us, findings))
        series.changed_us = None


def _requests(series: Series, rules: EvaluationRules, from_us: int) -> list[Request]:
    """Return the requests; no window crosses a candle that detectors cannot use.

    A candle whose trades were all cancelled is ignored.
    """
    window = series.candles.standing()
    first, last = window.position(from_us), window.position(series.evaluated_us + 1)
    begin = max(0, first - rules.lookback + 1)
    usable = window.usable(begin, last)
    breaks = [] if usable.all() else (np.flatnonzero(~usable) + begin).tolist()
    return [
        Request(series.instrument, window.floats(a + 1, b), max(first - a - 1, 0), a + 1)
        for a, b in pairwise([begin - 1, *breaks, last])
        if b > max(a + 1, first)
    ]


def _cooled(
    series: Series, rules: EvaluationRules, from_us: int, findings: Sequence[tuple[int, Finding]]
) -> dict[str, Pattern]:
    """Return the patterns that fire, by id. `findings`: by index of standing candle, in time."""
    window = series.candles.standing()
    fired = _last_fired(series, from_us)
    firing: dict[str, Pattern] = {}
    for index, each in findings:
        start_us = int(window.starts[index])
        before_us = fired.get(each.pattern)
        if before_us is not None and start_us - before_us < rules.cooldown_us:
            continue
        fired[each.pattern] = start_us
        pattern = _pattern(series, rules, start_us, window.prices(index), each)
        firing[pattern.id] = pattern
    return firing


def _note_differences(series: Series, from_us: int, current: dict[str, Pattern]) -> None:
    """Queue the differences between published and current patterns, from `from_us` on."""
    published = {
        id_: Pattern.from_message(each)
        for id_, each in series.active.items()
        if each.start_us >= from_us
    }
    retracted = [
        replace(each, retracted=True) for id_, each in published.items() if id_ not in current
    ]
    changed = [each for id_, each in current.items() if not _equals(published.get(id_), each)]
    for each in retracted:
        del series.active[each.id]
    for each in [*retracted, *changed]:
        revised = replace(each, revision=series.next_revision())
        series.unpublished[revised.id] = revised
        if not revised.retracted:
            series.active[revised.id] = revised.to_message()


def _last_fired(series: Series, before_us: int) -> dict[str, int]:
    fired: dict[str, int] = {}
    for each in series.active.values():
        if each.start_us < before_us:
            fired[each.pattern] = max(each.start_us, fired.get(each.pattern, each.start_us))
    return fired


def _pattern(
    series: Series, rules: EvaluationRules, start_us: int, prices: Prices, finding: Finding
) -> Pattern:
    return Pattern(
        pattern_id(series.instrument, series.timeframe, finding.pattern, start_us),
        series.instrument,
        series.timeframe,
        finding.pattern,
        rules.kind_of(finding.pattern),
        finding.direction,
        finding.confidence,
        alert_level(finding.confidence),
        prices.close,
        start_us,
        start_us + Timeframe.parse(series.timeframe).length_us,
        *prices,
        begin_us=finding.begin_us,
        features=dict(finding.features),
    )


def _equals(published: Pattern | None, current: Pattern) -> bool:
    return published is not None and replace(published, revision=0) == replace(current, revision=0)
