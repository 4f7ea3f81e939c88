"""Quotes through the stage: one event of columns in a total order, and mid-prices on demand."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.normalize.handler import Normalize
from functions.normalize.mid import QuotesAsTicks
from shared.adapter.event import Event, OutgoingEvent
from shared.inputs.clock import ClockRule
from shared.market.decimals import from_mantissa
from shared.market.instruments import Market
from shared.wire import events, rejects
from shared.wire.compression import decompress
from shared.wire.quotes import Quotes
from shared.wire.raw_batch import FORMAT_COINBASE, FORMAT_SCANNER, RawBatch
from shared.wire.ticks import Ticks
from tests.shared.inputs.feeds import NOW_US, batch

RULE = ClockRule(1_000_000)
FIRST = "2023-01-01T00:00:00.000001Z"
FIRST_US = 1_672_531_200_000_001


def ticker(product: str, bid: str, ask: str, **more: Any) -> bytes:
    message = {"type": "ticker", "product_id": product, "best_bid": bid, "best_ask": ask}
    return json.dumps({"time": FIRST, "sequence": 1, **message, **more}).encode()


def emitted(raw: RawBatch, stage: Normalize | None = None) -> dict[str, OutgoingEvent]:
    event = Event("raw-1", events.RAW, "/bridge", {}, raw.encode())
    outputs = (stage or Normalize(RULE))(event).emit
    assert list(outputs) == list((stage or Normalize(RULE))(event).emit)
    return {output.type: output for output in outputs}


def test_quotes_are_an_event_of_their_own_in_the_total_order() -> None:
    """Quotes are one event, sorted by instrument, event time, update id and receive time.

    A size that is not given stays absent.
    """
    raw = batch(
        FORMAT_COINBASE,
        [
            ticker("B-USD", "1.5", "1.6", sequence=9, best_bid_size="2.25"),
            ticker("A-USD", "10", "10.001", sequence=8),
            ticker("B-USD", "1", "2.125", sequence=3),
        ],
    )
    outputs = emitted(raw)
    assert list(outputs) == [events.QUOTES]
    assert outputs[events.QUOTES].id == "raw-1/normalize/quotes.0"
    quotes = Quotes.decode(decompress(outputs[events.QUOTES].body))
    assert [(e.name, e.market, e.count) for e in quotes.entries] == [
        ("A-USD.COINBASE", Market("COINBASE", "A-USD"), 1),
        ("B-USD.COINBASE", Market("COINBASE", "B-USD"), 2),
    ]
    entries = [entry for entry in quotes.entries for _ in range(entry.count)]
    assert [quotes.quote_at(entry, row) for row, entry in enumerate(entries)] == [
        (Decimal(10), Decimal("10.001"), None, None),
        (Decimal(1), Decimal("2.125"), None, None),
        (Decimal("1.5"), Decimal("1.6"), Decimal("2.25"), None),
    ]  # fmt: skip
    assert [quotes.key_at(row) for row in range(3)] == [
        (FIRST_US, 8, NOW_US, "feed-1", 1 << 16),
        (FIRST_US, 3, NOW_US, "feed-1", 2 << 16),
        (FIRST_US, 9, NOW_US, "feed-1", 0),
    ]


def test_a_quote_from_the_future_is_one_reject() -> None:
    """A quote beyond the allowed skew is one reject, also if it is a tick too."""
    scan = json.dumps(
        {"ticker": "A", "price": 1, "bid": 1, "ask": 2, "timestamp": NOW_US // 1000 + 1001}
    ).encode()
    for stage in (Normalize(RULE), Normalize(RULE, quotes_as_ticks=QuotesAsTicks.MID)):
        outputs = emitted(batch(FORMAT_SCANNER, [scan]), stage)
        assert list(outputs) == [events.REJECTS]
        _, (reject,) = rejects.decode(decompress(outputs[events.REJECTS].body))
        assert (reject.code, reject.original) == ("time_in_future", scan)


def test_quotes_make_no_ticks_unless_configured() -> None:
    """With mid-prices configured, quotes make ticks of an instrument of their own, else none."""
    raw = batch(FORMAT_COINBASE, [ticker("A-USD", "1", "1.1"), ticker("A-USD", "2.5", "3.5")])
    assert events.TICKS not in emitted(raw)
    outputs = emitted(raw, Normalize(RULE, quotes_as_ticks=QuotesAsTicks.MID))
    ticks = Ticks.decode(decompress(outputs[events.TICKS].body))
    (entry,) = ticks.entries
    assert entry.name == "A-USD.COINBASE.MID"
    assert [from_mantissa(int(p), entry.price_scale) for p in ticks.price] == [
        Decimal("1.05"),
        Decimal(3),
    ]
    assert (ticks.size.tolist(), ticks.event_time_us.tolist()) == ([0, 0], [FIRST_US] * 2)
    too_long = emitted(
        batch(FORMAT_COINBASE, [ticker("A" * 55 + "-USD", "1", "2")]),
        Normalize(RULE, quotes_as_ticks=QuotesAsTicks.MID),
    )
    assert set(too_long) == {events.REJECTS}


price = st.decimals(min_value="0.00000001", max_value=10**9, places=8)
size = st.one_of(st.none(), st.decimals(min_value=0, max_value=10**6, places=6))


@given(st.lists(st.tuples(price, price, size, size), min_size=1, max_size=10))
def test_emitted_quotes_have_every_digit(written: list[tuple[Any, ...]]) -> None:
    """Each emitted quote has every digit, at a common scale or its own."""

    def field(value: Decimal | None) -> str:
        return "" if value is None else format(value, "f")

    raw = batch(
        FORMAT_COINBASE,
        [
            ticker("A-USD", field(b), field(a), best_bid_size=field(x), best_ask_size=field(y),
                   sequence=n)
            for n, (b, a, x, y) in enumerate(written)
        ],
    )  # fmt: skip
    outputs = emitted(raw)
    read = {}
    if events.QUOTES in outputs:
        quotes = Quotes.decode(decompress(outputs[events.QUOTES].body))
        for entry, rows in quotes.runs():
            for row in range(rows.start, rows.stop):
                read[quotes.key_at(row).update_id] = quotes.quote_at(entry, row)
        assert Quotes.decode(quotes.encode()).encode() == quotes.encode()
    assert read == {n: quote for n, quote in enumerate(written) if quote[1] > quote[0]}


def test_extreme_scales_get_entries_of_their_own() -> None:
    """Quotes that do not fit 64 bits at the common scale have their own."""
    fine, large = ("0.000000000000000001", "0.000000000000000002"), ("9000000000", "9000000001")
    raw = batch(FORMAT_COINBASE, [ticker("A-USD", *fine), ticker("A-USD", *large, sequence=2)])
    quotes = Quotes.decode(decompress(emitted(raw)[events.QUOTES].body))
    read = [quotes.quote_at(e, rows.start) for e, rows in quotes.runs()]
    assert sorted((q.bid, q.ask) for q in read) == [
        tuple(map(Decimal, fine)),
        tuple(map(Decimal, large)),
    ]
    assert replace(quotes.entries[0], count=0).market == Market("COINBASE", "A-USD")
