"""Indicators beside candles: right, and the same wherever a page begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.history_query.indicator_list import listed
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import columns, generated


def test_a_mean_is_the_mean_of_the_closes(house: House) -> None:
    """sma:3 is null for two candles, then the mean of the last three."""
    house.take(columns(generated(3, 400, 1_800_000_000), "A/B"))
    found = house.get("/api/candles/A/B", indicators="sma:3", limit="10000").json()["candles"]
    closes = [float(each["c"]) for each in found]
    values = [each["indicators"]["sma:3"] for each in found]
    assert len(found) > 20
    assert values[:2] == [None, None]
    means = [sum(closes[n - 2 : n + 1]) / 3 for n in range(2, len(closes))]
    assert values[2:] == pytest.approx(means, rel=1e-9)


@pytest.mark.parametrize("timeframe", ["30s", "1m", "2m"])
def test_values_do_not_depend_on_where_the_page_begins(house: House, timeframe: str) -> None:
    """Each page of five candles says what one page of all does."""
    house.take(columns(generated(4, 400, 1_800_000_000), "A/B"))
    wanted = {"timeframe": timeframe, "indicators": "sma:4,ema:3,rsi:3,bb:4:2,vwap", "from": "0"}
    whole = house.get("/api/candles/A/B", **wanted, limit="1000").json()["candles"]
    paged: list[object] = []
    cursor: dict[str, str] = {}
    while True:
        answer = house.get("/api/candles/A/B", **wanted, limit="5", **cursor).json()
        paged += answer["candles"]
        if answer["next"] is None:
            break
        cursor = {"cursor": answer["next"]}
    assert len(whole) > 10
    assert paged == whole


@pytest.mark.parametrize("text", ["sma", "sma:1", "cats:3", "adx:0", "sma:3,sma:3", "rsi:x"])
def test_bad_indicators_are_refused(house: House, text: str) -> None:
    answer = house.get("/api/candles/A/B", indicators=text)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("indicators: ")


def test_the_page_lists_what_talib_has() -> None:
    """After a change of TA-Lib, `make reference` writes it."""
    path = Path(__file__).parents[3] / "docs/indicators.md"
    assert path.read_text() == listed()
