"""Raw batches on the wire."""

from __future__ import annotations

import contextlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.wire.raw_batch import RawBatch


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 2**50)), max_size=10))
def test_raw_payloads_survive_the_wire(payloads: list[tuple[bytes, int]]) -> None:
    """Any payload bytes, lengths and receive times survive the wire."""
    batch = RawBatch.of(1, "udp-1", 7, [p for p, _ in payloads], [t for _, t in payloads])
    back = RawBatch.decode(batch.encode())
    assert (back.format, back.source, back.first_sequence) == (1, "udp-1", 7)
    assert back.payloads == batch.payloads
    np.testing.assert_array_equal(back.lengths, batch.lengths)
    np.testing.assert_array_equal(back.receive_time_us, batch.receive_time_us)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_raw_decoder(body: bytes) -> None:
    """Any bytes decode to a batch or raise PermanentError."""
    with contextlib.suppress(PermanentError):
        RawBatch.decode(body)
