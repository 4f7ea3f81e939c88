"""Pages of information bars equal those of the whole day, whatever the page, order and store."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from functions.history_query.api.cursors import TickPlace
from functions.history_query.api.parameters import read_bars
from functions.history_query.queries.bar_checkpoints import Checkpoints
from functions.history_query.queries.bar_days import BarDays
from functions.history_query.queries.bars import BarPages, BarsOfPage
from functions.history_query.queries.tick_slices import Slice, TickSlices
from functions.persist.busts import BustWriter
from shared.market.bar_types import BarType, Measure
from shared.market.calendar_timeframes import timeframe_of
from shared.wire.busts import Bust
from shared.wire.raw_batch import FORMAT_SCANNER
from shared.wire.ticks import INTEGER_ID, NO_ID
from tests.functions.history_query.conftest import LATENESS_US, WAYS, House
from tests.functions.history_query.market import START_US, Tick, columns, generated, trades

PATH = "/api/bars/A/B"
HOUR_US = 3_600_000_000


def stored(house: House, count: int = 400, gap_us: int = 700_000_000) -> list[Tick]:
    """Store trades over three days, in random order and batches."""
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
    """Yield the bars of a plain loop."""
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


def read(row: Mapping[str, Any]) -> dict[str, Any]:
    exact = {name: Decimal(row[name]) for name in (*"ohlcv", "bv", "sv")}
    return {"t": row["t"], "end": row["end"], "n": row["n"], **exact}


def pages(house: House, **query: str) -> list[dict[str, Any]]:
    return house.rows(PATH, **query)


def test_joined_pages_equal_the_bars_of_a_plain_loop(house: House) -> None:
    """Concatenated pages equal the plain loop for trades in any order, with stable cursors.

    Each day begins anew.
    """
    ticks = stored(house)
    for type_ in ("tick:7", "volume:90", "dollar:2000", "range:3"):
        expected = [row(bar) for bar in plain(ticks, type_)]
        assert len(expected) > 20
        for way in WAYS:
            bars = pages(house, type=type_, limit=str(len(expected) // 5), **way)
            assert [read(each) for each in bars] == expected
            assert all(each["closed"] and each["complete"] for each in bars[:-1])
        text = house.get(PATH, type=type_, limit="all", format="ndjson", **{"from": "0"}).text
        assert text.count("\n") == len(expected)


def test_bars_restart_with_the_trading_day(house: House) -> None:
    """Bars restart with the trading day of a zone, session or exchange.

    Trades outside belong to none.
    """
    ticks = stored(house)
    for days, query in (
        ("America/New_York", {"tz": "America/New_York"}),
        ("2230-0115@America/New_York", {"session": "22:30-01:15@America/New_York"}),
        ("XNYS", {"calendar": "XNYS"}),
    ):
        expected = [row(bar) for bar in plain(ticks, "tick:5", f"1d@{days}")]
        for way in WAYS:
            bars = pages(house, type="tick:5", limit="15", **query, **way)
            assert [read(each) for each in bars] == expected


def test_a_range_has_the_bars_that_begin_in_it(house: House) -> None:
    """A range has the bars that begin in it, computed from their day's start and whole."""
    ticks = stored(house)
    expected = [row(bar) for bar in plain(ticks, "tick:7")]
    from_ms, to_ms = expected[11]["t"] + 1, expected[20]["t"] + 1
    query = {"from": str(from_ms), "to": str(to_ms)}
    body = house.get(PATH, type="tick:7", **query).json()
    assert [read(each) for each in body["bars"]] == expected[12:21]
    assert body["next"] is None
    newest = house.get(PATH, type="tick:7", to=str(to_ms), limit="3").json()["bars"]
    assert [read(each) for each in newest] == expected[18:21]


def test_a_late_trade_changes_the_bars_of_its_day(house: House) -> None:
    """After a late trade the bars are as if it had come in time, and cursors stay valid."""
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


def test_bars_in_other_formats_and_invalid_requests(house: House) -> None:
    """Bars are tables with local time in other formats, and an invalid type is named."""
    stored(house, 50)
    table = house.get(PATH, type="tick:7", format="csv", tz="Asia/Kolkata", columns="t,time,v").text
    assert table.startswith("t,time,v\n")
    refused = house.get(PATH, type="cats:7")
    assert (refused.status_code, refused.json()["detail"][:5]) == (400, "type:")
    assert house.get("/api/bars/NONE").status_code == 404


class Reads(TickSlices):
    """Reads slices, and counts their trades."""

    trades = 0

    def slices(self, *args: Any, **named: Any) -> Iterator[Slice]:
        for part in super().slices(*args, **named):
            self.trades += len(part.trades)
            yield part


def bars_of(house: House) -> tuple[BarPages, Reads]:
    reads = Reads(house.postgres)
    days = BarDays(reads, Checkpoints(house.postgres))
    return BarPages(days, house.postgres, LATENESS_US), reads


def shown(page: BarsOfPage) -> list[dict[str, Any]]:
    return [read(bar) for bar in page.bars]


@pytest.mark.parametrize("type_", ["tick:7", "volume:90", "dollar:2000", "range:3"])
def test_bars_reread_while_trades_arrive_equal_a_plain_loop(house: House, type_: str) -> None:
    """Bars that are read repeatedly while trades arrive equal the plain loop.

    The newest, older ones and those of a range, by pages that resume from cached bars.
    """
    ticks = [t._replace(source="u", price_scale=2) for t in generated(11, 900, gap_us=90_000_000)]
    source = random.Random(type_)
    pages, _ = bars_of(house)
    come: list[Tick] = []
    for first in range(0, len(ticks), 60):
        batch = ticks[first : first + 60]
        late = [each for each in batch if source.random() < 0.03]
        come += [each for each in batch if each not in late]
        house.tick_writer([(f"e{first}", columns(come[-60 + len(late) :], "A/B"))])
        for each in late:  # late by any time; some are repeated
            old = source.choice(come)
            again = each._replace(time_us=old.time_us, kind=old.kind, number=old.number + 1)
            again = again._replace(text=old.text and f"{old.text}'")
            come += [
                again,
                old._replace(sequence=again.sequence + 1, receive_us=old.receive_us + 1),
            ]
            house.tick_writer([(f"l{first}-{each.sequence}", columns(come[-2:], "A/B"))])
        expected = [row(bar) for bar in plain(trades(come), type_)]
        newest = pages.page("A/B", read_bars({"type": type_, "limit": "9"}))
        assert shown(newest) == expected[-9:]
        if newest.edge is not None:
            cursor = TickPlace.of("before", newest.edge).text()
            query = {"type": type_, "limit": "5", "cursor": cursor}
            assert shown(pages.page("A/B", read_bars(query))) == expected[-14:-9]
        begin = source.randrange(len(expected))
        query = {"type": type_, "limit": "1000", "from": str(expected[begin]["t"])}
        rows = shown(pages.page("A/B", read_bars(query)))
        assert rows == [bar for bar in expected if bar["t"] >= expected[begin]["t"]]


def every_eight_seconds(count: int) -> list[Tick]:
    return [
        tick._replace(source="u", price_scale=2, time_us=START_US + 60_000_000 + n * 8_000_000)
        for n, tick in enumerate(generated(7, count))
    ]


def test_a_reread_page_reads_only_what_is_new(house: House) -> None:
    """A page that is read again reads only the trades since, or from a late trade's minute on."""
    ticks = every_eight_seconds(4_000)
    house.tick_writer([("e0", columns(ticks, "A/B"))])
    pages, reads = bars_of(house)
    newest = read_bars({"type": "tick:7", "limit": "9"})
    expected = [row(bar) for bar in plain(trades(ticks), "tick:7")]
    assert shown(pages.page("A/B", newest)) == expected[-9:]
    assert reads.trades >= 3_900
    reads.trades = 0
    assert shown(pages.page("A/B", newest)) == expected[-9:]
    assert reads.trades < 100
    late = ticks[3_500]._replace(kind=NO_ID, number=0, text="", sequence=1 << 40)
    house.tick_writer([("e1", columns([late], "A/B"))])
    expected = [row(bar) for bar in plain(trades([*ticks, late]), "tick:7")]
    reads.trades = 0
    assert shown(pages.page("A/B", newest)) == expected[-9:]
    assert 400 < reads.trades < 2_500


def test_a_cancelled_trade_is_removed_from_bars_read_before(house: House) -> None:
    """A cancelled trade far before a page's resume position leaves the bars."""
    ticks = every_eight_seconds(2_000)
    house.tick_writer([("e0", columns(ticks, "A/B"))])
    pages, _ = bars_of(house)
    newest = read_bars({"type": "tick:7", "limit": "9"})
    before = shown(pages.page("A/B", newest))
    wrong = next(each for each in ticks[300:] if each.kind == INTEGER_ID)
    cancel = ("A/B", None, str(wrong.number), wrong.time_us, False, "", "")
    bust = Bust(*cancel, wrong.receive_us + 1, 1, b"bust")
    BustWriter(house.postgres)("bust0", "udp-2", FORMAT_SCANNER, [bust])
    remaining = [each for each in ticks if each is not wrong]
    after = [row(bar) for bar in plain(trades(remaining), "tick:7")][-9:]
    assert shown(pages.page("A/B", newest)) == after != before
