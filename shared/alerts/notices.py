"""Notices on a new rule: why it stays silent, or when it alerts first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from shared.alerts.conditions import PatternFound
from shared.alerts.rule import Rule
from shared.alerts.terms import Node

_ALREADY_TRUE: Final = "already true: it alerts the next time it becomes true"


def notices(rule: Rule, holds: bool | None, ladder: Sequence[str]) -> list[str]:
    """Return the notices. `holds`: whether the condition holds now; `ladder`: stored timeframes."""
    result = []
    read = [rule.timeframe, *rule.longer] if rule.timeframe else []
    if missing := [each for each in read if each not in ladder]:
        result.append(
            f"no candles of {', '.join(missing)} are made here (TIMEFRAMES is {','.join(ladder)}),"
            " so this rule stays silent"
        )
    for pattern in _patterns(rule.condition) if rule.condition is not None else ():
        result += _unknown(pattern)
    if holds and rule.waits_for_an_edge:
        result.append(_ALREADY_TRUE)
    return result


def _unknown(pattern: PatternFound) -> list[str]:
    from shared.analysis.anomalies import PATTERNS
    from shared.analysis.detectors.candlestick_table import CANDLESTICKS
    from shared.analysis.detectors.charts import CHARTS

    known = [*CHARTS, *(each.pattern for each in CANDLESTICKS), *PATTERNS]
    if not set(pattern.names).isdisjoint(known):
        return []
    close = get_close_matches(pattern.pattern, known, 3)
    similar = f"; there is {', '.join(close)}" if close else ""
    return [f"no pattern is called {pattern.pattern}, so this rule stays silent{similar}"]


def _patterns(node: Node) -> Iterator[PatternFound]:
    if isinstance(node, PatternFound):
        yield node
    for each in node.children:
        yield from _patterns(each)
