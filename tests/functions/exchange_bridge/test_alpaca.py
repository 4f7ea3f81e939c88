"""The bridge against Alpaca's documented messages, on a local server."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from functions.exchange_bridge.exchange import Kind, Trade
from functions.exchange_bridge.exchanges.alpaca import Alpaca, Credentials
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.past.venue_history import fetched
from functions.exchange_bridge.rest import Rest
from functions.exchange_bridge.settings import Settings
from functions.persist.feeds import FeedWriter
from shared.market.timeframes import Timeframe
from shared.runtime.settings import SettingsError
from shared.stores.postgres import Postgres
from shared.wire.gaps import GapState
from tests.exchanges.alpaca import AlpacaDialect
from tests.exchanges.bridge import BridgeOutput, bridging, of_playback
from tests.exchanges.dialects import Trade as Made
from tests.exchanges.dialects import minutes
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.test_instrument_status import QUICK, state
from tests.functions.exchange_bridge.venues import BEGIN_MS, eventually
from tests.local.broker.subscriber import Subscriber
from tests.shared.inputs.test_alpaca import CANCEL, CORRECTION, QUOTE, STATUS, TRADE

pytestmark = pytest.mark.processes

KEY, SECRET = AlpacaDialect.key
REST = Rest("x", "http://x", 0)
ALPACA = Alpaca("wss://x", "https://y", ["AAPL", "MSFT"], "iex", Credentials(KEY, SECRET), REST)


def dialect(alpaca: Playback) -> AlpacaDialect:
    assert isinstance(alpaca.dialect, AlpacaDialect)
    return alpaca.dialect


def made(first: int, count: int, symbol: str = "AAPL") -> list[Made]:
    """A trade every 10 ms."""
    return [
        Made(symbol, n, f"{100 + n % 7}.25", f"{1 + n % 9}", BEGIN_MS + n * 10, buyer_made=False)
        for n in range(first, first + count)
    ]


def test_a_message_is_classified_by_its_content() -> None:
    """A message is trades, statuses of its symbols, or a response that asks for the next step."""
    mixed = ALPACA.read(f"[{QUOTE},{TRADE},{CANCEL},{STATUS}]".encode())
    trade = Trade("AAPL", 1_614_009_104_208, 1_614_009_104_208_000)
    assert (mixed.kind, mixed.symbol, mixed.trades) == (Kind.TRADE, "AMD", (trade,))
    assert mixed.also == ("AAPL", "GOOGL")
    assert ALPACA.read(f"[{CORRECTION},{QUOTE}]".encode()).kind is Kind.BUST
    assert ALPACA.read(f"[{QUOTE}]".encode()).kind is Kind.QUOTE
    assert ALPACA.read(f"[{STATUS}]".encode()).kind is Kind.OTHER
    health = Health(quiet_us=1)
    health.note(mixed, 7)
    of_symbol = {name: (s.message_us, s.trade_us) for name, s in health.symbols.items()}
    assert of_symbol == {"AMD": (7, 0), "AAPL": (7, trade.time_us), "GOOGL": (7, 0)}
    assert [s.trades_per_minute(7) for s in health.symbols.values()] == [0, 1, 0]
    auth = ALPACA.read(b'[{"T":"success","msg":"connected"}]')
    assert orjson.loads(auth.reply) == {"action": "auth", "key": KEY, "secret": SECRET}
    request = ALPACA.read(b'[{"T":"success","msg":"authenticated"}]')
    symbols = ["AAPL", "MSFT"]
    expected = {"trades": symbols, "quotes": symbols, "statuses": symbols}
    assert orjson.loads(request.reply) == {"action": "subscribe", **expected}
    assert SECRET not in f"{auth}{ALPACA._credentials}{Credentials(KEY, SECRET)}"
    refused = ALPACA.read(b'[{"T":"error","code":406,"msg":"connection limit exceeded"}]')
    assert (refused.kind, refused.detail) == (Kind.ERROR, "406 connection limit exceeded")


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"[]", b"{}", b"[1]", b'[{"T":"t","S":"A","t":"soon"}]', b"\xff",
     b'[{"T":"t","S":"A","t":"1960-01-01T00:00:00Z"}]'],
)  # fmt: skip
def test_an_unreadable_message_never_raises(payload: bytes) -> None:
    """An unreadable message is forwarded, to become a reject."""
    assert ALPACA.read(payload).kind is Kind.UNREADABLE


def test_cut_connections_lose_nothing(alpaca: Playback, sink: Subscriber, tmp_path: Path) -> None:
    """Trades during a cut connection are fetched by time, over pages and rate limits."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    dialect(alpaca).page = 7
    with bridging(sink.url, log, of_playback(alpaca, "AAPL")):
        for turn in range(3):
            eventually(lambda: alpaca.clients > 0, log)
            alpaca.play(made(1 + turn * 30, 10))
            eventually(lambda: 10 + turn * 30 in output.ids("i"), log)  # noqa: B023
            alpaca.shut()
            alpaca.lose(made(11 + turn * 30, 20))
            alpaca.answers = [(429, {"retry-after": "0"}), (500, {})]
            alpaca.open()
        eventually(lambda: alpaca.clients > 0, log)
        alpaca.play(made(91, 5))
        eventually(lambda: set(output.ids("i")) == set(range(1, 96)), log)
        eventually(lambda: output.statuses()[-1].symbols[0].gaps_open == 0, log)
    assert output.statuses()[-1].reconnects >= 3
    assert all(gap.by_time for gap in output.gaps())
    assert {gap.instrument for gap in output.gaps()} == {"AAPL.ALPACA"}
    assert any("page_token=7" in each for each in alpaca.requests)
    assert {each["apca-api-key-id"] for each in alpaca.headers} == {KEY}
    assert {each["apca-api-secret-key"] for each in alpaca.headers} == {SECRET}


def test_a_restart_fetches_missed_trades(
    alpaca: Playback, sink: Subscriber, tmp_path: Path, database: str, postgres: Postgres
) -> None:
    """After kill -9 the bridge resumes from the stored status."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {**of_playback(alpaca, "AAPL"), "DATABASE_URL": database}
    with bridging(sink.url, log, settings, stop=signal.SIGKILL):
        eventually(lambda: alpaca.clients > 0, log)
        alpaca.play(made(1, 10))
        eventually(lambda: bool(output.statuses()), log)
        eventually(lambda: output.statuses()[-1].symbols[0].last_trade_id == BEGIN_MS + 99, log)
    FeedWriter(postgres).status(output.statuses()[-1])
    alpaca.lose(made(11, 10))
    with bridging(sink.url, log, settings):
        eventually(lambda: set(output.ids("i")) == set(range(1, 21)), log)


def test_a_message_too_large_for_a_batch_is_fetched(
    alpaca: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A list of trades too long for a batch becomes a gap that is fetched."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    many = made(1, 1_000)
    with bridging(sink.url, log, of_playback(alpaca, "AAPL")):
        eventually(lambda: alpaca.clients > 0, log)
        alpaca.lose(many)
        alpaca.say(dialect(alpaca).messages(many))
        eventually(lambda: set(output.ids("i")) == set(range(1, 1_001)), log)
        eventually(lambda: GapState.FILLED in {gap.state for gap in output.gaps()}, log)
    assert "messages dropped (too_large)" in log.read_text()


def test_busts_are_forwarded_and_halts_reported(
    alpaca: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Busts are forwarded; a halt is reported once trades stop, and ends with the first trade."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, {**of_playback(alpaca, "AAPL"), **QUICK}):
        eventually(lambda: alpaca.clients > 0, log)
        alpaca.play(made(1, 1))
        alpaca.say(f"[{CORRECTION}]", f"[{CANCEL}]", f"[{STATUS}]")
        busts = [f"[{CORRECTION}]".encode(), f"[{CANCEL}]".encode()]
        eventually(lambda: [p for p in output.payloads() if p in busts] == busts, log)
        eventually(lambda: state(output, "AAPL") == "halted", log)
        alpaca.play(made(2, 1))
        eventually(lambda: state(output, "AAPL") == "live", log)


@pytest.mark.parametrize("listing", ["ended", "unknown"])
def test_a_delisted_stock_is_ended(
    alpaca: Playback, sink: Subscriber, tmp_path: Path, listing: str
) -> None:
    """A stock that is inactive or missing among the assets is ended.

    The key is sent to the host of assets as well.
    """
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, {**of_playback(alpaca, "AAPL", "MSFT"), **QUICK}):
        eventually(lambda: alpaca.clients > 0, log)
        alpaca.play(made(1, 3))
        eventually(lambda: state(output, "AAPL") == "live", log)
        alpaca.say(f"[{STATUS}]")
        eventually(lambda: state(output, "AAPL") == "halted", log)
        alpaca.dialect.listings["AAPL"] = listing
        eventually(lambda: state(output, "AAPL") == "ended", log)
        alpaca.play(made(4, 1, "MSFT"))
        eventually(lambda: state(output, "MSFT") == "live", log)
        assert state(output, "AAPL") == "ended"
    assert "stalled" not in output.states("AAPL")
    assert any(each.startswith("/v2/assets/AAPL") for each in alpaca.requests)
    assert {each["apca-api-key-id"] for each in alpaca.headers} == {KEY}


@pytest.mark.parametrize("key", [AlpacaDialect.key, ("PK-other", "another-secret")])
def test_credentials_are_never_logged(
    alpaca: Playback,
    sink: Subscriber,
    tmp_path: Path,
    key: tuple[str, str],
) -> None:
    """No log level and no status has the credentials, accepted or not."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {"ALPACA_KEY_ID": key[0], "ALPACA_SECRET_KEY": key[1], "LOG_LEVEL": "DEBUG"}
    is_right = key == AlpacaDialect.key
    alpaca.lose(made(1, 3))
    with bridging(sink.url, log, {**of_playback(alpaca, "AAPL"), **settings}):
        if is_right:
            eventually(lambda: any("/latest" in each for each in alpaca.requests), log)
            eventually(lambda: "alpaca: subscribed" in log.read_text(), log)
        else:
            eventually(lambda: any("402 auth failed" in s.error for s in output.statuses()), log)
    assert dialect(alpaca).requests[0]["secret"] == key[1]
    written = log.read_text() + "".join(map(str, output.statuses()))
    assert key[0] not in written
    assert key[1] not in written


def test_bad_settings_are_reported_together_without_secrets() -> None:
    """All bad settings are reported together without a secret."""
    given = {"K_SINK": "http://none", "FEED": "alpaca", "ALPACA_SOURCE": "nyse"}
    with pytest.raises(SettingsError) as missing:
        Settings.from_env(given)
    for name in ("ALPACA_KEY_ID is not set", "ALPACA_SECRET_KEY is not set", "ALPACA_SOURCE"):
        assert name in str(missing.value)
    plain = {
        "ALPACA_KEY_ID": KEY,
        "ALPACA_SECRET_KEY": f"{SECRET}\nmore",
        "ALPACA_REST_BASE_URL": "http://data.example",
        "ALPACA_TRADING_BASE_URL": "http://api.example",
        "ALPACA_WEBSOCKET_BASE_URL": "ws://stream.example",
    }
    with pytest.raises(SettingsError) as wrong:
        Settings.from_env({**given, **plain})
    assert "ALPACA_SECRET_KEY has characters" in str(wrong.value)
    assert str(wrong.value).count("is not encrypted") == 3
    assert SECRET not in str(wrong.value)


def test_bars_and_the_seam_are_read(alpaca: Playback) -> None:
    """Bars have counts and only the range, over pages; the seam is the last trade before a time."""
    dialect(alpaca).page = 4
    begin_ms = 1_700_000_040_000
    all_ = [
        Made("AAPL", n, f"{100 + n % 7}.25", f"{1 + n % 9}", begin_ms + n * 15_000, False)
        for n in range(200)
    ]
    alpaca.lose(all_)
    settings = Settings.from_env({"K_SINK": "http://none", **of_playback(alpaca, "AAPL")})
    from_us, to_us = (begin_ms + 5 * 60_000) * 1000, (begin_ms + 20 * 60_000) * 1000
    exchange = settings.exchange

    async def ask() -> Any:
        try:
            found = await fetched(exchange, "AAPL", Timeframe.parse("1m"), from_us, to_us)
            before = await exchange.before("AAPL", from_us)
            return found, before, await exchange.newest("AAPL")
        finally:
            await exchange.rest.close()

    found, before, newest = asyncio.run(ask())
    expected = minutes(all_)[5:20]
    assert [(k.start_us // 1000, k.open, k.volume, k.trades) for k in found] == [
        (m.start_ms, m.open, m.volume, m.trades) for m in expected
    ]
    assert before.time_us == from_us - 15_000_000
    assert newest.id == all_[-1].time_ms
