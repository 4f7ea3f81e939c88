"""Other programs read the same files: what they sum up is what the ticks define."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.functions.history_query.market import Tick, candles, generated
from tests.shared.lake.house import House


@pytest.fixture
def copied(lake: House, tmp_path: Path) -> tuple[Path, str, list[Tick]]:
    """The objects of compacted hours under their names, as `s3://ticks/` shows them."""
    ticks = generated(21, 300, 30_000_000)
    lake.put(ticks)
    lake.copy_all()
    lake.compact()
    for (path,) in lake.sql("SELECT path FROM lake_files WHERE superseded_at IS NULL"):
        target = tmp_path / str(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(lake.store.read("ticks", str(path)))
    return tmp_path, lake.symbol, ticks


def expected(ticks: list[Tick]) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
    return [
        (each["t"], *(Decimal(each[key]) for key in ("o", "h", "l", "c", "v")))
        for each in candles(ticks, 60)
    ]


def test_duckdb_reads_the_partitions(copied: tuple[Path, str, list[Tick]]) -> None:
    """The statement of docs/lake.md: minute candles from the files alone."""
    folder, symbol, ticks = copied
    rows = duckdb.execute(
        "SELECT epoch_ms(date_trunc('minute', time)) AS minute, first(price ORDER BY time),"
        " max(price), min(price), last(price ORDER BY time), sum(size)"
        " FROM read_parquet(?, hive_partitioning = true) WHERE symbol = ?"
        " GROUP BY minute ORDER BY minute",
        [f"{folder}/*/*/*/*.parquet", symbol],
    ).fetchall()
    found = [(row[0], row[2], row[3], row[5]) for row in rows]
    assert found == [(t, h, low, v) for t, _, h, low, _, v in expected(ticks)]


def test_polars_reads_the_partitions(copied: tuple[Path, str, list[Tick]]) -> None:
    """A lazy scan that prunes by symbol."""
    folder, symbol, ticks = copied
    frame = (
        pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True)
        .filter(pl.col("symbol") == symbol)
        .sort("time", "receive_time", "sequence")
        .group_by(pl.col("time").dt.truncate("1m").dt.epoch("ms").alias("t"), maintain_order=True)
        .agg(
            pl.col("price").max().alias("h"), pl.col("price").min().alias("l"), pl.col("size").sum()
        )
        .collect()
    )
    assert frame.rows() == [(t, h, low, v) for t, _, h, low, _, v in expected(ticks)]
