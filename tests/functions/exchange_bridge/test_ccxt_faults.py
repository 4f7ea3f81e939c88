"""The bridge as a process against ccxt venues that misbehave."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from shared.wire.gaps import GapState
from shared.wire.raw_batch import FORMAT_CCXT
from tests.exchanges.bridge import BridgeOutput, bridging, of_playback
from tests.exchanges.bybit import CcxtBybitDialect
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import (
    eventually,
    trades,
)
from tests.local.broker.subscriber import Subscriber
from tests.shared.inputs.feeds import parsed, quotes

pytestmark = pytest.mark.processes


def test_a_gap_by_time_that_the_venue_lists_no_more_stays_open(
    bybit: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A gap older than the venue's list of newest trades stays open."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    assert isinstance(bybit.dialect, CcxtBybitDialect)
    bybit.dialect.newest = 20
    with bridging(sink.url, log, of_playback(bybit, "BTC/USDT")):
        eventually(lambda: bybit.clients > 0, log)
        bybit.play(trades(bybit, 1, 5))
        eventually(lambda: len(output.ids("id")) == 5, log)
        bybit.shut()
        bybit.lose(trades(bybit, 6, 30))
        bybit.open()
        eventually(lambda: bybit.clients > 0, log)
        bybit.play(trades(bybit, 36, 5))
        eventually(lambda: "lists only its newest trades" in log.read_text(), log)
        eventually(lambda: set(range(21, 41)) <= set(output.ids("id")), log)
        assert {gap.state for gap in output.gaps()} == {GapState.OPEN}
        bybit.dialect.newest = 1_000
        eventually(lambda: set(output.ids("id")) == set(range(1, 41)), log)
        eventually(lambda: {g.state for g in output.gaps()} == {*GapState}, log)
    assert all(gap.by_time and gap.count == 0 for gap in output.gaps())


def test_a_message_that_ccxt_cannot_read_is_forwarded(
    bybit: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """A message that ccxt cannot read is forwarded unchanged, and the connection lives.

    Numbers that JSON writes without quotes stay exact.
    """
    output, log = BridgeOutput(sink), tmp_path / "log"
    bad = ['{"topic":"publicTrade.BTCUSDT","data":', '{"topic":"publicTrade.BTCUSDT","data":[7]}']
    with bridging(sink.url, log, of_playback(bybit, "BTC/USDT")):
        eventually(lambda: bybit.clients > 0, log)
        first, second = trades(bybit, 1, 2)
        bybit.play([first])
        bybit.say(*bad)
        text = bybit.dialect.message(second._replace(price="1.0000000000000000010"))
        bybit.say(text.replace('"1.0000000000000000010"', "1.0000000000000000010"))
        eventually(lambda: len(output.payloads()) == 4, log)
    payloads = output.payloads()
    assert payloads[1:3] == [each.encode() for each in bad]
    assert b'"price":"1.0000000000000000010"' in payloads[3]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"CCXT_VENUE": "nonsense"}, "ccxt has no WebSocket of 'nonsense'"),
        (
            {"CCXT_VENUE": "bybit", "CCXT_SYMBOLS": "BTC/NONSENSE"},
            "bybit does not have market symbol",
        ),
    ],
)
def test_an_unknown_venue_or_symbol_is_reported(
    bybit: Playback, sink: Subscriber, tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    """An unknown venue ends the bridge; an unknown symbol is the error of its status."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    given = {**of_playback(bybit, "BTC/USDT"), **settings}
    if settings["CCXT_VENUE"] == "nonsense":
        with pytest.raises(AssertionError, match=reason), bridging(sink.url, log, given) as bridge:
            bridge.wait(60)
        return
    with bridging(sink.url, log, given):
        eventually(lambda: any(reason in each.error for each in output.statuses()), log)


def test_a_venue_that_restarts_its_ids_leaves_no_gap(
    ccxt_binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Lower ids of a later time are new trades, and missing ones among them are fetched."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    before = trades(ccxt_binance, 5_000, 10)
    later_ms = before[-1].time_ms + 120_000
    anew = [each._replace(time_ms=later_ms + each.id * 10) for each in trades(ccxt_binance, 1, 20)]
    with bridging(sink.url, log, of_playback(ccxt_binance, "BTC/USDT")):
        eventually(lambda: ccxt_binance.clients > 0, log)
        ccxt_binance.play(before)
        ccxt_binance.play(anew[:5])
        eventually(lambda: len(set(output.ids("id"))) == 15, log)
        ccxt_binance.shut()
        ccxt_binance.lose(anew[5:15])
        ccxt_binance.open()
        eventually(lambda: ccxt_binance.clients > 0, log)
        # REST lists them afterwards: the bridge may ask in between, and they would be of the gap.
        ccxt_binance.say(*map(ccxt_binance.dialect.message, anew[15:]))
        ccxt_binance.lose(anew[15:])
        everything = {*range(5_000, 5_010), *range(1, 21)}
        eventually(lambda: set(output.ids("id")) == everything, log)
        eventually(lambda: output.statuses()[-1].symbols[0].gaps_filled == 1, log)
    assert {(gap.first_id, gap.last_id) for gap in output.gaps()} == {(6, 15)}


def test_quotes_of_a_venue_by_ccxt_are_exact(
    ccxt_binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Quotes by `watch_bids_asks` are the venue's texts, from message to row."""
    output, log = BridgeOutput(sink), tmp_path / "log"
    quote = {"u": 400900217, "s": "BTCUSDT", "b": "25.35190000", "B": "31.21000000"}
    quote |= {"a": "25.36520000000000001", "A": "40.66000000"}
    with bridging(sink.url, log, of_playback(ccxt_binance, "BTC/USDT")):
        eventually(lambda: ccxt_binance.clients > 0, log)

        def came() -> bool:
            ccxt_binance.say(orjson.dumps(quote).decode())
            return bool(output.payloads())

        eventually(came, log)
    payload = output.payloads()[0]
    assert orjson.loads(payload)["quote"]["info"] == quote
    (found,) = quotes(parsed(FORMAT_CCXT, payload))
    assert found.instrument == "BTC-USDT.BINANCE"
    assert (found.bid, found.ask) == (Decimal("25.3519"), Decimal("25.36520000000000001"))
    assert (found.bid_size, found.ask_size) == (Decimal("31.21"), Decimal("40.66"))
