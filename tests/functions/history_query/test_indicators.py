"""Indicators beside candles: exact, and independent of where a page begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.history_query.queries.indicator_list import markdown
from tests.functions.history_query.conftest import WAYS, House
from tests.functions.history_query.market import columns, generated


def test_a_mean_is_the_mean_of_the_closes(house: House) -> None:
    """sma:3 is null for two candles, then the mean of the last three closes."""
    house.take(columns(generated(3, 400, 1_800_000_000), "A/B"))
    candles = house.get("/api/candles/A/B", indicators="sma:3", limit="10000").json()["candles"]
    closes = [float(each["c"]) for each in candles]
    values = [each["indicators"]["sma:3"] for each in candles]
    assert len(candles) > 20
    assert values[:2] == [None, None]
    means = [sum(closes[n - 2 : n + 1]) / 3 for n in range(2, len(closes))]
    assert values[2:] == pytest.approx(means, rel=1e-9)


def test_values_do_not_depend_on_where_the_page_begins(house: House) -> None:
    """Pages of 20 candles have the values of one page of all."""
    house.take(columns(generated(4, 400, 1_800_000_000), "A/B"))
    names = "sma:4,ema:3,rsi:3,bb:4:2,vwap,sar,supertrend:3:2,obv"
    for timeframe in ("30s", "1m", "2m"):
        query = {"timeframe": timeframe, "indicators": names, "from": "0"}
        expected = house.get("/api/candles/A/B", **query, limit="1000").json()["candles"]
        assert len(expected) > 100
        assert house.rows("/api/candles/A/B", **query, limit="20") == expected


def test_indicators_of_bars_are_those_of_all_bars(house: House) -> None:
    """Indicators of bars equal those over all bars, over days and pages in both directions.

    A CSV has them as columns.
    """
    house.take(columns(generated(5, 900, 200_000_000), "A/B"))
    query = {"type": "tick:4", "indicators": "sma:3,rsi:5,macd,vwap,sar"}
    expected = house.get("/api/bars/A/B", **query, **{"from": "0"}, limit="1000").json()["bars"]
    days = {each["t"] // 86_400_000 for each in expected}
    assert len(expected) > 100
    assert len(days) > 1
    for way in WAYS:
        assert house.rows("/api/bars/A/B", **query, limit="15", **way) == expected
    closes = [float(each["c"]) for each in expected]
    means = [sum(closes[n - 2 : n + 1]) / 3 for n in range(2, len(closes))]
    values = [each["indicators"]["sma:3"] for each in expected]
    assert values[:2] == [None, None]
    assert values[2:] == pytest.approx(means, rel=1e-9)
    table = house.get("/api/bars/A/B", **query, limit="1", format="csv").text
    assert "sma:3,rsi:5,macd:12:26:9:macd," in table.splitlines()[0]


def test_bad_indicators_are_refused(house: House) -> None:
    """A bad indicator is a 400 with the reason."""
    for text in ("sma", "sma:1", "cats:3", "adx:0", "sma:3,sma:3", "rsi:x"):
        response = house.get("/api/candles/A/B", indicators=text)
        assert response.status_code == 400
        assert response.json()["detail"].startswith("indicators: ")


def test_the_page_lists_what_talib_has() -> None:
    """The documentation lists TA-Lib's functions as `make reference` writes them."""
    path = Path(__file__).parents[3] / "docs/indicators.md"
    assert path.read_text() == markdown()
