"""Batches: full by any bound, numbered without a gap, every payload exactly once."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from functions.udp_bridge.datagrams import Datagrams
from shared.sources.batcher import Batch, Batcher, Limits
from shared.wire.compression import decompress
from shared.wire.events import MAX_EVENT_BYTES
from shared.wire.raw_batch import FORMAT_CSV, FORMAT_TICKER, RawBatch


def datagrams(payloads: list[bytes], first_us: int = 0) -> Datagrams:
    return Datagrams(
        b"".join(payloads),
        [len(p) for p in payloads],
        list(range(first_us, first_us + len(payloads))),
    )


def payloads_of(batch: Batch | RawBatch) -> list[bytes]:
    found, start = [], 0
    for length in map(int, batch.lengths):
        found.append(batch.payloads[start : start + length])
        start += length
    assert start == len(batch.payloads)
    return found


@given(
    st.lists(st.lists(st.sampled_from([b"", b"A,1", b"A,1\nB,2\n", b"\n" * 9, b"x" * 50]))),
    st.integers(1, 7),
    st.integers(1, 60),
    st.integers(1, 12),
)
def test_every_payload_is_in_one_batch_in_its_order(
    reads: list[list[bytes]], most: int, most_bytes: int, most_lines: int
) -> None:
    """Each payload is in one batch, in order, and only a lone payload exceeds the bounds."""
    batcher = Batcher("udp-1", Limits(most, most_bytes, most_lines))
    batches = [b for some in reads for b in batcher.add(datagrams(some), now_us=0)]
    if batcher.waiting:
        batches.append(batcher.take())
    assert [p for b in batches for p in payloads_of(b)] == [p for some in reads for p in some]
    sequence = 0
    for number, batch in enumerate(batches):
        assert (batch.id, batch.first_sequence) == (f"udp-1-{number}", sequence)
        sequence += len(batch)
        assert 1 <= len(batch) <= most
        lines = sum(p.count(b"\n") + 1 for p in payloads_of(batch))
        assert len(batch) == 1 or (len(batch.payloads) <= most_bytes and lines <= most_lines)


def test_a_batch_is_due_after_its_first_payload_has_waited() -> None:
    """A batch is due by its first payload, whatever follows; an empty one is never due."""
    batcher = Batcher("udp-1", Limits(age_us=100))
    assert not batcher.is_due(10_000)
    assert list(batcher.add(datagrams([b"A,1"]), now_us=1000)) == []
    assert list(batcher.add(datagrams([b"A,2"]), now_us=1090)) == []
    assert not batcher.is_due(1099)
    assert batcher.is_due(1100)
    batcher.take()
    assert not batcher.is_due(10_000)


def test_a_batch_is_due_when_the_clock_is_set_back() -> None:
    """A batch that waits while the clock is set back is due at once, not an hour later."""
    batcher = Batcher("udp-1", Limits(age_us=100))
    hour_us = 3_600_000_000
    assert list(batcher.add(datagrams([b"a"]), hour_us)) == []
    assert not batcher.is_due(hour_us + 99)
    assert batcher.is_due(10)


def test_an_event_holds_what_the_batch_holds() -> None:
    """An event has the format, source, numbers, payloads and receive times of its batch."""
    batcher = Batcher("udp-1", Limits(payloads=2), FORMAT_TICKER)
    first, second = batcher.add(datagrams([b"a", b"", b"ccc", b"d"], first_us=7), now_us=0)
    assert first.first_sequence == 0
    ((event, payloads),) = second.events()
    raw = RawBatch.decode(decompress(event.body))
    assert (event.id, payloads) == ("udp-1-1", 2)
    assert (raw.format, raw.source, raw.first_sequence) == (FORMAT_TICKER, "udp-1", 2)
    assert payloads_of(raw) == [b"ccc", b"d"]
    assert raw.receive_time_us.tolist() == [9, 10]


def test_an_incompressible_batch_is_split() -> None:
    """A batch that does not compress is split into events that fit, each with its id."""
    noise = [random.Random(i).randbytes(60_000) for i in range(17)]
    batcher = Batcher("udp-1", Limits())
    assert list(batcher.add(datagrams(noise), now_us=0)) == []
    batch = batcher.take()
    events = list(batch.events())
    raws = [RawBatch.decode(decompress(event.body)) for event, _ in events]
    assert len(events) > 1
    assert len({event.id for event, _ in events}) == len(events)
    assert all(len(event.body) <= MAX_EVENT_BYTES for event, _ in events)
    assert [p for raw in raws for p in payloads_of(raw)] == noise
    assert [raw.first_sequence + i for raw in raws for i in range(len(raw.lengths))] == list(
        range(len(noise))
    )
    assert sum(count for _, count in events) == len(noise)
    assert {raw.format for raw in raws} == {FORMAT_CSV}
