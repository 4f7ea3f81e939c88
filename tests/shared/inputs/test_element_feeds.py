"""Coinbase Advanced Trade, Bybit, OKX and Binance futures, by the examples of their docs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from shared.inputs.formats import original
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import (
    FORMAT_BINANCE_FUTURES,
    FORMAT_BYBIT,
    FORMAT_COINBASE_ADVANCED,
    FORMAT_OKX,
)
from shared.wire.ticks import VOLUME_ONLY
from tests.shared.inputs.feeds import batch, codes, parsed, quotes, trades

ADVANCED_TRADE = {
    "trade_id": "000000000012",
    "product_id": "ETH-USD",
    "price": "1260.01",
    "size": "0.3",
    "side": "BUY",
    "time": "2019-08-14T20:42:27.265Z",
}
BYBIT_TRADE = {
    "T": 1672304486865,
    "s": "BTCUSDT",
    "S": "Buy",
    "v": "0.001",
    "p": "16578.50",
    "L": "PlusTick",
    "i": "20f43950-d8dd-5b31-9112-a178eb6023af",
    "BT": False,
}
OKX_TRADE = {
    "instId": "BTC-USDT",
    "tradeId": "130639474",
    "px": "42219.9",
    "sz": "0.12060306",
    "side": "buy",
    "ts": "1630048897897",
    "count": "3",
}


def advanced(*elements: dict[str, Any], kind: str = "trades", channel: str = "") -> bytes:
    channel = channel or {"trades": "market_trades", "tickers": "ticker"}[kind]
    return json.dumps(
        {
            "channel": channel,
            "client_id": "",
            "timestamp": "2023-02-09T20:30:37.167359596Z",
            "sequence_num": 0,
            "events": [{"type": "update", kind: list(elements)}],
        }
    ).encode()


def bybit(topic: str, data: Any, **more: Any) -> bytes:
    return json.dumps(
        {"topic": topic, "type": "snapshot", "ts": 1672304486868, "data": data, **more}
    ).encode()


def okx(channel: str, *elements: dict[str, Any]) -> bytes:
    arg = {"channel": channel, "instId": "BTC-USDT"}
    return json.dumps({"arg": arg, "data": list(elements)}).encode()


def test_coinbase_advanced_names_the_maker() -> None:
    """The aggressor sold where Coinbase says that the maker bought.

    An id is a text that may begin with zeros.
    """
    found = parsed(
        FORMAT_COINBASE_ADVANCED,
        advanced(ADVANCED_TRADE, {**ADVANCED_TRADE, "side": "SELL", "trade_id": "13"}),
        advanced(
            {
                "product_id": "BTC-USD",
                "best_bid": "21931.98",
                "best_bid_quantity": "8000.21",
                "best_ask": "21933.98",
                "best_ask_quantity": "8038.07770938",
            },
            kind="tickers",
        ),
    )
    time_us = 1_565_815_347_265_000
    assert trades(found) == [
        ("ETH-USD.COINBASE", Decimal("1260.01"), Decimal("0.3"), time_us, 2, 0, (0, 0)),
        ("ETH-USD.COINBASE", Decimal("1260.01"), Decimal("0.3"), time_us, 1, 13, (0, 1)),
    ]
    assert found.rows.text is not None
    assert found.rows.text.tolist() == ["000000000012", ""]
    assert [(q.instrument, q.bid, q.ask_size, q.time_us) for q in quotes(found)] == [
        ("BTC-USD.COINBASE", Decimal("21931.98"), Decimal("8038.07770938"), 1_675_974_637_167_359)
    ]


def test_bybit_names_the_taker_and_its_blocks() -> None:
    """Bybit's side is the taker's; a block trade is flagged and moves no price."""
    found = parsed(
        FORMAT_BYBIT,
        bybit("publicTrade.BTCUSDT", [BYBIT_TRADE, {**BYBIT_TRADE, "S": "Sell", "BT": True}]),
        bybit(
            "tickers.BTCUSDT",
            {"symbol": "BTCUSDT", "bid1Price": "17215.50", "bid1Size": "84.489",
             "ask1Price": "17216.00", "ask1Size": "83.020"},
            cs=24987956059,
        ),
        bybit("tickers.BTCUSDT", {"symbol": "BTCUSDT", "markPrice": "17217.33"}),
    )  # fmt: skip
    assert [(t.instrument, t.price, t.time_us, t.side) for t in trades(found)] == [
        ("BTC-USDT.BYBIT", Decimal("16578.5"), 1_672_304_486_865_000, side) for side in (1, 2)
    ]
    assert found.rows.flags is not None
    assert found.rows.flags.tolist() == [0, VOLUME_ONLY]
    assert [(q.instrument, q.bid, q.ask) for q in quotes(found)] == [
        ("BTC-USDT.BYBIT", Decimal("17215.5"), Decimal(17216))
    ]
    assert found.skipped == {"tickers": 1}


def test_okx_trades_are_read_from_one_stream() -> None:
    """Only one OKX stream counts: `trades-all` repeats the trades under other ids."""
    found = parsed(
        FORMAT_OKX,
        okx("trades", OKX_TRADE),
        okx("trades-all", OKX_TRADE),
        okx(
            "tickers",
            {"instId": "LTC-USD-SWAP", "askPx": "9999.99", "askSz": "11", "bidPx": "8888.88",
             "bidSz": "5", "ts": "1597026383085"},
        ),
    )  # fmt: skip
    assert trades(found) == [
        ("BTC-USDT.OKX", Decimal("42219.9"), Decimal("0.12060306"), 1_630_048_897_897_000, 1,
         130639474, (0, 0))
    ]  # fmt: skip
    assert [(q.instrument, q.bid_size) for q in quotes(found)] == [("LTC-USD-SWAP.OKX", Decimal(5))]
    assert found.skipped == {"trades-all": 1}


def test_binance_futures_are_markets_of_their_own() -> None:
    """A futures symbol and the same spot symbol are two instruments.

    A delivery contract has its date in the name.
    """
    trade = {"e": "aggTrade", "s": "BTCUSDT", "a": 5, "p": "0.001", "q": "100", "T": 1672515782136,
             "m": True}  # fmt: skip
    messages = [json.dumps({**trade, "s": s}).encode() for s in ("BTCUSDT", "BTCUSDT_250328")]
    found = parsed(FORMAT_BINANCE_FUTURES, *messages)
    assert [t.instrument for t in trades(found)] == [
        "BTC-USDT.BINANCE_FUTURES",
        "BTC-USDT_250328.BINANCE_FUTURES",
    ]


@pytest.mark.parametrize(
    ("format_", "message", "good", "change", "code"),
    [
        (FORMAT_COINBASE_ADVANCED, advanced, ADVANCED_TRADE, {"price": "x"}, "bad_price"),
        (FORMAT_COINBASE_ADVANCED, advanced, ADVANCED_TRADE, {"time": "20190814"}, "bad_time"),
        (FORMAT_COINBASE_ADVANCED, advanced, ADVANCED_TRADE, {"side": ""}, "bad_side"),
        (FORMAT_COINBASE_ADVANCED, advanced, ADVANCED_TRADE, {"size": 1}, "bad_message"),
        (FORMAT_BYBIT, lambda *some: bybit("publicTrade.A", some), BYBIT_TRADE, {"i": ""},
         "bad_trade_id"),
        (FORMAT_BYBIT, lambda *some: bybit("publicTrade.A", some), BYBIT_TRADE, {"v": "-1"},
         "bad_size"),
        (FORMAT_OKX, lambda *some: okx("trades", *some), OKX_TRADE, {"instId": ""}, "bad_symbol"),
        (FORMAT_OKX, lambda *some: okx("trades", *some), OKX_TRADE, {"ts": ""}, "bad_time"),
    ],
)  # fmt: skip
def test_a_bad_element_is_a_reject_and_its_neighbours_count(
    format_: int, message: Any, good: dict[str, Any], change: dict[str, Any], code: str
) -> None:
    """A bad element is a reject with its own bytes only; its neighbours are parsed."""
    bad = {**good, **change}
    whole = message(good, bad, good)
    found = parsed(format_, whole)
    assert [t.place for t in trades(found)] == [(0, 0), (0, 2)]
    assert [(r.line, r.code, json.loads(r.original)) for r in found.rejected] == [(1, code, bad)]
    assert json.loads(original(batch(format_, [whole]), 0, 1)) == bad


def test_other_messages_are_counted_and_unknown_ones_rejected() -> None:
    """Books, candles, replies and heartbeats are counted; unknown messages are rejects."""
    found = parsed(FORMAT_COINBASE_ADVANCED, advanced(channel="heartbeats"), b'{"type":"error"}',
                   b'{"channel":"news"}', b"[]", b"{")  # fmt: skip
    assert found.skipped == {"heartbeats": 1, "error": 1}
    assert codes(found) == [(2, "bad_message"), (3, "bad_message"), (4, "bad_json")]
    found = parsed(FORMAT_COINBASE_ADVANCED, advanced(channel="heartbeats\n"))
    assert codes(found) == [(0, "bad_message")]
    found = parsed(FORMAT_BYBIT, bybit("orderbook.1.A", {}), b'{"op":"pong"}', bybit("news", {}))
    assert found.skipped == {"orderbook": 1, "answer": 1}
    assert codes(found) == [(2, "bad_message")]
    found = parsed(FORMAT_OKX, b'{"event":"subscribe"}', okx("books5", {}), b"{}")
    assert found.skipped == {"subscribe": 1, "books5": 1}
    assert codes(found) == [(2, "bad_message")]


@pytest.mark.parametrize("huge", [10**19, -(10**19)])
def test_elements_that_are_no_list_and_huge_times_are_rejects(huge: int) -> None:
    """A message whose elements are no list, or a time beyond 64 bits, is a reject by itself.

    Its neighbours in the batch are parsed; an update id beyond 64 bits is none.
    """
    ticker = {"symbol": "BTCUSDT", "bid1Price": "1", "bid1Size": "2", "ask1Price": "3",
              "ask1Size": "4"}  # fmt: skip
    found = parsed(
        FORMAT_BYBIT,
        bybit("publicTrade.BTCUSDT", "0.0"),
        bybit("publicTrade.BTCUSDT", [{**BYBIT_TRADE, "T": huge}, BYBIT_TRADE]),
        bybit("tickers.BTCUSDT", ticker, ts=huge),
        bybit("tickers.BTCUSDT", ticker, cs=huge),
    )
    assert [(r.payload, r.line, r.code) for r in found.rejected] == [
        (0, 0, "bad_message"),
        (1, 0, "bad_time"),
        (2, 0, "bad_time"),
    ]
    assert [t.place for t in trades(found)] == [(1, 1)]
    assert found.quotes.update_id.tolist() == [NOT_GIVEN]
