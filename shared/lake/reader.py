"""Row groups of the lake's tables: planned by PyIceberg, pruned by statistics, read singly."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.table import StaticTable, Table

from shared.lake.access import between, file_io, translated
from shared.lake.files import day_of_file, with_all_columns
from shared.lake.plan import Plan
from shared.stores.s3 import S3Access

_FOOTER_BYTES: Final = 4 << 20
_TABLES: Final = 4
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Group:
    """A row group that may have rows of a series, with times in [first_us, last_us].

    `rows` are at most as many.
    """

    table: Table
    path: str
    number: int
    first_us: int
    last_us: int
    rows: int


class LakeReader:
    """Reads tables by their metadata files. What was read of those, and footers, is held.

    Methods raise TransientError while object storage is away.
    """

    def __init__(self, access: S3Access) -> None:
        self._properties = file_io(access)
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._footer_bytes = 0

    def groups(
        self, plan: Plan, series: dict[str, str], low_us: int, high_us: int, *, newest: bool = False
    ) -> Iterator[Group]:
        """Yield the row groups of a series in the plan's ranges and [low_us, high_us).

        By their first time, or, if `newest`, by their last one, descending. A day's files are
        opened when it comes to them.
        """
        for low, high in (plan.cold[::-1] if newest else plan.cold) if plan.metadata else ():
            low, high = max(low, low_us), min(high, high_us)
            if low >= high:
                continue
            with translated():
                table = self._table(plan.metadata)
                files = _files(table, series, low, high)
            for day in sorted(files, reverse=newest):
                found: list[Group] = []
                with translated():
                    for path in files[day]:
                        found += self._groups_of(table, path, series, low, high)
                if newest:
                    found.sort(key=lambda group: group.last_us, reverse=True)
                else:
                    found.sort(key=lambda group: group.first_us)
                yield from found

    def read(self, group: Group, series: dict[str, str]) -> pa.Table:
        """Return the rows of a series that a group has."""
        with translated(), self._opened(group.table, group.path) as file:
            rows = with_all_columns(file.read_row_group(group.number, use_threads=False))
        for name, value in series.items():
            rows = rows.filter(pc.equal(rows[name], value))
        return rows

    def _table(self, metadata: str) -> Table:
        with self._lock:
            table = self._tables.pop(metadata, None)
        if table is None:
            table = StaticTable.from_metadata(metadata, self._properties)
        with self._lock:
            self._tables[metadata] = table
            while len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        return table

    def _groups_of(
        self, table: Table, path: str, series: dict[str, str], low: int, high: int
    ) -> Iterator[Group]:
        with self._opened(table, path) as file:
            footer = file.metadata
        names = [footer.schema.column(n).name for n in range(footer.num_columns)]
        places = [(names.index(name), value) for name, value in series.items()]
        time_at = names.index("time")
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            if not all(_may_have(group, place, value) for place, value in places):
                continue
            times = group.column(time_at).statistics
            first, last = max(_micros(times.min), low), min(_micros(times.max), high - 1)
            if first <= last:
                yield Group(table, path, number, first, last, group.num_rows)

    def _opened(self, table: Table, path: str) -> pq.ParquetFile:
        with self._lock:
            footer = self._footers.get(path)
        file = pq.ParquetFile(table.io.new_input(path).open(), metadata=footer, pre_buffer=True)
        if footer is None:
            with self._lock:
                self._footers[path] = file.metadata
                self._footer_bytes += file.metadata.serialized_size
                while self._footer_bytes > _FOOTER_BYTES and len(self._footers) > 1:
                    gone = self._footers.popitem(last=False)[1]
                    self._footer_bytes -= gone.serialized_size
        return file


def _files(table: Table, series: dict[str, str], low: int, high: int) -> dict[date, list[str]]:
    """Return the paths of the files that may have rows of a series in [low, high), by day."""
    found: dict[date, list[str]] = defaultdict(list)
    for task in table.scan(row_filter=between(low, high, **series)).plan_files():
        found[day_of_file(task.file)].append(task.file.file_path)
    return found


def _may_have(group: pq.RowGroupMetaData, column: int, value: str) -> bool:
    statistics = group.column(column).statistics
    return bool(statistics.min <= value <= statistics.max)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
