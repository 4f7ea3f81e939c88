"""Pages of patterns: filters, cursors, refusals."""

from __future__ import annotations

import pytest

from tests.functions.history_query.conftest import House
from tests.functions.history_query.drawn import pattern


def minutes(house: House, **parameters: str) -> list[int]:
    response = house.get("/api/patterns/A/B", **parameters)
    assert response.status_code == 200, response.text
    return [each["begin"] // 60_000 for each in response.json()["patterns"]]


@pytest.fixture
def filled(house: House) -> House:
    house.patterns.patterns(
        [
            *(pattern(n) for n in range(10)),
            pattern(20, "double_top", kind="chart", confidence=0.9, level="high"),
            pattern(21, retracted=True),
            pattern(22, timeframe="5m"),
            pattern(5, symbol="C"),
        ]
    )
    return house


def test_filters_select_patterns(filled: House) -> None:
    """Timeframe, type, confidence and status each filter patterns."""
    assert minutes(filled) == [22, 20, *range(9, -1, -1)]
    assert minutes(filled, timeframe="5m") == [22]
    assert minutes(filled, type="double_top") == [20]
    assert minutes(filled, min_confidence="0.85") == [20]
    assert minutes(filled, status="retracted") == [21]
    assert minutes(filled, status="all")[:3] == [22, 21, 20]
    assert minutes(filled, **{"from": "1970-01-01T00:03", "to": "1970-01-01T00:05"}) == [3, 2]


def test_pages_join_without_gap_or_repetition(filled: House) -> None:
    """Cursors lead through all patterns once, whatever the limit."""
    joined: list[int] = []
    parameters = {"limit": "5"}
    while True:
        body = filled.get("/api/patterns/A/B", **parameters).json()
        joined += [each["begin"] // 60_000 for each in body["patterns"]]
        if body["next"] is None:
            break
        parameters["cursor"] = body["next"]
    assert joined == minutes(filled)


def test_prices_are_exact_texts(filled: House) -> None:
    """Prices are the stored decimals digit by digit."""
    (pattern_row,) = filled.get("/api/patterns/C").json()["patterns"]
    assert pattern_row["trigger_price"] == "100.1"
    assert pattern_row["candle_data"]["volume"] == "7"
    assert pattern_row["timestamp"] == 6 * 60_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "open"),
        ("min_confidence", "1.5"),
        ("min_confidence", "nan"),
        ("type", "Double Top"),
        ("timeframe", "1x"),
        ("cursor", "x"),
        ("limit", "0"),
        ("symbol", "A"),
    ],
)
def test_bad_parameters_are_named(filled: House, name: str, value: str) -> None:
    """A bad parameter is a 400 whose detail names it."""
    response = filled.get("/api/patterns/A/B", **{name: value})
    assert response.status_code == 400
    assert response.json()["detail"].startswith(f"{name}: ")


def test_all_instruments_at_once(filled: House) -> None:
    """The patterns of all instruments are newest first."""
    patterns = filled.get("/api/patterns").json()["patterns"]
    assert {each["symbol"] for each in patterns} == {"A/B", "C"}
    stamps = [each["timestamp"] for each in patterns]
    assert stamps == sorted(stamps, reverse=True)
    assert len(patterns) == 13


def test_an_unknown_symbol_is_not_found(filled: House) -> None:
    """A symbol without a stored tick is 404."""
    assert filled.get("/api/patterns/NONE").status_code == 404
