"""Binance messages: equal to a plain reading of the same JSON, and to recorded streams."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.normalize.assemble_quotes import assemble_quotes
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import BinanceTrades, FeedRules
from shared.inputs.formats import parse
from shared.market.instruments import Market, Naming
from shared.wire.raw_batch import FORMAT_BINANCE
from tests.shared.inputs.feeds import batch, capture, codes, parsed, quotes, trades

TRADES = FeedRules(binance_trades=BinanceTrades.TRADES)
TRADE = {"e": "trade", "E": 1723161255343, "s": "BTCUSDT", "t": 7, "p": "61837.63000000",
         "q": "0.02000000", "T": 1723161255342, "m": True, "M": True}  # fmt: skip
AGGREGATE = {"e": "aggTrade", "E": 1, "s": "ETHBTC", "a": 26129, "p": "0.01633102",
             "q": "4.70443515", "f": 27781, "l": 27781, "T": 1633998523963, "m": False}  # fmt: skip
BOOK = {"u": 400900217, "s": "BNBUSDT", "b": "25.35190000", "B": "31.21000000",
        "a": "25.36520000", "A": "40.66000000"}  # fmt: skip


def wrapped(data: Any, stream: str = "x@y") -> bytes:
    return json.dumps({"stream": stream, "data": data}).encode()


def bare(data: Any) -> bytes:
    return json.dumps(data).encode()


@pytest.mark.parametrize("form", [wrapped, bare])
def test_a_trade_is_a_tick_with_exchange_time_aggressor_and_id(form: Any) -> None:
    """A trade has exchange time, id and aggressor side; `m=true` (buyer is maker) is a sell."""
    found = parsed(FORMAT_BINANCE, form(TRADE), rules=TRADES)
    assert trades(found) == [
        ("BTC-USDT.BINANCE", Decimal("61837.63"), Decimal("0.02"), 1723161255342000, 2, 7, (0, 0))
    ]
    assert found.rows.markets == (Market("BINANCE", "BTCUSDT"),)
    found = parsed(FORMAT_BINANCE, form(AGGREGATE))
    assert trades(found) == [
        ("ETH-BTC.BINANCE", Decimal("0.01633102"), Decimal("4.70443515"), 1633998523963000, 1,
         26129, (0, 0))
    ]  # fmt: skip


@pytest.mark.parametrize("form", [wrapped, bare])
def test_a_book_ticker_is_a_quote_at_its_receive_time(form: Any) -> None:
    """A spot book ticker, which has no time, takes its receive time; a futures one has its own."""
    future = {**BOOK, "e": "bookTicker", "T": 1626992741012, "E": 1626992741017}
    found = parsed(FORMAT_BINANCE, form(BOOK), form(future))
    plain = ("BNB-USDT.BINANCE", Decimal("25.3519"), Decimal("25.3652"), Decimal("31.21"),
             Decimal("40.66"))  # fmt: skip
    assert quotes(found) == [(*plain, -1, (0, 0)), (*plain, 1626992741012000, (1, 0))]
    assert (len(found.rows), found.rejected) == (0, [])


def test_times_in_microseconds_are_recognized() -> None:
    """Times in microseconds (`timeUnit=MICROSECOND`) are recognized by their size."""
    found = parsed(FORMAT_BINANCE, bare({**TRADE, "T": 1723161255342123}), rules=TRADES)
    assert [trade.time_us for trade in trades(found)] == [1723161255342123]


def test_the_two_streams_of_the_same_trades_are_never_mixed() -> None:
    """Only one of the two streams of the same trades counts; the other is a reject.

    The reject names the setting that chooses between them.
    """
    for rules, expected_id in [(FeedRules(), 26129), (TRADES, 7)]:
        found = parsed(FORMAT_BINANCE, bare(TRADE), bare(AGGREGATE), rules=rules)
        assert [trade.trade_id for trade in trades(found)] == [expected_id]
        assert [reject.code for reject in found.rejected] == ["other_trade_stream"]
        assert "BINANCE_TRADES" in found.rejected[0].detail


def test_other_messages_are_counted_by_kind() -> None:
    """Books, candles, statistics and replies are counted by kind; unknown messages are rejects."""
    found = parsed(
        FORMAT_BINANCE,
        wrapped({"e": "depthUpdate", "s": "A", "U": 1, "u": 2, "b": [["1", "2"]], "a": []}),
        wrapped({"e": "kline", "s": "A", "k": {"t": 1}}),
        wrapped([{"e": "24hrMiniTicker", "s": "A"}], "!miniTicker@arr"),
        wrapped({"lastUpdateId": 1, "bids": [], "asks": []}),
        bare({"result": None, "id": 1}),
        bare({"error": {"code": 2, "msg": "?"}, "id": 1}),
        bare({**AGGREGATE, "X": "INSURANCE_FUND"}),
        bare({"e": "newThing"}),
        bare({}),
        bare([]),
        bare(1),
    )
    assert found.skipped == {
        "depthUpdate": 1, "kline": 1, "24hrMiniTicker": 1, "depth": 1, "answer": 1, "error": 1,
        "not_market": 1,
    }  # fmt: skip
    assert codes(found) == [(n, "bad_message") for n in range(7, 11)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"p": "-"}, "bad_price"),
        ({"p": "NaN"}, "bad_price"),
        ({"p": ""}, "bad_price"),
        ({"p": "\uff19"}, "bad_price"),
        ({"p": 1.5}, "bad_message"),
        ({"p": None}, "bad_message"),
        ({"q": "-1"}, "bad_size"),
        ({"q": "9" * 77}, "out_of_range"),
        ({"s": ""}, "bad_symbol"),
        ({"s": "\u200b币安USDT"}, "bad_symbol"),
        ({"s": "\uff22TCUSDT"}, "bad_symbol"),
        ({"s": "'; DROP TABLE ticks; --"}, "bad_symbol"),
        ({"T": 20250220}, "bad_time"),
        ({"T": 2 * 10**17}, "bad_time"),
        ({"T": 10**30}, "bad_message"),
        ({"T": None}, "bad_time"),
        ({"m": None}, "bad_side"),
        ({"m": 1}, "bad_message"),
        ({"t": -1}, "bad_message"),
        ({"t": "7"}, "bad_message"),
    ],
)
def test_each_fault_has_its_code_and_the_next_message_counts(
    change: dict[str, Any], code: str
) -> None:
    """Each fault has a reject code, the reject has the original bytes, and parsing goes on."""
    bad = wrapped({**TRADE, **change})
    found = parsed(FORMAT_BINANCE, bad, wrapped(TRADE), rules=TRADES)
    assert [(r.payload, r.code, r.original) for r in found.rejected] == [(0, code, bad)]
    assert [trade.place for trade in trades(found)] == [(1, 0)]
    missing = {name: value for name, value in TRADE.items() if name not in change}
    found = parsed(FORMAT_BINANCE, bare(missing), wrapped(TRADE), rules=TRADES)
    assert [reject.payload for reject in found.rejected] == [0]
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"a": "25.35190000"}, "crossed_quote"),
        ({"a": "25.3"}, "crossed_quote"),
        ({"b": "0.00000000", "B": "0.00"}, "empty_side"),
        ({"a": ""}, "bad_price"),
        ({"B": "x"}, "bad_size"),
        ({"a": "0.0000000000000000000000001", "b": "9000000000000000000"}, "out_of_range"),
        ({"s": "e\u0301"}, "bad_symbol"),
    ],
)
def test_a_quote_needs_an_ask_above_its_bid(change: dict[str, Any], code: str) -> None:
    """A quote whose ask is not above its bid is a reject with its original bytes."""
    bad = wrapped({**BOOK, **change})
    found = parsed(FORMAT_BINANCE, bad, wrapped(BOOK))
    assert [(r.payload, r.code, r.original) for r in found.rejected] == [(0, code, bad)]
    assert [quote.place for quote in quotes(found)] == [(1, 0)]


def test_an_exception_names_a_market_the_pattern_refuses() -> None:
    """The table of exceptions gives an instrument to a market with unusual letters."""
    naming = Naming(exceptions={Market("BINANCE", "币安USDT"): "BIAN-USDT.BINANCE"})
    rules = FeedRules(naming, BinanceTrades.TRADES)
    found = parsed(FORMAT_BINANCE, wrapped({**TRADE, "s": "币安USDT"}), rules=rules)
    assert [trade.instrument for trade in trades(found)] == ["BIAN-USDT.BINANCE"]


number = st.one_of(
    st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,8})?", fullmatch=True),
    st.sampled_from(["", "0", "-1", "1e3", "1e-9", "NaN", "Infinity", "1.2.3", "007", ".5",
                     "9" * 19, "0.0000000000000000000000000000001", "1_000", "٣", "1\u0000"]),
)  # fmt: skip


def plain_decimal(text: str) -> Decimal | None:
    """The decimal by Python's reading if it fits 64 bits, else None."""
    if not text.isascii() or "_" in text or any(c not in "0123456789.eE+-" for c in text):
        return None
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    if not value:
        return abs(value)
    _, digits, exponent = value.normalize().as_tuple()
    assert isinstance(exponent, int)
    mantissa = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    return value if mantissa < 10**76 and -exponent <= 30 else None


@given(st.lists(st.tuples(number, number, st.booleans()), min_size=1, max_size=8))
@example([("1e3", "0", True), ("0.10", "1.50", False)])
def test_prices_and_sizes_are_what_decimal_reads(numbers: list[tuple[str, str, bool]]) -> None:
    """A number in text gives exactly its decimal or a reject, vectorised or one by one."""
    messages = [
        wrapped({**TRADE, "p": price, "q": size, "m": maker, "t": n})
        for n, (price, size, maker) in enumerate(numbers)
    ]
    found = parsed(FORMAT_BINANCE, *messages, rules=TRADES)
    expected = {}
    for n, (price_text, size_text, maker) in enumerate(numbers):
        price, size = plain_decimal(price_text), plain_decimal(size_text)
        if price is not None and size is not None and size >= 0:
            expected[n] = (price, size, 2 if maker else 1)
    assert {t.trade_id: (t.price, t.size, t.side) for t in trades(found)} == expected
    assert {reject.payload for reject in found.rejected} == set(range(len(numbers))) - set(expected)


json_value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*TRADE, *BOOK, "stream", "data", "X"]), inner, max_size=6),
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            json_value.map(lambda value: json.dumps(value).encode()),
            st.dictionaries(st.sampled_from(list(TRADE)), json_value, max_size=4).map(
                lambda change: wrapped({**TRADE, **change})
            ),
            st.integers(0, 100).map(lambda n: wrapped(TRADE)[:n]),
        ),
        max_size=6,
    )
)
@example([b"[" * 100_000])
@example([b'{"stream":"\\ud800","data":{"e":"trade","s":"\\ud800USDT"}}'])
def test_garbage_never_breaks_a_batch(messages: list[bytes]) -> None:
    """Each message of a batch with garbage is one tick, quote, reject or count.

    The good message at the end is parsed.
    """
    found = parsed(FORMAT_BINANCE, *messages, wrapped(TRADE), rules=TRADES)
    assert (len(messages), 0) in {trade.place for trade in trades(found)}
    outcomes = len(found.rows) + len(found.quotes) + len(found.rejected)
    assert outcomes + sum(found.skipped.values()) == len(messages) + 1
    for reject in found.rejected:
        assert reject.original == messages[reject.payload]


@pytest.mark.parametrize(("name", "base"), [("btcusdt", "BTC"), ("ethusdt", "ETH")])
def test_a_recorded_market_is_read_exactly(name: str, base: str, recorded_data: Path) -> None:
    """A recorded market gives contiguous ids and the sums of a plain reading.

    No trade is from the future, although the recorder's clock is a second behind.
    """
    recorded = capture(recorded_data / "binance" / f"{name}_20240808.gz")
    whole = batch(FORMAT_BINANCE, *recorded)
    found = parse(whole, TRADES)
    assert found.rejected == []
    ticks, _, late = assemble(whole, found.rows, ClockRule(60_000_000), 1)
    quoted, late_quotes = assemble_quotes(whole, found.quotes, ClockRule(60_000_000))
    assert late == late_quotes == []
    plain = [json.loads(message) for message in recorded.messages]
    events = [message.get("data", message) for message in plain]
    messages = [event for event in events if event.get("e") == "trade"]
    books = [event for event in events if "B" in event]
    ids = [trade.trade_id for trade in trades(found)]
    assert ids == list(range(messages[0]["t"], messages[0]["t"] + len(messages)))
    assert sum(trade.size for trade in trades(found)) == sum(Decimal(e["q"]) for e in messages)
    assert sum(trade.price * trade.size for trade in trades(found)) == sum(
        Decimal(e["p"]) * Decimal(e["q"]) for e in messages
    )
    assert [trade.side for trade in trades(found)] == [2 if e["m"] else 1 for e in messages]
    assert [q[1:5] for q in quotes(found)] == [
        tuple(Decimal(e[field]) for field in "baBA") for e in books
    ]
    assert len(found.rows) + len(found.quotes) + sum(found.skipped.values()) == len(events)
    assert [entry.name for entry in ticks.entries] == [f"{base}-USDT.BINANCE"]
    assert [entry.market for entry in quoted.entries] == [Market("BINANCE", f"{base}USDT")]
    skew_us = ticks.event_time_us - ticks.receive_time_us
    assert skew_us.min() > 1_000_000
