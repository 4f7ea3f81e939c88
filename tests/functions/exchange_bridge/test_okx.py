"""OKX over ccxt: messages that join trades, and gaps that REST fills trade by trade."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from functions.exchange_bridge.backfill import backfill
from functions.exchange_bridge.exchange import Kind, Trade
from functions.exchange_bridge.rest import RestError
from functions.exchange_bridge.settings import Settings
from functions.persist.feeds import FeedWriter
from shared.stores.postgres import Postgres
from shared.wire.gaps import GapState
from tests.exchanges.bridge import BridgeOutput, bridging, of_playback
from tests.exchanges.dialects import Trade as Made
from tests.exchanges.okx import CcxtOkxDialect
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import BEGIN_MS, eventually
from tests.local.broker.subscriber import Subscriber

pytestmark = pytest.mark.processes

SYMBOL = "BTC/USDT"


def dialect(okx: Playback) -> CcxtOkxDialect:
    assert isinstance(okx.dialect, CcxtOkxDialect)
    return okx.dialect


def made(first: int, count: int) -> list[Made]:
    """A trade every 10 ms."""
    return [
        Made(SYMBOL, n, f"{100 + n % 7}.25", "0.5", BEGIN_MS + n * 10, buyer_made=False)
        for n in range(first, first + count)
    ]


def play_joined(okx: Playback, *orders: Sequence[Made]) -> None:
    """Send each order's trades as one message; REST lists them one by one."""
    for order in orders:
        okx.lose(order)
        okx.say(dialect(okx).joined(order))


def volume(output: BridgeOutput) -> float:
    """The volume by distinct ids: a trade that counts twice adds its size twice."""
    found = [orjson.loads(each) for each in output.payloads()]
    sizes = {each["trade"]["id"]: each["trade"]["amount"] for each in found if "trade" in each}
    return sum(map(float, sizes.values()))


def test_a_gap_is_filled_without_joined_trades(
    okx: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A gap is filled over pages without the trades that a joined message includes."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    dialect(okx).page = 7
    with bridging(sink.url, log, of_playback(okx, SYMBOL)):
        eventually(lambda: okx.clients > 0, log)
        play_joined(okx, made(1, 5), made(6, 1), made(7, 3))
        eventually(lambda: output.ids("id") == [5, 6, 9], log)
        okx.shut()
        okx.lose(made(10, 40))
        okx.open()
        eventually(lambda: okx.clients > 0, log)
        play_joined(okx, made(50, 4), made(54, 2))
        eventually(lambda: volume(output) == 55 * 0.5, log)
        eventually(lambda: output.statuses()[-1].symbols[0].last_trade_id == 55, log)
        eventually(lambda: output.statuses()[-1].symbols[0].gaps_open == 0, log)
    assert {*range(10, 50)} <= set(output.ids("id"))
    assert not {1, 2, 3, 4, 7, 8} & set(output.ids("id"))
    assert GapState.FILLED in {gap.state for gap in output.gaps()}
    assert not any(gap.by_time for gap in output.gaps())


def test_a_restart_fills_from_the_last_joined_trade_on(
    okx: Playback, sink: Subscriber, tmp_path: Path, database: str, postgres: Postgres
) -> None:
    """A restart fills from the last joined trade on, since its message had the others."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    settings = {**of_playback(okx, SYMBOL), "DATABASE_URL": database}
    with bridging(sink.url, log, settings, stop=signal.SIGKILL):
        eventually(lambda: okx.clients > 0, log)
        play_joined(okx, made(1, 5))
        eventually(lambda: bool(output.statuses()), log)
        eventually(lambda: output.statuses()[-1].symbols[0].last_trade_id == 5, log)
    FeedWriter(postgres).status(output.statuses()[-1])
    okx.lose(made(6, 4))
    with bridging(sink.url, log, settings):
        eventually(lambda: okx.clients > 0, log)
        play_joined(okx, made(10, 3))
        eventually(lambda: volume(output) == 12 * 0.5, log)
    assert {5, 6, 7, 8, 9} <= set(output.ids("id"))


def test_trades_no_longer_listed_stay_an_open_gap(
    okx: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """The listed part of a gap is filled, and the rest stays open and is reported."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    with bridging(sink.url, log, of_playback(okx, SYMBOL)):
        eventually(lambda: okx.clients > 0, log)
        play_joined(okx, made(1, 2))
        eventually(lambda: output.ids("id") == [2], log)
        okx.shut()
        dialect(okx).oldest = 8
        okx.lose(made(3, 17))
        okx.open()
        eventually(lambda: okx.clients > 0, log)
        play_joined(okx, made(20, 2))
        eventually(lambda: "lists no trade of BTC/USDT before id 8" in log.read_text(), log)
        eventually(lambda: volume(output) == 16 * 0.5, log)
        assert {gap.state for gap in output.gaps()} == {GapState.OPEN}


def test_the_seam_is_found_and_a_backfill_of_trades_refused(okx: Playback) -> None:
    """The seam is found by the venue's time cursor.

    A backfill of trades, which would count joined ones twice, is refused.
    """
    okx.lose(made(1, 20))
    settings = Settings.from_env(
        {"K_SINK": "http://none", "DATABASE_URL": "none", **of_playback(okx, SYMBOL)}
    )
    exchange = settings.exchange

    async def ask() -> list[Trade | None]:
        try:
            at_us = [(BEGIN_MS + ms) * 1000 for ms in (15, 105, 1_000)]
            return [await exchange.before(SYMBOL, each) for each in at_us]
        finally:
            await exchange.rest.close()

    found = asyncio.run(ask())
    assert [None if each is None else each.id for each in found] == [1, 10, None]
    with pytest.raises(RestError, match="its feed joins"):
        asyncio.run(backfill(settings, None, "trades", 0, None, print))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "ids"), [("", [9]), (',"count":"1"', [9]), (',"count":"4"', [6, 7, 8, 9])]
)
def test_a_message_stands_for_as_many_trades_as_it_says(
    okx: Playback, count: str, ids: list[int]
) -> None:
    """A message with a count includes that many trades up to its id."""
    settings = Settings.from_env({"K_SINK": "http://none", **of_playback(okx, SYMBOL)})
    text = f'{{"trade":{{"symbol":"B/U","id":"9","timestamp":7,"info":{{"px":"1"{count}}}}}}}'
    message = settings.exchange.read(text.encode())
    assert (message.kind, [each.id for each in message.trades]) == (Kind.TRADE, ids)
    bad = text.replace('"info":{"px":"1"', '"info":{"count":"0"').replace(f"{count}", "", 1)
    if count:
        assert settings.exchange.read(bad.encode()).kind is Kind.UNREADABLE
    asyncio.run(settings.exchange.rest.close())
