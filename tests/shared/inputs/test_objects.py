"""The scanner's JSON, bare or within a topic's message, becomes ticks and quotes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.raw_batch import FORMAT_SCANNER
from tests.shared.inputs.feeds import codes, parsed, quotes, trades

SCAN = {"ticker": "AAPL", "price": 224.57, "prev_price": 224.5, "volume": 1234567, "mav10": 1e6,
        "float": 15e9, "delta": 0.03, "multiplier": 1.2, "timestamp": 1700000000}  # fmt: skip
TIME_US = 1_700_000_000_000_000
MS = TIME_US // 1000


def scan(**change: Any) -> bytes:
    return json.dumps({**SCAN, **change}).encode()


def test_a_scan_is_a_tick_bare_or_within_a_topic() -> None:
    """A scan is a tick of size 0, bare or within a topic: its `volume` is the day's."""
    topic = json.dumps({"topic": "stock:AAPL", "data": SCAN}).encode()
    unnamed = json.dumps({"topic": "stock:MSFT", "data": {"price": 1, "timestamp": 1700000000}})
    found = parsed(FORMAT_SCANNER, scan(), topic, unnamed.encode())
    tick = ("AAPL", Decimal("224.57"), Decimal(0), TIME_US, 0, 0)
    assert trades(found) == [
        (*tick, (0, 0)),
        (*tick, (1, 0)),
        ("MSFT", Decimal(1), Decimal(0), TIME_US, 0, 0, (2, 0)),
    ]
    assert (found.rows.markets, len(found.quotes), found.rejected) == ((), 0, [])


def test_optional_fields_make_a_trade_or_a_quote() -> None:
    """Size, side and trade id make an object a trade; bid and ask also make a quote."""
    found = parsed(
        FORMAT_SCANNER,
        scan(size="0.5", side="sell", trade_id=9, bid=224.56, ask=224.58, bid_size=100),
        scan(price=None, bid="1.10", ask="1.2"),
    )
    assert [(t.size, t.side, t.trade_id) for t in trades(found)] == [(Decimal("0.5"), 2, 9)]
    assert quotes(found) == [
        ("AAPL", Decimal("224.56"), Decimal("224.58"), Decimal(100), None, TIME_US, (0, 0)),
        ("AAPL", Decimal("1.1"), Decimal("1.2"), None, None, TIME_US, (1, 0)),
    ]


def test_alpaca_trades_and_cancel_flags_are_refused() -> None:
    """Alpaca's trades and flags of cancels are rejects that name the reason.

    An id that is unique within an exchange, and a cancel without a trade, would be misread.
    """
    alpaca = {"T": "t", "S": "AAPL", "i": 96921, "x": "D", "p": 126.55, "s": 1, "t": "2021-02-22"}
    cancel = {"type": "timesale", "symbol": "A", "last": "1", "size": "2", "cancel": True}
    found = parsed(FORMAT_SCANNER, json.dumps(alpaca).encode(), json.dumps(cancel).encode())
    assert codes(found) == [(0, "bad_message"), (1, "bad_trade_id")]
    assert "feed=alpaca" in found.rejected[0].detail
    assert (trades(found), found.busts) == ([], [])


def test_a_symbol_may_begin_with_a_bracket() -> None:
    """A symbol may begin with a bracket; a list under its name is skipped for the next name."""
    found = parsed(FORMAT_SCANNER, scan(ticker="[X]"), scan(symbol=["A", "B"], ticker="C"))
    assert ([t.instrument for t in trades(found)], found.rejected) == (["[X]", "C"], [])


def test_a_volume_beside_an_id_is_the_volume_of_the_day() -> None:
    """A `volume` beside `id`, `symbol` and `price`, as in lists of coins, is the day's volume."""
    coin = {"id": "bitcoin", "symbol": "BTC", "price": 9283.92, "volume": 7155680000}
    (trade,) = trades(parsed(FORMAT_SCANNER, json.dumps(coin).encode()))
    assert (trade.price, trade.size) == (Decimal("9283.92"), Decimal(0))


def test_a_byte_order_mark_is_ignored() -> None:
    """A byte order mark at the start of a datagram is ignored."""
    assert trades(parsed(FORMAT_SCANNER, b"\xef\xbb\xbf" + scan())) == trades(
        parsed(FORMAT_SCANNER, scan())
    )


@pytest.mark.parametrize(
    ("timestamp", "time_us"),
    [
        (1700000000, TIME_US),
        (1700000000.25, TIME_US + 250_000),
        ("1700000000.123456789", TIME_US + 123_456),
        (1700000000000, TIME_US),
        (1700000000000000, TIME_US),
        (1700000000000000999, TIME_US),
        ("2023-11-14T22:13:20Z", TIME_US),
        ("2023-11-14T22:13:20.5", TIME_US + 500_000),
        ("2023-11-15 00:13:20+02:00", TIME_US),
        (None, -1),
        (1.7e9, TIME_US),
        (315532800, 315_532_800_000_000),
        (315532800000, 315_532_800_000_000),
        (99_999_999_999, 99_999_999_999_000_000),
    ],
)
def test_the_unit_of_a_time_follows_from_its_size(timestamp: Any, time_us: int) -> None:
    """Seconds, ms, us and ns are distinguished by size; ISO 8601 is UTC without an offset.

    A missing time is the receive time.
    """
    (trade,) = trades(parsed(FORMAT_SCANNER, scan(timestamp=timestamp)))
    assert trade.time_us == time_us


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"timestamp": 5}, "bad_time"),
        ({"timestamp": -1}, "bad_time"),
        ({"timestamp": 10**30}, "bad_time"),
        ({"timestamp": "now"}, "bad_time"),
        ({"timestamp": "1970-01-01"}, "bad_time"),
        ({"timestamp": True}, "bad_time"),
        ({"timestamp": [1]}, "bad_time"),
        ({"price": float("nan")}, "bad_json"),
        ({"price": "NaN"}, "bad_price"),
        ({"price": {}}, "bad_price"),
        ({"price": None}, "bad_message"),
        ({"ticker": ""}, "bad_message"),
        ({"ticker": [5]}, "bad_message"),
        ({"ticker": "BRK,B"}, "bad_symbol"),
        ({"side": "up"}, "bad_side"),
        ({"size": -1}, "bad_size"),
        ({"bid": 2, "ask": 2}, "crossed_quote"),
        ({"bid": 2}, "bad_price"),
    ],
)
def test_each_fault_has_its_code_and_the_next_object_counts(
    change: dict[str, Any], code: str
) -> None:
    """Each fault has a code and a reject with the object, and the next object is parsed.

    A bad quote does not reject the trade beside it.
    """
    bad = scan(**change)
    found = parsed(FORMAT_SCANNER, bad, scan())
    assert [(r.payload, r.code, r.original) for r in found.rejected] == [(0, code, bad)]
    assert (1, 0) in {trade.place for trade in trades(found)}


def test_other_messages_are_counted_by_kind() -> None:
    """Keep-alives and replies of ticker servers are counted by kind."""
    found = parsed(
        FORMAT_SCANNER,
        b'{"type":"ping"}',
        b'{"event":"heartbeat","topic":"phoenix"}',
        b'{"action":"subscribed","data":null}',
        b'{"type":"mystery"}',
        b"[]",
    )
    assert found.skipped == {"ping": 1, "heartbeat": 1, "subscribed": 1}
    assert codes(found) == [(3, "bad_message"), (4, "bad_message")]


@given(st.decimals(min_value="0.0001", max_value=10**9, places=6, allow_nan=False))
def test_a_price_is_read_as_json_text(price: Decimal) -> None:
    """A price is read from the JSON text, without a float in between."""
    text = format(price, "f")
    found = parsed(FORMAT_SCANNER, b'{"ticker":"A","price":%s}' % text.encode())
    assert [trade.price for trade in trades(found)] == [price]


@given(st.lists(st.one_of(st.binary(max_size=30), st.integers(0, 150).map(
    lambda n: scan()[:n])), max_size=5))  # fmt: skip
def test_garbage_never_breaks_a_batch(messages: list[bytes]) -> None:
    """Each message of a batch with garbage has exactly one outcome."""
    found = parsed(FORMAT_SCANNER, *messages, scan())
    assert len(found.rows) + len(found.rejected) + sum(found.skipped.values()) == len(messages) + 1
