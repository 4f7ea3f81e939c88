"""Ticks and candles as tables of the lake: what comes back is what went in."""

from __future__ import annotations

import io
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from shared.candle import Candle
from shared.lake import candle_table, tick_table
from shared.lake.places import Place
from shared.lake.verification import equal
from shared.ticks import INTEGER_ID, NO_ID, TEXT_ID
from shared.trades import Rows

INT64 = st.integers(0, 2**63 - 1)
KINDS = st.sampled_from([NO_ID, INTEGER_ID, TEXT_ID])
TICKS = st.lists(
    st.tuples(
        st.integers(0, 2**50),
        INT64,
        INT64,
        st.integers(0, 30),
        st.integers(0, 30),
        st.integers(0, 2),
        KINDS,
        INT64,
        st.text(min_size=1, max_size=5),
        st.integers(0, 2**50),
        st.sampled_from(["udp-1", "udp-2", "é"]),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 255),
        st.sampled_from(["", "KRAKEN"]),
    ),
    min_size=1,
    max_size=20,
)


def rows_of(ticks: list[tuple[int, ...]]) -> Rows:
    columns = list(zip(*ticks, strict=True))
    kind = np.array(columns[6], dtype=np.uint8)
    return Rows(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.int16),
        np.array(columns[4], dtype=np.int16),
        np.array(columns[5], dtype=np.uint8),
        kind,
        np.where(kind == INTEGER_ID, np.array(columns[7], dtype=np.int64), 0),
        np.where(kind == TEXT_ID, np.array(columns[8], dtype=object), ""),
        np.array(columns[9], dtype=np.int64),
        np.array(columns[10], dtype=object),
        np.array(columns[11], dtype=np.int64),
        np.array(columns[12], dtype=np.uint8),
        np.array(columns[13], dtype=object),
    )


def through_parquet(table: pa.Table) -> pa.Table:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return pq.read_table(io.BytesIO(file.getvalue()))


@given(TICKS)
def test_ticks_come_back_to_the_last_column(ticks: list[tuple[int, ...]]) -> None:
    """Any 64-bit mantissa at any scale, any id."""
    rows = rows_of(ticks)
    assert equal(tick_table.to_rows(through_parquet(tick_table.to_table(rows))), rows)


@given(TICKS)
def test_decimals_are_the_prices_or_null(ticks: list[tuple[int, ...]]) -> None:
    """Who reads the file sees the exact price, or none where 18 decimals do not hold it."""
    rows = rows_of(ticks)
    shown = tick_table.to_table(rows)["price"].to_pylist()
    for price, mantissa, scale in zip(shown, rows.price, rows.price_scale, strict=True):
        exact = Fraction(int(mantissa), 10 ** int(scale))
        if price is None:
            assert (exact * 10**18).denominator > 1
        else:
            assert Fraction(price) == exact


DECIMALS = st.decimals(0, Decimal("1e30"), places=None, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(DECIMALS, DECIMALS, st.integers(0, 2**62)), min_size=1, max_size=5))
def test_candles_come_back(values: list[tuple[Decimal, Decimal, int]]) -> None:
    """Sums that no DECIMAL(38, 18) holds too."""
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
    assert candle_table.to_candles(table, "A/B", "1m") == candles


def test_a_symbol_with_a_slash_has_one_folder() -> None:
    """Hive readers decode %2F; days and hours are UTC."""
    place = Place.of_ticks("XRP/ETH", 1_700_003_600_000_000)
    assert place.folder == "symbol=XRP%2FETH/date=2023-11-14/hour=23"
    candles = Place.of_candles("XRP/ETH", "1m", 1_700_003_600_000_000)
    assert candles.folder == "timeframe=1m/symbol=XRP%2FETH/date=2023-11-14"
