from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.feather
import pytest

from local.feeds.candles import candle_rows
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from shared.market.timeframes import Timeframe

MINUTE = Timeframe.parse("1m")
START_MS = 1_700_000_100_000
"""The start of a minute and of five."""


def rows_of(lines: list[str], timeframe: str = "1m") -> dict[str, list[tuple[object, ...]]]:
    """Candles by symbol: the minutes from START_MS to the start, and the numbers as text."""
    made = candle_rows([[each.encode() for each in lines]], Timeframe.parse(timeframe))
    return {
        symbol: [((row[0] // 1000 - START_MS) // 60_000, *map(str, row[1:])) for row in rows]
        for symbol, rows in made.items()
    }


def test_ticks_become_candles() -> None:
    """Ticks become candles by symbol and interval, open and close by time, then by arrival."""
    lines = [
        f"A,10,1,{START_MS + 1_000}",
        f"B,7,,{START_MS + 1_000}",
        f"A,12.50,0.1,{START_MS + 1_000}",
        f"A,9,2,{START_MS + 500}",
        f"A,11,1,{START_MS + 120_000}",
    ]
    assert rows_of(lines) == {
        "A": [(0, "9", "12.5", "9", "12.5", "3.1"), (2, "11", "11", "11", "11", "1")],
        "B": [(0, "7", "7", "7", "7", "0")],
    }


def test_candles_of_a_file_are_those_of_the_pipeline() -> None:
    """Prints for volume only move no price, official prices count not at all, ids order ties."""
    lines = [
        f"A,3,1,{START_MS},,12",
        f"A,2,1,{START_MS},,9",  # newest first
        f"A,90,5,{START_MS + 1},,13,@TI",
        f"A,80,5,{START_MS + 2},,14,M",
        f"A,70,9,{START_MS + 60_000},,15,polygon:12",
        f"A,4,1,{START_MS + 120_000},,16",
    ]
    rows = rows_of(lines)["A"]
    assert rows == [(0, "2", "3", "2", "3", "7"), (2, "4", "4", "4", "4", "1")]
    # A minute without a price does not count towards longer candles.
    assert rows_of(lines, "5m")["A"] == [(0, "2", "4", "2", "4", "8")]
    assert len(rows_of(lines, "7s")["A"]) == 2


def test_a_tick_without_a_time_is_refused() -> None:
    """A tick without a time is refused."""
    with pytest.raises(ValueError, match="a tick of A has no time"):
        rows_of(["A,10"])


def test_what_is_no_tick_is_counted_with_its_reason() -> None:
    """A line that cannot be read makes no candle; it is counted with the pipeline's reason."""
    rejects: Counter[str] = Counter()
    lines = [f"A,x,1,{START_MS}", f"A,3,-,{START_MS}", f"A,x,1,{START_MS}", f"A,4,1,{START_MS}"]
    rows = candle_rows([[each.encode() for each in lines]], MINUTE, rejects)
    assert list(map(int, rows["A"][0][1:])) == [4, 4, 4, 4, 1]
    assert [*rejects.values()] == [2, 1]
    assert "PRICE 'x' is not a decimal number" in next(iter(rejects))


@pytest.mark.parametrize(("timeframe", "count"), [("1m", 2_469), ("5m", 706)])
def test_recorded_trades_give_the_reference_candles(
    recorded_data: Path, timeframe: str, count: int
) -> None:
    """Candles of recorded XRP/ETH trades equal the reference to the last digit."""
    path = recorded_data / "binance" / "XRP_ETH-trades.json.gz"
    trades = read_trades([path], Choice(), Progress())
    rows = candle_rows((each.lines() for _, each in trades), Timeframe.parse(timeframe))
    (made,) = rows.values()
    table = pyarrow.feather.read_table(recorded_data / f"binance/XRP_ETH-{timeframe}.feather")
    reference = table.to_pylist()
    assert len(made) == len(reference) == count
    for row, expected in zip(made, reference, strict=True):
        names = ("open", "high", "low", "close", "volume")
        assert [float(value) for value in row[1:]] == pytest.approx(
            [expected[name] for name in names], rel=1e-12
        )
        assert row[0] == round(expected["date"].timestamp() * 1e6)
