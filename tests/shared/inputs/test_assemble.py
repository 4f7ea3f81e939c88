"""Parsed rows become ticks in one order at one scale, whatever their order and format."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.text.lines import parse_lines
from shared.market.decimals import from_mantissa
from shared.wire.raw_batch import FORMAT_CSV, RawBatch
from shared.wire.ticks import Ticks

NOW_US = 1_800_000_000_000_000
RULE = ClockRule(60_000_000)


def ticks_of(*lines: str) -> tuple[Ticks, list[tuple[bytes, str]]]:
    payloads = [line.encode() for line in lines]
    batch = RawBatch.of(FORMAT_CSV, "udp-1", 0, payloads, [NOW_US + n for n in range(len(lines))])
    rows = parse_lines(batch).rows
    ticks, _, rejected = assemble(batch, rows, RULE, 1)
    return ticks, [(r.original, r.code) for r in rejected]


def test_ticks_are_sorted_by_instrument_then_total_order() -> None:
    """Ticks are grouped by instrument and sorted by time, integer id and receipt.

    A text id does not order ticks.
    """
    ticks, _ = ticks_of(
        "B,1,1,1700000000002,,7",
        "A,4,1,1700000000001,,9",
        "A,3,1,1700000000001,,8",
        "A,2,1,1700000000001",
        "A,5,1,1700000000001,,text",
        "A,1,1,1700000000000,,99",
    )
    assert [(e.name, e.count) for e in ticks.entries] == [("A", 5), ("B", 1)]
    assert ticks.price.tolist() == [1, 2, 5, 3, 4, 1]
    keys = [ticks.key_at(i) for i in range(5)]
    assert keys == sorted(keys)


def test_a_tick_without_a_time_takes_its_receive_time() -> None:
    """A tick without an event time takes the bridge's receive time."""
    ticks, _ = ticks_of("A,1")
    assert ticks.event_time_us.tolist() == [NOW_US]


def test_a_tick_from_the_future_is_a_reject() -> None:
    """A tick beyond the allowed clock skew is a reject: it would close every candle.

    A tick exactly at the bound is accepted.
    """
    at_bound = NOW_US // 1000 + 60_000
    ticks, rejected = ticks_of(f"A,1,1,{at_bound}", f"A,2,1,{at_bound + 1}")
    assert ticks.price.tolist() == [1]
    assert rejected == [(f"A,2,1,{at_bound + 1}".encode(), "time_in_future")]


def test_prices_without_a_common_scale_stay_exact() -> None:
    """A tiny and a huge price of one instrument go into two entries, and both stay exact."""
    ticks, _ = ticks_of("A,9000000000000000000", "A,0.000000000000000001", "A,2.5")
    values = sorted(
        from_mantissa(int(ticks.price[i]), entry.price_scale)
        for entry, rows in ticks.runs()
        for i in range(rows.start, rows.stop)
    )
    assert values == [Decimal("1e-18"), Decimal("2.5"), Decimal(9000000000000000000)]
    assert {entry.name for entry in ticks.entries} == {"A"}


@given(st.permutations(list(range(8))), st.data())
def test_the_order_of_arrival_does_not_change_the_order_of_ticks(
    order: list[int], data: st.DataObject
) -> None:
    """With event times and trade ids, any shuffle of the lines gives the same rows."""
    lines = [
        f"{data.draw(st.sampled_from('AB'))},{i + 1}.{i},2,{1700000000000 + i // 3},buy,{i}"
        for i in range(8)
    ]
    plain, _ = ticks_of(*lines)
    shuffled, _ = ticks_of(*(lines[i] for i in order))
    assert list(plain.entries) == list(shuffled.entries)
    np.testing.assert_array_equal(plain.price, shuffled.price)
    np.testing.assert_array_equal(plain.trade_id, shuffled.trade_id)
