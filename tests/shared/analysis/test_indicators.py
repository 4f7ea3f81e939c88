from __future__ import annotations

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from talib import abstract

from shared.analysis.indicators import DIGITS, Indicator, compute, parse_indicators, warm_up
from shared.analysis.talib_indicators import TalibIndicator, functions

ALL = parse_indicators("sma:5,ema:5,rsi:5,atr:5,bb:5:2")


def prices(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(source.normal(0, 0.02, count)))
    return close * 1.01, close * 0.985, close


def test_a_list_of_indicators_is_parsed() -> None:
    """A list is parsed to canonical names, where Bollinger bands have three columns."""
    sma, rsi, bb = parse_indicators("sma:20, RSI:14,bb:20:2.0")
    assert (sma.columns, rsi.columns) == (("sma:20",), ("rsi:14",))
    assert bb.columns == ("bb:20:2:upper", "bb:20:2:middle", "bb:20:2:lower")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cats:12", "there is no indicator 'cats:12'; there are sma:20"),
        ("macd:12:26:9:1", "macd takes fastperiod, slowperiod, signalperiod"),
        ("adx:x", "timeperiod is a number"),
        ("adx:1.5", "timeperiod is a whole number"),
        ("adx:-3", "timeperiod is a whole number"),
        ("adx:0", "TA-Lib refuses"),
        ("adx:201", "timeperiod is a number up to 200"),
        ("sma", "sma needs a period"),
        ("", "there is no indicator ''"),
        ("sma:20:2", "sma needs a period"),
        ("bb:20", "a period and deviations, as bb:20:2"),
        ("rsi:x", "not a whole number"),
        ("rsi:-3", "not a whole number"),
        ("rsi:1", "not from 2 to 200"),
        ("rsi:201", "not from 2 to 200"),
        ("bb:20:nan", "not a number from 0.1 to 10"),
        ("sma:5,sma:5", "sma:5 is asked for twice"),
        (",".join(f"sma:{n}" for n in range(2, 19)), "at most 16"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    """The error names the wrong part and what would be right."""
    with pytest.raises(ValueError, match=message):
        parse_indicators(text)


def test_values_equal_the_definitions() -> None:
    """Means, Wilder's smoothing and bands equal their definitions, written out."""
    high, low, close = prices(300, 1)
    values = compute(ALL, high, low, close)
    last = close[-5:]
    assert values["sma:5"][-1] == pytest.approx(last.mean(), rel=1e-9)
    assert values["bb:5:2:upper"][-1] == pytest.approx(last.mean() + 2 * last.std(), rel=1e-9)
    assert values["bb:5:2:lower"][-1] == pytest.approx(last.mean() - 2 * last.std(), rel=1e-9)
    ema = close[:5].mean()
    for each in close[5:]:
        ema += (each - ema) * 2 / 6
    assert values["ema:5"][-1] == pytest.approx(ema, rel=1e-9)
    change = np.diff(close)
    up, down = np.maximum(change, 0), np.maximum(-change, 0)
    gain, loss = up[:5].mean(), down[:5].mean()
    for rise, fall in zip(up[5:], down[5:], strict=True):
        gain, loss = (gain * 4 + rise) / 5, (loss * 4 + fall) / 5
    assert values["rsi:5"][-1] == pytest.approx(100 * gain / (gain + loss), rel=1e-9)
    ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    atr = ranges[:5].mean()
    for each in ranges[5:]:
        atr = (atr * 4 + each) / 5
    assert values["atr:5"][-1] == pytest.approx(atr, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 300))
def test_values_are_independent_of_the_start_of_a_page(seed: int, start: int) -> None:
    """After the warm-up values do not depend on how much history precedes them.

    But where the last of their digits is rounded up in one and down in the other.
    """
    columns = prices(600, seed)
    needed = warm_up(ALL)
    whole = compute(ALL, *columns)
    page = compute(ALL, *(each[start:] for each in columns))
    for name, values in page.items():
        expected = whole[name][start + needed :]
        assert values[needed:] == pytest.approx(expected, rel=1.1 * 10.0 ** (1 - DIGITS))
        assert (values[needed:] == expected).mean() > 0.99
        assert np.isfinite(values[needed:]).all()


def test_too_few_candles_have_no_value() -> None:
    """No candle, one candle or one less than the period gives no value and no error."""
    for count in (0, 1, 4):
        for name, values in compute(ALL, *prices(count, 2)).items():
            assert len(values) == count
            assert np.isnan(values).all(), name
    assert Indicator.parse("ema:200").warm_up == 4_000
    assert warm_up(()) == 0


HARD = {
    "flat": np.full(120, 5.0),
    "flat at zero": np.zeros(120),
    "tiny": 1e-12 * (1 + np.arange(120) % 7),
    "huge": 1e75 * (1 + np.arange(120) % 7),
    "negative": -37.63 - np.arange(120) % 5,
    "through zero": 3.0 - np.arange(120) * 0.05,
    "a jump": np.repeat([1e-9, 1e9], 60) * (1 + np.arange(120) % 3 / 100),
    "flat behind a fall": np.concatenate((np.linspace(9, 5, 30), np.full(90, 5.0))),
}


@pytest.mark.parametrize("name", HARD)
def test_values_of_hard_series_are_finite_and_bounded(name: str) -> None:
    """Values of flat, tiny, huge, negative and jumping series are finite and bounded."""
    close = HARD[name]
    span = np.abs(close).max() * 0.01
    values = compute(ALL, close + span, close - span, close)
    for column, found in values.items():
        assert np.isfinite(found[5:]).all(), column
    assert ((values["rsi:5"][5:] >= 0) & (values["rsi:5"][5:] <= 100)).all()
    assert (values["atr:5"][5:] >= 0).all()
    slack = 1e-9 * np.abs(close).max()
    for column in ("sma:5", "ema:5"):
        assert (values[column][5:] <= close.max() + slack).all()
        assert (values[column][5:] >= close.min() - slack).all()
    assert (values["bb:5:2:upper"][5:] >= values["bb:5:2:lower"][5:] - slack).all()


def test_rsi_of_a_flat_market_is_50() -> None:
    """RSI is 50 in a flat market, also after a fall before the period."""
    assert set(compute(ALL, *[HARD["flat"]] * 3)["rsi:5"][5:]) == {50.0}
    assert compute(ALL, *[HARD["flat behind a fall"]] * 3)["rsi:5"][-1] == 50.0
    assert compute(ALL, *[np.linspace(9, 5, 30)] * 3)["rsi:5"][-1] == 0.0


@pytest.mark.parametrize(
    ("name", "middle"),
    [
        *(("stoch:5:3:3:slowk", 50), ("stoch:5:3:3:slowd", 50), ("stochf:5:3:fastk", 50)),
        *(("stochrsi:14:5:3:fastd", 50), ("kdj:9:3:3:k", 50), ("kdj:9:3:3:j", 50)),
        *(("mfi:14", 50), ("ultosc:7:14:28", 50), ("willr:14", -50), ("er:10", None)),
    ],
)
@pytest.mark.parametrize("price", [5.0, 0.0, -3.0])
def test_an_oscillator_of_a_flat_market_is_in_the_middle(
    name: str, middle: float | None, price: float
) -> None:
    """An oscillator of a flat market is in the middle of its range, also after a fall.

    0 would read as oversold, and for Williams' %R as overbought.
    """
    text = name if name[-1].isdigit() else name.rpartition(":")[0]
    for close in (
        np.full(200, price),
        np.concatenate((price + np.linspace(9, 0.1, 60), np.full(140, price))),
    ):
        flat = dict.fromkeys(("open", "high", "low", "close"), close)
        for volume in (0.0, 3.0):
            columns = {
                **flat,
                "volume": np.full(len(close), volume),
                "start_us": np.arange(len(close)),
            }
            found = compute(parse_indicators(text), **columns)[name][-1]
            assert np.isnan(found) if middle is None else found == pytest.approx(middle)


@pytest.mark.parametrize(
    "name",
    ["stoch:5:4:3:1:2", "stochf:5:3", "stochrsi", "kdj", "mfi", "ultosc", "willr", "vwap", "er"],
)
def test_values_of_a_moving_market_equal_talib(name: str) -> None:
    """Values of a moving market equal TA-Lib's to the last bit, with every kind of average."""
    columns = market(90, 8)
    (indicator,) = parse_indicators(name)
    assert isinstance(indicator, TalibIndicator)
    plain = abstract.Function(indicator.function)  # type: ignore[attr-defined]
    plain.parameters = dict(indicator.parameters)
    series = {each: values for each, values in columns.items() if each != "start_us"}
    raw = plain(series)
    for values, expected in zip(
        indicator.values(columns), raw if isinstance(raw, list) else [raw], strict=True
    ):
        np.testing.assert_array_equal(values, expected)


def test_vwap_without_volume_has_no_value() -> None:
    """VWAP has no value until the day's first candle with volume."""
    columns = {**market(20, 9), "volume": np.repeat([0.0, 2.0], 10)}
    (vwap,) = compute(parse_indicators("vwap"), **columns).values()
    assert np.isnan(vwap).tolist() == [True] * 10 + [False] * 10


@pytest.mark.parametrize("name", ["roc:1", "rocp:1", "rocr:1", "rocr100:1", "ppo:2:4", "natr:3"])
def test_a_percentage_of_a_negative_price_has_no_value(name: str) -> None:
    """A percentage of a negative price has no value.

    Oil in April 2020: from -10 to -5 is a rise, and -50 %.
    """
    close = np.array([9.0, 8, 7, 6, 5, -5, -10, -5, -4, -3, -2, 1, 4, 6, 8, 9])
    more = {"open": close, "volume": np.ones(16), "start_us": np.arange(16) * 60_000_000}
    (values,) = compute(parse_indicators(name), close, close, close, **more).values()
    assert np.isnan(values[7:11]).all()
    assert np.isfinite(values[[4, 14, 15]]).all()


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e9, 1e60])
def test_the_unit_of_the_price_changes_no_value(unit: float) -> None:
    """Scaled prices leave RSI unchanged and scale values that are prices."""
    high, low, close = prices(300, 3)
    plain = compute(ALL, high, low, close)
    scaled = compute(ALL, high * unit, low * unit, close * unit)
    for column, found in plain.items():
        by = 1.0 if column.startswith("rsi") else unit
        np.testing.assert_allclose(scaled[column], found * by, rtol=1e-7)


NAMES = sorted(functions())


def market(count: int, seed: int) -> dict[str, np.ndarray]:
    source = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(source.normal(0, 0.02, count)))
    spread = source.uniform(0, 0.02, (3, count))
    return {
        "open": close * (1 + (spread[0] - 0.01) / 2),
        "high": close * (1 + spread[1]),
        "low": close * (1 - spread[2]),
        "close": close,
        "volume": source.uniform(1, 100, count),
        "start_us": np.arange(count) * 900_000_000,
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_talib_is_an_indicator(name: str) -> None:
    """Each TA-Lib function is an indicator with its default parameters, wherever a page begins."""
    (indicator,) = parse_indicators(name.lower())
    assert isinstance(indicator, TalibIndicator)
    assert parse_indicators(indicator.name) == (indicator,)
    needed = max(indicator.warm_up, 96)
    columns = market(needed + 700, 4)
    whole = compute([indicator], **columns)
    assert len(whole) == len(indicator.columns)
    for start in (1, 333):
        page = compute([indicator], **{each: values[start:] for each, values in columns.items()})
        for column, values in page.items():
            expected = whole[column][start + needed :]
            scale = np.nanmax(np.abs(expected), initial=0)
            assert values[needed:] == pytest.approx(
                expected, rel=1e-8, abs=1e-9 * scale, nan_ok=True
            )


def test_values_equal_talib() -> None:
    """Values equal TA-Lib's with its parameters in its order, however numbers are written."""
    columns = market(500, 5)
    macd, adx, stoch = parse_indicators("macd:12,26,9,adx:14, stoch:14,3,3")
    assert [each.name for each in (macd, adx, stoch)] == [
        *("macd:12:26:9", "adx:14", "stoch:14:3:3")
    ]
    found = compute([macd, adx, stoch], **columns)
    high, low, close = (columns[each] for each in ("high", "low", "close"))
    expected = talib.MACD(close, 12, 26, 9)
    for name, values in zip(("macd", "macdsignal", "macdhist"), expected, strict=True):
        assert found[f"macd:12:26:9:{name}"][-50:] == pytest.approx(values[-50:], rel=1e-9)
    assert found["adx:14"][-50:] == pytest.approx(talib.ADX(high, low, close, 14)[-50:], rel=1e-9)
    slow = talib.STOCH(high, low, close, fastk_period=14, slowk_period=3, slowd_period=3)[0]
    assert found["stoch:14:3:3:slowk"][-50:] == pytest.approx(slow[-50:], rel=1e-9)


def test_daily_sums_restart_each_day() -> None:
    """VWAP restarts each day, from typical prices weighted by volume."""
    columns = market(96 * 3, 6)
    (vwap,) = compute(parse_indicators("vwap"), **columns).values()
    typical = (columns["high"] + columns["low"] + columns["close"]) / 3
    rows = slice(96 * 2, 96 * 2 + 50)
    notional = (typical[rows] * columns["volume"][rows]).sum()
    assert vwap[rows][-1] == pytest.approx(notional / columns["volume"][rows].sum(), rel=1e-9)
