"""Stopped, killed and started again, Kandle goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.client import candles, eventually, send_udp
from tests.e2e.trades import exact, expected_candles, generated_trades
from tests.platform import running


def test_a_second_start_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    """Half of a minute before the stop, half after it: one candle, and each trade counts once."""
    trades = generated_trades(seed=5, count=2_000)
    half = len(trades) // 2

    def read(api: str) -> list[dict[str, Any]]:
        return [exact(c) for c in candles(api, "RESTART")]

    with running(tmp_path / "data") as first:
        send_udp(first["UDP_ADDR"], (t.line("RESTART") for t in trades[:half]))
        expected = expected_candles(trades[:half], 1)
        assert eventually(lambda: read(first["API_URL"]), lambda f: f == expected) == expected
    assert not (tmp_path / "data" / "run" / "instance.json").exists()
    with running(tmp_path / "data") as second:
        send_udp(second["UDP_ADDR"], (t.line("RESTART") for t in trades[half - 300 :]))
        expected = expected_candles(trades, 1)
        assert eventually(lambda: read(second["API_URL"]), lambda f: f == expected) == expected
