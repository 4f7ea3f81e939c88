"""Runs and groups of equal rows."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.market.runs import groups, lengths_of, run_starts

_ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1)), max_size=12)


def _columns(rows: list[tuple[int, int]]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return list(np.array(rows, dtype=np.int64).reshape(-1, 2).T)


@given(_ROWS)
def test_runs_are_those_of_groupby(rows: list[tuple[int, int]]) -> None:
    """Runs begin where a row differs from the one before in any column, and fill all rows."""
    expected = [len(list(run)) for _, run in itertools.groupby(rows)]
    starts = run_starts(*_columns(rows))
    assert lengths_of(starts, len(rows)).tolist() == expected
    assert starts.tolist() == [0, *itertools.accumulate(expected)][: len(expected)]


@given(_ROWS)
def test_groups_hold_every_row_once_in_order(rows: list[tuple[int, int]]) -> None:
    """Each group has its values, ascending, and its rows in their order."""
    found = [(values, positions.tolist()) for values, positions in groups(*_columns(rows))]
    assert found == [
        (values, [n for n, row in enumerate(rows) if row == values]) for values in sorted(set(rows))
    ]
