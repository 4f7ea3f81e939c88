"""Venues' own messages among JSON objects: unwrapped, and read by the venue's field names."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from shared.wire.raw_batch import FORMAT_CSV, FORMAT_SCANNER
from shared.wire.ticks import VOLUME_ONLY
from tests.shared.inputs.feeds import codes, parsed, quotes, trades

TIME_US = 1_700_000_000_000_000
MS = TIME_US // 1000


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"e": "24hrTicker", "E": MS, "s": "BNBBTC", "p": "0.0015", "q": "18"}, "24hrTicker"),
        ({"e": "markPriceUpdate", "E": MS, "s": "B", "p": "11794.15", "T": MS}, "markPriceUpdate"),
        ({"e": "trade", "E": MS, "s": "B", "p": "0", "q": "1", "T": MS, "X": "NA"}, "NA"),
        ({"type": "received", "product_id": "A", "size": "1.34", "price": "502.1"}, "received"),
        ({"type": "open", "product_id": "A", "price": "200.2", "side": "sell"}, "open"),
        ({"type": "message", "topic": "/spotMarket/level3:A", "subject": "open",
          "data": {"symbol": "A", "price": "1", "size": "2", "side": "buy"}}, "open"),
    ],
)  # fmt: skip
def test_venue_messages_other_than_trades_make_no_tick(message: dict[str, Any], kind: str) -> None:
    """Ticker changes, mark prices and orders make no tick, although they have a price."""
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    assert (trades(found), found.skipped, found.rejected) == ([], {kind: 1}, [])


ELEMENT = {"s": "A", "symbol": "A", "price": "1", "size": "2", "side": "sell", "ts": MS, "id": 1}


@pytest.mark.parametrize(
    "envelope",
    [
        {"type": "trade"},
        {"channel": "trades"},
        {"table": "trade", "action": "partial"},
        {"topic": "publicTrade.A", "type": "snapshot", "ts": MS},
        {"arg": {"channel": "trade", "instId": "A", "instType": "SPOT"}, "action": "snapshot"},
    ],
)
def test_a_list_of_trades_is_as_many_ticks(envelope: dict[str, Any]) -> None:
    """Each trade of a list is a tick, and a bad one is rejected alone.

    Finnhub, Hyperliquid, BitMEX, Bybit and Bitget send lists.
    """
    bad = {**ELEMENT, "price": "x"}
    second = {key: value for key, value in ELEMENT.items() if key not in ("s", "symbol")}
    second = (second if "arg" in envelope else ELEMENT) | {"id": 2}
    message = json.dumps({**envelope, "data": [ELEMENT, bad, second]}).encode()
    found = parsed(FORMAT_SCANNER, json.dumps(ELEMENT).encode(), message)
    assert [(t.instrument, t.trade_id, t.place) for t in trades(found)[1:]] == [
        ("A", 1, (1, 0)),
        ("A", 2, (1, 2)),
    ]
    (reject,) = found.rejected
    assert (reject.payload, reject.line, reject.code) == (1, 1, "bad_price")
    assert json.loads(reject.original) == bad


@pytest.mark.parametrize(
    "envelope", [{}, {"table": "orderBookL2"}, {"topic": "orderbook.50.A"}, {"channel": "ticker"}]
)
def test_a_list_of_book_rows_makes_no_tick(envelope: dict[str, Any]) -> None:
    """Rows of an order book make no tick, although they have price, size, side and id."""
    message = json.dumps({**envelope, "data": [ELEMENT]}).encode()
    found = parsed(FORMAT_SCANNER, message)
    assert (trades(found), codes(found)) == ([], [(0, "bad_message")])
    assert found.rejected[0].original == message


VENUES = [
    ({"params": {"channel": "trades.A.raw", "data": [
        {"trade_id": "7", "timestamp": MS, "price": 1.0, "mark_price": 3, "instrument_name": "A",
         "direction": "sell", "amount": 2.0}]}, "method": "subscription"}, "sell", "7"),
    ({"channel": "spot.trades", "event": "update", "time": 1606292218, "result":
        {"id": 7, "create_time": 1, "create_time_ms": f"{MS}.4", "side": "buy",
         "currency_pair": "A", "amount": "2", "price": "1"}}, "buy", "7"),
    ({"channel": "futures.trades", "event": "update", "result": [
        {"size": -2, "id": 7, "create_time_ms": MS, "price": "1", "contract": "A"}]}, "sell", "7"),
    ({"ch": "market.A.trade.detail", "ts": MS, "tick": {"id": 9, "ts": MS, "data": [
        {"id": 12345678901234567890, "ts": MS, "tradeId": 7, "amount": 2, "price": 1.0,
         "direction": "buy"}]}}, "buy", "7"),
    ({"c": "spot@public.deals.v3.api@A", "s": "A", "t": 1, "d": {"deals": [
        {"p": "1", "v": "2", "S": 2, "t": MS}]}}, "sell", ""),
    ({"channel": "push.deal", "symbol": "A", "ts": 1, "data": [
        {"M": 1, "O": 1, "T": 1, "p": 1, "v": 2, "t": MS}]}, "buy", ""),
    ({"type": "subscribed", "connection_id": "c", "id": "A", "channel": "v4_trades", "contents": {
        "trades": [{"id": "7", "size": "2", "price": "1", "side": "BUY", "type": "LIMIT",
                    "createdAt": "2023-11-14T22:13:20Z"}]}}, "buy", "7"),
    ({"type": "channel_batch_data", "connection_id": "c", "id": "A", "channel": "v4_trades",
      "contents": [{"trades": [{"id": "7", "size": "2", "price": "1", "side": "SELL",
                                "createdAt": "2023-11-14T22:13:20Z"}]}]}, "sell", "7"),
    ([0, [["1.0", "2.0", "1700000000.321597", "s", "l", ""]], "trade", "A"], "sell", ""),
    ({"event": "trade", "channel": "live_trades_A", "data": {
        "id": 7, "timestamp": "1", "amount": 2, "amount_str": "2", "price": 1, "type": 1,
        "microtimestamp": str(TIME_US), "buy_order_id": 3, "sell_order_id": 4}}, "sell", "7"),
    ({"method": "subscribe", "result": {"channel": "trade", "instrument_name": "A", "data": [
        {"d": "7", "t": MS, "p": "1", "q": "2", "s": "SELL", "i": "A"}]}}, "sell", "7"),
    ({"method": "channelMessage", "params": {"channel": "lightning_executions_A", "message": [
        {"id": 7, "side": "SELL", "price": 1, "size": 2, "exec_date": "2023-11-14T22:13:20"}]}},
     "sell", "7"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "side", "trade_id"), VENUES)
def test_wrapped_trades_of_venues_are_read(message: Any, side: str, trade_id: str) -> None:
    """Trades within a venue's envelope are read with the instrument that it names.

    Deribit, Gate, HTX, MEXC, dYdX, Kraken's first API, Bitstamp, Crypto.com and bitFlyer; MEXC has
    numbers for sides, Gate's futures signs.
    """
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    assert found.rejected == []
    (trade,) = trades(found)
    assert trade[:3] == ("A", Decimal(1), Decimal(2))
    assert (trade.time_us // 1_000_000, trade.side) == (1_700_000_000, {"buy": 1, "sell": 2}[side])
    assert str(trade.trade_id or "") == trade_id


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ticker", "product_id": "A", "price": "5", "best_bid": "1", "best_ask": "2",
         "last_size": "9", "trade_id": 1},
        {"type": "message", "topic": "/market/ticker:A", "subject": "trade.ticker",
         "data": {"price": "5", "size": "9", "bestAsk": "2", "bestBid": "1", "Time": MS}},
        {"params": {"channel": "quote.A", "data": {
            "timestamp": MS, "instrument_name": "A", "best_bid_price": 1, "best_ask_price": 2}}},
        {"params": {"channel": "ticker.A.raw", "data": {
            "instrument_name": "A", "price": 9, "best_bid_price": 1, "best_ask_price": 2}}},
        {"channel": "spot.book_ticker", "event": "update", "result":
            {"t": MS, "u": 4, "s": "A", "b": "1", "B": "3", "a": "2", "A": "4"}},
        {"ch": "market.A.bbo", "tick": {"ask": 2, "bid": 1, "quoteTime": MS}},
        {"topic": "/market/ticker:all", "subject": "A", "data": {"bestAsk": "2", "bestBid": "1"}},
    ],
)  # fmt: skip
def test_a_ticker_is_a_quote_without_a_trade(message: dict[str, Any]) -> None:
    """A ticker, bare or wrapped, is a quote only: its last trade is sent separately."""
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    expected = [("A", Decimal(1), Decimal(2))]
    assert [(q.instrument, q.bid, q.ask) for q in quotes(found)] == expected
    assert (trades(found), found.rejected) == ([], [])


ALPACAS = {"t": "2023-11-14", "x": "V", "p": 1, "s": 2, "i": 7, "z": "A"}


@pytest.mark.parametrize(
    "message",
    [
        {"params": {"channel": "user.trades.A", "data": [ELEMENT]}},
        {"ch": "market.A.kline.1min", "tick": {"id": 1, "price": 1, "amount": 2}},
        {"channel": "book", "result": {**ELEMENT}},
        {"type": "trade", "data": [{"s": 100, "p": 1, "t": MS}]},
        {"symbol": "A", "trades": [ALPACAS]},
        ALPACAS,
        [17470, "te", [401597395, MS, 0.005, 7245.3]],
        [0, [["1", "2"]], "trade", "A"],
        {"trades": [{"trades": [{"trades": [{"trades": [{"trades": [ELEMENT]}]}]}]}]},
        [0, {"a": ["1", 1], "b": ["1", 1]}, "ticker", "A"],
    ],
)  # fmt: skip
def test_ambiguous_objects_are_refused(message: Any) -> None:
    """Own fills, candles, books and ambiguous one-letter fields are rejects."""
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    assert (trades(found), codes(found)) == ([], [(0, "bad_message")])


def test_a_reject_of_krakens_list_can_be_resent() -> None:
    """The reject of a trade in Kraken's list names its fields, so that it can be sent alone."""
    message = [0, [["x", "2", "1700000000.1", "s"], ["1", "2", "1700000000.1", "b"]], "trade", "A"]
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    (reject,) = found.rejected
    assert (len(trades(found)), reject.code) == (1, "bad_price")
    mended = reject.original.replace(b'"x"', b'"3"')
    assert trades(parsed(FORMAT_SCANNER, mended))[0][:2] == ("A", Decimal(3))


def test_bybits_block_trades_move_no_price() -> None:
    """A block trade of Bybit, agreed off the book, moves no price."""
    trade = {"T": MS, "s": "A", "S": "Buy", "v": "2", "p": "1", "i": "x-1"}
    messages = [json.dumps({**trade, "BT": block}).encode() for block in (True, False)]
    found = parsed(FORMAT_SCANNER, *messages)
    assert found.rows.flags is not None
    assert found.rows.flags.tolist() == [VOLUME_ONLY, 0]
    assert dict(found.unread) == {}


POLYGON = {"ticker": "A", "price": 1, "size": 2, "exchange": 11, "id": "7", "sip_timestamp": MS}


def test_a_trade_cancelled_at_its_source_is_skipped() -> None:
    """A trade with Polygon's `correction` 8 is counted and left out.

    With 1 it has the corrected values.
    """
    messages = [json.dumps({**POLYGON, "correction": n}).encode() for n in (0, 1, 7, 8, 10, 11, 12)]
    found = parsed(FORMAT_SCANNER, *messages)
    assert ([t.place[0] for t in trades(found)], found.skipped) == ([0, 1], {"void": 5})


def test_a_condition_of_polygons_crypto_is_the_side() -> None:
    """Condition 2 of Polygon's crypto is a purchase, no average price; ids count by exchange."""
    trade = {"ticker": "X:BTC-USD", "price": 1, "size": 2, "exchange": 1, "id": "7"}
    message = json.dumps({**trade, "conditions": [2], "participant_timestamp": MS * 10**6})
    table = (
        b"ticker,conditions,correction,exchange,id,participant_timestamp,price,size\n"
        b"X:BTC-USD,2,0,1,7,%d,1,2" % (MS * 10**6)
    )
    for found in (parsed(FORMAT_SCANNER, message.encode()), parsed(FORMAT_CSV, table)):
        assert (found.rows.flags, found.rows.time_us.tolist()) == (None, [TIME_US])
        assert (found.rows.text is not None and found.rows.text.tolist(), found.rejected) == (
            ["1:7"],
            [],
        )


@pytest.mark.parametrize("row", [{"ev": "T", "sym": "A", "trfi": 202}, {"T": "A", "r": 202}])
def test_ids_of_polygons_short_names_count_within_exchange_and_facility(
    row: dict[str, object],
) -> None:
    """Ids are prefixed as in recorded files; those of the REST API had no scope."""
    message = {**row, "x": 4, "i": "7", "p": 1, "s": 2, "t": MS}
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    assert found.rows.text is not None
    assert found.rows.text.tolist() == ["4:202:7"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            {"topic": "liquidation.BTCUSDT", "type": "snapshot", "data": {
                "symbol": "BTCUSDT", "price": "1", "size": "1", "side": "Buy"}},
            "liquidation",
        ),
        (
            {"type": "ticker", "code": "KRW-BTC", "trade_price": 1.5, "trade_volume": 0.1,
             "acc_trade_volume": 9.5, "trade_timestamp": MS, "ask_bid": "ASK"},
            "ticker",
        ),
    ],
)  # fmt: skip
def test_a_message_with_the_price_of_no_new_trade_is_left_out(
    message: dict[str, object], kind: str
) -> None:
    """A liquidation of Bybit and a ticker of Upbit are counted, and make no tick."""
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    assert (trades(found), found.skipped, found.rejected) == ([], {kind: 1}, [])


def test_a_correction_that_names_no_trade_is_refused() -> None:
    """A correction without a trade reference is a reject: it would count twice (Tradier)."""
    message = {"type": "timesale", "symbol": "A", "last": "1", "size": "2", "correction": True}
    found = parsed(FORMAT_SCANNER, json.dumps(message).encode())
    assert (trades(found), codes(found)) == ([], [(0, "bad_message")])


def test_a_deeply_nested_message_is_a_reject() -> None:
    """A message nested as deep as its length is a reject, and the next one is parsed."""
    deep = b'{"trades":[' * 300 + json.dumps(ELEMENT).encode() + b"]}" * 300
    found = parsed(FORMAT_SCANNER, deep, json.dumps(ELEMENT).encode())
    assert ([t.place for t in trades(found)], [r.payload for r in found.rejected]) == (
        [(1, 0)],
        [0],
    )
