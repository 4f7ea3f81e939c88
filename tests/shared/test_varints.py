"""Columns on the wire are what protobuf itself would write."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.schema import ticks_pb2
from shared.varints import signed_field, unsigned_field

int64s = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-200, 200),
    st.sampled_from([s * 2 ** (7 * n) + d for n in range(9) for s in (1, -1) for d in (-1, 0, 1)]),
)


@given(st.lists(int64s, max_size=50))
def test_signed_columns_are_protobufs_own_bytes(values: list[int]) -> None:
    """From the smallest to the largest of 64 bits, and around each length."""
    expected = ticks_pb2.TickBatch(size=values).SerializeToString()
    assert signed_field(5, np.array(values, dtype=np.int64)) == expected


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_unsigned_columns_are_protobufs_own_bytes(values: list[int]) -> None:
    """As protobuf writes uint32."""
    expected = ticks_pb2.TickBatch(side=values).SerializeToString()
    assert unsigned_field(6, np.array(values, dtype=np.uint64)) == expected


def test_a_long_column_has_a_long_length() -> None:
    """The length of the field is itself a varint of several bytes."""
    values = np.arange(-50_000, 50_000)
    expected = ticks_pb2.TickBatch(size=values.tolist()).SerializeToString()
    assert signed_field(5, values) == expected
