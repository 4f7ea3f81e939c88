"""Tick columns keep every value on their way over the wire."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bounds import EARLIEST_US, LATEST_US
from shared.errors import PermanentError
from shared.schema import ticks_pb2
from shared.ticks import Entry, Ticks

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=5)
TIMES = st.integers(EARLIEST_US, LATEST_US - 1)


@st.composite
def tick_columns(draw: st.DrawFn) -> Ticks:
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    n = sum(counts)
    kinds = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=n, max_size=n))
    texts = [draw(TEXTS) if kind == 2 else "" for kind in kinds]

    def column(values: st.SearchStrategy[int]) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=np.int64)

    ids = column(INT64)
    ids[np.array(kinds) != 1] = 0
    return Ticks(
        "udp-1",
        tuple(
            Entry(f"S{i}", draw(st.integers(0, 30)), draw(st.integers(0, 30)), count)
            for i, count in enumerate(counts)
        ),
        column(TIMES),
        column(INT64),
        column(INT64),
        column(st.integers(0, 2)).astype(np.uint8),
        np.array(kinds, dtype=np.uint8),
        ids,
        np.array(texts, dtype=object) if 2 in kinds else None,
        column(TIMES),
        column(INT64),
    )


@given(tick_columns())
def test_what_is_encoded_is_decoded(ticks: Ticks) -> None:
    """Every column, at the ends of 64 bits too, comes back as it was; in protobuf's own bytes."""
    body = ticks.encode()
    assert ticks_pb2.TickBatch.FromString(body).SerializeToString(deterministic=True) == body
    back = Ticks.decode(body)
    assert back.source == ticks.source
    assert back.entries == ticks.entries
    for name in (
        "event_time_us",
        "price",
        "size",
        "side",
        "trade_id_kind",
        "trade_id",
        "receive_time_us",
        "sequence",
    ):
        np.testing.assert_array_equal(getattr(back, name), getattr(ticks, name), err_msg=name)
    assert [back.text_at(i) for i in range(len(back))] == [
        ticks.text_at(i) for i in range(len(ticks))
    ]


def test_a_column_of_the_wrong_length_is_named() -> None:
    """A batch whose columns disagree is refused, and the message says which column."""
    message = ticks_pb2.TickBatch(
        instruments=[ticks_pb2.InstrumentEntry(name="A", count=2)], event_time_us=[1]
    )
    with pytest.raises(PermanentError, match="event_time_us has 1 rows") as caught:
        Ticks.decode(message.SerializeToString())
    assert caught.value.code == "bad_tick_batch"


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_decoder(body: bytes) -> None:
    """Whatever the bytes, the answer is ticks or a PermanentError."""
    with contextlib.suppress(PermanentError):
        Ticks.decode(body)


@given(tick_columns(), st.data())
def test_selected_rows_keep_their_instruments(ticks: Ticks, data: st.DataObject) -> None:
    """Selecting rows keeps each row with its entry, and drops entries that have none left."""
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
