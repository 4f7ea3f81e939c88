"""Coinbase messages: matches become ticks with the aggressor's side, tickers quotes."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.inputs.columns.parsed import FeedRules
from shared.inputs.formats import parse
from shared.market.instruments import Market, Naming
from shared.wire.raw_batch import FORMAT_COINBASE
from tests.shared.inputs.feeds import batch, capture, codes, parsed, quotes, trades

MATCH = {"type": "match", "trade_id": 280232, "side": "sell", "size": "985",
         "price": "0.00001305", "product_id": "SKL-BTC", "sequence": 177100030,
         "time": "2021-04-17T16:43:37.089723Z"}  # fmt: skip
TICKER = {"type": "ticker", "sequence": 333938798, "product_id": "BAND-GBP", "price": "14.7775",
          "best_bid": "14.7550", "best_ask": "14.8060", "side": "buy", "trade_id": 881613,
          "time": "2021-04-17T16:43:30.244075Z", "last_size": "0.04"}  # fmt: skip
TIME_US = 1618677817089723


def encoded(message: Any) -> bytes:
    return json.dumps(message).encode()


def test_a_match_is_a_tick_whose_side_is_the_takers() -> None:
    """A match has the taker's side, the opposite of the maker's side that Coinbase sends."""
    found = parsed(
        FORMAT_COINBASE, encoded(MATCH), encoded({**MATCH, "side": "buy", "trade_id": 1})
    )
    price = Decimal("0.00001305")
    assert trades(found) == [
        ("SKL-BTC.COINBASE", price, Decimal(985), TIME_US, 1, 280232, (0, 0)),
        ("SKL-BTC.COINBASE", price, Decimal(985), TIME_US, 2, 1, (1, 0)),
    ]
    dropped = parsed(FORMAT_COINBASE, encoded(MATCH), rules=FeedRules(Naming(with_venue=False)))
    assert dropped.rows.names == ("SKL-BTC",)
    assert dropped.rows.markets == (Market("COINBASE", "SKL-BTC"),)


def test_a_ticker_is_a_quote_and_no_tick() -> None:
    """A ticker is a quote and no tick, because its trade also comes as a match.

    Only newer messages have sizes.
    """
    sized = {**TICKER, "best_bid_size": "1.50", "best_ask_size": "2"}
    found = parsed(FORMAT_COINBASE, encoded(TICKER), encoded(sized))
    plain = ("BAND-GBP.COINBASE", Decimal("14.755"), Decimal("14.806"))
    time_us = 1618677810244075
    assert quotes(found) == [
        (*plain, None, None, time_us, (0, 0)),
        (*plain, Decimal("1.5"), Decimal(2), time_us, (1, 0)),
    ]
    assert len(found.rows) == 0


def test_other_messages_are_counted_by_kind() -> None:
    """Other messages are counted by kind, and unknown ones are rejects."""
    kinds = ["heartbeat", "subscriptions", "error", "l2update", "snapshot", "received", "done"]
    found = parsed(
        FORMAT_COINBASE,
        *(encoded({"type": kind, "side": 5, "time": "2021"}) for kind in kinds),
        encoded({"type": "new"}),
        encoded([MATCH]),
        b"",
        b"{",
    )
    assert found.skipped == dict.fromkeys(kinds, 1)
    assert codes(found) == [
        (7, "bad_message"),
        (8, "bad_message"),
        (9, "empty_payload"),
        (10, "bad_json"),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": "-"}, "bad_price"),
        ({"size": "x"}, "bad_size"),
        ({"side": "hold"}, "bad_side"),
        ({"time": "yesterday"}, "bad_message"),
        ({"time": "2021-04-17T16:43:37"}, "bad_message"),
        ({"time": "0001-01-01T00:00:00Z"}, "bad_time"),
        ({"time": None}, "bad_time"),
        ({"product_id": "A,B"}, "bad_symbol"),
        ({"trade_id": 10**18}, "bad_message"),
        ({"price": 1.5}, "bad_message"),
    ],
)
def test_each_fault_has_its_code_and_the_next_message_counts(
    change: dict[str, Any], code: str
) -> None:
    """Each fault has a reject code, the reject has the original bytes, and parsing goes on."""
    bad = encoded({**MATCH, **change})
    found = parsed(FORMAT_COINBASE, bad, encoded(MATCH))
    assert [(r.payload, r.code, r.original) for r in found.rejected] == [(0, code, bad)]
    assert len(found.rows) == 1
    crossed = parsed(FORMAT_COINBASE, encoded({**TICKER, "best_ask": "14.755"}))
    assert codes(crossed) == [(0, "crossed_quote")]


@given(st.lists(st.one_of(st.binary(max_size=30), st.integers(0, 200).map(
    lambda n: encoded(MATCH)[:n])), max_size=5))  # fmt: skip
def test_garbage_never_breaks_a_batch(messages: list[bytes]) -> None:
    """Each message of a batch with garbage has exactly one outcome."""
    found = parsed(FORMAT_COINBASE, *messages, encoded(MATCH))
    assert len(found.rows) + len(found.rejected) + sum(found.skipped.values()) == len(messages) + 1
    assert (len(messages), 0) in {trade.place for trade in trades(found)}


def test_a_recorded_feed_agrees_with_a_plain_reading(recorded_data: Path) -> None:
    """Thirty seconds of ten products equal a plain reading.

    The side of each ticker is the taker's side of its match.
    """
    recorded = capture(recorded_data / "exchanges" / "COINBASE.ws.28.0.gz")
    found = parse(batch(FORMAT_COINBASE, *recorded), FeedRules())
    assert found.rejected == []
    plain = [json.loads(message) for message in recorded.messages]
    kinds = Counter(message["type"] for message in plain)
    matches = [message for message in plain if message["type"] in ("match", "last_match")]
    assert found.skipped == {k: kinds[k] for k in ("l2update", "snapshot", "subscriptions")}
    assert [(t.instrument, t.price, t.size, t.trade_id) for t in trades(found)] == [
        (f"{m['product_id']}.COINBASE", Decimal(m["price"]), Decimal(m["size"]), m["trade_id"])
        for m in matches
    ]
    tickers = [message for message in plain if message["type"] == "ticker"]
    assert [(q.bid, q.ask) for q in quotes(found)] == [
        (Decimal(m["best_bid"]), Decimal(m["best_ask"])) for m in tickers
    ]
    taker = {(m["product_id"], m["trade_id"]): m["side"] for m in tickers}
    sides = {1: "buy", 2: "sell"}
    for trade, match in zip(trades(found), matches, strict=True):
        said_by_ticker = taker.get((match["product_id"], match["trade_id"]))
        assert said_by_ticker in (None, sides[trade.side])
