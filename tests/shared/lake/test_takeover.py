"""A lake of the old layout becomes tables; until then no part of a day is read."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.persist.writer import Writer
from shared.errors import TransientError
from shared.lake.reading.plan import plan_candles, plan_ticks
from shared.lake.tables import candle_table, tick_table
from shared.lake.takeover import take_over
from shared.market.utc_days import begin_us, day_of
from shared.reading.stored_candles import Ranges, read_candles
from shared.wire.candle import Candle
from shared.wire.candle_columns import columns_of
from tests.functions.history_query.market import Tick, batches, generated
from tests.shared.lake.house import House, to_candles
from tests.shared.lake.test_candle_days import candle
from tests.shared.lake.test_lake import keys, stored

HOUR_US = 3_600_000_000
SCHEMA = Path(__file__).parents[3] / "shared/stores/migrations/0006_lake.sql"
MANTISSA = "price_mantissa", "size_mantissa"


def old_layout(lake: House) -> None:
    """The record of a lake of the old layout."""
    text = SCHEMA.read_text()
    lake.sql(text[text.index("CREATE TABLE lake_files (") : text.index("-- Days whose partition")])


def put(lake: House, bucket: str, folder: str, table: pa.Table, from_us: int, cold: str) -> None:
    """Store an object and its row."""
    names = dict(part.split("=") for part in folder.split("/"))
    path, file = f"{folder}/whole-{lake.symbol.lower()[:9]}.parquet", io.BytesIO()
    pq.write_table(table, file, compression="zstd", row_group_size=40)
    lake.store.create(bucket, path, file.getvalue())
    lake.sql(
        "INSERT INTO lake_files (bucket, path, instrument, timeframe, from_us, to_us, whole,"
        " row_count, byte_count, sha256, min_time_us, max_time_us, stored_until, cold_at) VALUES"
        f" ('{bucket}', '{path}', '{lake.symbol}', '{names.get('timeframe', '')}', {from_us},"
        f" {from_us + HOUR_US}, true, {len(table)}, 1, '', 0, 0, now(), {cold})"
    )


def old_ticks(lake: House, ticks: list[Tick]) -> pa.Table:
    """A table of the old layout: no symbol, mantissas where a decimal did not fit."""
    table = tick_table.each_trade_once(tick_table.to_table(batches(ticks, lake.symbol, 10_000)))
    for name in MANTISSA:
        table = table.append_column(name, pa.nulls(len(table), pa.int64()))
    dropped = ["symbol", "venue", "flags", "price_text", "size_text"]
    table = table.drop_columns(dropped)
    place = table.column_names.index("source")
    return table.set_column(place, "source", table["source"].dictionary_encode())


def an_old_lake(lake: House) -> tuple[list[Tick], list[Candle]]:
    """Cold days of ticks by the hour, and candles with numbers that no decimal holds."""
    lake.symbol = lake.symbol.replace("/", "-")
    ticks = generated(41, 300, 60_000_000)
    old_layout(lake)
    days = sorted({day_of(tick.time_us) for tick in ticks})
    hours = sorted({tick.time_us // HOUR_US for tick in ticks})
    for hour in hours:
        some = [tick for tick in ticks if tick.time_us // HOUR_US == hour]
        day = day_of(hour * HOUR_US)
        folder = f"symbol={lake.symbol}/date={day}/hour={hour % 24:02}"
        put(lake, "ticks", folder, old_ticks(lake, some), hour * HOUR_US, "NULL")
    lake.sql(
        "INSERT INTO cold_days SELECT unnest(array" + str([str(d) for d in days]) + "::date[])"
    )
    start_us = begin_us(days[0])
    wide = replace(candle(lake.symbol, "1m", start_us), notional=Decimal("1e25"))
    plain = candle(lake.symbol, "1m", start_us + 60_000_000)
    table = candle_table.to_table([wide, plain])
    exact = pa.array([wide.to_message().SerializeToString(), None], pa.binary())
    table = table.drop_columns(["symbol", "timeframe", "exact"]).append_column("exact", exact)
    folder = f"timeframe=1m/symbol={lake.symbol}/date={days[0]}"
    put(lake, "candles", folder, table, start_us, "now()")
    return ticks, [wide, plain]


def cold_candles(lake: House) -> list[Candle]:
    with lake.postgres.connection() as connection:
        plan = plan_candles(connection, 0, 10**16)
    return to_candles(lake.cold.candle_lists(plan, lake.symbol, "1m", 0, 10**16))


def test_cold_days_are_read_from_the_tables_afterwards(lake: House) -> None:
    """After the takeover, which resumes when interrupted, cold days are read from the tables."""
    ticks, candles = an_old_lake(lake)
    days = sorted({day_of(tick.time_us) for tick in ticks})
    with pytest.raises(TransientError, match="kandle lake take-over"):
        stored(lake)
    assert next(take_over(lake.postgres, lake.access))[:2] == ("ticks", days[0])
    assert len(list(take_over(lake.postgres, lake.access))) == len(days)
    assert list(take_over(lake.postgres, lake.access)) == []
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0
    lake.age()
    with lake.postgres.connection() as connection:
        assert not plan_ticks(connection, 0, 10**16).is_hot
    assert cold_candles(lake) == candles


def test_hot_candles_are_read_before_the_takeover(lake: House) -> None:
    """Before the takeover, candles that are found without the lake are read; no others."""
    _, (first, *_) = an_old_lake(lake)
    lake.sql(f"INSERT INTO cold_candle_days VALUES ('{day_of(first.start_us)}')")
    hot = candle(lake.symbol, "1m", first.start_us + 24 * HOUR_US)
    Writer(lake.postgres).candles(columns_of([hot]))
    ranges = Ranges("1m", [lake.symbol], [0], [10**16], 1, newest=True)
    with lake.postgres.connection() as connection:
        found = read_candles(connection, ranges).with_lake(lake.cold)
        more = read_candles(connection, replace(ranges, count=2))
    assert [*found.columns["start_us"]] == [hot.start_us]
    with pytest.raises(TransientError, match="kandle lake take-over"):
        more.with_lake(lake.cold)
