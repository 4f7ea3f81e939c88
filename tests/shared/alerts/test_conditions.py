"""Conditions: the candles on which a rule alerts, by a plain loop and by TA-Lib."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
import talib

from shared.alerts.candle_inputs import exact_column, inputs_of_rows
from shared.alerts.present import quote_inputs
from shared.alerts.rule import Rule
from shared.alerts.terms import Inputs, Longer
from shared.market.timeframes import Timeframe

MINUTE = 60_000_000


def inputs(closes: list[str], volumes: list[str] | None = None, **patterns: set[int]) -> Inputs:
    """Candles a minute apart; patterns by the number of the candle that completes them."""
    prices = exact_column([Decimal(each) for each in closes])
    sizes = exact_column([Decimal(each) for each in volumes or ["1"] * len(closes)])
    exact = {**dict.fromkeys(("open", "high", "low", "close"), prices), "volume": sizes}
    starts = np.arange(len(closes), dtype=np.int64) * MINUTE
    found = {name: {n * MINUTE for n in numbers} for name, numbers in patterns.items()}
    return Inputs(starts, exact, found)


def fires(text: str, given: Inputs) -> list[int]:
    """Numbers of the candles on which a rule alerts."""
    return np.flatnonzero(Rule.parse(f"A {text}").fires(given)).tolist()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("close > 100", [2, 5]),
        ("close > 100 once a bar", [0, 2, 3, 5]),
        ("close < 100", [1]),
        ("close <= 100", [1, 4]),
        ("close crosses 100", [1, 2, 5]),
        ("close crosses above 100", [2, 5]),
        ("close crosses below 100", [1]),
        ("100 crosses above close", [1]),
        ("close > close[1]", [2, 5]),  # candle 1 is below the one before it
        ("close - close[1] >= 2", [2]),
        ("close > 100 and volume > 5", []),
        ("close < 100 or close > 101", [1, 3]),  # from 99 to 101 and up to 102
        ("close > 100 or close < 100", [5]),  # only 100 itself interrupts it
    ],
)
def test_a_condition_alerts_when_it_becomes_true(text: str, numbers: list[int]) -> None:
    """A condition alerts on the candle on which it becomes true.

    The series is above, below, above, above, on the level, above.
    """
    assert fires(text, inputs(["101", "99", "101", "102", "100", "101"])) == numbers


@pytest.mark.parametrize(("operator", "numbers"), [(">", [2]), (">=", [1]), ("crosses", [2])])
def test_prices_are_compared_exactly(operator: str, numbers: list[int]) -> None:
    """Prices that are one number as floats are compared exactly."""
    given = inputs(["75000", "75000.00000000000001", "75000.00000000000002"])
    assert fires(f"close {operator} 75000.00000000000001", given) == numbers


def test_numbers_of_any_length_are_compared_exactly() -> None:
    """Numbers with more digits than the decimal context, also negative ones, are exact."""
    long = "123456789012345678901234567890.123456789"
    given = inputs([long, f"{long}1"])
    assert fires(f"close crosses above {long}", given) == [1]
    negative = inputs([f"-{long}1", f"-{long}"])
    assert fires(f"close crosses above -{long}1", negative) == [1]


@pytest.mark.parametrize("count", [0, 2])
def test_a_number_of_many_decimals_is_compared(count: int) -> None:
    """A level of many decimals is compared with zeros and with an empty series."""
    zeros = np.zeros(count, dtype=np.int64)
    given = Inputs(np.arange(count, dtype=np.int64), {"volume": (zeros, 0)})
    assert fires(f"volume > 0.{'0' * 29}1", given) == []


def test_a_quote_of_many_decimals_is_compared() -> None:
    """The mid of a quote of many decimals, which has one more, is compared exactly."""
    bid, ask = Decimal("0.000000000000000001"), Decimal("0.000000000000000002")
    rule = Rule.parse("A mid > 0.000000000000000001 and mid > 0")
    assert rule.condition is not None
    assert rule.condition.evaluate(quote_inputs(bid, ask)).holds.tolist() == [True]


def test_a_pattern_alerts_on_each_candle_that_completes_it() -> None:
    """A pattern alerts on each candle that completes it; with a level, where both hold."""
    given = inputs(["1", "2", "3", "4"], cdl_hammer={1, 2}, rise={0})
    assert fires("pattern hammer", given) == [1, 2]
    assert fires("pattern cdl_hammer", given) == [1, 2]
    assert fires("pattern rise", given) == [0]
    assert fires("pattern hammer and close > 2", given) == [2]
    assert fires("pattern doji", given) == []


def test_indicator_conditions_equal_ta_lib() -> None:
    """Alerts on RSI, MACD lines and volume spikes are those of TA-Lib's values."""
    random = np.random.default_rng(7)
    closes = np.round(100 + np.cumsum(random.normal(0, 1, 1500)), 2)
    volumes = np.round(random.exponential(10, 1500), 3)
    given = inputs([f"{each:.2f}" for each in closes], [f"{each:.3f}" for each in volumes])
    rsi = talib.RSI(closes, 14)
    crossed = [n for n in range(15, 1500) if (rsi[n - 1] <= 30 < rsi[n])]
    assert fires("rsi:14 crosses above 30", given) == crossed
    line, signal, _ = talib.MACD(closes, 12, 26, 9)
    above = line > signal
    known = np.isfinite(signal)
    edges = [n for n in range(1, 1500) if known[n - 1] and above[n] and not above[n - 1]]
    assert fires("macd:macd > macd:macdsignal", given) == edges
    mean = np.array([volumes[n - 19 : n + 1].mean() if n >= 19 else np.nan for n in range(1500)])
    spikes = np.flatnonzero(volumes > 3 * mean).tolist()
    assert len(crossed) > 5
    assert len(spikes) > 5
    assert fires("volume > 3 * sma(volume, 20) once a bar", given) == spikes
    highest = [closes[n - 20 : n].max() for n in range(20, 1500)]
    broken = [n for n in range(20, 1500) if closes[n] > highest[n - 20]]
    assert fires("close > highest(close, 20)[1] once a bar", given) == broken


@pytest.mark.parametrize(
    "text", ["ema(volume, 5) > 0.5", "close / (close - close) > 1", "rsi:14 > 1", "close[50] > 1"]
)
def test_an_unknown_value_does_not_alert(text: str) -> None:
    """A condition does not alert where its value is unknown, nor when it becomes known."""
    assert fires(text, inputs(["1", "2", "3", "2", "3", "2", "3"])) == []


def test_an_empty_series_does_not_alert() -> None:
    """An empty series has no alerts."""
    empty = inputs(["1"])
    none = Inputs(empty.start_us[:0], {k: (v[0][:0], v[1]) for k, v in empty.exact.items()})
    for text in ("close > 1", "rsi:14 crosses 30", "sma(close, 3) > 1", "pattern hammer"):
        assert fires(text, none) == []


def rows(closes: list[str], length: int = MINUTE, first: int = 0) -> Inputs:
    """Consecutive candles of a length, as Postgres returns them."""
    return inputs_of_rows(
        [
            ((first + n) * length, *[Decimal(close)] * 4, *map(Decimal, ("9", "6", "2.5")), 3, 18)
            for n, close in enumerate(closes)
        ]
    )


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("delta > 3.49 once a bar", [0, 1]),
        ("delta > 3.5 once a bar", []),
        ("buy_volume > 2 * sell_volume once a bar", [0, 1]),
        ("sell_volume > 2.5 once a bar", []),
        ("trades >= 3 once a bar", [0, 1]),
        ("notional > 17 once a bar", [0, 1]),
        ("close > vwap once a bar", [1]),  # 18 / 9
    ],
)
def test_order_flow_is_compared(text: str, numbers: list[int]) -> None:
    """Volumes and counts are compared exactly, notional and VWAP as doubles."""
    assert fires(text, rows(["1", "3"])) == numbers


def with_longer(closes: list[str], longer: dict[int, str], minutes: int = 3) -> Inputs:
    """Minute candles, and candles of `minutes` by their number."""
    given = rows(closes)
    frame = Timeframe.parse(f"{minutes}m")
    there = inputs_of_rows(
        [
            (n * frame.length_us, *[Decimal(close)] * 4, *map(Decimal, ("1", "0", "0")), 1, 1)
            for n, close in longer.items()
        ]
    )
    given.longer = {frame.name: Longer.seen(there, given.start_us, MINUTE, frame)}
    return given


def test_a_longer_candle_is_seen_once_it_has_ended() -> None:
    """A minute sees only longer candles that have ended by its own end."""
    closes = ["5", "5", "5", "5", "5", "15", "15", "15", "15", "5", "5", "5"]
    given = with_longer(closes, {0: "10", 1: "20", 2: "1", 3: "1"})
    assert fires("close > close(3m) on 1m once a bar", given) == [8, 9, 10, 11]
    assert fires("close > close(3m) on 1m", given) == [8]
    assert fires("close(3m) crosses above 15 on 1m", given) == [5]
    assert fires("close(3m) crosses 15 on 1m", given) == [5, 8]
    assert fires("close(3m) > close(3m)[1] on 1m once a bar", given) == [5, 6, 7]
    assert fires("highest(close(3m), 2) - close >= 15 on 1m once a bar", given) == [9, 10]


def test_a_missing_longer_candle_is_waited_for() -> None:
    """A condition waits for a longer candle whose minutes exist.

    Where no minute exists there is none to wait for.
    """
    given = with_longer(["1", "2", "3", "4", "5", "6", "7"], {0: "2"})
    assert fires("close > close(3m) on 1m once a bar", given) == [2, 3, 4]
    quiet = with_longer(["1", "2", "3", "4"], {0: "2"})
    quiet.longer = {
        "3m": Longer.seen(
            quiet.longer["3m"].inputs,
            quiet.start_us + np.array([0, 0, 0, 6 * MINUTE]),
            MINUTE,
            Timeframe.parse("3m"),
        )
    }
    assert fires("close > close(3m) on 1m once a bar", quiet) == [2, 3]
    nothing = with_longer(["1", "2", "3", "4"], {0: "2"})
    longer = nothing.longer["3m"].inputs
    none = Inputs(longer.start_us[:0], {k: (v[0][:0], v[1]) for k, v in longer.exact.items()})
    nothing.longer = {"3m": Longer.seen(none, nothing.start_us, MINUTE, Timeframe.parse("3m"))}
    assert fires("close > close(3m) on 1m once a bar", nothing) == []


def test_a_price_some_candles_ago_is_compared_exactly() -> None:
    """A price some candles ago is compared exactly; before the first candle there is none."""
    given = inputs(["0.100000000000000001", "0.1", "0.100000000000000002", "0.1"])
    assert fires("close > close[1]", given) == [2]
    assert fires("close >= close[2] once a bar", given) == [2, 3]
    condition = Rule.parse("A close[1] > 0").condition
    assert condition is not None
    assert condition.value(given, 2) == "0.1"
