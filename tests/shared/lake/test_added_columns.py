"""A table gets a column that was added or renamed later; its old files stay readable."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa
from pyiceberg.schema import Schema

from shared.lake.catalog import Catalog, commit
from shared.lake.tables import files
from shared.lake.tables.candle_table import to_lists, to_table
from shared.lake.tables.definitions import CANDLES, Definition
from shared.wire.candle import TRADES, VENUE, Candle
from tests.shared.lake.house import House, to_candles

DAY = date(2026, 1, 2)
START_US = 1_767_312_000_000_000
ONE = Decimal("1.5")
CANDLE = Candle("A", "1m", START_US, ONE, ONE, ONE, ONE, ONE, ONE, 2, ONE, ONE, START_US, START_US)
BEFORE = Definition(
    "candles",
    Schema(*(each for each in CANDLES.schema.fields if each.name != "origin")),
    CANDLES.key,
    CANDLES.group_us,
)

UNDER_OLD_NAMES = Definition(
    "candles",
    Schema(
        *(
            each.model_copy(update={"name": "trade_count"}) if each.name == "trades" else each
            for each in CANDLES.schema.fields
        )
    ),
    CANDLES.key,
    CANDLES.group_us,
)


def test_a_table_takes_in_a_column_once(lake: House) -> None:
    """A missing column is added once, optional, under the next field id."""
    with lake.postgres.connection() as connection:
        catalog = Catalog(connection, lake.access)
        assert "origin" not in catalog.table(BEFORE).schema().column_names
        table = catalog.table(CANDLES)
        assert table.schema().column_names == CANDLES.schema.column_names
        assert table.schema().find_field("origin") == CANDLES.schema.find_field("origin")
        again = catalog.table(CANDLES)
        assert again.metadata_location == table.metadata_location


def test_files_of_before_and_after_are_read_and_joined(lake: House) -> None:
    """Files from before and after the new column are read together, with a default for the old."""
    venues = replace(CANDLE, start_us=START_US + 60_000_000, origin=VENUE)
    with lake.postgres.connection() as connection:
        catalog = Catalog(connection, lake.access)
        table = catalog.table(BEFORE)
        old = files.write(table, DAY, [to_table([CANDLE]).drop_columns(["origin"])], BEFORE)
        table = catalog.table(CANDLES)
        new = files.write(table, DAY, [to_table([venues])], CANDLES)
        rows = [each for file in (*old, *new) for each in files.read(table.io, file)]
    assert to_candles(to_lists(rows[0])) == [CANDLE]
    assert CANDLE.origin == TRADES
    assert to_candles(to_lists(pa.concat_tables(rows))) == [CANDLE, venues]


def test_a_renamed_column_is_read_under_its_name_in_files_of_before_and_after(lake: House) -> None:
    """A renamed column is read under its new name in old and new files, by PyIceberg too."""
    later = replace(CANDLE, start_us=START_US + 60_000_000, trade_count=7)
    with lake.postgres.connection() as connection:
        catalog = Catalog(connection, lake.access)
        table = catalog.table(UNDER_OLD_NAMES)
        renamed = to_table([CANDLE]).rename_columns({"trades": "trade_count"})
        old = files.write(table, DAY, [renamed], UNDER_OLD_NAMES)
        commit(table, old)
        table = catalog.table(CANDLES)
        assert table.schema().column_names == CANDLES.schema.column_names
        new = files.write(table, DAY, [to_table([later])], CANDLES)
        commit(table, new)
        rows = [each for file in (*old, *new) for each in files.read(table.io, file)]
        assert to_candles(to_lists(pa.concat_tables(rows))) == [CANDLE, later]
        assert sorted(table.scan().to_arrow()["trades"].to_pylist()) == [2, 7]
