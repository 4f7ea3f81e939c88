"""Alerts: at the edge, once, whatever is repeated, corrected or lost."""

from __future__ import annotations

from decimal import Decimal

import psycopg

from functions.detect_pattern.edges import RuleInForce, raise_alerts
from functions.detect_pattern.series import Series
from functions.detect_pattern.window import ClosedCandle, Window
from shared.alerts.rule import Rule
from shared.patterns import as_event_json as pattern_json
from tests.functions.detect_pattern.house import MINUTE, House, cancelled, candle


def add_rule(house: House, text: str, after_us: int = -1, sink: str | None = None) -> str:
    rule = Rule.parse(text)
    with psycopg.connect(house.database) as connection:
        row = connection.execute(
            "INSERT INTO alert_rules (id, rule, instrument, timeframe, sink, after_us)"
            " VALUES (md5(%(rule)s), %(rule)s, %(i)s, %(t)s, %(s)s, %(a)s) RETURNING id",
            {"rule": text, "i": rule.subject, "t": rule.timeframe, "s": sink, "a": after_us},
        ).fetchone()
    assert row is not None
    return str(row[0])


def raised(house: House) -> list[int]:
    """Minutes of the candles whose alerts were emitted, in order."""
    return [int(id_.rsplit("/", 1)[1]) // MINUTE for id_ in house.alerts]


def test_a_number_that_is_crossed_is_told_once_each_time(house: House) -> None:
    """Above, above, below, above: two crossings; the first candle has none before it."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    for minute, close in enumerate([101, 99, 101, 102, 100, 101]):
        house.deliver(house.receive([candle(minute, close)]))
        house.deliver(house.receive([candle(minute, close)]))
    assert raised(house) == [2, 5]


def test_a_candle_whose_trades_are_cancelled_crosses_nothing(house: House) -> None:
    """Nor does the next one cross again what the one before it had crossed."""
    house.postgres.check()
    add_rule(house, "A volume > 5")
    house.deliver(house.receive([candle(0, 99), cancelled(1, 99), candle(2, 99)]))
    assert raised(house) == []


def test_a_rule_knows_no_candle_that_was_there_before_it(house: House) -> None:
    """But the candle before the first that counts says whether the number is crossed."""
    house.postgres.check()
    house.deliver(house.receive([candle(0, 99), candle(1, 101), candle(2, 99)]))
    add_rule(house, "A close > 100", after_us=2 * MINUTE)
    house.deliver(house.receive([candle(3, 101)]))
    assert raised(house) == [3]


def test_a_lost_state_tells_no_alert_again_and_none_too_few(house: House) -> None:
    """Redis is lost between; the alert of the last candle was cut off before it was emitted."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.deliver(house.receive([candle(n, 99 + 2 * (n % 2)) for n in range(4)]))
    assert raised(house) == [1, 3]
    house.receive([candle(4, 99), candle(5, 101)])
    house.client.flushdb()
    house.tick()
    assert raised(house) == [1, 3, 5]


def test_an_undone_crossing_is_not_told_again(house: House) -> None:
    """A correction takes it back and another makes it again: an alert cannot be taken back."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.deliver(house.receive([candle(0, 99), candle(1, 101)]))
    house.deliver(house.receive([candle(1, 99, revision=2)]))
    house.deliver(house.receive([candle(1, 102, revision=3)]))
    assert raised(house) == [1]


def test_what_was_not_taken_is_emitted_again(house: House) -> None:
    """By the clock, until it is known to have been taken."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.receive([candle(0, 99), candle(1, 101)])
    assert raised(house) == []
    house.tick(6_000)
    assert raised(house) == [1]
    house.tick(6_000)
    assert raised(house) == [1]


def test_a_pattern_rule_is_told_with_the_pattern(house: House) -> None:
    """`rise` fires on the second candle."""
    house.postgres.check()
    add_rule(house, "A pattern rise")
    house.deliver(house.receive([candle(0, 99), candle(1, 101)]))
    assert raised(house) == [1]
    with psycopg.connect(house.database) as connection:
        row = connection.execute("SELECT body FROM alerts").fetchone()
    assert row is not None
    (found,) = (each for each in house.emitted if each.pattern == "rise")
    assert row[0]["type"] == "pattern_detected"
    assert row[0]["data"].items() > pattern_json(found)["data"].items()
    assert row[0]["data"]["rule"] == "A pattern rise on 1m"


def test_exact_numbers_are_compared() -> None:
    """A crossing too small for floats."""
    low, high = "75000.00000000000001", "75000.00000000000002"
    rows = [
        ClosedCandle(n * MINUTE, price, price, price, price, Decimal(1), 1, 0)
        for n, price in enumerate([Decimal(low), Decimal(high)])
    ]
    series = Series("A", "1m", 0, Window.of(rows), judged_us=MINUTE)
    assert raise_alerts(series, [RuleInForce("r", Rule.parse(f"A close > {low}"), -1)])
    assert list(series.alerts) == [("r", MINUTE)]
