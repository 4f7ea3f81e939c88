"""Pages of candles over real stores: exact, whole, without gap or repetition."""

from __future__ import annotations

import random
from typing import Any

import pytest

from functions.history_query.queries import candles as pages
from functions.history_query.queries import tick_slices
from functions.history_query.queries.closed_and_live import StoredCandles
from shared.market.timeframes import Timeframe
from shared.reading.stored_candles import ListedCandles, Ranges
from tests.functions.history_query.conftest import WAYS, House
from tests.functions.history_query.market import (
    MINUTE_US,
    START_US,
    Tick,
    batches,
    candles,
    columns,
    generated,
)

SHOWN = ("t", "o", "h", "l", "c", "v", "n", "bv", "sv")
ROLLED_UP = ("1m", "2m", "3m", "7m", "30m", "2h", "120s")
FROM_TICKS = ("1s", "5s", "7s", "30s", "45s", "90s")
STORED = """
INSERT INTO candles (instrument, timeframe, start_us, open, high, low, close, volume,
    notional, trade_count, buy_volume, sell_volume, first_time_us, last_time_us,
    closed, partial, complete, revision)
SELECT 'A', '1m', n * %s::bigint, n, n, n, n, 1, n, 1, 1, 0, 0, 0, true, false, true, 1
FROM generate_series(1, %s) AS n
"""


def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the candles that each read of the stores asks for from now on."""
    counts: list[int] = []
    first = StoredCandles.read

    def counted(stored: StoredCandles, ranges: Ranges) -> ListedCandles:
        counts.append(ranges.count or 0)
        return first(stored, ranges)

    monkeypatch.setattr(StoredCandles, "read", counted)
    return counts


def seconds(name: str) -> int:
    return Timeframe.parse(name).length_us // 1_000_000


def read(house: House, symbol: str, timeframe: str, **more: str) -> list[list[dict[str, Any]]]:
    """All pages of a request, each in its order."""
    return list(house.pages(f"/api/candles/{symbol}", timeframe=timeframe, **more))


def shown(candle: dict[str, Any]) -> dict[str, Any]:
    return {name: candle[name] for name in SHOWN}


def assert_candles(
    house: House, symbol: str, timeframe: str, ticks: list[Tick], **more: str
) -> None:
    """Assert that candles equal the definition, in both directions."""
    expected = candles(ticks, seconds(timeframe))
    for way in WAYS:
        rows = house.rows(f"/api/candles/{symbol}", timeframe=timeframe, **more, **way)
        assert [shown(row) for row in rows] == expected, timeframe


def fill(house: House, symbol: str, seed: int, count: int, size: int, gap_us: int = 400_000) -> Any:
    """Store ticks in shuffled order, a third of them twice."""
    ticks = generated(seed, count, gap_us)
    sent = list(ticks)
    source = random.Random(seed)
    sent += source.sample([t for t in ticks if t.kind], count // 3)
    source.shuffle(sent)
    for batch in batches(sent, symbol, size):
        house.take(batch)
    return ticks


@pytest.mark.parametrize(
    ("size", "count", "limits"), [(1, 60, [10_000]), (40, 300, [1, 25]), (10_000, 300, [50])]
)
def test_candles_of_any_timeframe_equal_the_definition(
    house: House, size: int, count: int, limits: list[int]
) -> None:
    """Candles equal the definition for any timeframe, segment size and page size.

    Folded or made of ticks.
    """
    ticks = fill(house, "A/B", size, count, size, 750_000_000 // count)
    for timeframe in (*ROLLED_UP, *FROM_TICKS):
        count = len(candles(ticks, seconds(timeframe)))
        assert count > 2 or timeframe in ("30m", "2h")
        for limit in limits:
            if count <= limit * 12:
                assert_candles(house, "A/B", timeframe, ticks, limit=str(limit))


def test_a_large_page_is_held_in_pieces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of stored candles that is read and packed in pieces is the same, in both ways."""
    fill(house, "A", 5, 300, 50, gap_us=40_000_000)

    def answers() -> list[str]:
        pages_read = [
            house.get("/api/candles/A", limit=limit, format=name, **way)
            for way in WAYS
            for limit in ("50", "10000")
            for name in ("json", "csv")
        ]
        return [each.text + each.headers.get("x-kandle-next", "") for each in pages_read]

    at_once = answers()
    assert at_once[0].count('"o":') == 50
    assert at_once[2].count('"o":') > 100
    monkeypatch.setattr(pages, "_AT_ONCE", 7)
    assert answers() == at_once


def test_the_candle_that_began_before_the_first_tick_is_partial(house: House) -> None:
    """A candle made on reading is partial if it began before the first tick, as a stored one is."""
    first_us = START_US // MINUTE_US * MINUTE_US  # no base candle is partial
    ticks = [t._replace(time_us=t.time_us - START_US + first_us) for t in generated(3, 30)]
    for batch in batches(ticks, "BEGUN", 10):
        house.take(batch)
    for timeframe in ("1m", "5m", "1h", "2m", "3m", "2h", "1w", "1d@Asia/Kolkata", "7s", "120s"):
        length_us = Timeframe.parse(timeframe.partition("@")[0]).length_us
        for more in ({}, {"as_of": "-0s"}):
            (got,) = read(house, "BEGUN", timeframe, **more)
            begun = [c["t"] * 1000 < first_us < c["t"] * 1000 + length_us for c in got]
            assert [c["partial"] for c in got] == begun, (timeframe, more)
            assert any(begun) == (got[0]["t"] * 1000 != first_us)


def test_small_slices_give_the_same_candles(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small slices and a short time limit give the same candles."""
    ticks = fill(house, "A", 5, 200, 60, 5_000_000)
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", 30)
    monkeypatch.setattr(pages, "_TICK_SLICES", 1)
    monkeypatch.setattr(pages, "_PART_BATCHES", 1)
    monkeypatch.setattr(pages, "_AT_ONCE", 2)
    for timeframe in ("1m", "2m", "7m", "2h", "1s", "7s", "90s"):
        assert_candles(house, "A", timeframe, ticks, limit="20")


def test_ticks_far_apart_are_read(house: House) -> None:
    """Ticks on both sides of many empty days are found, in both directions."""
    ticks = fill(house, "A", 6, 30, 3, 4 * 3_600_000_000)
    expected = candles(ticks, 1)
    assert expected[-1]["t"] - expected[0]["t"] > 3 * 86_400_000
    assert_candles(house, "A", "1s", ticks, limit="7")


def test_a_range_holds_whole_candles_that_start_in_it(house: House) -> None:
    """A range has the whole candles that start in it, though its bounds are within others."""
    ticks = fill(house, "A", 7, 300, 50, 2_500_000)
    low, high = START_US // 1000 + 61_500, START_US // 1000 + 200_700
    for timeframe in ("1s", "7s", "90s", "1m", "2m"):
        expected = [c for c in candles(ticks, seconds(timeframe)) if low <= c["t"] < high]
        assert expected
        (got,) = read(house, "A", timeframe, **{"from": str(low), "to": str(high)})
        assert [shown(c) for c in got] == expected


def test_only_a_late_trade_changes_a_closed_candle(house: House) -> None:
    """A candle is closed by watermark and allowed lateness, or by the clock if its parts are."""
    minute = START_US // 60_000_000 * 60_000_000 + 60_000_000
    minute -= minute % 120_000_000

    def take(offset_s: int, number: int) -> None:
        time_us = minute + offset_s * 1_000_000
        tick = Tick(time_us, 1, number, "", time_us, "u", number, 5, 0, 1, 1)
        house.take(columns([tick], "A"))

    def flags(timeframe: str) -> list[bool]:
        return [c["closed"] for page in read(house, "A", timeframe) for c in page]

    take(10, 1)
    assert (flags("1s"), flags("2m")) == ([False], [False])
    take(12, 2)
    assert flags("1s") == [False, False]  # 10 s to 11 s has ended, within the allowed lateness
    take(13, 3)
    assert flags("1s") == [True, False, False]
    take(70, 4)
    assert (flags("1m"), flags("2m")) == ([True, False], [False])
    take(121, 5)
    assert (flags("1m"), flags("2m")) == ([True, False, False], [False, False])
    take(122, 6)
    assert (flags("1m"), flags("2m"), flags("120s")) == ([True, True, False], *[[True, False]] * 2)


def test_the_revision_is_the_highest_of_the_parts(house: House) -> None:
    """A fold's revision is the highest of its parts, so that a late trade raises it."""
    fill(house, "A", 8, 50, 10)
    (minutes,), (longer,) = read(house, "A", "1m"), read(house, "A", "2h")
    assert max(c["revision"] for c in minutes) == max(c["revision"] for c in longer)
    assert {c["revision"] for page in read(house, "A", "1s") for c in page} == {0}


def test_scales_beyond_64_bits_are_exact(house: House) -> None:
    """A candle with a price of 18 digits and one of 18 decimals is exact."""
    for number, (price, scale) in enumerate([(10**17 + 1, 0), (10**18 + 1, 18)]):
        tick = Tick(START_US + number, 1, number, "", 0, "u", number, price, scale, 2000, 1)
        house.take(columns([tick], "A"))
    ((candle,),) = read(house, "A", "1s")
    assert (candle["h"], candle["l"]) == ("100000000000000001", "1.000000000000000001")
    assert (candle["v"], candle["n"]) == ("4", 2)


@pytest.mark.parametrize("largest", [tick_slices.LARGEST_SLICE, 20])
def test_a_minute_may_hold_more_ticks_than_a_slice(
    house: House, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    """A repeated trade counts once wherever a slice splits its minute."""
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", largest)
    source = random.Random(4)
    ticks = generated(4, 300, 200_000)
    for n in range(100, 300):
        if source.random() < 0.3:
            again = ticks[n - source.randint(1, 90)]
            ticks[n] = ticks[n]._replace(kind=again.kind, number=again.number, text=again.text)
    for batch in batches(ticks, "A", 7):
        event_id = str(next(house.numbers))
        house.tick_writer([(event_id, batch)])
    assert sum(candle["n"] for candle in candles(ticks, 1)) < 280
    assert_candles(house, "A", "1s", ticks, limit="11")
    assert_candles(house, "A", "45s", ticks, limit="5")


def test_unknown_instruments_and_odd_names_are_404(house: House) -> None:
    """An unknown instrument with any name is 404 for every timeframe."""
    for name in ("NONE", "A%00B", "%FF", "'; DROP TABLE ticks; --", "é"):
        for path in ("/api/candles/{}", "/api/history/{}", "/api/latest/{}", "/prices/{}"):
            assert house.get(path.format(name)).status_code == 404
    assert house.get("/api/candles/NONE", timeframe="1s").status_code == 404
    assert house.get(f"/api/candles/{'A' * 65}").status_code == 400
    assert house.get("/api/candles/").status_code == 400


def test_an_id_counts_again_in_the_next_minute(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trade id of one minute counts again in the next, since venues restart ids."""
    monkeypatch.setattr(tick_slices, "LARGEST_SLICE", 2)
    offsets = [1, 2, 50, 65, 70]
    ticks = [
        Tick(START_US // MINUTE_US * MINUTE_US + s * 10**6, 1, 7, "", s, "u", s, s, 2, 1, 1)
        for s in offsets
    ]
    house.tick_writer([("e", columns(ticks, "A"))])
    for way in WAYS:
        ((first, second),) = read(house, "A", "1s", **way)
        assert [(c["n"], c["c"]) for c in (first, second)] == [(1, "0.01"), (1, "0.65")]


def test_a_large_page_of_stored_candles_takes_few_reads(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of 4,000 stored candles takes two reads, and its cursor leads to the others."""
    with house.postgres.connection() as connection:
        connection.execute(STORED, (MINUTE_US, 4_010))
    counts = counted_reads(monkeypatch)
    for way in WAYS:
        sizes = [len(rows) for rows in read(house, "A", "1m", limit="4000", **way)]
        assert sizes == [4_000, 10]
        assert counts[:2] == [2_001, 2_000]
        assert len(counts) == 3
        counts.clear()


def test_a_page_that_ends_among_withdrawn_candles_takes_few_reads(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page does not read 1,000 candles in a row that lost all trades one by one."""
    with house.postgres.connection() as connection:
        connection.execute(STORED, (MINUTE_US, 2_000))
        connection.execute(
            "UPDATE candles SET trade_count = 0 WHERE start_us BETWEEN %s AND %s",
            (501 * MINUTE_US, 1_500 * MINUTE_US),
        )
    counts = counted_reads(monkeypatch)
    for way in WAYS:
        sizes = [len(rows) for rows in read(house, "A", "1m", limit="500", **way)]
        assert sizes == [500, 500]
        assert len(counts) < 20
        counts.clear()
