"""Columns of an instrument's ticks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shared.candles.trades import Rows, concatenated, constant
from tests.functions.candle_aggregate.reference import Tick, as_columns


def test_a_text_that_all_rows_share_takes_no_memory() -> None:
    """A column of one text takes no memory for each row, chosen or joined with its like."""
    ticks = as_columns([Tick("A", n, n, 100, 1_000, 1) for n in range(1, 4)])
    rows = replace(Rows.of(ticks), venue=constant("X", 3))
    joined = concatenated([rows.at(slice(2)), rows.at(np.array([0, 2])), rows.at(rows.time_us > 2)])
    assert joined.time_us.tolist() == [1, 2, 1, 3, 3]
    assert joined.venue.tolist() == ["X"] * 5
    assert joined.venue.strides == (0,)
    others = replace(rows, venue=constant("Y", 3))
    assert concatenated([rows, others]).venue.tolist() == ["X"] * 3 + ["Y"] * 3
