"""A day of SPY prints through the whole pipeline gives the exchange's bars."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.e2e.client import candles, eventually
from tests.platform import kandle

SYMBOL = "SPY-BARS"
MIDNIGHT_MS = int(datetime(2013, 10, 7, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1000)
PRINTS = 250_601
OPEN_MS, CLOSE_MS = 34_200_000, 57_600_000
"""09:30 and 16:00, ms after midnight in New York."""


def rows(archive: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(archive) as zipped:
        (name,) = zipped.namelist()
        yield from csv.reader(io.StringIO(zipped.read(name).decode()))


def bars(archive: Path) -> dict[int, tuple[float, ...]]:
    """Recorded open, high, low, close and volume by start in ms, regular hours only."""
    return {
        MIDNIGHT_MS + int(row[0]): (*(int(value) / 10_000 for value in row[1:5]), float(row[5]))
        for row in rows(archive)
        if OPEN_MS <= int(row[0]) < CLOSE_MS
    }


def test_spy_prints_give_the_recorded_bars(pipeline: dict[str, str], recorded_data: Path) -> None:
    """One-second and one-minute bars equal the recorded ones.

    All but the few seconds that the prints cannot give. Prints whose sale condition keeps them from
    the bars' prices count for their volume only.
    """
    equity = recorded_data / "equity"
    archive = str(equity / "spy-20131007-tick.zip")
    said = kandle("import", archive, "--symbol", SYMBOL, "--data-dir", pipeline["DATA_DIR"])
    assert f"imported {PRINTS:,} ticks" in said.stdout

    def traded() -> int:
        return sum(c["n"] for c in candles(pipeline["API_URL"], SYMBOL, "1d"))

    assert eventually(traded, lambda n: n == PRINTS, 60) == PRINTS

    def same(timeframe: str, archive: str) -> tuple[int, int, int]:
        found = {
            candle["t"]: tuple(float(candle[name]) for name in "ohlcv")
            for candle in candles(pipeline["API_URL"], SYMBOL, timeframe)
        }
        pairs = [(found.get(start, (0,)), bar) for start, bar in bars(equity / archive).items()]
        prices = sum(mine[:4] == bar[:4] for mine, bar in pairs)
        return prices, sum(mine[-1] == bar[-1] for mine, bar in pairs), len(pairs)

    def of_seconds() -> tuple[int, int]:  # from the stored trades
        prices, _, seconds = same("1s", "spy-20131007-second.zip")
        return prices, seconds

    wanted = (14_429, 14_432)
    assert eventually(of_seconds, wanted.__eq__, 120) == wanted
    assert same("1m", "spy-20131007-minute.zip") == (388, 388, 390)  # two of them have such seconds
