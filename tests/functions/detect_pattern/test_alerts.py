"""Alerts: at the crossing, once, despite repetitions, corrections and losses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import psycopg
import pytest
import talib

from functions.detect_pattern.candle_rules import ActiveRule, raise_alerts
from functions.detect_pattern.publish import publication
from functions.detect_pattern.series import Series
from functions.detect_pattern.store import Read, Store
from functions.detect_pattern.window import Window
from shared.alerts.rule import Frequency, Rule
from shared.realtime.pattern_series import Name
from shared.schema import patterns_pb2
from shared.wire.candle import Candle
from shared.wire.patterns import as_event_json as pattern_json
from tests.functions.detect_pattern.house import MINUTE, House, cancelled, candle


def add_rule(house: House, text: str, after_us: int = -1, sink: str | None = None) -> str:
    rule = Rule.parse(text)
    with psycopg.connect(house.database) as connection:
        row = connection.execute(
            "INSERT INTO alert_rules (id, rule, instrument, timeframe, once, sink, after_us)"
            " VALUES (md5(%(rule)s), %(rule)s, %(i)s, %(t)s, %(o)s, %(s)s, %(a)s) RETURNING id",
            {
                "rule": text,
                "i": rule.subject,
                "t": rule.timeframe,
                "s": sink,
                "a": after_us,
                "o": rule.frequency is Frequency.ONCE,
            },
        ).fetchone()
    assert row is not None
    return str(row[0])


def raised(house: House) -> list[int]:
    """Minutes of the candles whose alerts were emitted, in order."""
    return [int(id_.rsplit("/", 1)[1]) // MINUTE for id_ in house.alerts]


def test_a_number_that_is_crossed_is_told_once_each_time(house: House) -> None:
    """Each upward crossing of a level alerts once, and the first candle has none before it.

    Above, above, below, above.
    """
    house.postgres.check()
    add_rule(house, "A close > 100")
    for minute, close in enumerate([101, 99, 101, 102, 100, 101]):
        house.deliver(house.receive([candle(minute, close)]))
        house.deliver(house.receive([candle(minute, close)]))
    assert raised(house) == [2, 5]


def test_a_candle_whose_trades_are_cancelled_crosses_nothing(house: House) -> None:
    """A withdrawn candle does not cross, and the next one does not cross again."""
    house.postgres.check()
    add_rule(house, "A volume > 5")
    house.deliver(house.receive([candle(0, 99), cancelled(1, 99), candle(2, 99)]))
    assert raised(house) == []


def test_a_rule_knows_no_candle_that_was_there_before_it(house: House) -> None:
    """A rule ignores earlier candles, but the last one says whether the level is crossed."""
    house.postgres.check()
    house.deliver(house.receive([candle(0, 99), candle(1, 101), candle(2, 99)]))
    add_rule(house, "A close > 100", after_us=2 * MINUTE)
    house.deliver(house.receive([candle(3, 101)]))
    assert raised(house) == [3]


def test_a_lost_state_tells_no_alert_again_and_none_too_few(house: House) -> None:
    """After a loss of Redis no alert is missing or repeated, not even an interrupted one."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.deliver(house.receive([candle(n, 99 + 2 * (n % 2)) for n in range(4)]))
    assert raised(house) == [1, 3]
    house.receive([candle(4, 99), candle(5, 101)])
    house.client.flushdb()
    house.tick()
    assert raised(house) == [1, 3, 5]


def test_an_undone_crossing_alerts_once(house: House) -> None:
    """A crossing that is undone and made again by corrections alerts once."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.deliver(house.receive([candle(0, 99), candle(1, 101)]))
    house.deliver(house.receive([candle(1, 99, revision=2)]))
    house.deliver(house.receive([candle(1, 102, revision=3)]))
    assert raised(house) == [1]


def test_what_was_not_taken_is_emitted_again(house: House) -> None:
    """The clock emits an alert again until the broker has accepted it."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.receive([candle(0, 99), candle(1, 101)])
    assert raised(house) == []
    house.tick(6_000)
    assert raised(house) == [1]
    house.tick(6_000)
    assert raised(house) == [1]


def test_a_pattern_rule_is_told_with_the_pattern(house: House) -> None:
    """A pattern rule alerts with the pattern, here `rise` on the second candle."""
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
    """A crossing too small for floats alerts."""
    low, high = "75000.00000000000001", "75000.00000000000002"
    rows = [
        replace(candle(n, 1), open=price, high=price, low=price, close=price)
        for n, price in enumerate([Decimal(low), Decimal(high)])
    ]
    series = Series("A", "1m", 0, Window.of(rows), evaluated_us=MINUTE)
    assert raise_alerts(series, [ActiveRule("r", Rule.parse(f"A close > {low}"), -1)], {})
    assert list(series.alerts) == [("r", MINUTE)]


def test_a_rule_that_alerts_once_is_silent_afterwards(house: House) -> None:
    """A rule `once` is silent after its alert, despite eviction and the loss of Redis."""
    house.postgres.check()
    add_rule(house, "A close > 100 once")
    house.persist_stops()
    for minute in range(40):
        house.deliver(house.receive([candle(minute, 99 + 2 * (minute % 2))]))
    assert raised(house) == [1]
    house.persist_goes_on()
    house.client.flushdb()
    house.tick()
    house.deliver(house.receive([candle(40, 99), candle(41, 101)]))
    assert raised(house) == [1]


def test_a_rule_once_a_bar_alerts_on_each_candle(house: House) -> None:
    """A rule `once a bar` alerts on each candle, and a correction retracts and repeats none."""
    house.postgres.check()
    add_rule(house, "A close > 100 once a bar")
    for minute, close in enumerate([101, 99, 102, 103]):
        house.deliver(house.receive([candle(minute, close)]))
    house.deliver(house.receive([candle(3, 99, revision=2)]))
    house.deliver(house.receive([candle(3, 104, revision=3)]))
    assert raised(house) == [0, 2, 3]


def closes(count: int) -> list[int]:
    """A walk around 1000."""
    random = np.random.default_rng(11)
    return [int(each) for each in 1000 + np.cumsum(random.integers(-9, 10, count))]


@pytest.mark.parametrize("lost", [False, True])
def test_an_indicator_has_its_warm_up_whatever_the_state_holds(house: House, lost: bool) -> None:
    """RSI has its warm-up of 560 candles, though the state has 15 and Redis is lost."""
    house.postgres.check()
    walk = closes(900)
    for first in range(0, 700, 100):
        candles = [candle(n, walk[n]) for n in range(first, first + 100)]
        house.deliver(house.receive(candles))
    add_rule(house, "A rsi:14 crosses 50", after_us=699 * MINUTE)
    if lost:
        house.client.flushdb()
    for minute in range(700, 900):
        house.deliver(house.receive([candle(minute, walk[minute])]))
    rsi = talib.RSI(np.array(walk, dtype=np.float64), 14)
    signs = np.sign(rsi - 50)
    expected = [n for n in range(700, 900) if signs[n] * signs[n - 1] < 0]
    assert len(expected) > 5
    assert raised(house) == expected


def test_a_rule_that_cannot_be_read_stops_no_other(house: House) -> None:
    """An unreadable rule, as of a later version, does not stop the others."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    with psycopg.connect(house.database) as connection:
        connection.execute(
            "INSERT INTO alert_rules (id, rule, instrument, timeframe, after_us)"
            " VALUES ('x', 'A close is fine', 'A', '1m', -1)"
        )
    house.deliver(house.receive([candle(0, 99), candle(1, 101)]))
    assert raised(house) == [1]


def five_minutes(number: int, close: int, revision: int = 1) -> Candle:
    """A closed candle of five minutes, from minute 5 x number on."""
    made = candle(5 * number, close, revision)
    return replace(made, timeframe="5m")


MIXED = "A close > close(5m) on 1m"


def test_a_rule_over_two_timeframes_waits_for_the_longer_candle(house: House) -> None:
    """A rule over two timeframes waits for the longer candle and alerts alike in any order."""
    house.postgres.check()
    add_rule(house, MIXED)
    minutes = [candle(n, 99) for n in range(9)] + [candle(9, 120)]
    house.deliver(house.receive([five_minutes(0, 110), *minutes]))
    assert raised(house) == []  # the second five minutes have not arrived
    house.deliver(house.receive([five_minutes(1, 119)]))
    assert raised(house) == [9]
    house.deliver(house.receive([five_minutes(2, 130), *(candle(n, 100) for n in range(10, 15))]))
    house.deliver(house.receive([candle(15, 131)]))
    assert raised(house) == [9, 15]
    house.client.flushdb()
    house.tick()
    assert raised(house) == [9, 15]


def test_two_workers_that_get_one_timeframe_each_miss_no_alert(house: House) -> None:
    """Two threads with one timeframe each, both of which read first, miss no alert."""
    house.postgres.check()
    add_rule(house, MIXED)
    minutes = [candle(n, 99) for n in range(9)]
    house.deliver(house.receive([five_minutes(0, 110), *minutes]))
    other = Store(house.client, 1)
    read = other.read
    meanwhile = iter([five_minutes(1, 119)])

    def raced(names: Iterable[Name]) -> dict[Name, Read]:
        found = read(names)
        for each in meanwhile:
            house.receive([each])
        return found

    other.read = raced  # type: ignore[method-assign]
    window = Window.of([candle(9, 120)], house.now_ms)
    house.deliver(
        publication(
            other,
            house.steps.take(other, {("A", "1m"): window}, house.now_ms),
            house.steps.due,
            house.now_ms,
        )
    )
    assert raised(house) == [9]


@pytest.mark.parametrize("lost", [False, True])
def test_an_indicator_of_a_longer_timeframe_has_its_warm_up(house: House, lost: bool) -> None:
    """An indicator of a longer timeframe has its 100 candles, though the state has 15."""
    house.postgres.check()
    walk = [950 + n * 37 % 101 for n in range(600)]
    fives = [walk[5 * n + 4] for n in range(120)]
    house.deliver(house.receive([five_minutes(n, fives[n]) for n in range(110)]))
    house.deliver(house.receive([candle(n, walk[n]) for n in range(550)]))
    add_rule(house, "A close > sma:100(5m) on 1m", after_us=549 * MINUTE)
    if lost:
        house.client.flushdb()
    for number in range(110, 120):
        minutes = [candle(5 * number + n, walk[5 * number + n]) for n in range(5)]
        house.deliver(house.receive(minutes))
        house.deliver(house.receive([five_minutes(number, fives[number])]))
    mean = talib.SMA(np.array(fives, dtype=np.float64), 100)
    above = [walk[n] > mean[(n + 1) // 5 - 1] for n in range(549, 600)]
    expected = [n + 549 for n in range(1, 51) if above[n] and not above[n - 1]]
    assert len(expected) > 1
    assert raised(house) == expected


def test_order_flow_alerts_whatever_state_is_lost(house: House) -> None:
    """A rule on order flow alerts from the candle's event and from storage."""
    house.postgres.check()
    add_rule(house, "A delta > 4 and trades > 2")
    calm = [replace(candle(n, 99), trade_count=3) for n in range(2)]
    bought = replace(candle(2, 99), buy_volume=Decimal("7.5"), sell_volume=Decimal("3.25"))
    house.deliver(house.receive([*calm, replace(bought, trade_count=3)]))
    house.deliver(house.receive([replace(candle(3, 99), trade_count=3)]))
    assert raised(house) == [2]
    house.client.flushdb()
    house.tick()
    again = replace(bought, start_us=4 * MINUTE, trade_count=3)
    house.deliver(house.receive([again]))
    assert raised(house) == [2, 4]


def test_a_state_of_another_version_is_read_from_storage(house: House) -> None:
    """A state of another version is rebuilt from storage, without a lost or repeated alert."""
    house.postgres.check()
    add_rule(house, "A close > 100")
    house.deliver(house.receive([candle(n, 99 + 2 * (n % 2)) for n in range(4)]))
    key = next(key for key in house.client.scan_iter("*") if b"A" in key and b"1m" in key)
    stored = house.client.get(key)
    assert isinstance(stored, bytes)
    number, value = stored[:8], stored[8:]
    former = patterns_pb2.PackedSeries.FromString(value)
    former.form, former.series = 12, b""
    house.client.set(key, number + former.SerializeToString())
    house.deliver(house.receive([candle(4, 99)]))
    house.deliver(house.receive([candle(5, 101)]))
    assert raised(house) == [1, 3, 5]


def test_the_alerts_of_a_muted_rule_say_so(house: House) -> None:
    """Alerts of a muted rule are stored and marked as muted."""
    house.postgres.check()
    rule_id = add_rule(house, "A close > 100 to ops")
    with psycopg.connect(house.database) as connection:
        connection.execute("UPDATE alert_rules SET muted = true WHERE id = %s", (rule_id,))
    house.deliver(house.receive([candle(0, 99), candle(1, 101)]))
    with psycopg.connect(house.database) as connection:
        row = connection.execute("SELECT body -> 'data' FROM alerts").fetchone()
    assert row is not None
    assert (row[0]["muted"], row[0]["to"]) == (True, ["ops"])
