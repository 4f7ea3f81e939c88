"""Tick columns survive the wire exactly."""

from __future__ import annotations

import contextlib
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.market.bounds import EARLIEST_US, LATEST_US
from shared.market.instruments import NO_MARKET, Market
from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.market.shards import shard_of
from shared.schema import ticks_pb2
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import Ticks

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=5)
TIMES = st.integers(EARLIEST_US, LATEST_US - 1)


MARKETS = st.sampled_from([NO_MARKET, Market("KRAKEN", "XBT/USD"), Market("BINANCE", "BTCUSDT")])
COLUMNS = (
    *("event_time_us", "price", "size", "side", "trade_id_kind", "trade_id", "receive_time_us"),
    *("sequence", "flags"),
)


@st.composite
def tick_columns(draw: st.DrawFn) -> Ticks:
    """Ticks of several venues with every kind of id, with flags and wide mantissas or without."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    n = sum(counts)
    kinds = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=n, max_size=n))
    texts = [draw(TEXTS) if kind == 2 else "" for kind in kinds]

    def column(values: st.SearchStrategy[int], dtype: type = np.int64) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype)

    def mantissas(low: int) -> np.ndarray:
        if draw(st.booleans()):
            return column(st.integers(max(low, -(2**63)), 2**63 - 1))
        return column(st.integers(max(low, -(10**76) + 1), 10**76 - 1), object)

    ids = column(INT64)
    ids[np.array(kinds) != 1] = 0
    entries = Entries.of(
        *(
            Entry(f"S{i}", draw(st.integers(0, 30)), draw(st.integers(0, 30)), count, draw(MARKETS))
            for i, count in enumerate(counts)
        )
    )
    return Ticks(
        "udp-1",
        entries,
        column(TIMES),
        mantissas(-(10**76)),
        mantissas(0),
        column(st.integers(0, 2), np.uint8),
        np.array(kinds, dtype=np.uint8),
        ids,
        np.array(texts, dtype=object) if 2 in kinds else None,
        column(TIMES),
        column(INT64),
        column(st.integers(0, 15), np.uint8),
    ).sharded(draw(st.integers(1, 5)))


def rows_of(ticks: Ticks) -> list[tuple[object, ...]]:
    """Each row with its instrument, scales and market, in plain Python."""
    return [
        (
            *(entry.name, entry.price_scale, entry.size_scale, entry.market, ticks.text_at(i)),
            *(int(getattr(ticks, name)[i]) for name in COLUMNS),
        )
        for entry, rows in ticks.runs()
        for i in range(rows.start, rows.stop)
    ]


@given(tick_columns())
def test_tick_columns_survive_the_wire(ticks: Ticks) -> None:
    """Every column is unchanged after the wire, beyond 64 bits too, in protobuf's own bytes."""
    body = ticks.encode()
    message = ticks_pb2.TickBatch.FromString(body)
    assert ticks_pb2.TickBatch.FromString(message.SerializeToString()) == message
    back = Ticks.decode(body)
    assert back.source == ticks.source
    assert list(back.entries) == list(ticks.entries)
    assert back.entries.shard_entries.tolist() == ticks.entries.shard_entries.tolist()
    assert rows_of(back) == rows_of(ticks)
    assert (back.price.dtype, back.size.dtype) == (ticks.price.dtype, ticks.size.dtype)


@given(tick_columns(), st.integers(1, 7))
def test_shards_divide_the_ticks_by_the_hash_of_their_instrument(ticks: Ticks, shards: int) -> None:
    """Each row is in exactly one part, by the hash of its instrument."""
    parts = dict(ticks.sharded(shards).by_shard())
    for shard, part in parts.items():
        assert {shard_of(name, shards) for name in part.names} == {shard}
    divided = [row for part in parts.values() for row in rows_of(part)]
    assert sorted(map(repr, divided)) == sorted(map(repr, rows_of(ticks)))


def test_a_column_of_the_wrong_length_is_named() -> None:
    """A batch whose columns have different lengths is refused with the column's name."""
    table = ticks_pb2.InstrumentTable(
        name=["A"], price_scale=[0], size_scale=[0], count=[2], shard_entries=[1]
    )
    message = ticks_pb2.TickBatch(instruments=table, event_time_us=[1])
    with pytest.raises(PermanentError, match="event_time_us has 1 rows") as caught:
        Ticks.decode(message.SerializeToString())
    assert caught.value.code == "bad_tick_batch"
    message.event_time_us.append(0)
    table = message.instruments
    for name, value in (("price_scale", 3), ("shard_entries", 1), ("entry_venue", 1)):
        spoilt = ticks_pb2.TickBatch.FromString(message.SerializeToString())
        getattr(spoilt.instruments, name).append(value)
        with pytest.raises(PermanentError, match=name):
            Ticks.decode(spoilt.SerializeToString())


def test_text_ids_do_not_order_and_sources_order_by_digest() -> None:
    """A text id does not order ticks; a source orders by the digest that SQL computes too."""
    assert source_key("udp-1") == int.from_bytes(hashlib.md5(b"udp-1").digest()[:8], "big") - (
        2**64 if hashlib.md5(b"udp-1").digest()[0] >= 128 else 0
    )
    with_text, with_id = OrderKey(1, NO_ORDER_ID, 5, 0, 9), OrderKey(1, 0, 0, 0, 0)
    assert with_text < with_id


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_decoder(body: bytes) -> None:
    """Any bytes decode to ticks or raise PermanentError."""
    with contextlib.suppress(PermanentError):
        Ticks.decode(body)


@given(tick_columns(), st.data())
def test_selected_rows_keep_their_instruments(ticks: Ticks, data: st.DataObject) -> None:
    """Selected rows keep their entries, and entries without rows are dropped."""
    n = len(ticks)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    some = ticks.select(keep)
    expected = [
        (entry.name, int(ticks.price[i]))
        for entry, rows in ticks.runs()
        for i in range(rows.start, rows.stop)
        if keep[i]
    ]
    actual = [
        (entry.name, int(some.price[i]))
        for entry, rows in some.runs()
        for i in range(rows.start, rows.stop)
    ]
    assert actual == expected
