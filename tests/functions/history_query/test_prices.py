"""Price history, latest prices and the list of symbols over real stores."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from functions.history_query.queries import tick_slices
from shared.market.decimals import to_text
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, batches, columns, generated, trades

ALL = "1970-01-01"


def numbers(response: httpx.Response) -> list[dict[str, Any]]:
    """The response's body with numbers as exact decimals."""
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = json.loads(response.text, parse_float=Decimal)
    return rows


def fill(house: House, symbol: str, seed: int, count: int, gap_us: int) -> list[Tick]:
    """Store ticks in shuffled order, a third of them twice; return each trade once, in order."""
    ticks = generated(seed, count, gap_us)
    sent = ticks + random.Random(seed).sample([t for t in ticks if t.kind], count // 3)
    random.Random(seed).shuffle(sent)
    for batch in batches(sent, symbol, 40):
        house.take(batch)
    return trades(ticks)


def pages(house: House, path: str, **parameters: str) -> list[list[dict[str, Any]]]:
    """All pages, by following the links."""
    joined = []
    response = house.get(path, **parameters)
    while True:
        joined.append(numbers(response))
        if "link" not in response.headers:
            assert "x-kandle-truncated" not in response.headers
            return joined
        assert response.headers["x-kandle-truncated"] == "true"
        assert response.headers["x-kandle-limit"] == parameters["limit"]
        response = house.get(response.links["next"]["url"])


@pytest.mark.parametrize(
    ("limit", "largest"), [(3, 25), (7, tick_slices.LARGEST_SLICE), (10_000, 25)]
)
def test_pages_of_prices_join_without_gap_or_repetition(
    house: House, monkeypatch: pytest.MonkeyPatch, limit: int, largest: int
) -> None:
    """Pages of prices have each trade once with exact prices, ties in the total order."""
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", largest)
    expected = fill(house, "XRP/ETH", 11, 150, 3_000_000)
    got = pages(house, "/api/history/XRP/ETH", **{"from": ALL, "limit": str(limit)})
    assert all(len(page) <= limit for page in got)
    assert [each for page in got[::-1] for each in page] == [
        {"t": tick.time_us // 1000, "p": tick.decimal_price} for tick in expected
    ]
    newest = pages(house, "/prices/XRP/ETH/history", limit=str(limit))
    assert [each for page in newest for each in page] == [
        {"t": tick.time_us // 1000, "price": tick.decimal_price} for tick in expected[::-1]
    ]


def test_a_range_of_prices_is_half_open(house: House) -> None:
    """Ticks at `from` are in the range and those at `to` are not, to the microsecond."""
    expected = fill(house, "A", 12, 100, 3_000_000)
    low, high = expected[20].time_us, expected[70].time_us

    def iso(time_us: int) -> str:
        return datetime.fromtimestamp(time_us // 10**6, UTC).replace(tzinfo=None).isoformat() + (
            f".{time_us % 10**6:06}Z"
        )

    prices = numbers(house.get("/api/history/A", **{"from": iso(low), "to": iso(high)}))
    assert [each["p"] for each in prices] == [
        tick.decimal_price for tick in expected if low <= tick.time_us < high
    ]


def test_history_is_of_the_last_24_hours(house: House) -> None:
    """History covers the last 24 hours, and older ticks on request."""
    now_us = time.time_ns() // 1000
    ticks = [
        Tick(now_us - hours * 3_600_000_000, 1, hours, "", 0, "u", hours, 100 + hours, 2, 1, 1)
        for hours in (25, 23, 1)
    ]
    house.take(columns(ticks, "A"))
    assert [each["p"] for each in numbers(house.get("/api/history/A"))] == [
        Decimal("1.23"),
        Decimal("1.01"),
    ]
    assert len(numbers(house.get("/api/history/A", **{"from": "-26h"}))) == 3
    assert len(numbers(house.get("/prices/A/history"))) == 3
    assert numbers(house.get("/api/history/A", to="-24h", **{"from": "-24h"})) == []


def test_a_price_is_a_json_number_of_all_its_digits(house: House) -> None:
    """A price is a JSON number with all digits of its row, without a float between."""
    prices = [(2**63 - 1, 18), (1, 18), (10**18, 0), (150, 2)]
    for number, (price, scale) in enumerate(prices):
        tick = Tick(10**15 + number, 1, number, "", 0, "u", number, price, scale, 1, 1)
        house.take(columns([tick], "A"))
    response = house.get("/api/history/A", **{"from": ALL})
    assert response.text == (
        '[{"t":1000000000000,"p":9.223372036854775807},{"t":1000000000000,"p":0.000000000000000001},'
        '{"t":1000000000000,"p":1000000000000000000},{"t":1000000000000,"p":1.5}]'
    )
    assert house.get("/prices/A").text == '{"symbol":"A","price":1.5,"t":1000000000000}'


def test_symbols_have_their_first_and_last_trade_and_their_number(house: House) -> None:
    """A symbol has its first and last trade, and each trade counts once.

    From live and stored candles of the longest timeframe.
    """
    expected = {
        name: fill(house, name, n, 60, 7_200_000_000) for n, name in enumerate(["B/C", "A"])
    }
    assert numbers(house.get("/api/symbols")) == [
        {
            "symbol": name,
            "first": expected[name][0].time_us // 1000,
            "last": expected[name][-1].time_us // 1000,
            "n": len(expected[name]),
        }
        for name in ("A", "B/C")
    ]


def test_latest_prices_are_of_the_last_trade(house: House) -> None:
    """The latest price is the last trade's, exactly, under both addresses."""
    expected = fill(house, "A/B", 13, 40, 1_000_000)[-1]
    for path in ("/api/latest/A/B", "/api/latest/A%2FB"):
        assert house.get(path).json()["price"] == to_text(expected.decimal_price)
    (only,) = house.get("/api/latest").json()
    assert only["symbol"] == "A/B"
    price = numbers(house.get("/prices/A/B"))
    assert price == {  # type: ignore[comparison-overlap]
        "symbol": "A/B",
        "price": expected.decimal_price,
        "t": expected.time_us // 1000,
    }
