"""Pages of information bars: those of the whole day, whatever the page, the order and the store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from shared.market.bar_types import BarType, Measure
from shared.market.calendar_timeframes import timeframe_of
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, columns, generated, trades

PATH = "/api/bars/A/B"
HOUR_US = 3_600_000_000


def stored(house: House, count: int = 400, gap_us: int = 700_000_000) -> list[Tick]:
    """Store trades over three days, in a random order and in pieces."""
    ticks = [
        tick._replace(source="u", price_scale=2) for tick in generated(7, count, gap_us=gap_us)
    ]
    pieces = ticks.copy()
    random.Random(3).shuffle(pieces)
    for first in range(0, count, 150):
        house.take(columns(pieces[first : first + 150], "A/B"))
    return trades(ticks)


def measured(bar: list[Tick], measure: Measure) -> Decimal:
    prices = [each.decimal_price for each in bar]
    return {
        Measure.TICK: Decimal(len(bar)),
        Measure.VOLUME: sum((each.decimal_size for each in bar), Decimal(0)),
        Measure.DOLLAR: sum((abs(e.decimal_price) * e.decimal_size for e in bar), Decimal(0)),
        Measure.RANGE: max(prices) - min(prices),
    }[measure]


def plain(ticks: list[Tick], text: str, days: str = "1d") -> Iterator[list[Tick]]:
    """Yield the bars as anybody would write it."""
    type_, frame = BarType.parse(text), timeframe_of(days)
    bar: list[Tick] = []
    for tick in ticks:
        if not frame.holds(tick.time_us):
            continue
        if bar and frame.start_us(bar[0].time_us) != frame.start_us(tick.time_us):
            yield bar
            bar = []
        bar.append(tick)
        if measured(bar, type_.measure) >= type_.amount:
            yield bar
            bar = []
    if bar:
        yield bar


def row(bar: list[Tick]) -> dict[str, Any]:
    prices = [each.decimal_price for each in bar]
    return {
        "t": bar[0].time_us // 1000,
        "end": bar[-1].time_us // 1000,
        "o": prices[0],
        "h": max(prices),
        "l": min(prices),
        "c": prices[-1],
        "v": measured(bar, Measure.VOLUME),
        "n": len(bar),
        "bv": sum((each.decimal_size for each in bar if each.side == 1), Decimal(0)),
        "sv": sum((each.decimal_size for each in bar if each.side == 2), Decimal(0)),
    }


def read(found: dict[str, Any]) -> dict[str, Any]:
    exact = {name: Decimal(found[name]) for name in (*"ohlcv", "bv", "sv")}
    return {"t": found["t"], "end": found["end"], "n": found["n"], **exact}


def pages(house: House, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = house.get(PATH, **query).json()
        found = [*found, *page["bars"]] if "from" in query else [*page["bars"], *found]
        assert len(page["bars"]) <= int(query["limit"])
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


@pytest.mark.parametrize("direction", ["forwards", "backwards"])
@pytest.mark.parametrize("type_", ["tick:7", "volume:90", "dollar:2000", "range:3"])
def test_pages_joined_are_the_bars_of_a_plain_loop(
    house: House, type_: str, direction: str
) -> None:
    """Of trades that came in any order, each day from nothing, with stable cursors."""
    expected = [row(bar) for bar in plain(stored(house), type_)]
    assert len(expected) > 20
    query = {"type": type_, "limit": "9"} | ({"from": "0"} if direction == "forwards" else {})
    found = pages(house, **query)
    assert [read(each) for each in found] == expected
    assert all(each["closed"] and each["complete"] for each in found[:-1])
    text = house.get(PATH, type=type_, limit="all", format="ndjson", **{"from": "0"}).text
    assert text.count("\n") == len(expected)


@pytest.mark.parametrize(
    ("days", "query"),
    [
        ("1d@America/New_York", {"tz": "America/New_York"}),
        ("1d@2230-0115@America/New_York", {"session": "22:30-01:15@America/New_York"}),
        ("1d@XNYS", {"calendar": "XNYS"}),
    ],
)
@pytest.mark.parametrize("direction", ["forwards", "backwards"])
def test_bars_begin_anew_with_the_trading_day(
    house: House, days: str, query: dict[str, str], direction: str
) -> None:
    """Of a zone, a session, an exchange; trades outside belong to none."""
    expected = [row(bar) for bar in plain(stored(house), "tick:5", days)]
    way = {"from": "0"} if direction == "forwards" else {}
    found = pages(house, type="tick:5", limit="7", **query, **way)
    assert [read(each) for each in found] == expected


def test_a_range_has_the_bars_that_begin_in_it(house: House) -> None:
    """Made from their day's start, and whole although they end behind it."""
    ticks = stored(house)
    expected = [row(bar) for bar in plain(ticks, "tick:7")]
    from_ms, to_ms = expected[11]["t"] + 1, expected[20]["t"] + 1
    query = {"from": str(from_ms), "to": str(to_ms)}
    found = house.get(PATH, type="tick:7", **query).json()
    assert [read(each) for each in found["bars"]] == expected[12:21]
    assert found["next"] is None
    newest = house.get(PATH, type="tick:7", to=str(to_ms), limit="3").json()["bars"]
    assert [read(each) for each in newest] == expected[18:21]


def test_a_late_trade_changes_the_bars_of_its_day(house: House) -> None:
    """They are what they would be, had it come in time; cursors go on where they were."""
    ticks = stored(house)
    before = house.get(PATH, type="tick:7", limit="5", **{"from": "0"}).json()
    late = ticks[100]._replace(
        time_us=ticks[100].time_us + 1, number=10**9, text="late", sequence=10**6
    )
    house.take(columns([late], "A/B"))
    expected = [row(bar) for bar in plain(trades([*ticks, late]), "tick:7")]
    assert [read(each) for each in pages(house, type="tick:7", limit="50")] == expected
    query = {"type": "tick:7", "limit": "1000", "from": "0", "cursor": before["next"]}
    assert [read(each) for each in house.get(PATH, **query).json()["bars"]] == expected[5:]


def test_bars_in_other_forms_and_what_is_refused(house: House) -> None:
    """As tables with local time; a type that is none is named."""
    stored(house, 50)
    table = house.get(PATH, type="tick:7", format="csv", tz="Asia/Kolkata", columns="t,time,v").text
    assert table.startswith("t,time,v\n")
    refused = house.get(PATH, type="cats:7")
    assert (refused.status_code, refused.json()["detail"][:5]) == (400, "type:")
    assert house.get("/api/bars/NONE").status_code == 404
