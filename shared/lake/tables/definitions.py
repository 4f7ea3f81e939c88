"""The two Iceberg tables of the lake: columns, partitions, sort order and properties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform
from pyiceberg.types import (
    BooleanType,
    DecimalType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from shared.candles.trades import MINUTE_US

ROW_GROUP: Final = 16_384
"""Rows of a row group in files that stay."""
SMALL_ROW_GROUP: Final = 8_192
"""Rows of a row group in files that are soon merged: a merge holds one of each file."""
SCALE: Final = 18
_DECIMAL: Final = DecimalType(38, SCALE)
_TEXT, _LONG, _INT, _TIME = StringType(), LongType(), IntegerType(), TimestamptzType()

_PROPERTIES: Final = {
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.metadata.metrics.default": "none",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "30",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A table: `key` are its sort columns, of which the last is `time`.

    Rows of a series in the same interval of `group_us` are folded together when files are merged.
    """

    name: str
    schema: Schema
    key: tuple[str, ...]
    group_us: int

    @property
    def partition_spec(self) -> PartitionSpec:
        """One partition for each UTC day of `time`."""
        source = self.schema.find_field("time").field_id
        return PartitionSpec(PartitionField(source, 1000, DayTransform(), "day"))

    @property
    def sort_order(self) -> SortOrder:
        """Ascending by the key."""
        fields = [self.schema.find_field(name).field_id for name in self.key]
        return SortOrder(*(SortField(each, IdentityTransform()) for each in fields))

    @property
    def properties(self) -> dict[str, str]:
        """Files name the bounds of the key columns alone; metadata has a bounded length."""
        bounds = {f"write.metadata.metrics.column.{name}": "full" for name in self.key}
        return _PROPERTIES | bounds


def _schema(*columns: tuple[str, IcebergType, bool]) -> Schema:
    return Schema(
        *(
            NestedField(number, name, type_, required=required)
            for number, (name, type_, required) in enumerate(columns, 1)
        )
    )


TICKS: Final = Definition(
    "ticks",
    _schema(
        ("symbol", _TEXT, True),
        ("time", _TIME, True),
        ("price", _DECIMAL, False),
        ("size", _DECIMAL, False),
        ("side", _TEXT, False),
        ("venue", _TEXT, False),
        ("trade_id", _LONG, False),
        ("trade_id_text", _TEXT, False),
        ("receive_time", _TIME, True),
        ("source", _TEXT, True),
        ("sequence", _LONG, True),
        ("flags", _INT, True),
        ("price_scale", _INT, True),
        ("size_scale", _INT, True),
        ("price_text", _TEXT, False),  # exact, where `price` cannot hold it
        ("size_text", _TEXT, False),
    ),
    ("symbol", "time"),
    MINUTE_US,
)

FORMER_NAMES: Final = {"trade_count": "trades"}
"""Former column names, as in old files and tables, and the current ones."""

CANDLES: Final = Definition(
    "candles",
    _schema(
        ("timeframe", _TEXT, True),
        ("symbol", _TEXT, True),
        ("time", _TIME, True),
        ("open", _DECIMAL, False),
        ("high", _DECIMAL, False),
        ("low", _DECIMAL, False),
        ("close", _DECIMAL, False),
        ("volume", _DECIMAL, False),
        ("notional", _DECIMAL, False),
        ("trades", _LONG, True),
        ("buy_volume", _DECIMAL, False),
        ("sell_volume", _DECIMAL, False),
        ("first_time", _TIME, True),
        ("last_time", _TIME, True),
        ("closed", BooleanType(), True),
        ("partial", BooleanType(), True),
        ("complete", BooleanType(), True),
        ("revision", _LONG, True),
        ("exact", _TEXT, False),  # JSON: the decimals that their columns cannot hold
        ("origin", _TEXT, False),  # trades, or venue; none is trades
    ),
    ("timeframe", "symbol", "time"),
    1,
)
