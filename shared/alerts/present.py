"""Evaluate rules against the current state in Postgres: quotes, gaps, feeds and newest candles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from psycopg import Connection

from shared.alerts.candle_inputs import exact_column, inputs_of_rows
from shared.alerts.rule import GAP, Kind, Rule
from shared.alerts.terms import Inputs, Longer
from shared.market.decimals import EXACT
from shared.market.timeframes import Timeframe
from shared.wire.feed_status import feed_state

_QUOTES: Final = "SELECT instrument, bid, ask FROM latest_quotes WHERE instrument = ANY(%s)"
_GAPS: Final = """
SELECT DISTINCT instrument, feed FROM gaps
WHERE state = 'open' AND (instrument = ANY(%s) OR feed = ANY(%s))
"""
_FEEDS: Final = "SELECT feed, state, reported_us FROM feeds WHERE feed = ANY(%s)"
_CANDLES: Final = """
SELECT start_us, open, high, low, close, volume, buy_volume, sell_volume, trade_count, notional
FROM candles
WHERE instrument = %s AND timeframe = %s AND closed AND trade_count > 0
ORDER BY start_us DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Present:
    """Current state for rules without candles, as of `now_us`. Unknown values are absent."""

    quotes: dict[str, tuple[Decimal, Decimal]]
    gaps: set[str]
    feed_gaps: set[str]
    feeds: dict[str, list[tuple[str, int]]]
    now_us: int

    @classmethod
    def read(cls, connection: Connection, rules: Sequence[Rule], now_us: int) -> Present:
        """Read only what the rules refer to."""
        subjects: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for rule in rules:
            subjects[rule.kind].append(rule.subject)
        quotes, gaps, feeds = subjects[Kind.QUOTE], subjects[Kind.GAP], subjects[Kind.FEED]
        present = cls({}, set(), set(), {}, now_us)
        if quotes:
            for instrument, bid, ask in connection.execute(_QUOTES, (quotes,)):
                present.quotes[instrument] = bid, ask
        if gaps or feeds:
            for instrument, feed in connection.execute(_GAPS, (gaps, feeds)):
                present.gaps.add(instrument)
                present.feed_gaps.add(feed)
        if feeds:
            for feed, state, reported_us in connection.execute(_FEEDS, (feeds,)):
                present.feeds.setdefault(feed, []).append((state, reported_us))
        return present

    def holds(self, rule: Rule) -> tuple[bool, str | None] | None:
        """Return whether a rule holds, and the value compared; None: unknown."""
        if rule.kind is Kind.GAP:
            return rule.subject in self.gaps, None
        if rule.kind is Kind.FEED and rule.state == GAP:
            return rule.subject in self.feed_gaps, None
        if rule.kind is Kind.FEED:
            reported = self.feeds.get(rule.subject)
            return (feed_state(reported, self.now_us) == rule.state, None) if reported else None
        quote = self.quotes.get(rule.subject)
        if quote is None or rule.condition is None:
            return None
        inputs = quote_inputs(*quote)
        return bool(rule.condition.evaluate(inputs).holds[0]), rule.condition.value(inputs, 0)


def holds_on_newest_candle(connection: Connection, rule: Rule) -> bool | None:
    """Return whether a rule's condition holds on the newest closed candle; None without candles.

    Uses candles in Postgres; patterns are not detected.
    """
    assert rule.condition is not None
    inputs = _newest(connection, rule, rule.timeframe)
    if inputs is None:
        return None
    longer, length_us = {}, Timeframe.parse(rule.timeframe).length_us
    for name in rule.longer:
        newest = _newest(connection, rule, name)
        if newest is None:
            return None
        longer[name] = Longer.seen(newest, inputs.start_us, length_us, Timeframe.parse(name))
    inputs.longer = longer
    return bool(rule.condition.evaluate(inputs).holds[-1])


def _newest(connection: Connection, rule: Rule, timeframe: str) -> Inputs | None:
    """Return as many of the newest closed candles as a rule needs, if any."""
    parameters = (rule.subject, timeframe, rule.need(timeframe) + 2)
    rows = connection.execute(_CANDLES, parameters).fetchall()
    return inputs_of_rows(rows[::-1]) if rows else None


def is_true_now(connection: Connection, rule: Rule, now_us: int) -> bool | None:
    """Return whether a rule's condition already holds; None if unknown."""
    if rule.kind is Kind.CANDLES:
        return holds_on_newest_candle(connection, rule)
    state = Present.read(connection, [rule], now_us).holds(rule)
    return None if state is None else state[0]


def quote_inputs(bid: Decimal, ask: Decimal) -> Inputs:
    """Return a quote as inputs of conditions."""
    mid = EXACT.divide(EXACT.add(bid, ask), Decimal(2))
    values = {"bid": bid, "ask": ask, "spread": EXACT.subtract(ask, bid), "mid": mid}
    exact = {name: exact_column([value]) for name, value in values.items()}
    return Inputs(np.zeros(1, dtype=np.int64), exact)
