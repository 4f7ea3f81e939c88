"""Stopped, killed and started again, Kandle goes on where it was."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.client import candles, eventually, fresh_symbol, rows, send_udp
from tests.e2e.trades import exact, expected_candles, generated_trades
from tests.platform import kandle, running


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


def test_killed_processes_cost_nothing(pipeline: dict[str, str]) -> None:
    """Functions, broker and stores are killed at random while ticks stream in over HTTP and UDP."""
    symbol = fresh_symbol("KILL")
    trades = generated_trades(seed=9, count=4_000)
    source = random.Random(1)
    directory = ("--data-dir", pipeline["DATA_DIR"])
    victims = [
        *("normalize", "candle-aggregate", "persist", "broker", "candle-aggregate"),
        *("valkey", "postgres", "nats", "history-query", "normalize"),
    ]
    batch = len(trades) // len(victims)
    for n, victim in enumerate(victims):
        send_udp(
            pipeline["UDP_ADDR"], (t.line(symbol) for t in trades[n * batch : (n + 1) * batch])
        )
        status = json.loads(kandle("status", "--json", *directory).stdout)
        pids = {each["name"]: each["pid"] for each in status["components"]}
        time.sleep(source.uniform(0.0, 0.3))
        os.kill(pids[victim], signal.SIGKILL)
        time.sleep(source.uniform(0.2, 1.0))
    send_udp(pipeline["UDP_ADDR"], (t.line(symbol) for t in trades[len(victims) * batch :]))
    expected = expected_candles(trades, 1)

    def read() -> list[dict[str, Any]]:
        try:
            return [exact(c) for c in candles(pipeline["API_URL"], symbol)]
        except httpx.HTTPError:  # the API itself may be on its way back
            return []

    assert eventually(read, lambda found: found == expected, 60) == expected

    def stored() -> list[tuple[Any, ...]]:
        return rows(
            pipeline["DATABASE_URL"],
            "SELECT count(*), count(DISTINCT trade_id) FROM ticks_raw WHERE instrument = %s",
            symbol,
        )

    # Every tick once: an event that was delivered again has not been written again.
    assert eventually(stored, lambda f: f == [(4_000, 4_000)], 60) == [(4_000, 4_000)]
