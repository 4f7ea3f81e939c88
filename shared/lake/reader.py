"""Row groups of the lake's tables: planned by PyIceberg, pruned by statistics, read singly."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.table import StaticTable, Table

from shared.lake.access import between, file_io, translated
from shared.lake.files import bounds as bounds_of
from shared.lake.files import day_of_file, with_all_columns
from shared.lake.plan import Plan
from shared.market.utc_days import DAY_US
from shared.stores.s3 import S3Access

_FOOTER_BYTES: Final = 16 << 20
_ROWS_BYTES: Final = 4 << 20
_TABLES: Final = 4
_DAYS: Final = 2
_FEW_WORDS: Final = ("side", "venue", "source")
"""Columns of ticks that are read as places in a list of texts, as the file has them."""
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


@dataclass(frozen=True, slots=True)
class _File:
    """A data file: its UTC day, and the lowest and highest value of each key column."""

    path: str
    day: date
    bounds: dict[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class _Footer:
    """Parquet's own, and of each row group: bounds of the series' columns and time, rows."""

    whole: pq.FileMetaData
    groups: list[tuple[list[tuple[str, str]], tuple[int, int], int]]

    @classmethod
    def of(cls, whole: pq.FileMetaData, keys: list[str]) -> _Footer:
        names = [whole.schema.column(n).name for n in range(whole.num_columns)]
        places = [names.index(name) for name in keys]
        groups = []
        for number in range(whole.num_row_groups):
            group = whole.row_group(number)
            *series, time = (group.column(place).statistics for place in places)
            of_series = [(each.min, each.max) for each in series]
            groups.append((of_series, (_micros(time.min), _micros(time.max)), group.num_rows))
        return cls(whole, groups)


class LakeReader:
    """Reads tables by their metadata files. What was read of those, and footers, is held.

    Methods raise TransientError while object storage is away.
    """

    def __init__(self, access: S3Access) -> None:
        self._properties = file_io(access)
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._planned: OrderedDict[tuple[str, int, int], list[_File]] = OrderedDict()
        self._rows: OrderedDict[tuple[Any, ...], pa.Table] = OrderedDict()
        self._footers: OrderedDict[str, _Footer] = OrderedDict()

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
                files = self._files(table, series, low, high)
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
        """Return the rows of a series that a group has; those that were read last are held."""
        key = (group.path, group.number, *series.values())
        with self._lock:
            rows = self._rows.pop(key, None)
        if rows is None:
            with translated():
                footer = self._footer(group.table, group.path)
                with self._opened(group.table, group.path, footer.whole) as file:
                    whole = file.read_row_group(group.number, use_threads=False)
                rows = with_all_columns(whole)
            bounds, _, _ = footer.groups[group.number]
            for (name, value), has in zip(series.items(), bounds, strict=True):
                if has != (value, value):
                    rows = rows.filter(pc.equal(rows[name], value))
        with self._lock:
            self._rows[key] = rows
            size = sum(each.nbytes for each in self._rows.values())
            while size > _ROWS_BYTES and len(self._rows) > 1:
                size -= self._rows.popitem(last=False)[1].nbytes
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

    def _files(
        self, table: Table, series: dict[str, str], low: int, high: int
    ) -> dict[date, list[str]]:
        """Return the paths of the files that may have rows of a series in [low, high), by day."""
        days = low // DAY_US, -(-high // DAY_US)
        found: dict[date, list[str]] = defaultdict(list)
        if days[1] - days[0] > _DAYS:
            for task in table.scan(row_filter=between(low, high, **series)).plan_files():
                found[day_of_file(task.file)].append(task.file.file_path)
            return found
        wanted = {name: (value, value) for name, value in series.items()} | {
            "time": (low, high - 1)
        }
        for file in self._files_of_days(table, *days):
            if all(file.bounds[name][0] <= last and first <= file.bounds[name][1]
                   for name, (first, last) in wanted.items()):  # fmt: skip
                found[file.day].append(file.path)
        return found

    def _files_of_days(self, table: Table, first: int, end: int) -> list[_File]:
        """Return the files of a few days: asked for again and again while a table is the newest."""
        key = table.metadata_location, first, end
        with self._lock:
            files = self._planned.pop(key, None)
        if files is None:
            keys = _keys(table)
            scan = table.scan(row_filter=between(first * DAY_US, end * DAY_US))
            files = [
                _File(
                    task.file.file_path,
                    day_of_file(task.file),
                    {name: bounds_of(task.file, table.schema(), name) for name in keys},
                )
                for task in scan.plan_files()
            ]
        with self._lock:
            self._planned[key] = files
            while len(self._planned) > _TABLES:
                self._planned.popitem(last=False)
        return files

    def _groups_of(
        self, table: Table, path: str, series: dict[str, str], low: int, high: int
    ) -> Iterator[Group]:
        for number, (of_series, times, rows) in enumerate(self._footer(table, path).groups):
            bounds = zip(of_series, series.values(), strict=True)
            if all(lowest <= value <= highest for (lowest, highest), value in bounds):
                first, last = max(times[0], low), min(times[1], high - 1)
                if first <= last:
                    yield Group(table, path, number, first, last, rows)

    def _footer(self, table: Table, path: str) -> _Footer:
        with self._lock:
            footer = self._footers.pop(path, None)
        if footer is None:
            with self._opened(table, path, None) as file:
                footer = _Footer.of(file.metadata, _keys(table))
        with self._lock:
            self._footers[path] = footer
            size = sum(each.whole.serialized_size for each in self._footers.values())
            while size > _FOOTER_BYTES and len(self._footers) > 1:
                size -= self._footers.popitem(last=False)[1].whole.serialized_size
        return footer

    def _opened(self, table: Table, path: str, footer: pq.FileMetaData | None) -> pq.ParquetFile:
        names = [] if footer is None else footer.schema.names
        return pq.ParquetFile(
            table.io.new_input(path).open(),
            metadata=footer,
            pre_buffer=True,
            read_dictionary=[name for name in _FEW_WORDS if name in names],
        )


def _keys(table: Table) -> list[str]:
    """Return the columns that a table is sorted by; the last one is a time."""
    return [table.schema().find_field(f.source_id).name for f in table.sort_order().fields]


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
