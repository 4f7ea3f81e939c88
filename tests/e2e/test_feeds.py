"""Exchanges that misbehave, through the whole pipeline: candles are those of all trades."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import candles, eventually, rows, web
from tests.e2e.trades import Trade as Defined
from tests.e2e.trades import exact, expected_candles, generated_trades
from tests.exchanges.binance import BinanceDialect
from tests.exchanges.bridge import bridging, of_playback
from tests.exchanges.bybit import CcxtBybitDialect
from tests.exchanges.coinbase import CoinbaseDialect
from tests.exchanges.dialects import Dialect, Trade
from tests.exchanges.kraken import KrakenDialect
from tests.exchanges.playback import Playback
from tests.exchanges.scanner import ScannerDialect
from tests.platform import kandle, running

FAULTS = ("none", "cut", "away", "missing", "doubled", "malformed", "silent")
_numbers = itertools.count(1)

EXCHANGES: dict[str, tuple[type[Dialect], str, str]] = {
    "binance": (BinanceDialect, "FEED{}USDT", "FEED{}-USDT.BINANCE"),
    "coinbase": (CoinbaseDialect, "FEED{}-USD", "FEED{}-USD.COINBASE"),
    "kraken": (KrakenDialect, "FEED{}/USD", "FEED{}-USD.KRAKEN"),
    "ccxt:bybit": (CcxtBybitDialect, "FEED{}/USDT", "FEED{}-USDT.BYBIT"),
}


@pytest.fixture
def exchange(request: pytest.FixtureRequest) -> Iterator[Playback]:
    started = Playback(request.param())
    yield started
    started.close()


def names(exchange: Playback) -> tuple[str, str]:
    """A symbol that no other test uses, and its instrument."""
    number = next(_numbers)
    _, symbol, instrument = EXCHANGES[exchange.dialect.name]
    return symbol.format(number), instrument.format(number)


def as_played(trades: Sequence[Defined], symbol: str) -> list[Trade]:
    return [
        Trade(
            symbol,
            t.trade_id,
            f"{t.price:f}",
            f"{t.size:f}",
            t.time_ms,
            buyer_made=t.side == "sell",
        )
        for t in trades
    ]


def feed_of(pipeline: dict[str, str], exchange: Playback) -> dict[str, Any]:
    found = web.get(f"{pipeline['API_URL']}/api/feeds").raise_for_status().json()
    return next((each for each in found if each["feed"] == exchange.dialect.name), {})


def symbol_of(pipeline: dict[str, str], exchange: Playback, symbol: str) -> dict[str, Any]:
    for each in feed_of(pipeline, exchange).get("symbols", []):
        if each["symbol"] == symbol:
            found: dict[str, Any] = each
            return found
    return {}


def until(holds: Callable[[], bool], log: Path, seconds: float = 60) -> None:
    assert eventually(holds, bool, seconds), log.read_text()


def misbehave(exchange: Playback, trades: Sequence[Trade], log: Path) -> None:
    """Play the trades with each fault equally often, in random order."""
    pieces = [trades[first : first + 40] for first in range(0, len(trades), 40)]
    by_time = exchange.dialect.name.startswith("ccxt:")  # a live connection loses nothing
    known = [each for each in FAULTS if not (by_time and each in ("missing", "silent"))]
    faults = list(itertools.islice(itertools.cycle(known), len(pieces) - 2))
    random.Random(5).shuffle(faults)
    for turn, (piece, fault) in enumerate(zip(pieces, ["none", *faults, "none"], strict=True)):
        if fault == "missing":
            exchange.lose(piece)
        elif fault == "away":
            exchange.shut()
            exchange.lose(piece)
            exchange.open()
        elif fault == "silent":
            exchange.is_silent = True
            exchange.lose(piece)
            time.sleep(0.3)
            exchange.is_silent = False
        else:
            exchange.play(piece, times=2 if fault == "doubled" else 1)
        if fault == "cut":
            exchange.cut()
        if fault == "malformed":
            exchange.say("{broken", '{"stream":')
        if turn % 16 == 5:
            exchange.answers += [(429, {"retry-after": "1"}), (500, {})]
    until(lambda: exchange.clients > 0, log)


@pytest.mark.parametrize(
    "exchange", [each[0] for each in EXCHANGES.values()], ids=list(EXCHANGES), indirect=True
)
def test_whatever_the_exchange_does_the_candles_are_those_of_all_trades(
    pipeline: dict[str, str], exchange: Playback, tmp_path: Path
) -> None:
    """Whatever faults the exchange has, candles are those of all its trades in the end.

    Cut, away, silent, missing, repeated, malformed, 429 and 500.
    """
    symbol, instrument = names(exchange)
    defined = generated_trades(seed=9, count=840)
    trades, log = as_played(defined, symbol), tmp_path / "log"
    settings = {**of_playback(exchange, symbol), "DATABASE_URL": pipeline["DATABASE_URL"]}
    with bridging(pipeline["K_SINK"], log, settings):
        until(lambda: exchange.clients > 0, log)
        exchange.play(trades[:1])
        misbehave(exchange, trades[1:-1], log)

        numbers = itertools.repeat(trades[-1])

        def is_whole() -> bool:
            # the last trade reveals earlier ones, but may itself be cut off
            exchange.say(exchange.dialect.message(next(numbers)))
            found = [exact(each) for each in candles(pipeline["API_URL"], instrument)]
            return found == expected_candles(defined, 1)

        exchange.released[symbol].append(trades[-1])
        until(is_whole, log, 90)
        until(lambda: symbol_of(pipeline, exchange, symbol)["gaps"]["open"] == 0, log)
        for timeframe, minutes in (("5m", 5), ("1h", 60)):
            wanted = expected_candles(defined, minutes)

            def longer(timeframe: str = timeframe) -> list[dict[str, Any]]:
                found = candles(pipeline["API_URL"], instrument, timeframe)
                return [exact(each) for each in found]

            assert eventually(longer, lambda found: found == wanted) == wanted  # noqa: B023
        until(
            lambda: all(each["complete"] for each in candles(pipeline["API_URL"], instrument)), log
        )
        feed = symbol_of(pipeline, exchange, symbol)
        assert feed["gaps"]["filled"] >= 1
        assert feed["instrument"] == instrument


@pytest.mark.parametrize("exchange", [BinanceDialect], indirect=True)
def test_candles_that_touch_an_open_gap_say_so(
    pipeline: dict[str, str], exchange: Playback, tmp_path: Path
) -> None:
    """A candle that touches an open gap is incomplete, and complete again once it is filled.

    In the API and in the rows, under a higher revision.
    """
    symbol, instrument = names(exchange)
    minute = 1_690_000_000_000 // 60_000 * 60_000
    trades = [
        Trade(symbol, number, "10", "1", minute + number * 20_000, buyer_made=False)
        for number in range(1, 13)
    ]
    log = tmp_path / "log"
    settings = {**of_playback(exchange, symbol), "DATABASE_URL": pipeline["DATABASE_URL"]}

    def stored() -> dict[int, tuple[bool, int, int]]:
        found = rows(
            pipeline["DATABASE_URL"],
            "SELECT start_us, complete, revision, trade_count FROM candles"
            " WHERE instrument = %s AND timeframe = '1m'",
            instrument,
        )
        return {(start // 1000 - minute) // 60_000: tuple(rest) for start, *rest in found}

    def incomplete() -> list[int]:
        found = candles(pipeline["API_URL"], instrument)
        return [(each["t"] - minute) // 60_000 for each in found if not each["complete"]]

    exchange.answers = [(503, {})] * 1_000  # nothing can be fetched until the candles were seen
    with bridging(pipeline["K_SINK"], log, settings):
        until(lambda: exchange.clients > 0, log)
        exchange.play(trades[:4])  # of minutes 0 and 1
        exchange.lose(trades[4:6])  # of minutes 1 and 2
        exchange.play(trades[6:])
        # the gap is between the trades at 1:20 and 2:20
        until(lambda: incomplete() == [1, 2], log)
        until(lambda: {n for n, row in stored().items() if not row[0]} == {1, 2}, log)
        before = stored()
        opened = symbol_of(pipeline, exchange, symbol)["gaps"]
        assert (opened["open"], opened["missing"]) == (1, 2)
        exchange.answers.clear()
        until(lambda: incomplete() == [], log)
        until(lambda: all(row[0] for row in stored().values()), log)
        after = stored()
        assert [after[n][2] for n in (1, 2)] == [3, 3]
        assert all(after[n][1] > before[n][1] for n in (1, 2))


@pytest.mark.parametrize("exchange", [BinanceDialect], indirect=True)
def test_a_capture_whose_recorder_was_behind_the_exchange(
    pipeline: dict[str, str], exchange: Playback, tmp_path: Path, recorded_data: Path
) -> None:
    """Trades ahead of a recorder's clock are no rejects, and the skew is reported."""
    symbol, instrument = names(exchange)
    lines = gzip.decompress((recorded_data / "binance" / "btcusdt_20240808.gz").read_bytes())
    recorded = []
    for line in lines.decode().splitlines():
        local_ns, _, text = line.partition(" ")
        data = json.loads(text).get("data", {})
        if data.get("e") == "trade":
            recorded.append((int(local_ns) // 1_000_000, data))
    ahead_ms = recorded[0][1]["E"] - recorded[0][0]
    assert ahead_ms > 1_000
    # shifted to now, with the same skew of the exchange's clock
    shift_ms = time.time_ns() // 1_000_000 + ahead_ms - recorded[0][1]["E"]
    trades = [
        Trade(symbol, d["t"], d["p"], d["q"], recorded[0][1]["T"] + shift_ms, d["m"])
        for _, d in recorded[:2_000]
    ]
    defined = [
        Defined(
            t.time_ms, t.id, Decimal(t.price), Decimal(t.size), "sell" if t.buyer_made else "buy"
        )
        for t in trades
    ]
    log = tmp_path / "log"
    settings = {**of_playback(exchange, symbol), "DATABASE_URL": pipeline["DATABASE_URL"]}
    with bridging(pipeline["K_SINK"], log, settings):
        until(lambda: exchange.clients > 0, log)
        exchange.play(trades)
        until(
            lambda: (
                [exact(each) for each in candles(pipeline["API_URL"], instrument)]
                == expected_candles(defined, 1)
            ),
            log,
        )
        # each message was sent a millisecond after its trade
        ahead = (
            "SELECT count(*), max(event_time_us + 1000 - receive_time_us) FROM ticks"
            " WHERE instrument = %s"
        )

        def stored() -> tuple[int, int]:
            ((count, ahead_us),) = rows(pipeline["DATABASE_URL"], ahead, instrument)
            return count, ahead_us

        until(lambda: stored()[0] == len(defined), log)
        _, ahead_us = stored()
        until(lambda: feed_of(pipeline, exchange)["skew_ms"] == round(ahead_us / 1000), log)
        assert ahead_us <= ahead_ms * 1000 + 1000
    future = "SELECT count(*) FROM rejects WHERE position(%s::bytea IN original) > 0"
    assert rows(pipeline["DATABASE_URL"], future, symbol.encode()) == [(0,)]


def test_the_scanner_is_a_feed_and_the_watchlist_selects(
    pipeline: dict[str, str], tmp_path: Path
) -> None:
    """The watchlist selects the scanner's symbols, and an added one is taken without a restart.

    The feed is listed before it sends any.
    """
    scanner = Playback(ScannerDialect())
    first, second, third = (f"SCAN{next(_numbers)}" for _ in range(3))
    log, now_ms = tmp_path / "log", time.time_ns() // 1_000_000
    redis_url = pipeline["REDIS_URL"]
    settings = {**of_playback(scanner), "REDIS_URL": redis_url}

    def latest(symbol: str) -> str | None:
        answer = web.get(f"{pipeline['API_URL']}/api/latest/{symbol}")
        return answer.json()["price"] if answer.status_code == 200 else None

    kandle("watch", "add", first, "--redis-url", redis_url)
    try:
        with bridging(pipeline["K_SINK"], log, settings):
            until(lambda: scanner.connections > 0, log)
            until(
                lambda: feed_of(pipeline, scanner).get("state") == "quiet", log
            )  # sent nothing yet
            price = itertools.count(100)

            def push(symbol: str) -> str:
                at = f"{next(price)}.5"
                trade = Trade(symbol, 0, at, "1", now_ms, buyer_made=False)
                scanner.say(scanner.dialect.message(trade))
                return at

            def is_in(symbol: str) -> bool:
                push(symbol)
                return latest(symbol) is not None

            until(lambda: is_in(first), log)
            push(second)
            at = push(first)
            until(lambda: latest(first) == at, log)
            assert latest(second) is None
            kandle("watch", "add", third, "--redis-url", redis_url)
            until(lambda: is_in(third), log)
            assert latest(second) is None
    finally:
        kandle("watch", "remove", first, third, "--redis-url", redis_url)
        scanner.close()


def test_kandle_up_takes_feeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kandle up` runs a process for each feed, and follows changes of the list."""
    playbacks = [Playback(BinanceDialect()), Playback(CoinbaseDialect())]
    kraken = Playback(KrakenDialect())
    for each in (*playbacks, kraken):
        for name, value in of_playback(each, "X").items():
            if name.endswith("_URL"):
                monkeypatch.setenv(name, value)
    feeds = ["--feed", "binance:BTCUSDT", "--feed", "coinbase:BTC-USD"]
    try:
        with running(tmp_path / "data", *feeds) as platform:
            binance, coinbase = playbacks
            assert eventually(lambda: all(each.clients for each in playbacks), bool)
            now_ms = time.time_ns() // 1_000_000
            binance.play([Trade("BTCUSDT", 1, "61000.5", "0.1", now_ms, buyer_made=True)])
            coinbase.play([Trade("BTC-USD", 1, "61000.25", "0.1", now_ms, buyer_made=True)])

            def latest() -> dict[str, str]:
                found = web.get(f"{platform['API_URL']}/api/latest").json()
                return {each["symbol"]: each["price"] for each in found}

            expected = {"BTC-USDT.BINANCE": "61000.5", "BTC-USD.COINBASE": "61000.25"}
            assert eventually(latest, lambda found: found == expected) == expected
            states = {
                each["feed"]: each["state"]
                for each in web.get(f"{platform['API_URL']}/api/feeds").json()
            }
            assert states.keys() == {"binance", "coinbase"}

            def feed(*arguments: str) -> list[str]:
                done = kandle("feed", *arguments, "--data-dir", str(tmp_path / "data"))
                return done.stdout.splitlines()

            # feeds are added and removed
            added = ["binance:BTCUSDT", "coinbase:BTC-USD", "kraken:BTC/USD"]
            assert json.loads(*feed("add", "kraken:BTC/USD", "--json")) == added
            assert eventually(lambda: kraken.clients, bool)
            kraken.play([Trade("BTC/USD", 1, "61000.75", "0.1", now_ms, buyer_made=True)])
            expected["BTC-USD.KRAKEN"] = "61000.75"
            assert eventually(latest, lambda found: found == expected) == expected
            assert feed("remove", "coinbase") == [added[0], added[2]] == feed("list")
            assert eventually(lambda: coinbase.clients, lambda clients: clients == 0) == 0
            line = r"kraken +BTC-USD.KRAKEN +(live|quiet) .* \d+ +0 open, \d+ filled"

            def shown() -> str:
                return kandle("feeds", "--api-url", platform["API_URL"]).stdout

            found = eventually(shown, lambda text: re.search(line, text) is not None)
            assert re.search(line, found)
    finally:
        for each in (*playbacks, kraken):
            each.close()
