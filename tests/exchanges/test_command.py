"""`make exchange`: what it prints leads a bridge to it, and what it loses can be fetched."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.supervisor.component import tethered
from shared.wire.gaps import GapState
from tests.exchanges.bridge import Told, bridging
from tests.local.broker.subscriber import Subscriber

ROOT = Path(__file__).parents[2]


@pytest.mark.processes
def test_a_feed_can_be_seen_mending_itself_without_a_network(tmp_path: Path) -> None:
    """Its faults become gaps, which are filled; the ids have no hole."""
    log, sink = tmp_path / "log", Subscriber()
    command = [sys.executable, "-m", "tests.exchanges", "binance:BTCUSDT"]
    exchange = subprocess.Popen(
        tethered([*command, "--rate", "100", "--faults", "1.5"]),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert exchange.stdout is not None
    try:
        lines = [exchange.stdout.readline().strip() for _ in range(3)]
        settings = dict(each.split("=", 1) for each in lines[1].removeprefix("export ").split())
        assert settings.keys() == {"BINANCE_WEBSOCKET_BASE_URL", "BINANCE_REST_BASE_URL"}
        assert lines[2] == "kandle up --feed binance:BTCUSDT"
        told = Told(sink)
        with bridging(sink.url, log, {"FEED": "binance", "BINANCE_SYMBOLS": "BTCUSDT", **settings}):
            deadline = time.monotonic() + 60
            while not any(gap.state is GapState.FILLED for gap in told.gaps()):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            filled = next(gap for gap in told.gaps() if gap.state is GapState.FILLED)
            ids = set(told.ids("a"))
        assert filled.absent == 0
        assert ids.issuperset(range(filled.first_id - 1, filled.last_id + 1))
    finally:
        exchange.send_signal(signal.SIGINT)
        assert exchange.wait(20) == 0
        exchange.stdout.close()
        sink.close()
