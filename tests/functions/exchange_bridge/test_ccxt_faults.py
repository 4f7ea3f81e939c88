"""The bridge as a process against venues by ccxt that misbehave."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from shared.wire.gaps import GapState
from shared.wire.raw_batch import FORMAT_CCXT
from tests.exchanges.bridge import Told, bridging, of_playback
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
    """A venue that lists its newest trades alone proves nothing of older ones."""
    told, log = Told(sink), tmp_path / "log"
    assert isinstance(bybit.dialect, CcxtBybitDialect)
    bybit.dialect.newest = 20
    with bridging(sink.url, log, of_playback(bybit, "BTC/USDT")):
        eventually(lambda: bybit.clients > 0, log)
        bybit.play(trades(bybit, 1, 5))
        eventually(lambda: len(told.ids("id")) == 5, log)
        bybit.shut()
        bybit.lose(trades(bybit, 6, 30))
        bybit.open()
        eventually(lambda: bybit.clients > 0, log)
        bybit.play(trades(bybit, 36, 5))
        eventually(lambda: "lists only its newest trades" in log.read_text(), log)
        eventually(lambda: set(range(21, 41)) <= set(told.ids("id")), log)
        assert {gap.state for gap in told.gaps()} == {GapState.OPEN}
        bybit.dialect.newest = 1_000
        eventually(lambda: set(told.ids("id")) == set(range(1, 41)), log)
        eventually(lambda: {g.state for g in told.gaps()} == {*GapState}, log)
    assert all(gap.by_time and gap.count == 0 for gap in told.gaps())


def test_what_ccxt_does_not_understand_goes_on(
    bybit: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """As it came, and the connection lives; numbers that JSON writes without quotes stay exact."""
    told, log = Told(sink), tmp_path / "log"
    bad = ['{"topic":"publicTrade.BTCUSDT","data":', '{"topic":"publicTrade.BTCUSDT","data":[7]}']
    with bridging(sink.url, log, of_playback(bybit, "BTC/USDT")):
        eventually(lambda: bybit.clients > 0, log)
        first, second = trades(bybit, 1, 2)
        bybit.play([first])
        bybit.say(*bad)
        text = bybit.dialect.message(second._replace(price="1.0000000000000000010"))
        bybit.say(text.replace('"1.0000000000000000010"', "1.0000000000000000010"))
        eventually(lambda: len(told.payloads()) == 4, log)
    payloads = told.payloads()
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
def test_a_venue_or_symbol_that_ccxt_does_not_know_is_said(
    bybit: Playback, sink: Subscriber, tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    """A venue ends the bridge, a symbol is the error of its status."""
    told, log = Told(sink), tmp_path / "log"
    given = {**of_playback(bybit, "BTC/USDT"), **settings}
    if settings["CCXT_VENUE"] == "nonsense":
        with pytest.raises(AssertionError, match=reason), bridging(sink.url, log, given) as bridge:
            bridge.wait(60)
        return
    with bridging(sink.url, log, given):
        eventually(lambda: any(reason in each.error for each in told.statuses()), log)


def test_a_venue_by_ccxt_that_counts_anew_leaves_no_gap(
    ccxt_binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """Lower ids of a later time are no trades of before; what is missing among them is fetched."""
    told, log = Told(sink), tmp_path / "log"
    before = trades(ccxt_binance, 5_000, 10)
    later_ms = before[-1].time_ms + 120_000
    anew = [each._replace(time_ms=later_ms + each.id * 10) for each in trades(ccxt_binance, 1, 20)]
    with bridging(sink.url, log, of_playback(ccxt_binance, "BTC/USDT")):
        eventually(lambda: ccxt_binance.clients > 0, log)
        ccxt_binance.play(before)
        ccxt_binance.play(anew[:5])
        eventually(lambda: len(set(told.ids("id"))) == 15, log)
        ccxt_binance.shut()
        ccxt_binance.lose(anew[5:15])
        ccxt_binance.open()
        eventually(lambda: ccxt_binance.clients > 0, log)
        ccxt_binance.play(anew[15:])
        everything = {*range(5_000, 5_010), *range(1, 21)}
        eventually(lambda: set(told.ids("id")) == everything, log)
        eventually(lambda: told.statuses()[-1].symbols[0].gaps_filled == 1, log)
    assert {(gap.first_id, gap.last_id) for gap in told.gaps()} == {(6, 15)}


def test_quotes_of_a_venue_by_ccxt_are_exact(
    ccxt_binance: Playback, sink: Subscriber, tmp_path: Path
) -> None:
    """`watch_bids_asks`: in the texts of the venue, from its message to the row."""
    told, log = Told(sink), tmp_path / "log"
    quote = {"u": 400900217, "s": "BTCUSDT", "b": "25.35190000", "B": "31.21000000"}
    quote |= {"a": "25.36520000000000001", "A": "40.66000000"}
    with bridging(sink.url, log, of_playback(ccxt_binance, "BTC/USDT")):
        eventually(lambda: ccxt_binance.clients > 0, log)

        def came() -> bool:
            ccxt_binance.say(orjson.dumps(quote).decode())
            return bool(told.payloads())

        eventually(came, log)
    payload = told.payloads()[0]
    assert orjson.loads(payload)["quote"]["info"] == quote
    (found,) = quotes(parsed(FORMAT_CCXT, payload))
    assert found.instrument == "BTC-USDT.BINANCE"
    assert (found.bid, found.ask) == (Decimal("25.3519"), Decimal("25.36520000000000001"))
    assert (found.bid_size, found.ask_size) == (Decimal("31.21"), Decimal("40.66"))
