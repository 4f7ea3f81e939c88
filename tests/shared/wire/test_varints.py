"""Columns on the wire are the bytes that protobuf writes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.schema import ticks_pb2
from shared.wire.varints import deltas, packed, zigzag

int64s = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-200, 200),
    st.sampled_from([s * 2 ** (7 * n) + d for n in range(9) for s in (1, -1) for d in (-1, 0, 1)]),
)


@given(st.lists(int64s, max_size=50))
def test_signed_columns_equal_protobuf(values: list[int]) -> None:
    """Signed columns are protobuf's bytes over all 64 bits and around each length."""
    expected = ticks_pb2.TickBatch(size=values).SerializeToString()
    assert packed([(5, zigzag(np.array(values, dtype=np.int64)))]) == expected


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_unsigned_columns_equal_protobuf(values: list[int]) -> None:
    """Unsigned columns are protobuf's bytes of uint32."""
    expected = ticks_pb2.TickBatch(side=values).SerializeToString()
    assert packed([(6, np.array(values, dtype=np.uint64))]) == expected


def test_a_long_column_has_a_long_length_prefix() -> None:
    """A long column's length prefix is a varint of several bytes."""
    values = np.arange(-50_000, 50_000)
    expected = ticks_pb2.TickBatch(size=values.tolist()).SerializeToString()
    assert packed([(5, zigzag(values))]) == expected


@given(st.lists(st.lists(int64s, max_size=5), min_size=3, max_size=3))
def test_several_columns_are_concatenated_fields(columns: list[list[int]]) -> None:
    """Columns are concatenated fields without empty ones, and sums restore differences."""
    arrays = [np.array(values, dtype=np.int64) for values in columns]
    body = packed([(3, deltas(arrays[0])), (5, zigzag(arrays[1])), (12, deltas(arrays[2]))])
    message = ticks_pb2.TickBatch.FromString(body)
    assert np.cumsum(np.array(message.event_time_us, dtype=np.int64)).tolist() == columns[0]
    assert list(message.size) == columns[1]
    assert np.cumsum(np.array(message.sequence, dtype=np.int64)).tolist() == columns[2]
