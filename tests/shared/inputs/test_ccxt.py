"""Trades and quotes that ccxt has read become ticks and quotes, or rejects."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.formats import original, parse
from shared.wire.raw_batch import FORMAT_CCXT, RawBatch
from shared.wire.ticks import INTEGER_ID, NO_ID

TRADE: dict[str, Any] = {
    "id": "7",
    "timestamp": 1_700_000_000_010,
    "symbol": "BTC/USDT",
    "side": "buy",
    "price": "61000.2500000000000001",
    "amount": "1E-9",
    "info": {"i": "7", "x": [1, {"y": None}]},
}
QUOTE: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "bid": "1.5",
    "ask": "1.75",
    "bidVolume": None,
    "askVolume": "3",
    "timestamp": None,
}


def batch(*messages: bytes | dict[str, Any]) -> RawBatch:
    payloads = [m if isinstance(m, bytes) else json.dumps(m).encode() for m in messages]
    return RawBatch.of(FORMAT_CCXT, "bridge", 0, payloads, 1_700_000_000_020_000)


def parsed(*messages: bytes | dict[str, Any]) -> Parsed:
    return parse(batch(*messages), FeedRules())


def test_a_trade_is_exact() -> None:
    """A trade has the venue's numbers exactly, also long and small ones."""
    rows = parsed({"ccxt": "bybit", "trade": TRADE}).rows
    assert rows.names == ("BTC-USDT.BYBIT",)
    price = Decimal(int(rows.price[0])).scaleb(-int(rows.price_scale[0]))
    size = Decimal(int(rows.size[0])).scaleb(-int(rows.size_scale[0]))
    assert (price, size) == (Decimal("61000.2500000000000001"), Decimal("1E-9"))
    assert (rows.time_us[0], rows.trade_id[0]) == (1_700_000_000_010_000, 7)
    assert rows.id_kind[0] == INTEGER_ID


def test_ids_may_be_texts_or_missing_and_sides_unknown() -> None:
    """A trade with a text id, without an id or without a side is a tick."""
    text = {**TRADE, "id": "20f43950-d8dd", "side": None}
    none = {**TRADE, "id": None}
    rows = parsed(*({"ccxt": "bybit", "trade": each} for each in (text, none))).rows
    assert rows.text is not None
    assert rows.text[0] == "20f43950-d8dd"
    assert rows.id_kind[1] == NO_ID
    assert rows.side.tolist() == [0, 1]


def test_a_quote_may_have_no_sizes() -> None:
    """A quote without sizes is accepted, and a perpetual's instrument says that it is one."""
    quotes = parsed({"ccxt": "bybit", "quote": QUOTE}).quotes
    assert quotes.names == ("BTC-USDT-PERP.BYBIT",)
    assert (quotes.bid[0], quotes.ask[0]) == (150, 175)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", "bad_json"),
        (b"", "empty_payload"),
        ({"ccxt": "bybit"}, "bad_message"),
        ({"ccxt": "By/Bit", "trade": TRADE}, "bad_message"),
        ({"ccxt": "bybit", "trade": {**TRADE, "price": None}}, "bad_message"),
        ({"ccxt": "bybit", "trade": {**TRADE, "price": "x"}}, "bad_price"),
        ({"ccxt": "bybit", "trade": {**TRADE, "amount": "-1"}}, "bad_size"),
        ({"ccxt": "bybit", "trade": {**TRADE, "timestamp": None}}, "bad_time"),
        ({"ccxt": "bybit", "trade": {**TRADE, "symbol": ""}}, "bad_symbol"),
        ({"ccxt": "bybit", "quote": {**QUOTE, "ask": "1"}}, "crossed_quote"),
    ],
)
def test_a_malformed_trade_is_a_reject_with_its_bytes(
    message: bytes | dict[str, Any], code: str
) -> None:
    """A malformed trade is a reject with its bytes, and the rest of its batch is parsed."""
    raw = batch(message)
    (rejected,) = parse(raw, FeedRules()).rejected
    assert rejected.code == code
    assert original(raw, 0, 0) == raw.payloads
    if code != "bad_message" or b"By/Bit" not in raw.payloads:
        assert len(parsed({"ccxt": "bybit", "trade": TRADE}, message).rows.names) == 1


def test_a_batch_is_of_one_venue() -> None:
    """A trade of a second venue in a batch is a reject, never a trade of the first venue."""
    found = parsed({"ccxt": "bybit", "trade": TRADE}, {"ccxt": "okx", "trade": TRADE})
    assert [each.code for each in found.rejected] == ["bad_message"]
    assert found.rows.names == ("BTC-USDT.BYBIT",)
