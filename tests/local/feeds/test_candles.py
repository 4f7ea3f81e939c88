from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow.feather
import pytest

from local.feeds.candles import candle_rows
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from local.feeds.tick import Tick
from shared.market.timeframes import Timeframe

MINUTE = Timeframe.parse("1m")


def test_ticks_become_candles() -> None:
    """Ticks become candles by symbol and interval, open and close by time, then by arrival."""
    rows = candle_rows(
        [
            Tick("A", "10", "1", 61_000),
            Tick("B", "7", "", 61_000),
            Tick("A", "12.50", "0.1", 61_000),
            Tick("A", "9", "2", 60_500),
            Tick("A", "11", "1", 180_000),
        ],
        MINUTE,
    )
    assert rows == {
        "A": [
            (60_000_000, "9", "12.5", "9", "12.5", "3.1"),
            (180_000_000, "11", "11", "11", "11", "1"),
        ],
        "B": [(60_000_000, "7", "7", "7", "7", "0")],
    }


def test_candles_of_a_file_are_those_of_the_pipeline() -> None:
    """Prints for volume only move no price, official prices count not at all, ids order ties."""
    ticks = [
        Tick("A", "3", "1", 60_000, "", "12"),
        Tick("A", "2", "1", 60_000, "", "9"),  # newest first
        Tick("A", "90", "5", 60_001, "", "13", "@TI"),
        Tick("A", "80", "5", 60_002, "", "14", "M"),
        Tick("A", "70", "9", 120_000, "", "15", "polygon:12"),
        Tick("A", "4", "1", 180_000, "", "16"),
    ]
    rows = candle_rows(ticks, MINUTE)["A"]
    assert rows == [(60_000_000, "2", "3", "2", "3", "7"), (180_000_000, "4", "4", "4", "4", "1")]
    # A minute without a price does not count towards longer candles.
    assert candle_rows(ticks, Timeframe.parse("5m"))["A"] == [(0, "2", "4", "2", "4", "8")]
    assert len(candle_rows(ticks, Timeframe.parse("7s"))["A"]) == 2


def test_a_tick_without_a_time_is_refused() -> None:
    """A tick without a time is refused."""
    with pytest.raises(ValueError, match="a tick of A has no time"):
        candle_rows([Tick("A", "10")], MINUTE)


@pytest.mark.parametrize(("timeframe", "count"), [("1m", 2_469), ("5m", 706)])
def test_recorded_trades_give_the_reference_candles(
    recorded_data: Path, timeframe: str, count: int
) -> None:
    """Candles of recorded XRP/ETH trades equal the reference to the last digit."""
    path = recorded_data / "binance" / "XRP_ETH-trades.json.gz"
    trades = read_trades([path], Choice(), Progress())
    ticks = (tick for _, each in trades for tick in each.ticks())
    rows = candle_rows(ticks, Timeframe.parse(timeframe))
    (made,) = rows.values()
    table = pyarrow.feather.read_table(recorded_data / f"binance/XRP_ETH-{timeframe}.feather")
    reference = table.to_pylist()
    assert len(made) == len(reference) == count
    for row, expected in zip(made, reference, strict=True):
        names = ("open", "high", "low", "close", "volume")
        values = [Decimal(text) for text in row[1:]]
        assert [float(value) for value in values] == pytest.approx(
            [expected[name] for name in names], rel=1e-12
        )
        assert row[0] == round(expected["date"].timestamp() * 1e6)
