"""One process bridges all feeds of a file, and follows its changes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from functions.exchange_bridge.feeds import Feeds, read_list
from local.servers.ports import free_port
from local.supervisor.component import tethered
from shared.adapter.tracing import tracing
from tests.exchanges.bridge import QUICK, BridgeOutput, of_playback
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import eventually, trades
from tests.local.broker.subscriber import Subscriber
from tests.platform import environment

pytestmark = pytest.mark.processes


@contextmanager
def following(sink: str, list_: Path, log: Path, settings: dict[str, str]) -> Iterator[int]:
    """Run it; yield the port of its metrics. At the end it stops by SIGTERM."""
    port = free_port()
    patient = {"STALL_MS": "600000", "CONNECT_TIMEOUT_MS": "60000"}  # no reconnection
    given = {**environment(), **QUICK, **patient, "METRICS_PORT": str(port), "K_SINK": sink}
    given |= settings
    with log.open("ab") as stream:
        process = subprocess.Popen(
            tethered([sys.executable, "-m", "functions.exchange_bridge.feeds"]),
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**given, "FEED_LIST": str(list_), "NO_PROXY": "127.0.0.1"},
            cwd=Path(__file__).parents[3],
        )
    try:
        yield port
        assert process.poll() is None, log.read_text()
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, log.read_text()


def replace(list_: Path, text: str) -> None:
    """Replace the file by another of the same name, as the kubelet does."""
    fresh = list_.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(list_)


def test_feeds_come_and_go_without_a_restart(
    binance: Playback, coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Feeds are added and removed without a reconnection of the others.

    A list that is missing or wrong changes nothing. A feed that cannot start counts as down.
    """
    output, log, list_ = BridgeOutput(sink), tmp_path / "log", tmp_path / "feeds"
    list_.write_text("# ours\nbinance:BTCUSDT\n")
    addresses = {
        name: value
        for each in (binance, coinbase)
        for name, value in of_playback(each).items()
        if name.endswith("_URL")
    }

    with following(sink.url, list_, log, addresses) as port:
        eventually(lambda: binance.clients > 0, log)
        binance.play(trades(binance, 1, 3))
        replace(list_, "binance:BTCUSDT\ncoinbase:BTC-USD  # and this one\n")
        eventually(lambda: coinbase.clients > 0, log)
        coinbase.play(trades(coinbase, 1, 3))
        eventually(lambda: len(output.payloads()) == 6, log)
        list_.unlink()
        eventually(lambda: "keeping the current feeds" in log.read_text(), log)
        replace(list_, "nonsense:X\n")
        eventually(lambda: "'nonsense:X' is not NAME" in log.read_text(), log)
        binance.play(trades(binance, 4, 3))
        coinbase.play(trades(coinbase, 4, 3))
        eventually(lambda: len(output.payloads()) == 12, log)
        assert (binance.connections, coinbase.connections) == (1, 1)
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'kandle_feed_up{feed="binance"} 1.0' in shown
        assert 'kandle_feed_up{feed="coinbase"} 1.0' in shown
        replace(list_, "coinbase:BTC-USD\nalpaca:AAPL\n")
        eventually(lambda: binance.clients == 0, log)
        eventually(lambda: "ALPACA_KEY_ID is not set" in log.read_text(), log)
        coinbase.play(trades(coinbase, 7, 1))
        eventually(lambda: len(output.payloads()) == 13, log)
        assert coinbase.connections == 1
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'kandle_feed_up{feed="binance"}' not in shown
        assert 'kandle_feed_up{feed="alpaca"} 0.0' in shown  # for the alert KandleFeedDown
    assert "binance:BTCUSDT is stopped" in log.read_text()


def test_a_list_that_is_being_written_ends_no_feed(tmp_path: Path) -> None:
    """A changed list takes effect once two reads are equal, so a half-written one does not."""
    list_ = tmp_path / "feeds"
    list_.write_text("binance:BTCUSDT\ncoinbase:BTC-USD\n")

    async def test() -> None:
        feeds, stopping = Feeds(list_, {}, tracing("test", {})), asyncio.Event()
        stopping.set()
        for text, expected in (
            (None, {"binance", "coinbase"}),
            ("binance:BTCUSDT\ncoin", {"binance", "coinbase"}),
            ("", {"binance", "coinbase"}),
            ("binance:BTCUSDT\n", {"binance", "coinbase"}),
            (None, {"binance"}),
        ):
            if text is not None:
                list_.write_text(text)
            await feeds._look()
            assert feeds._running.keys() == expected
        await feeds.follow(stopping)

    asyncio.run(test())


def test_a_feed_that_fails_ends_no_other(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A feed that fails is logged, and the others run."""
    output, log, list_ = BridgeOutput(sink), tmp_path / "log", tmp_path / "feeds"
    list_.write_text("binance:BTCUSDT\nscanner\n")
    settings = {**of_playback(binance), "ENVIRONMENT": "production"}
    settings["WEBSOCKET_URL"] = "ws://scanner.example"
    with following(sink.url, list_, log, settings):
        eventually(lambda: "scanner cannot start" in log.read_text(), log)
        eventually(lambda: binance.clients > 0, log)
        binance.play(trades(binance, 1, 3))
        eventually(lambda: len(output.payloads()) == 3, log)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("binance:A\nccxt:binance:A/B\n", "asked for twice"), ("kraken:\n", "names no symbol"),
     ("#" * 1_100_000, "larger than")],
)  # fmt: skip
def test_an_invalid_list_is_refused_whole(tmp_path: Path, text: str, reason: str) -> None:
    """An invalid list is refused as a whole, since a part of it would end feeds."""
    (tmp_path / "feeds").write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_list(tmp_path / "feeds")
