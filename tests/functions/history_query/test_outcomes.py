"""Outcomes of patterns, evaluated by the stored candles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.candle_aggregate.reference import Tick, as_columns
from tests.functions.history_query.conftest import House
from tests.functions.history_query.drawn import MINUTE_US, pattern

CLOSES = [100 + (n % 4) * (1 if n % 8 < 4 else -1) for n in range(60)]


@pytest.fixture
def filled(house: House) -> House:
    """A candle a minute, the last one open, and patterns, one of them retracted."""
    ticks = [Tick("A/B", n * MINUTE_US, n, close * 100, 1_000, 1) for n, close in enumerate(CLOSES)]
    house.take(as_columns(ticks))
    house.patterns.patterns(
        [
            *(pattern(n) for n in (8, 10, 15, 20, 57)),
            pattern(30, direction=-1),
            pattern(40, retracted=True),
            pattern(41, timeframe="5m"),
            pattern(700),
        ]
    )
    return house


def outcomes(house: House, **parameters: str) -> dict[str, Any]:
    response = house.get("/api/outcomes/A/B", timeframe="1m", **parameters)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_a_hit_is_followed_by_a_close_in_its_direction(filled: House) -> None:
    """A hit is a pattern after which the close moved its way, beside the base rate.

    A pattern without a horizon after it is not evaluated.
    """
    body = outcomes(filled, horizon="3")
    closes = CLOSES[: body["candles"]]
    assert (body["candles"], body["horizon"]) == (
        58,
        3,
    )  # the last ones are open for late ticks
    after = [b / a - 1 for a, b in zip(closes, closes[3:], strict=False)]
    up = [after[n] for n in (8, 10, 15, 20)]
    first, second = body["outcomes"]
    assert (first["pattern_type"], first["direction"]) == ("cdl_doji", 1)
    assert (first["count"], first["judged"], first["verdict"]) == (5, 4, "few")
    assert first["hit_rate"] == sum(each > 0 for each in up) / 4
    assert first["mean_return"] == round(sum(up) / 4, 6)
    assert first["base_hit_rate"] == round(sum(each > 0 for each in after) / len(after), 6)
    assert (second["direction"], second["judged"]) == (-1, 1)
    assert second["hit_rate"] == float(after[30] < 0)


def test_what_cannot_be_evaluated_has_no_rate(filled: House) -> None:
    """A horizon beyond all candles and an instrument without patterns have no rate."""
    first, *_ = outcomes(filled, horizon="500")["outcomes"]
    assert (first["count"], first["judged"], first["hit_rate"]) == (5, 0, None)
    filled.take(as_columns([Tick("C", n * MINUTE_US, n, 500, 1_000, 1) for n in range(3)]))
    assert filled.get("/api/outcomes/C", timeframe="1m").json()["outcomes"] == []
    assert filled.get("/api/outcomes/NONE").status_code == 404


@pytest.mark.parametrize("horizon", ["0", "501", "x", "-1", "1" * 400, "0" * 8 + "10"])
def test_a_horizon_is_a_number_in_bounds(house: House, horizon: str) -> None:
    """A horizon that is not a number within bounds is a 400 that names it."""
    response = house.get("/api/outcomes/A", horizon=horizon)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("horizon:")
