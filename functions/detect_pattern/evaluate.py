"""Evaluation: the patterns and alerts of a series, a pure function of its candles.

A candle's verdict depends on the `lookback` candles that end with it, and on when its patterns
fired before (the cooldown). So when a candle changes, all from there on are evaluated again, in the
order of event time, and what differs from what was published is published: nothing depends on
arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from functions.detect_pattern.series import NOTHING_JUDGED, Series
from functions.detect_pattern.window import RECEIVED, START, ClosedCandle
from shared.analysis.candle_series import Candles
from shared.analysis.finding import Finding
from shared.market.timeframes import Timeframe
from shared.wire.patterns import Pattern, alert_level, pattern_id

SERIES_LOOKBACKS: Final = 2
"""The state keeps so many lookbacks of candles: a correction within the newest of them is
evaluated from it alone, an older one reads storage."""


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
"""Answers requests, all at once; each candle as a function of the `lookback` that end with it."""


@dataclass(frozen=True, slots=True)
class EvaluationRules:
    """Evaluation rules. `grace_ms`: how long a candle missing between two is awaited.

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
    """Move the frontier over candles that can be evaluated; return the first that is new, if any.

    A candle can be evaluated when the interval before it was, or when it has waited for the grace:
    where nothing was traded there is no candle.
    """
    length_us = Timeframe.parse(series.timeframe).length_us
    window = series.candles
    first = at = series.next_to_evaluate
    starts, received = window.table[[START, RECEIVED], max(first - 1, 0) :].tolist()
    skipped = max(first - 1, 0)
    while at < len(window):
        start_us = starts[at - skipped]
        follows = at > 0 and start_us == starts[at - skipped - 1] + length_us
        begins = series.judged_us == NOTHING_JUDGED and at == 0
        if not (follows or begins or received[at - skipped] + rules.grace_ms <= now_ms):
            break
        series.judged_us = start_us
        at += 1
    return starts[first - skipped] if at > first else None


def waits_until_ms(series: Series, rules: EvaluationRules) -> int | None:
    """Return the wall clock when a candle will have waited for long enough; None if none waits."""
    at = series.next_to_evaluate
    if at == len(series.candles):
        return None
    return int(series.candles.table[RECEIVED, at]) + rules.grace_ms


def needs_older(series: Series, count: int, from_us: int) -> bool:
    """Tell whether fewer candles than `count` stand before a time while storage may have more."""
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
    """Return what to ask; a candle that detectors cannot take is a break that no window crosses.

    One whose trades were all cancelled is none.
    """
    window = series.candles.standing()
    first, last = window.position(from_us), window.position(series.judged_us + 1)
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
        pattern = _pattern(series, rules, window[index], each)
        firing[pattern.id] = pattern
    return firing


def _note_differences(series: Series, from_us: int, current: dict[str, Pattern]) -> None:
    """Note what differs between the patterns published and those that hold, from there on."""
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
    series: Series, rules: EvaluationRules, candle: ClosedCandle, finding: Finding
) -> Pattern:
    return Pattern(
        pattern_id(series.instrument, series.timeframe, finding.pattern, candle.start_us),
        series.instrument,
        series.timeframe,
        finding.pattern,
        rules.kind_of(finding.pattern),
        finding.direction,
        finding.confidence,
        alert_level(finding.confidence),
        candle.close,
        candle.start_us,
        candle.start_us + Timeframe.parse(series.timeframe).length_us,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        begin_us=finding.begin_us,
        features=dict(finding.features),
    )


def _equals(published: Pattern | None, current: Pattern) -> bool:
    return published is not None and replace(published, revision=0) == replace(current, revision=0)
