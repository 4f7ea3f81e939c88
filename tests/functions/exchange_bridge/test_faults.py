"""The bridge as a process against an exchange that misbehaves: every trade arrives."""

from __future__ import annotations

import itertools
import signal
import time
from pathlib import Path

import pytest

from shared.wire.gaps import GapState
from tests.exchanges.bridge import Told, bridging, of_playback
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


def test_missing_ids_are_told_fetched_and_told_again(
    exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Once each, under bounds and times that say what is missing; fetched payloads say so."""
    told, log = Told(sink), tmp_path / "log"
    field = field_of(exchange)
    with bridging(sink.url, log, of_playback(exchange, symbol_of(exchange))):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 1, 10))
        exchange.lose(trades(exchange, 11, 2_500))  # three pages
        exchange.play(trades(exchange, 2_511, 10))
        eventually(lambda: any(gap.state is GapState.FILLED for gap in told.gaps()), log)
    assert sorted(set(told.ids(field))) == list(range(1, 2_521))
    opened, filled = sorted(told.gaps(), key=lambda gap: gap.state, reverse=True)
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
    fetched = [payload for payload in told.payloads() if b'"backfill":"' in payload]
    assert len(fetched) == 2_500
    last = told.statuses()[-1].symbols[0]
    assert (last.gaps_open, last.gaps_filled) == (0, 1)


def test_cut_connections_lose_nothing(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Cut in the middle, trades go on meanwhile, the exchange is away for a moment."""
    exchange = any_exchange
    told, log = Told(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(exchange, symbol_of(exchange))):
        for turn in range(3):
            eventually(lambda: exchange.clients > 0, log)
            exchange.play(trades(exchange, 1 + turn * 20, 10))
            exchange.shut()
            exchange.lose(trades(exchange, 11 + turn * 20, 10))
            exchange.open()
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 61, 5))
        eventually(lambda: set(told.ids(field_of(exchange))) == set(range(1, 66)), log)
        eventually(lambda: told.statuses()[-1].symbols[0].gaps_open == 0, log)
    assert "reconnecting" in told.states(symbol_of(exchange))
    # A cut may meet one of ccxt that is still being made: then two are one.
    by_ccxt = exchange.dialect.name.startswith("ccxt:")
    assert told.statuses()[-1].reconnects >= (1 if by_ccxt else 3)


def test_doubled_and_malformed_messages_go_on_as_they_came(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """normalize evaluates them; the bridge neither drops nor stumbles. Answers do not go on."""
    told, log = Told(sink), tmp_path / "log"
    bad = ['{"stream":"btcusdt@aggTrade","data":{', "no json", '{"data":{"e":"aggTrade","a":"x"}}']
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT")):
        eventually(lambda: binance.clients > 0, log)
        binance.play(trades(binance, 1, 3), times=2)
        binance.say(*bad)
        binance.play(trades(binance, 4, 1))
        eventually(lambda: len(told.payloads()) == 10, log)
    payloads = told.payloads()
    assert payloads[6:9] == [each.encode() for each in bad]
    assert payloads[0] == payloads[1] == binance.dialect.message(trades(binance, 1, 1)[0]).encode()
    assert told.gaps() == []


def test_trades_that_no_message_follows_are_noticed_by_the_heartbeat(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """The exchange says which trade is the last; a quiet market hides no loss."""
    told, log = Told(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(coinbase, "BTC-USD")):
        eventually(lambda: coinbase.clients > 0, log)
        coinbase.play(trades(coinbase, 1, 5))
        coinbase.lose(trades(coinbase, 6, 3))
        eventually(lambda: set(told.ids("trade_id")) == set(range(1, 9)), log)
        eventually(lambda: told.statuses()[-1].symbols[0].gaps_filled == 1, log)


def test_a_silent_connection_with_heartbeats_due_is_stalled(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """It is told so, made again, and what was missed meanwhile is fetched."""
    told, log = Told(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(coinbase, "BTC-USD")):
        eventually(lambda: coinbase.clients > 0, log)
        coinbase.play(trades(coinbase, 1, 5))
        eventually(lambda: len(told.ids("trade_id")) == 5, log)
        coinbase.is_silent = True
        coinbase.lose(trades(coinbase, 6, 5))
        eventually(lambda: "stalled" in told.states("BTC-USD"), log)
        coinbase.is_silent = False
        eventually(lambda: set(told.ids("trade_id")) == set(range(1, 11)), log)
        numbers = itertools.count(11)

        def is_live_again() -> bool:
            coinbase.play(trades(coinbase, next(numbers), 1))
            return told.states("BTC-USD")[-1] == "live"

        eventually(is_live_again, log)
    assert coinbase.connections >= 2


def test_a_quiet_symbol_is_no_stalled_feed(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Without heartbeats the exchange is asked: nothing newer is quiet, anything newer stalled."""
    told, log = Told(sink), tmp_path / "log"
    binance.lose(trades(binance, 1, 5, "ETHUSDT"))
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT", "ETHUSDT")):
        eventually(lambda: binance.clients > 0, log)
        binance.play(trades(binance, 1, 5))
        eventually(lambda: told.states("BTCUSDT")[-1] == "live", log)
        # Once it was asked for the newest trade, and had none that did not come.
        eventually(lambda: any("limit=1" in each for each in binance.requests), log)
        eventually(lambda: told.states("BTCUSDT")[-1] == "quiet", log)
        assert binance.connections == 1
        assert "stalled" not in told.states("BTCUSDT")
        binance.lose(trades(binance, 6, 5))
        eventually(lambda: "stalled" in told.states("BTCUSDT"), log)
        eventually(lambda: binance.connections >= 2 and binance.clients > 0, log)
        # No later trade comes, and they are fetched all the same; then it is quiet again, for good.
        eventually(lambda: set(told.ids("a")) == set(range(1, 11)), log)
        eventually(lambda: told.states("BTCUSDT")[-1] == "quiet", log)
        asked, connections = len(binance.requests), binance.connections
        eventually(lambda: len(binance.requests) >= asked + 4, log)
        assert binance.connections == connections
        assert told.states("BTCUSDT").count("stalled") == 1
    # Traded long before this life began, and not since: no reason to connect anew.
    assert told.states("ETHUSDT")[:2] == ["reconnecting", "quiet"]


def test_rate_limits_are_kept(binance: Playback, sink: Subscriber, tmp_path: Path) -> None:
    """429 with Retry-After, a server error, then the answer: the gap is filled, in that order."""
    told, log = Told(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(binance, "BTCUSDT")):
        eventually(lambda: binance.clients > 0, log)
        binance.answers = [(429, {"retry-after": "1"}), (503, {})]
        binance.play(trades(binance, 1, 2))
        binance.lose(trades(binance, 3, 4))
        binance.play(trades(binance, 7, 1))
        eventually(lambda: len(binance.requests) == 1, log)
        asked_s = time.monotonic()
        eventually(lambda: len(binance.requests) == 2, log)
        assert time.monotonic() - asked_s > 0.8  # at least what the exchange has asked for
        eventually(lambda: set(told.ids("a")) == set(range(1, 8)), log)


def test_a_restart_sees_what_was_missed(
    any_exchange: Playback, sink: Subscriber, tmp_path: Path, database: str
) -> None:
    """Killed without a word: the status that was stored says where to go on."""
    from functions.persist.feeds import FeedWriter
    from shared.stores.postgres import Postgres

    exchange = any_exchange
    told, log = Told(sink), tmp_path / "log"
    settings = {**of_playback(exchange, symbol_of(exchange)), "DATABASE_URL": database}
    field = field_of(exchange)
    with bridging(sink.url, log, settings, stop=signal.SIGKILL):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 1, 10))
        eventually(lambda: bool(told.statuses()), log)
        up_to = (10, BEGIN_MS + 99)  # the last millisecond may have more than one
        eventually(lambda: told.statuses()[-1].symbols[0].last_trade_id in up_to, log)
    assert set(told.ids(field)) == set(range(1, 11))  # what it promised, the sink has
    postgres = Postgres(database)
    FeedWriter(postgres).status(told.statuses()[-1])
    postgres.close()
    exchange.lose(trades(exchange, 11, 10))
    with bridging(sink.url, log, settings):
        eventually(lambda: exchange.clients > 0, log)
        exchange.play(trades(exchange, 21, 5))
        eventually(lambda: set(told.ids(field)) == set(range(1, 26)), log)


def test_a_refused_subscription_is_said(
    coinbase: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """In the words of the exchange, in the status."""
    told, log = Told(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(coinbase, "BAD-USD")):
        eventually(
            lambda: any("BAD-USD is not a valid product" in s.error for s in told.statuses()), log
        )
    assert told.states("BAD-USD") == ["reconnecting"]


def test_a_connection_is_renewed_with_overlap(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Two connections for a moment, none missing; no gap, no state but live and quiet."""
    told, log = Told(sink), tmp_path / "log"
    settings = {**of_playback(binance, "BTCUSDT"), "CONNECTION_LIFE_S": "1"}
    most = 0
    with bridging(sink.url, log, settings):
        eventually(lambda: binance.clients > 0, log)
        for number in range(1, 301):
            binance.play(trades(binance, number, 1))
            most = max(most, binance.clients)
            time.sleep(0.01)
        eventually(lambda: set(told.ids("a")) == set(range(1, 301)), log)
    assert binance.connections >= 3
    assert most == 2
    assert told.gaps() == []
    assert set(told.states("BTCUSDT")) <= {"reconnecting", "quiet", "live"}
    assert told.states("BTCUSDT").count("reconnecting") <= 1


def test_memory_is_bounded_while_the_broker_is_away(
    binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """What does not fit is dropped, counted and said, and fetched when the broker is back."""
    told, log = Told(sink), tmp_path / "log"
    url, everything = sink.url, range(1, 8_001)
    sink.is_away = True
    settings = {**of_playback(binance, "BTCUSDT"), "BUFFER_BYTES": "131072"}
    with bridging(url, log, settings):
        eventually(lambda: binance.clients > 0, log)
        for first in range(1, 8_001, 500):
            binance.play(trades(binance, first, 500))
        eventually(lambda: "messages dropped (outbox_full)" in log.read_text(), log)
        sink.is_away = False
        eventually(lambda: set(told.ids("a")) == set(everything), log, 90)
