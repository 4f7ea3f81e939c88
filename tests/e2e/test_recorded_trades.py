"""Recorded trades, at full speed, give the exchange's candles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import candles, fresh_symbol, wait_until_applied
from tests.platform import kandle

TRADES = 12_477
CANDLES = {"1m": 2_469, "5m": 706}


def recorded_candles(directory: Path, timeframe: str) -> list[tuple[Any, ...]]:
    feather = pytest.importorskip("pyarrow.feather")
    return [
        (
            int(row["date"].timestamp() * 1000),
            *(row[name] for name in ("open", "high", "low", "close", "volume")),
        )
        for row in feather.read_table(directory / f"XRP_ETH-{timeframe}.feather").to_pylist()
    ]


def test_recorded_trades_give_the_recorded_candles(
    pipeline: dict[str, str], recorded_data: Path
) -> None:
    """12,477 trades of two days over UDP give the recorded candles to the last digit."""
    directory = recorded_data / "binance"
    symbol, file = fresh_symbol("XRP-ETH"), str(directory / "XRP_ETH-trades.json.gz")
    said = kandle("replay", file, "--symbol", symbol, "--data-dir", pipeline["DATA_DIR"])
    assert f"sent {TRADES:,} lines" in said.stdout
    wait_until_applied(pipeline, symbol, TRADES)
    for timeframe, count in CANDLES.items():
        found = [
            (candle["t"], *(float(candle[name]) for name in "ohlcv"))
            for candle in candles(pipeline["API_URL"], symbol, timeframe)
        ]
        assert len(found) == count
        assert found == recorded_candles(directory, timeframe)
