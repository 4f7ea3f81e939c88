"""Pages of patterns: filters, cursors, and what is refused."""

from __future__ import annotations

import pytest

from tests.functions.history_query.conftest import House
from tests.functions.history_query.drawn import pattern


def minutes(house: House, **parameters: str) -> list[int]:
    answer = house.get("/api/patterns/A/B", **parameters)
    assert answer.status_code == 200, answer.text
    return [each["begin"] // 60_000 for each in answer.json()["patterns"]]


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


def test_filters_choose(filled: House) -> None:
    """Timeframe, type, confidence and status each leave the others out."""
    assert minutes(filled) == [22, 20, *range(9, -1, -1)]
    assert minutes(filled, timeframe="5m") == [22]
    assert minutes(filled, type="double_top") == [20]
    assert minutes(filled, min_confidence="0.85") == [20]
    assert minutes(filled, status="retracted") == [21]
    assert minutes(filled, status="all")[:3] == [22, 21, 20]
    assert minutes(filled, **{"from": "1970-01-01T00:03", "to": "1970-01-01T00:05"}) == [3, 2]


def test_pages_follow_each_other_without_gap_or_repetition(filled: House) -> None:
    """Whatever the limit, the cursors lead through all of them once."""
    found: list[int] = []
    parameters = {"limit": "5"}
    while True:
        answer = filled.get("/api/patterns/A/B", **parameters).json()
        found += [each["begin"] // 60_000 for each in answer["patterns"]]
        if answer["next"] is None:
            break
        parameters["cursor"] = answer["next"]
    assert found == minutes(filled)


def test_prices_are_exact_texts(filled: House) -> None:
    """The decimals that were stored come back digit by digit."""
    (found,) = filled.get("/api/patterns/C").json()["patterns"]
    assert found["trigger_price"] == "100.1"
    assert found["candle_data"]["volume"] == "7"
    assert found["timestamp"] == 6 * 60_000


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
    """Each is a 400 whose detail names the parameter."""
    answer = filled.get("/api/patterns/A/B", **{name: value})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{name}: ")


def test_all_instruments_at_once(filled: House) -> None:
    """The newest of any come first."""
    found = filled.get("/api/patterns").json()["patterns"]
    assert {each["symbol"] for each in found} == {"A/B", "C"}
    stamps = [each["timestamp"] for each in found]
    assert stamps == sorted(stamps, reverse=True)
    assert len(found) == 13


def test_an_unknown_symbol_is_not_found(filled: House) -> None:
    """No tick of it was ever stored: 404."""
    assert filled.get("/api/patterns/NONE").status_code == 404
