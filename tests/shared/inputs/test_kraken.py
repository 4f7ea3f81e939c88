"""Kraken's messages hold lists, and each element is a tick or a quote."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.inputs.formats import original
from shared.market.instruments import Market
from shared.wire.raw_batch import FORMAT_KRAKEN
from tests.shared.inputs.feeds import batch, codes, parsed, quotes, trades

TRADE = (b'{"symbol":"BTC/USD","side":"buy","price":61837.10,"qty":0.00000010,"ord_type":"limit",'
         b'"trade_id":4665906,"timestamp":"2023-09-25T07:49:37.708706Z"}')  # fmt: skip
TICKER = (b'{"symbol":"ETH/XBT","last":0.1,"bid":0.10025,"bid_qty":740.00000000,"ask":0.10036,'
          b'"ask_qty":1e-7,"timestamp":"2023-09-25T09:04:31.742648Z"}')  # fmt: skip


def message(channel: str, *elements: bytes, kind: str = "update") -> bytes:
    body = b",".join(elements)
    return b'{"channel":"%s","type":"%s","data":[%s]}' % (channel.encode(), kind.encode(), body)


def test_each_trade_of_a_message_is_a_tick() -> None:
    """Each trade of a message is a tick, and JSON numbers are read as text, never as floats."""
    long = TRADE.replace(b"61837.10", b"0.123456789012345678").replace(b'"buy"', b'"sell"')
    found = parsed(FORMAT_KRAKEN, message("trade", TRADE, long, kind="snapshot"))
    time_us = 1695628177708706
    assert trades(found) == [
        ("BTC-USD.KRAKEN", Decimal("61837.1"), Decimal("1E-7"), time_us, 1, 4665906, (0, 0)),
        ("BTC-USD.KRAKEN", Decimal("0.123456789012345678"), Decimal("1E-7"), time_us, 2, 4665906,
         (0, 1)),
    ]  # fmt: skip
    assert found.rows.markets == (Market("KRAKEN", "BTC/USD"),)


def test_a_ticker_is_a_quote() -> None:
    """A ticker is a quote of BTC where Kraken says XBT; without a time it has its receive time."""
    timeless = TICKER.replace(b',"timestamp":"2023-09-25T09:04:31.742648Z"', b"")
    found = parsed(FORMAT_KRAKEN, message("ticker", TICKER), message("ticker", timeless))
    plain = (
        "ETH-BTC.KRAKEN",
        Decimal("0.10025"),
        Decimal("0.10036"),
        Decimal(740),
        Decimal("1E-7"),
    )
    assert quotes(found) == [(*plain, 1695632671742648, (0, 0)), (*plain, -1, (1, 0))]


def test_a_bad_element_is_a_reject_and_its_neighbours_count() -> None:
    """A bad element is a reject with its own bytes only; its neighbours are parsed."""
    bad = [
        (TRADE.replace(b"61837.10", b'"-"'), "bad_price"),
        (TRADE.replace(b"61837.10", b"null"), "bad_price"),
        (TRADE.replace(b"61837.10", b'"x"'), "bad_price"),
        (TRADE.replace(b"0.00000010", b"-1"), "bad_size"),
        (TRADE.replace(b'"buy"', b'"hold"'), "bad_side"),
        (TRADE.replace(b"4665906", b'"a"'), "bad_message"),
        (TRADE.replace(b"BTC/USD", b"BTC,USD"), "bad_symbol"),
        (TRADE.replace(b"T07:49", b" at "), "bad_message"),
        (b"1", "bad_message"),
    ]
    whole = message("trade", TRADE, *(element for element, _ in bad), TRADE)
    found = parsed(FORMAT_KRAKEN, whole)
    assert [trade.place for trade in trades(found)] == [(0, 0), (0, len(bad) + 1)]
    rejects = sorted(found.rejected, key=lambda reject: reject.line)
    assert [(r.original, r.code) for r in rejects] == bad
    assert original(batch(FORMAT_KRAKEN, [whole]), 0, 2) == bad[1][0]


def test_other_messages_are_counted_by_kind() -> None:
    """Other messages are counted by kind, also where their `data` is not a list."""
    found = parsed(
        FORMAT_KRAKEN,
        b'{"channel":"heartbeat"}',
        b'{"channel":"status","type":"update","data":[{"system":"online"}]}',
        b'{"channel":"instrument","type":"snapshot","data":{"assets":[]}}',
        b'{"method":"subscribe","success":true,"result":{"channel":"trade"}}',
        b'{"method":"pong"}',
        b'{"channel":"new"}',
        b'{"channel":"trade","data":5}',
        b"[0,1]",
    )
    assert found.skipped == {"heartbeat": 1, "status": 1, "instrument": 1, "answer": 2}
    assert codes(found) == [(5, "bad_message"), (6, "bad_message"), (7, "bad_message")]


@pytest.mark.parametrize("ask", [b"0.10025", b"0.1"])
def test_a_crossed_quote_is_a_reject(ask: bytes) -> None:
    """A quote whose ask is not above its bid is a reject."""
    found = parsed(FORMAT_KRAKEN, message("ticker", TICKER.replace(b"0.10036", ask), TICKER))
    assert [(r.line, r.code) for r in found.rejected] == [(0, "crossed_quote")]
    assert [quote.place for quote in quotes(found)] == [(0, 1)]


@given(st.lists(st.one_of(st.binary(max_size=30), st.integers(0, 220).map(
    lambda n: message("trade", TRADE)[:n])), max_size=5))  # fmt: skip
def test_garbage_never_breaks_a_batch(messages: list[bytes]) -> None:
    """Each message of a batch with garbage has one outcome; the good one at the end is parsed."""
    found = parsed(FORMAT_KRAKEN, *messages, message("trade", TRADE))
    places = {(r.payload, r.line) for r in found.rejected} | {t.place for t in trades(found)}
    assert len(places) + sum(found.skipped.values()) == len(messages) + 1
    assert (len(messages), 0) in {trade.place for trade in trades(found)}


@given(st.decimals(min_value="0.00000001", max_value=10**9, places=8, allow_nan=False))
def test_a_number_keeps_every_digit(price: Decimal) -> None:
    """A number of nineteen digits, which a float would round, keeps every digit."""
    text = format(price, "f").encode()
    found = parsed(FORMAT_KRAKEN, message("trade", TRADE.replace(b"61837.10", text)))
    assert [trade.price for trade in trades(found)] == [price]
