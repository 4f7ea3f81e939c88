"""Judging: which patterns and alerts a series has, as a function of its candles alone.

A candle's verdict depends on the `lookback` candles that end with it, and on when its patterns
fired before (the cooldown). So when a candle changes, all from there on are judged again, in the
order of event time, and what differs from what was told is told: nothing depends on arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from math import inf
from typing import Final

import numpy as np

from functions.detect_pattern.candles import Candles
from functions.detect_pattern.found import Found
from functions.detect_pattern.series import NOTHING_JUDGED, Kept, Series
from shared.patterns import Pattern, alert_level, pattern_id
from shared.timeframes import Timeframe

SERIES_LOOKBACKS: Final = 3
"""The state keeps so many lookbacks of candles: a correction within the newest two of them is
judged from it alone, an older one reads storage."""


@dataclass(frozen=True, slots=True)
class Question:
    """What do `rows` from `first` on complete? Rows before it are there for their windows only."""

    instrument: str
    rows: Sequence[Kept]
    first: int

    def candles(self) -> Candles:
        """Return the rows as columns of floats."""
        starts, *texts, _, _ = zip(*self.rows, strict=True)
        open_, high, low, close, volume = (np.array(each, dtype=np.float64) for each in texts)
        return Candles(np.array(starts, dtype=np.int64), open_, high, low, close, volume)


Detect = Callable[[Sequence[Question]], Sequence[Sequence[Found]]]
"""Answers questions, all at once; each candle as a function of the `lookback` that end with it."""


@dataclass(frozen=True, slots=True)
class JudgeRules:
    """How candles are judged. `grace_ms`: wall-clock wait for a candle that is missing between two.

    `kind_of` names the kind of a pattern: candlestick, chart or anomaly.
    """

    detect: Detect
    kind_of: Callable[[str], str]
    lookback: int = 50
    cooldown_us: int = 300_000_000
    grace_ms: int = 3_000

    @property
    def keep(self) -> int:
        """How many candles the state keeps."""
        return SERIES_LOOKBACKS * self.lookback


def advance(series: Series, rules: JudgeRules, now_ms: int) -> int | None:
    """Move the frontier over candles that can be judged; return the first that is new, if any.

    A candle can be judged when the interval before it was, or when it has waited for the grace:
    where nothing was traded there is no candle.
    """
    length_us = Timeframe.parse(series.timeframe).length_us
    first = at = series.place(series.judged_us + 1)
    while at < len(series.candles):
        candle = series.candles[at]
        follows = at > 0 and candle.start_us == series.candles[at - 1].start_us + length_us
        begins = series.judged_us == NOTHING_JUDGED and at == 0
        if not (follows or begins or candle.received_ms + rules.grace_ms <= now_ms):
            break
        series.judged_us = candle.start_us
        at += 1
    return series.candles[first].start_us if at > first else None


def waits_until_ms(series: Series, rules: JudgeRules) -> int | None:
    """Return the wall clock when a candle will have waited for long enough; None if none waits."""
    at = series.place(series.judged_us + 1)
    if at == len(series.candles):
        return None
    return series.candles[at].received_ms + rules.grace_ms


def needs_older(series: Series, rules: JudgeRules, from_us: int) -> bool:
    """Tell whether judging from there on needs candles that have left the state."""
    return not series.whole and series.place(from_us) < rules.lookback - 1


def judge(judged: Sequence[tuple[Series, int]], rules: JudgeRules) -> None:
    """Judge each series from a candle (start in us) to its frontier; note in it what to tell."""
    asked = [_questions(series, rules, from_us) for series, from_us in judged]
    answers = iter(rules.detect([each for questions in asked for each in questions]))
    for (series, from_us), questions in zip(judged, asked, strict=True):
        found = [
            (question.rows[each.index], each) for question in questions for each in next(answers)
        ]
        found.sort(key=lambda each: (each[1].end_us, each[1].pattern, each[1].direction))
        _tell_differences(series, from_us, _cooled(series, rules, from_us, found))
        series.changed_us = None


def _questions(series: Series, rules: JudgeRules, from_us: int) -> list[Question]:
    """Return what to ask; a candle without prices above zero is a break that no window crosses."""
    first, last = series.place(from_us), series.place(series.judged_us + 1)
    begin = max(0, first - rules.lookback + 1)
    breaks = [at for at in range(begin, last) if not _is_usable(series.candles[at])]
    questions = []
    for a, b in pairwise([begin - 1, *breaks, last]):
        if b > max(a + 1, first):
            rows = series.candles[a + 1 : b]
            questions.append(Question(series.instrument, rows, max(first - a - 1, 0)))
    return questions


def _is_usable(candle: Kept) -> bool:
    """Tell whether detectors can take it: they measure relative to price, in floats."""
    open_, high, low, close, volume = map(float, candle[1:6])
    return 0 < low <= min(open_, close) <= max(open_, close) <= high < inf and 0 <= volume < inf


def _cooled(
    series: Series, rules: JudgeRules, from_us: int, found: Sequence[tuple[Kept, Found]]
) -> dict[str, Pattern]:
    """Return the patterns that fire, by id; `found` in the order of event time."""
    fired = _last_fired(series, from_us)
    firing: dict[str, Pattern] = {}
    for candle, each in found:
        before_us = fired.get(each.pattern)
        if before_us is not None and candle.start_us - before_us < rules.cooldown_us:
            continue
        fired[each.pattern] = candle.start_us
        pattern = _pattern(series, rules, candle, each)
        firing[pattern.id] = pattern
    return firing


def _tell_differences(series: Series, from_us: int, now: dict[str, Pattern]) -> None:
    """Note what differs between the patterns that were told and those that hold, from there on."""
    told = {id_: each for id_, each in series.active.items() if each.start_us >= from_us}
    undone = [replace(each, retracted=True) for id_, each in told.items() if id_ not in now]
    changed = [each for id_, each in now.items() if not _says_as(told.get(id_), each)]
    for each in undone:
        del series.active[each.id]
    for each in [*undone, *changed]:
        revised = replace(each, revision=series.next_revision())
        series.unpublished[revised.id] = revised
        if not revised.retracted:
            series.active[revised.id] = revised


def _last_fired(series: Series, before_us: int) -> dict[str, int]:
    fired: dict[str, int] = {}
    for each in series.active.values():
        if each.start_us < before_us:
            fired[each.pattern] = max(each.start_us, fired.get(each.pattern, each.start_us))
    return fired


def _pattern(series: Series, rules: JudgeRules, candle: Kept, found: Found) -> Pattern:
    return Pattern(
        pattern_id(series.instrument, series.timeframe, found.pattern, candle.start_us),
        series.instrument,
        series.timeframe,
        found.pattern,
        rules.kind_of(found.pattern),
        found.direction,
        found.confidence,
        alert_level(found.confidence),
        Decimal(candle.close),
        candle.start_us,
        candle.start_us + Timeframe.parse(series.timeframe).length_us,
        Decimal(candle.open),
        Decimal(candle.high),
        Decimal(candle.low),
        Decimal(candle.close),
        Decimal(candle.volume),
        begin_us=found.begin_us,
        features=dict(found.features),
    )


def _says_as(told: Pattern | None, now: Pattern) -> bool:
    return told is not None and replace(told, revision=0) == replace(now, revision=0)
