"""Row groups of the lake's tables: planned by PyIceberg, pruned by statistics, read by a few."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from cachetools import LRUCache, cachedmethod
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import FileScanTask, StaticTable, Table

from shared.errors import TransientError
from shared.lake.access import between, file_io, translated
from shared.lake.reading.plan import Plan
from shared.lake.tables.files import bounds as bounds_of
from shared.lake.tables.files import day_of_file, with_all_columns
from shared.market.timestamps import us_of
from shared.market.utc_days import DAY_US
from shared.stores.s3 import S3Access

_FOOTER_BYTES: Final = 16 << 20
"""Memory of cached footers: at least that of the largest file, and of what is read at once."""
_CACHE_BYTES: Final = 6 << 20
_TOGETHER: Final = 4
"""Row groups of a file that are read by one request."""
_FOOTERS_AT_ONCE: Final = 8
"""Footers that are read at once; of a range of days at most so many in vain."""
_READ_AHEAD_BYTES: Final = 96 << 20
"""Size of files whose footers are read at once: that of a file of 128 MiB takes 14 MB decoded."""
_DECODED: Final = 12
"""Memory of a footer, as a multiple of its size in the file (measured: 11.6)."""
_TABLES: Final = 4
_DAYS: Final = 62
_FORMAT: Final = ds.ParquetFileFormat(
    # Read as places in a list of texts, as the file has them.
    read_options=ds.ParquetReadOptions(dictionary_columns=["side", "venue", "source"]),
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=True),
)


class Sized(Protocol):
    """Values of known size, to be held while there is room."""

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""


Held = TypeVar("Held", bound=Sized)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A row group that may have rows of a series, with times in [first_us, last_us].

    `rows` are at most as many; `is_mixed` if some of them may be of other series, `is_cut` if some
    of them may have other times.
    """

    file: ds.ParquetFileFragment
    number: int
    first_us: int
    last_us: int
    rows: int
    is_mixed: bool
    is_cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Footer:
    """A file with its row groups: number, rows, and lowest and highest value of key columns."""

    file: ds.ParquetFileFragment
    groups: list[tuple[int, int, dict[str, tuple[Any, Any]]]]

    @property
    def nbytes(self) -> int:
        """Memory of the decoded footer, about."""
        return int(self.file.metadata.serialized_size) * _DECODED


@dataclass(frozen=True, slots=True)
class _File:
    """A data file: its UTC day, and the lowest and highest value of each key column."""

    path: str
    size: int
    day: date
    bounds: dict[str, tuple[Any, Any]]


class LakeReader:
    """Reads tables by their metadata files. What was read of those, and footers, is held.

    Methods raise TransientError while object storage is away.
    """

    def __init__(self, access: S3Access) -> None:
        self._io = PyArrowFileIO(file_io(access))
        self._lock = threading.Lock()
        self._table = lru_cache(_TABLES)(self._load)
        self._files_of_days = lru_cache(_TABLES)(self._plan)
        self._cached: LRUCache[tuple[Any, ...], Any] = LRUCache(
            _CACHE_BYTES, getsizeof=attrgetter("nbytes")
        )
        self._footers: LRUCache[str, _Footer] = LRUCache(
            _FOOTER_BYTES, getsizeof=attrgetter("nbytes")
        )
        self._pool = ThreadPoolExecutor(_FOOTERS_AT_ONCE, "footers")

    def groups(
        self, plan: Plan, series: dict[str, str], low_us: int, high_us: int, *, newest: bool = False
    ) -> Iterator[Group]:
        """Yield the row groups of a series in the plan's range and [low_us, high_us).

        By their first time, or, if `newest`, by their last one, descending. Footers are read when
        it comes to their day, and those of some days after it with them.
        """
        if plan.is_old:
            raise TransientError("a lake of the old layout: take it over: kandle lake take-over")
        low, high = max(plan.cold[0], low_us), min(plan.cold[1], high_us)
        if not plan.metadata or low >= high:
            return
        with translated():
            files = self._files(plan.metadata, series, low, high)
        days = sorted(files, reverse=newest)
        ahead = [file for day in days for file in files[day]]
        for day in days:
            day_groups: list[Group] = []
            with translated():
                for file in files[day]:
                    if file.path not in self._footers:
                        some = _read_ahead(ahead[ahead.index(file) :])
                        for _ in self._pool.map(self._footer, some):
                            pass
                    day_groups += _groups_of(self._footer(file), series, low, high)
            if newest:
                day_groups.sort(key=lambda group: group.last_us, reverse=True)
            else:
                day_groups.sort(key=lambda group: group.first_us)
            yield from day_groups

    def read(
        self, groups: Iterable[Group], series: dict[str, str], convert: Callable[[pa.Table], Held]
    ) -> Iterator[tuple[Group, Held]]:
        """Yield groups, each with its rows of the series as converted by `convert`.

        Up to _TOGETHER that follow each other in a file are read at once. What was made last is
        held: nobody may change it.
        """
        for run in _runs(groups):
            values = self._values(run, series, convert)
            for group in run:
                yield group, values.pop(group.number)

    def _values(
        self, run: list[Group], series: dict[str, str], convert: Callable[[pa.Table], Held]
    ) -> dict[int, Held]:
        """Return the rows of each group of a run by its number."""
        values: dict[int, Held] = {}
        with self._lock:
            for group in run:
                if (cached := self._cached.get(_key(group, series))) is not None:
                    values[group.number] = cached
        missing = sorted((g for g in run if g.number not in values), key=attrgetter("number"))
        if missing:
            with translated():
                numbers = [group.number for group in missing]
                rows = missing[0].file.subset(row_group_ids=numbers).to_table(use_threads=True)
            offset = 0
            for group in missing:
                group_rows = with_all_columns(rows.slice(offset, group.rows))
                offset += group.rows
                for name, value in series.items() if group.is_mixed else ():
                    group_rows = group_rows.filter(pc.equal(group_rows[name], value))
                values[group.number] = decoded = convert(group_rows)
                with self._lock, suppress(ValueError):  # larger than the cache
                    self._cached[_key(group, series)] = decoded
        return values

    def _load(self, metadata: str) -> Table:
        # With the reader's own clients: `from_metadata` makes two more for each snapshot.
        content = FromInputFile.table_metadata(self._io.new_input(metadata))
        name, catalog = ("static-table", metadata), NoopCatalog("static-table")
        return StaticTable(name, content, metadata, self._io, catalog)

    def _files(
        self, metadata: str, series: dict[str, str], low: int, high: int
    ) -> dict[date, list[_File]]:
        """Return the files that may have rows of a series in [low, high), by day."""
        first, end = low // DAY_US, -(-high // DAY_US)
        if end - first > _DAYS:
            table = self._table(metadata)
            tasks = table.scan(row_filter=between(low, high, **series)).plan_files()
            files = [_file(table, task) for task in tasks]
        else:
            files = self._files_of_days(metadata, first, end)
        key_ranges = {name: (value, value) for name, value in series.items()} | {
            "time": (low, high - 1)
        }
        by_day: dict[date, list[_File]] = defaultdict(list)
        for file in files:
            if all(file.bounds[name][0] <= last and first <= file.bounds[name][1]
                   for name, (first, last) in key_ranges.items()):  # fmt: skip
                by_day[file.day].append(file)
        return by_day

    def _plan(self, metadata: str, first: int, end: int) -> list[_File]:
        """Return the files of a range of days."""
        table = self._table(metadata)
        scan = table.scan(row_filter=between(first * DAY_US, end * DAY_US))
        return [_file(table, task) for task in scan.plan_files()]

    @cachedmethod(attrgetter("_footers"), key=lambda _, file: file.path, lock=attrgetter("_lock"))
    def _footer(self, file: _File) -> _Footer:
        """Return a file with its footer."""
        scheme, netloc, path = PyArrowFileIO.parse_location(file.path)
        system = self._io.fs_by_scheme(scheme, netloc)
        # With its size it is opened without a request.
        fragment = _FORMAT.make_fragment(path, system, file_size=file.size)
        fragment.ensure_complete_metadata()
        groups = [
            (group.id, group.num_rows, _bounds(group.statistics, file.bounds))
            for group in fragment.row_groups
        ]
        return _Footer(fragment, groups)


def _read_ahead(files: list[_File]) -> list[_File]:
    """Return the first files, as many as have footers that may be decoded at once."""
    sizes = accumulate(file.size for file in files[:_FOOTERS_AT_ONCE])
    return files[: max(sum(size <= _READ_AHEAD_BYTES for size in sizes), 1)]


def _groups_of(footer: _Footer, series: dict[str, str], low: int, high: int) -> Iterator[Group]:
    for number, rows, bounds in footer.groups:
        first, last = bounds["time"]
        keys = [(*bounds[name], value) for name, value in series.items()]
        if first < high and last >= low and all(a <= value <= b for a, b, value in keys):
            times = max(first, low), min(last, high - 1)
            is_mixed = any(a != value or b != value for a, b, value in keys)
            yield Group(footer.file, number, *times, rows, is_mixed, times != (first, last))


def _file(table: Table, task: FileScanTask) -> _File:
    schema = table.schema()
    keys = [schema.find_field(f.source_id).name for f in table.sort_order().fields]
    bounds = {name: bounds_of(task.file, schema, name) for name in keys}
    return _File(task.file.file_path, task.file.file_size_in_bytes, day_of_file(task.file), bounds)


def _runs(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """Yield runs of adjacent groups of one file, forwards or backwards."""
    run: list[Group] = []
    for group in groups:
        if run and (
            len(run) == _TOGETHER
            or group.file is not run[-1].file
            or abs(group.number - run[-1].number) != 1
        ):
            yield run
            run = []
        run.append(group)
    if run:
        yield run


def _key(group: Group, series: dict[str, str]) -> tuple[Any, ...]:
    return group.file.path, group.number, *series.values()


def _bounds(
    statistics: dict[str, dict[str, Any]], names: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    values = {name: (statistics[name]["min"], statistics[name]["max"]) for name in names}
    first, last = values["time"]
    return values | {"time": (us_of(first), us_of(last))}
