"""A raw batch becomes one event of ticks for all shards, and one of wide ticks if needed."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from functions.normalize.handler import Normalize
from shared.adapter.event import Event
from shared.inputs.clock import ClockRule
from shared.market.decimals import from_mantissa
from shared.market.shards import shard_of
from shared.wire import events
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_CSV, RawBatch
from shared.wire.ticks import Ticks

NOW_US = 1_800_000_000_000_000
TIME = "1735689600000"


def emitted(*lines: str, skew_us: int = 5_000_000) -> dict[str, Ticks]:
    """The events of ticks by id."""
    body = "\n".join(lines).encode()
    batch = RawBatch.of(FORMAT_CSV, "udp-1", 0, [body], NOW_US)
    event = Event("u-1", events.RAW, "/test", {}, batch.encode())
    outcome = Normalize(ClockRule(skew_us), 16)(event)
    assert {out.type for out in outcome.emit} <= {events.TICKS}
    return {out.id: Ticks.decode(decompress(out.body)) for out in outcome.emit}


def values(ticks: Ticks) -> list[tuple[str, Decimal, Decimal]]:
    """Instrument, price and size of each row."""
    return [
        (
            entry.name,
            from_mantissa(int(ticks.price[row]), entry.price_scale),
            from_mantissa(int(ticks.size[row]), entry.size_scale),
        )
        for entry, rows in ticks.runs()
        for row in range(rows.start, rows.stop)
    ]


def test_one_event_has_the_ticks_of_all_shards() -> None:
    """One event has the ticks of all shards, sorted by shard and name."""
    names = [f"S{n}" for n in range(100)]
    (ticks,) = emitted(*(f"{name},1" for name in reversed(names))).values()
    assert ticks.shards == 16
    assert list(ticks.names) == sorted(names, key=lambda name: (shard_of(name, 16), name))
    for shard, part in ticks.by_shard():
        assert list(part.names) == sorted(name for name in names if shard_of(name, 16) == shard)


def test_ticks_beyond_64_bits_are_an_event_of_their_own() -> None:
    """Ticks beyond 64 bits are exact in their own event, and others stay in 64-bit columns."""
    lines = [
        ("DEX", "0.00000259156993297133", "1234567.890123456789012345"),
        ("DEX", "9.999999999999999999", "1"),
        ("PLAIN", "100.5", "2"),
        ("DEX", "-1.000000000000000001", "0.000000000000000001"),
        ("FINE", "0.000000000000000000000000000001", "3"),
        ("FINE", "9000000000000000000", "3"),
    ]
    outputs = emitted(*(f"{name},{price},{size},{TIME}" for name, price, size in lines))
    assert sorted(outputs) == ["u-1/normalize/ticks.0", "u-1/normalize/wide.0"]
    plain, wide = outputs["u-1/normalize/ticks.0"], outputs["u-1/normalize/wide.0"]
    assert [str(each.price.dtype) for each in (plain, wide)] == ["int64", "object"]
    assert sorted(values(plain) + values(wide)) == sorted(
        (name, Decimal(price), Decimal(size)) for name, price, size in lines
    )
    assert set(wide.names) == {"DEX"}


NUMBERS = st.decimals(-(10**30), 10**30, places=18, allow_nan=False)


@given(st.lists(st.tuples(st.sampled_from("AB"), NUMBERS, NUMBERS.map(abs)), min_size=1))
def test_every_decimal_comes_through_exactly(
    lines: list[tuple[str, Decimal, Decimal]],
) -> None:
    """Any mixture of negative, zero, tiny and wide decimals is exact."""
    outputs = emitted(*(f"{name},{price:f},{size:f},{TIME}" for name, price, size in lines))
    every = [row for ticks in outputs.values() for row in values(ticks)]
    assert sorted(every) == sorted(lines)


def test_text_ids_do_not_order_trades_of_one_time() -> None:
    """Trades of one time with text ids stay in the order sent, such as `1-2` and `1-10`."""
    texts = ["1-2", "1-10", "20f43950-d8dd", "0b7f7c2c", "9999999999999999999", "a"]
    (ticks,) = emitted(*(f"A,{n + 1},1,{TIME},buy,{text}" for n, text in enumerate(texts))).values()
    assert [ticks.text_at(row) for row in range(len(ticks))] == texts


def test_a_time_beyond_the_skew_is_no_tick() -> None:
    """A time beyond the allowed skew, by the batch's receive time, is not a tick."""
    at_bound = NOW_US // 1000 + 5_000
    lines = f"A,1,1,{at_bound}\nA,2,1,{at_bound + 1}".encode()
    batch = RawBatch.of(FORMAT_CSV, "udp-1", 0, [lines], NOW_US)
    event = Event("u-1", events.RAW, "/test", {}, batch.encode())
    ticks, rejects = Normalize(ClockRule(5_000_000), 16)(event).emit
    assert values(Ticks.decode(decompress(ticks.body))) == [("A", Decimal(1), Decimal(1))]
    assert rejects.type == events.REJECTS
