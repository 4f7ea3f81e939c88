"""Byte planes: values read in Python and in SQL equal those written."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.stores.planes import (
    as_narrow,
    from_deltas,
    from_planes,
    from_signed_planes,
    signed_planes,
    to_deltas,
    to_planes,
)
from shared.stores.postgres import Postgres

WIDE = st.integers(-(10**40), 10**40)
INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = [
    *([0, 0, 0], [0, 255, 1], [1, -1, 0, 2**31], [2**63 - 1, -(2**63), 0], [2**62, -(2**62)]),
    *([10**30, -(10**30), 5], [-1], [127, -128, 128], [2**56, 2**55 - 1]),
]


def column(values: list[int]) -> np.ndarray[Any, Any]:
    return as_narrow(np.array(values, dtype=object))


@given(st.lists(st.one_of(INT64, WIDE, st.integers(-300, 300)), min_size=1, max_size=40))
def test_signed_values_survive_encoding(values: list[int]) -> None:
    """Signed values of any size, and differences beyond 64 bits, are read back."""
    given_ = column(values)
    assert from_signed_planes(signed_planes(given_), len(values)).tolist() == values
    first, planes = to_deltas(given_)
    back = from_deltas(first, planes, len(values))
    assert back.tolist() == values
    assert back.dtype == given_.dtype


@given(st.lists(st.integers(0, 10**30), max_size=40))
@example([2**63, 1])
def test_unsigned_values_survive_encoding(values: list[int]) -> None:
    """Values of zero and above are read back, also those between 63 and 64 bits."""
    back = from_planes(to_planes(column(values)), len(values))
    assert back.tolist() == as_narrow(back).tolist() == values


def test_a_column_takes_the_bytes_that_its_largest_value_needs() -> None:
    """A column has as many planes as its largest value needs, highest first, and none for zeros."""
    assert to_planes(np.zeros(5, dtype=np.int64)) == b""
    assert to_planes(np.array([1, 258], dtype=np.int64)) == b"\0\1\1\2"


@pytest.mark.parametrize("values", EDGES, ids=str)
def test_sql_decodes_equally(database: str, values: list[int]) -> None:
    """The SQL functions of the views decode the same values."""
    Postgres(database, size=1).check()
    planes = signed_planes(column(values))
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT wide_signed_value(%s, %s, n) FROM generate_series(0, %s - 1) AS n",
            (planes, len(values), len(values)),
        ).fetchall()
    assert [int(row[0]) for row in rows] == values
