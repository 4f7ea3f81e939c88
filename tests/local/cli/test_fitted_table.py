from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from local.cli.output.display import candle_table
from local.cli.output.fitted_table import FittedTable

CANDLE: dict[str, Any] = {
    "t": 1_700_000_040_000,
    "o": "61028.061",
    "h": "61041.792",
    "l": "61008.353",
    "c": "61021.384",
    "v": "123456.123456789012345678",
    "n": 1_331,
    "closed": False,
}
HEADS = ["symbol", "minute (UTC)", "open", "high", "low", "close", "volume", "trades"]


def printed(width: int) -> list[str]:
    """The lines of two candles, the newest still open."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    rows = [("BTC-USD", {**CANDLE, "closed": True}), ("BTC-USD", CANDLE)]
    console.print(candle_table(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 70, 71, 80, 97, 98, 104, 105, 160])
def test_numbers_are_never_truncated_or_wrapped(width: int) -> None:
    """Shown numbers are whole, each row is one line, and time, high, low and close stay."""
    head, first, second, *notes = printed(width)
    assert max(map(len, (head, first, second))) <= width
    shown = [name for name in HEADS if name in head]
    values = dict(
        zip(HEADS, ["BTC-USD", "22:14", *(CANDLE[n] for n in "ohlcv"), "1,331"], strict=True)
    )
    assert first.split() == [values[name] for name in shown]
    assert second.split() == [*first.split(), "open"]
    assert {"high", "low", "close"} <= {*shown}
    gone = [name for name in ("trades", "volume", "open") if name not in shown]
    assert notes == ([f"too narrow for {', '.join(gone)}"] if gone else [])


def test_columns_are_dropped_in_the_documented_order() -> None:
    """The number of ticks is dropped first, then the volume, then the open."""
    assert len(printed(120)) == 3
    assert [printed(width)[-1] for width in (104, 80, 60)] == [
        "too narrow for trades",
        "too narrow for trades, volume",
        "too narrow for trades, volume, open",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_text_wraps_and_numbers_stay_whole(width: int) -> None:
    """A text column takes the rest of the width and wraps; other columns are whole or dropped."""
    words = (
        "the price is not a decimal: write it with digits, one point and no thousands separators"
    )
    table = FittedTable(
        ("time", "code", "error", "source"),
        [("2026-01-01 00:00:00", "bad_price", words, "udp-listener-12345678")],
        right=("time",),
        drops=("source", "time"),
        prose=("error",),
        is_boxed=False,
    )
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "bad_price" in text
    assert ("2026-01-01 00:00:00" in text) == (width >= 60)
    assert ("udp-listener-12345678" in text) == (width >= 80)
    for word in words.split():
        assert word in text
