"""`make exchange` serves a bridge, and REST has the trades that its stream loses."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.supervisor.component import tethered
from shared.wire.gaps import Gap, GapState
from tests.exchanges.bridge import BridgeOutput, bridging
from tests.local.broker.subscriber import Subscriber

ROOT = Path(__file__).parents[2]


def first_if_filled(gaps: list[Gap]) -> Gap | None:
    """The earliest gap once it is filled: everything delivered before it has no other."""
    first_id = min((gap.first_id for gap in gaps), default=None)
    of_first = (gap for gap in gaps if gap.first_id == first_id)
    return next((gap for gap in of_first if gap.state is GapState.FILLED), None)


@pytest.mark.processes
def test_an_offline_feed_loses_trades_and_fills_the_gaps(tmp_path: Path) -> None:
    """A bridge of the offline exchange fills the gaps of its faults; the ids are contiguous."""
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
        output = BridgeOutput(sink)
        with bridging(sink.url, log, {"FEED": "binance", "BINANCE_SYMBOLS": "BTCUSDT", **settings}):
            deadline = time.monotonic() + 60
            while (filled := first_if_filled(output.gaps())) is None:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            ids = set(output.ids("a"))
        assert filled.absent == 0
        # A feed asks for the newest trade at its start: a gap may begin right after that one.
        assert ids.issuperset(range(min(*ids, filled.first_id), filled.last_id + 1))
    finally:
        exchange.send_signal(signal.SIGINT)
        assert exchange.wait(20) == 0
        exchange.stdout.close()
        sink.close()
