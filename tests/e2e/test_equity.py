"""A day of SPY prints through the whole chain gives the exchange's bars."""

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
OPEN_MS, CLOSE_MS = 34_200_000, 57_600_000
"""09:30 and 16:00, ms after midnight in New York."""


def rows(archive: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(archive) as zipped:
        (name,) = zipped.namelist()
        yield from csv.reader(io.StringIO(zipped.read(name).decode()))


def makes_bars(condition: str) -> bool:
    """The sale conditions that the bars leave out, as the data's description gives them."""
    bits = int(condition or "0", 16)
    return not ((bits & 0x20 and not bits & 0x2000) or bits & 0x200 or bits & 0x100000)


def bars(archive: Path) -> dict[int, tuple[float, ...]]:
    """Recorded open, high, low and close by start in ms, regular hours."""
    return {
        MIDNIGHT_MS + int(row[0]): tuple(int(value) / 10_000 for value in row[1:5])
        for row in rows(archive)
        if OPEN_MS <= int(row[0]) < CLOSE_MS
    }


def test_spy_prints_give_the_recorded_bars(
    pipeline: dict[str, str], recorded_data: Path, tmp_path: Path
) -> None:
    """One-second and one-minute bars: all but the few seconds that the prints cannot give."""
    equity = recorded_data / "equity"
    lines = [
        f"{SYMBOL},{int(row[1]) / 10_000:.4f},{row[2]},{MIDNIGHT_MS + int(row[0])}"
        for row in rows(equity / "spy-20131007-tick.zip")
        if OPEN_MS <= int(row[0]) < CLOSE_MS and makes_bars(row[4])
    ]
    prints = tmp_path / "prints.csv"
    prints.write_text("\n".join(lines) + "\n")
    kandle("replay", str(prints), "--data-dir", pipeline["DATA_DIR"])

    def traded() -> int:
        return sum(c["n"] for c in candles(pipeline["API_URL"], SYMBOL, "1d"))

    assert eventually(traded, lambda n: n == len(lines), 60) == len(lines)

    def same(timeframe: str, archive: str) -> tuple[int, int]:
        found = {
            candle["t"]: tuple(float(candle[name]) for name in "ohlc")
            for candle in candles(pipeline["API_URL"], SYMBOL, timeframe)
        }
        recorded = bars(equity / archive)
        return sum(found.get(start) == bar for start, bar in recorded.items()), len(recorded)

    assert same("1s", "spy-20131007-second.zip") == (14_429, 14_432)
    assert same("1m", "spy-20131007-minute.zip") == (388, 390)  # two hold such seconds
