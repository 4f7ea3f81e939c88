"""Ticks and candles as tables of the lake: rows read equal those written."""

from __future__ import annotations

import io
import random
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyiceberg.manifest import DataFile

from shared.candles.trades import Rows, concatenated, trades_of
from shared.lake.record import joined
from shared.lake.tables import candle_table, tick_table
from shared.lake.tables.digest import digest
from shared.lake.tables.files import runs_of
from shared.market.instruments import Market
from shared.wire.candle import Candle
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import INTEGER_ID, NO_ID, TEXT_ID, Ticks
from tests.shared.lake.house import to_candles

INT64 = st.integers(0, 2**63 - 1)
MANTISSAS = st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-(10**40), 10**40)
KINDS = st.sampled_from([NO_ID, INTEGER_ID, TEXT_ID])
TICKS = st.lists(
    st.tuples(
        st.integers(0, 2**50) | st.integers(0, 3),
        MANTISSAS,
        st.integers(0, 2**62),
        st.integers(0, 30),
        st.integers(0, 30),
        st.integers(0, 2),
        KINDS,
        INT64 | st.integers(0, 3),
        st.text(min_size=1, max_size=5),
        st.integers(0, 2**50) | st.integers(0, 3),
        st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
        st.integers(0, 255),
        st.sampled_from(["", "KRAKEN"]),
    ),
    min_size=1,
    max_size=20,
)


def batch_of(ticks: list[tuple[Any, ...]], symbol: str) -> Ticks:
    """A batch of one source with an entry for each tick, since each has scales and a venue."""
    columns = list(zip(*ticks, strict=True))
    kind = np.array(columns[6], dtype=np.uint8)
    wide = max(map(abs, (*columns[1], *columns[2]))) >= 2**63
    mantissa = object if wide else np.int64
    return Ticks(
        "udp-é",
        Entries.of(
            *(
                Entry(symbol, price_scale, size_scale, 1, Market(venue, venue and "x"))
                for price_scale, size_scale, venue in zip(
                    columns[3], columns[4], columns[12], strict=True
                )
            )
        ),
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=mantissa),
        np.array(columns[2], dtype=mantissa),
        np.array(columns[5], dtype=np.uint8),
        kind,
        np.where(kind == INTEGER_ID, np.array(columns[7], dtype=np.int64), 0),
        np.where(kind == TEXT_ID, np.array(columns[8], dtype=object), ""),
        np.array(columns[9], dtype=np.int64),
        np.array(columns[10], dtype=np.int64),
        np.array(columns[11], dtype=np.uint8),
    )


def rows_of(ticks: Ticks) -> Rows:
    return concatenated([Rows.of(each) for each in each_entry(ticks)])


def each_entry(ticks: Ticks) -> list[Ticks]:
    n = len(ticks)
    return [ticks.select(np.arange(n) == row) for row in range(n)]


def equal(a: Rows, b: Rows) -> bool:
    return len(a) == len(b) and all(
        getattr(a, each.name).tolist() == getattr(b, each.name).tolist() for each in fields(Rows)
    )


def through_parquet(table: pa.Table) -> pa.Table:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return pq.read_table(io.BytesIO(file.getvalue()))


@given(TICKS)
def test_ticks_come_back_to_the_last_column(ticks: list[tuple[Any, ...]]) -> None:
    """Ticks with any mantissa, scale, id and a numeric symbol are unchanged in each column."""
    batch = batch_of(ticks, "600519")
    table = through_parquet(tick_table.to_table([batch, batch]))
    assert table["symbol"].to_pylist() == ["600519"] * 2 * len(batch)
    assert equal(tick_table.to_rows(table), concatenated([rows_of(batch), rows_of(batch)]))


@given(TICKS)
def test_decimals_are_the_prices_or_text(ticks: list[tuple[Any, ...]]) -> None:
    """Prices in the table are exact, as text where DECIMAL(38, 18) cannot hold them."""
    batch = batch_of(ticks, "A/B")
    table = tick_table.to_table([batch])
    for price, text, mantissa, scale in zip(
        table["price"].to_pylist(),
        table["price_text"].to_pylist(),
        batch.price.tolist(),
        batch.entries.price_scale.tolist(),
        strict=True,
    ):
        exact = Fraction(mantissa, 10**scale)
        assert Fraction(text if price is None else price) == exact
        assert (price is None) != (text is None)


@example([(n, 0, 0, 0, 0, 0, 1, 0, "0", 1 - n, 0, 0, "") for n in (0, 1)], random.Random(0))
@given(TICKS, st.randoms())
def test_each_trade_once_is_what_the_definition_says(
    ticks: list[tuple[Any, ...]], source: random.Random
) -> None:
    """Without repeated trades the rows give the same trades as of any time, and none is left."""
    ticks = [(*each[:10], number, *each[11:]) for number, each in enumerate(ticks)]
    batch = batch_of(ticks, "A/B")
    other = batch_of(ticks, "0")
    table = tick_table.to_table([batch, other, batch])
    order = list(range(len(table)))
    source.shuffle(order)
    found = tick_table.each_trade_once(table.take(order))
    sent = rows_of(batch)
    for symbol in ("A/B", "0"):
        kept = tick_table.to_rows(found.filter(pc.equal(found["symbol"], symbol)))
        times = {*sent.receive_us.tolist()}
        for time_us in {*source.sample(sorted(times), min(3, len(times))), max(times)}:
            then = trades_of(kept.at(kept.receive_us <= time_us)).rows
            assert equal(then, trades_of(sent.at(sent.receive_us <= time_us)).rows)
    assert found["symbol"].to_pylist() == sorted(found["symbol"].to_pylist())
    assert tick_table.each_trade_once(pa.concat_tables([found, found])).equals(found)


@settings(max_examples=25)  # each changes a cell of every column
@given(TICKS, st.integers(0, 20))
def test_a_digest_is_of_the_rows_and_not_of_their_order(
    ticks: list[tuple[Any, ...]], cut: int
) -> None:
    """A digest is independent of order, additive over parts, and changes with any cell."""
    table = tick_table.to_table([batch_of(ticks, "A/B")])
    whole = digest(table)
    backwards = table.take(list(range(len(table)))[::-1])
    assert digest(backwards) == whole
    assert joined(digest(table.slice(0, cut)), digest(table.slice(cut))) == whole
    assert joined(digest(table), -whole) == 0
    for name in table.column_names:
        column = table[name].to_pylist()
        if column[0] is None:
            continue
        column[0] = {
            str: lambda v: v + "x",
            int: lambda v: v ^ 1,
            Decimal: lambda v: v + 1,
        }.get(type(column[0]), lambda v: v + timedelta(microseconds=1))(column[0])
        place = table.column_names.index(name)
        other = table.set_column(place, name, pa.array(column, table[name].type))
        assert digest(other) != whole, name


DECIMALS = st.decimals(0, Decimal("1e30"), places=None, allow_nan=False, allow_infinity=False)


@settings(max_examples=50)
@given(st.lists(st.tuples(DECIMALS, DECIMALS, st.integers(0, 2**62)), min_size=1, max_size=5))
def test_candles_come_back(values: list[tuple[Decimal, Decimal, int]]) -> None:
    """Candles are unchanged, also with sums that no DECIMAL(38, 18) can hold."""
    candles = [
        Candle(
            "A/B",
            "1m",
            60_000_000 * n,
            price,
            price,
            price,
            price,
            volume,
            volume * 3,
            7,
            volume,
            Decimal(0),
            60_000_000 * n,
            60_000_000 * n + 5,
            closed=True,
            revision=revision,
        )
        for n, (price, volume, revision) in enumerate(values)
    ]
    table = through_parquet(candle_table.to_table(candles))
    assert to_candles(candle_table.to_lists(table)) == candles


def test_files_of_a_run_are_told_by_their_names() -> None:
    """The files of a run are recognized by name, in order; one without a number is its own run."""
    names = ("b-10", "c", "b-2", "a-0", "b-0", "d")
    day = "s3://ticks/lake/data/day=2026-11-28"
    files = [DataFile.from_args(file_path=f"{day}/{name}.parquet") for name in names]
    runs = [
        [file.file_path.rpartition("/")[2].partition(".")[0] for file in run]
        for run in runs_of(files)
    ]
    assert sorted(runs) == [["a-0"], ["b-0", "b-2", "b-10"], ["c"], ["d"]]
