"""Segments decoded together give the rows that they give one by one."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest

from functions.persist.segments import segments
from functions.persist.tick_writer import copy_segments
from shared.candles.trades import Rows, concatenated
from shared.stores.postgres import Postgres
from shared.stores.segment_batches import MOST_TICKS, batches, rows_of_instrument
from shared.stores.segment_columns import Segment
from shared.stores.segments import each_run, of_instrument, read
from shared.wire.ticks import Ticks
from tests.functions.history_query.market import columns, generated


def one_by_one(some: list[Segment], name: str) -> Rows:
    """The rows by the decoder of one segment."""
    parts = []
    for segment in some:
        runs = segment.runs()
        chosen = of_instrument(name)(segment, runs)
        parts += [Rows.of(each) for each in each_run(segment, runs, chosen)]
    return concatenated(parts)


def in_order(rows: Rows, name: str) -> list[object]:
    """A column's values in an order independent of the rows' order."""
    keys = (rows.sequence, rows.trade_id, rows.time_us, rows.price.astype(float))
    found: list[object] = getattr(rows, name)[np.lexsort(keys)].tolist()
    return found


def commits(seed: int, *, wide: bool = False) -> list[Segment]:
    """Segments of commits of several events, for one instrument and its neighbours."""
    source = random.Random(seed)
    found: list[Segment] = []
    for commit in range(30):
        events: list[tuple[str, Ticks]] = []
        for event in range(source.randint(1, 3)):
            ticks = generated(source.randint(0, 10**6), source.choice([1, 2, 40]), 60_000_000)
            same = [each._replace(source="u", price_scale=2) for each in ticks]
            names = source.sample(["A", "A/B", "B", "A/B/C"], source.randint(0, 3))
            for name in ["A/B", *(each for each in names if each != "A/B")]:
                some = columns(same, name)
                if wide and source.random() < 0.5:
                    some = replace(some, price=some.price.astype(object) * 10**20)
                events.append((f"e{commit}/{event}/{name}", some))
        found += [each for each in segments(events) if "A/B" in each.instruments]
    return found


@pytest.mark.parametrize("wide", [False, True])
def test_rows_of_many_segments_equal_single_decoding(wide: bool) -> None:
    """Many segments give the rows of each, for ids of every kind and prices beyond 64 bits."""
    some = commits(5, wide=wide)
    expected, found = one_by_one(some, "A/B"), rows_of_instrument(some, "A/B")
    assert len(found) > 500
    for field in fields(Rows):
        assert in_order(found, field.name) == in_order(expected, field.name), field.name


def test_sizes_of_63_to_64_bits_are_read_back() -> None:
    """A size of 9.5 with 18 decimals, beyond an int64 and within 64 bits, is read back."""
    ticks = columns([each._replace(source="u") for each in generated(1, 3, 60_000_000)], "A")
    size = [9_500_000_000_000_000_001, 0, 2**64 - 1]
    some = list(segments([("e", replace(ticks, size=np.array(size, dtype=object)))]))
    for rows in (one_by_one(some, "A"), rows_of_instrument(some, "A")):
        assert sorted(rows.size.tolist()) == sorted(size)


def test_batches_are_all_segments_in_order_of_bounded_size() -> None:
    """Batches have all segments in order and a bounded number of ticks.

    A segment of more ticks is a batch of its own.
    """
    some = [replace(commits(1)[0], tick_count=n) for n in (1, MOST_TICKS, 5, 2 * MOST_TICKS, 7, 8)]
    parts = list(batches(some))
    assert [each for part in parts for each in part] == some
    assert all(
        len(part) == 1 or sum(each.tick_count for each in part) <= MOST_TICKS for part in parts
    )
    assert len(parts) == 5
    assert list(batches([])) == []


def test_a_reader_may_stop_early(postgres: Postgres) -> None:
    """After a reader that left most of a long answer the transaction goes on."""
    with postgres.connection() as connection:
        copy_segments(connection, 1, commits(5)[:1])
        names = [each.name for each in fields(Segment)]
        copies = ", ".join("commit_id + n" if each == "commit_id" else each for each in names)
        connection.execute(
            f"INSERT INTO tick_segments ({', '.join(names)})"
            f" SELECT {copies} FROM tick_segments, generate_series(1, 10000) AS n".encode()
        )
        some = read(connection, "true", {}, of_instrument("A/B"))
        assert next(some)
        del some
        assert connection.execute("SELECT 1").fetchone() == (1,)
