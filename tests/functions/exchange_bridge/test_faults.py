"""The bridge as a process against an exchange that misbehaves: every trade arrives."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path

import pytest

from shared.stores.postgres import Postgres
from shared.wire.gaps import GapState
from tests.exchanges.bridge import BridgeOutput, bridging, of_playback
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import (
    BEGIN_MS,
    eventually,
    field_of,
    symbol_of,
    trades,
)
from tests.local.broker.subscriber import Subscriber

pytestmark = pytest.mark.processes


def test_missing_ids_are_a_gap_until_fetched(
    exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Missing ids are reported as an open gap, fetched, and reported as filled, once each.

    Fetched payloads say so.
    """
    output, log = BridgeOutput(sink), tmp_path / "log"
    field = field_of(exchange)
    with bridging(sink.url, log, of_playback(exchange, symbol_of(exchange))):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 1, 10))
        exchange.lose(trades(exchange, 11, 2_500))  # three pages
        exchange.play(trades(exchange, 2_511, 10))
        eventually(lambda: any(gap.state is GapState.FILLED for gap in output.gaps()), log)
    assert sorted(set(output.ids(field))) == list(range(1, 2_521))
    opened, filled = sorted(output.gaps(), key=lambda gap: gap.state, reverse=True)
    assert (opened.state, filled.state) == (GapState.OPEN, GapState.FILLED)
    assert (opened.first_id, opened.last_id, filled.absent) == (11, 2_510, 0)
    assert (opened.from_us, opened.to_us) == ((BEGIN_MS + 100) * 1000, (BEGIN_MS + 25_110) * 1000)
    assert (
        opened.instrument
        == {
            "binance": "BTC-USDT.BINANCE",
            "coinbase": "BTC-USD.COINBASE",
            "kraken": "BTC-USD.KRAKEN",
            "ccxt:binance": "BTC-USDT.BINANCE",
        }[exchange.dialect.name]
    )
    fetched = [payload for payload in output.payloads() if b'"backfill":"' in payload]
    assert len(fetched) == 2_500
    last = output.statuses()[-1].symbols[0]
    assert (last.gaps_open, last.gaps_filled) == (0, 1)


def test_cut_connections_lose_nothing(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Trades during cut connections and a short absence of the exchange all arrive."""
    exchange = any_exchange
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(exchange, symbol_of(exchange))):
        for turn in range(3):
            eventually(lambda: exchange.clients > 0, log)
            exchange.play(trades(exchange, 1 + turn * 20, 10))
            exchange.shut()
            exchange.lose(trades(exchange, 11 + turn * 20, 10))
            exchange.open()
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 61, 5))
        eventually(lambda: set(output.ids(field_of(exchange))) == set(range(1, 66)), log)
        eventually(lambda: output.statuses()[-1].symbols[0].gaps_open == 0, log)
    assert "reconnecting" in output.states(symbol_of(exchange))
    # a cut may hit a ccxt connection that is still being made
    by_ccxt = exchange.dialect.name.startswith("ccxt:")
    assert output.statuses()[-1].reconnects >= (1 if by_ccxt else 3)


def test_repeated_and_malformed_messages_are_forwarded(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Repeated and malformed messages are forwarded unchanged, and control responses are not."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    bad = ['{"stream":"btcusdt@aggTrade","data":{', "no json", '{"data":{"e":"aggTrade","a":"x"}}']
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT")):
        eventually(lambda: binance.clients > 0, log)
        binance.play(trades(binance, 1, 3), times=2)
        binance.say(*bad)
        binance.play(trades(binance, 4, 1))
        eventually(lambda: len(output.payloads()) == 10, log)
    payloads = output.payloads()
    assert payloads[6:9] == [each.encode() for each in bad]
    assert payloads[0] == payloads[1] == binance.dialect.message(trades(binance, 1, 1)[0]).encode()
    assert output.gaps() == []


def test_a_heartbeat_reveals_missing_trades(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """The heartbeat's last trade id reveals missing trades in a quiet market."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(coinbase, "BTC-USD")):
        eventually(lambda: coinbase.clients > 0, log)
        coinbase.play(trades(coinbase, 1, 5))
        coinbase.lose(trades(coinbase, 6, 3))
        eventually(lambda: set(output.ids("trade_id")) == set(range(1, 9)), log)
        eventually(lambda: output.statuses()[-1].symbols[0].gaps_filled == 1, log)


def test_a_silent_connection_with_heartbeats_due_is_stalled(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A connection without due heartbeats is reported as stalled, renewed, and its gap filled."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(coinbase, "BTC-USD")):
        eventually(lambda: coinbase.clients > 0, log)
        coinbase.play(trades(coinbase, 1, 5))
        eventually(lambda: len(output.ids("trade_id")) == 5, log)
        coinbase.is_silent = True
        coinbase.lose(trades(coinbase, 6, 5))
        eventually(lambda: "stalled" in output.states("BTC-USD"), log)
        coinbase.is_silent = False
        eventually(lambda: set(output.ids("trade_id")) == set(range(1, 11)), log)
        numbers = itertools.count(11)

        def is_live_again() -> bool:
            coinbase.play(trades(coinbase, next(numbers), 1))
            return output.states("BTC-USD")[-1] == "live"

        eventually(is_live_again, log)
    assert coinbase.connections >= 2


def test_a_quiet_symbol_is_no_stalled_feed(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Without heartbeats REST decides: nothing newer is quiet, anything newer stalled."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    binance.lose(trades(binance, 1, 5, "ETHUSDT"))
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT", "ETHUSDT")):
        eventually(lambda: binance.clients > 0, log)
        binance.play(trades(binance, 1, 5))
        eventually(lambda: output.states("BTCUSDT")[-1] == "live", log)
        # REST has no newer trade
        eventually(lambda: any("limit=1" in each for each in binance.requests), log)
        eventually(lambda: output.states("BTCUSDT")[-1] == "quiet", log)
        assert binance.connections == 1
        assert "stalled" not in output.states("BTCUSDT")
        binance.lose(trades(binance, 6, 5))
        eventually(lambda: "stalled" in output.states("BTCUSDT"), log)
        eventually(lambda: binance.connections >= 2 and binance.clients > 0, log)
        # fetched without a later trade; then it stays quiet
        eventually(lambda: set(output.ids("a")) == set(range(1, 11)), log)
        eventually(lambda: output.states("BTCUSDT")[-1] == "quiet", log)
        asked, connections = len(binance.requests), binance.connections
        eventually(lambda: len(binance.requests) >= asked + 4, log)
        assert binance.connections == connections
        assert output.states("BTCUSDT").count("stalled") == 1
    # last traded before this process: no reason to reconnect
    assert output.states("ETHUSDT")[:2] == ["reconnecting", "quiet"]


def test_rate_limits_are_kept(binance: Playback, sink: Subscriber, tmp_path: Path) -> None:
    """A gap is filled after a 429 with Retry-After and a server error, with the waits asked for."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT")):
        eventually(lambda: len(binance.requests) == 1, log)  # of the newest trade
        binance.answers = [(429, {"retry-after": "1"}), (503, {})]
        binance.play(trades(binance, 1, 2))
        binance.lose(trades(binance, 3, 4))
        binance.play(trades(binance, 7, 1))
        eventually(lambda: len(binance.requests) == 2, log)
        began_s = time.monotonic()
        eventually(lambda: len(binance.requests) == 3, log)
        assert time.monotonic() - began_s > 0.8  # at least the time of Retry-After
        eventually(lambda: set(output.ids("a")) == set(range(1, 8)), log)


def test_a_restart_fetches_missed_trades(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path, database: str, postgres: Postgres
) -> None:
    """After kill -9 the bridge resumes from the stored status."""
    from functions.persist.feeds import FeedWriter

    exchange = any_exchange
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {**of_playback(exchange, symbol_of(exchange)), "DATABASE_URL": database}
    field = field_of(exchange)
    with bridging(sink.url, log, settings, stop=signal.SIGKILL):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 1, 10))
        eventually(lambda: bool(output.statuses()), log)
        up_to = (10, BEGIN_MS + 99)  # several trades may share the last millisecond
        eventually(lambda: output.statuses()[-1].symbols[0].last_trade_id in up_to, log)
    assert set(output.ids(field)) == set(range(1, 11))  # the sink has all up to the stored status
    FeedWriter(postgres).status(output.statuses()[-1])
    exchange.lose(trades(exchange, 11, 10))
    with bridging(sink.url, log, settings):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 21, 5))
        eventually(lambda: set(output.ids(field)) == set(range(1, 26)), log)


def test_a_refused_subscription_is_reported(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """The status has the exchange's error of a refused subscription."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(coinbase, "BAD-USD")):
        eventually(
            lambda: any("BAD-USD is not a valid product" in s.error for s in output.statuses()), log
        )
    assert output.states("BAD-USD") == ["reconnecting"]


def test_a_connection_is_renewed_with_overlap(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A renewed connection overlaps the old one: no gap, and only the states live and quiet."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {**of_playback(binance, "BTCUSDT"), "CONNECTION_LIFE_S": "1"}
    most = 0
    with bridging(sink.url, log, settings):
        eventually(lambda: binance.clients > 0, log)
        number = 0
        while number < 300 or (binance.connections < 3 and number < 6_000):
            number += 1
            binance.play(trades(binance, number, 1))
            most = max(most, binance.clients)
            time.sleep(0.01)
        eventually(lambda: set(output.ids("a")) == set(range(1, number + 1)), log)
    assert binance.connections >= 3
    assert most == 2
    assert output.gaps() == []
    assert set(output.states("BTCUSDT")) <= {"reconnecting", "quiet", "live"}
    assert output.states("BTCUSDT").count("reconnecting") <= 1


def test_memory_is_bounded_while_the_broker_is_away(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """While the broker is away, excess trades are dropped and counted, and later fetched."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    url, everything = sink.url, range(1, 8_001)
    sink.is_away = True
    settings = {**of_playback(binance, "BTCUSDT"), "BUFFER_BYTES": "131072"}
    with bridging(url, log, settings):
        eventually(lambda: binance.clients > 0, log)
        for first in range(1, 8_001, 500):
            binance.play(trades(binance, first, 500))
        eventually(lambda: "messages dropped (outbox_full)" in log.read_text(), log)
        sink.is_away = False
        eventually(lambda: set(output.ids("a")) == set(everything), log, 90)
