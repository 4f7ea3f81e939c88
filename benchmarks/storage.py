"""A busy market in storage: stored, copied to the lake, folded, read, compacted and dropped.

MINUTES (5 unless the environment says another number) of RATE (20,000) ticks a second of 20, 100
and 10,000 instruments (WIDTHS), five commits a second as persist makes them. After each minute its
ticks are copied and what is alike is folded; all but the last minute is in the lake when a symbol
is read as the API reads it. What is measured runs in processes of its own, as `python -m
shared.lake` does; the CPU of Postgres and SeaweedFS stands beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context

from benchmarks._market import events
from benchmarks._measure import listed, number, peak_mib, timed, times_ms
from benchmarks._platform import Platform, running
from functions.history_query.queries.tick_slices import TickSlices
from functions.persist.tick_writer import TickWriter
from shared.lake.access import use_little_memory
from shared.lake.catalog import Catalog
from shared.lake.maintenance.compaction import compact
from shared.lake.maintenance.expiry import expire_snapshots, remove_orphans
from shared.lake.maintenance.retention import drop, verify
from shared.lake.maintenance.settings import Terms
from shared.lake.maintenance.snapshot import copy_ticks
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.tables.definitions import TICKS as TABLE
from shared.market.utc_days import begin_us
from shared.runtime.memory import (
    hand_freed_memory_back,
    leave_dataframes_out,
    let_arrow_use_malloc,
)
from shared.stores.limits import MAINTENANCE
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore, S3Access

RATE = number("RATE", 20_000)
MINUTES = number("MINUTES", 5)
WIDTHS = [int(each) for each in listed("WIDTHS", "20,100,10000")]
DAY = datetime.now(UTC).date() - timedelta(days=2)
_EVENTS_A_SECOND = 20
_EVENTS_A_COMMIT = 4
_MINUTE_US = 60_000_000
_SYMBOL = "SYM00007-USD"
_BYTES = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('tick_segments')"


def run() -> None:
    """Print a table for each number of instruments."""
    for width in WIDTHS:
        with running("--functions", "none") as platform:
            measure(platform, width)


def measure(platform: Platform, width: int) -> None:
    """Let the minutes pass; print what their work took."""
    access, dsn = S3Access.from_env(platform.environment), platform.environment["DATABASE_URL"]
    postgres = Postgres(dsn, size=2)
    with postgres.connection() as connection:
        connection.execute("SELECT make_partition('tick_segments', %s)", (DAY,))
    count = MINUTES * 60 * _EVENTS_A_SECOND
    size = RATE // _EVENTS_A_SECOND, 1_000_000 // _EVENTS_A_SECOND
    market = events(width, begin_us(DAY), count, *size)
    writer = TickWriter(postgres)
    measured = {name: _Process(name, access) for name in _WORK}
    ticks, stored_s = count * size[0], 0.0
    print(f"{width} instruments, {ticks:,} ticks in {MINUTES} minutes", flush=True)
    for minute in range(MINUTES):
        if minute:
            measured["copy"](platform, minute)
            measured["fold what is alike"](platform, minute)
        for _ in range(60 * _EVENTS_A_SECOND // _EVENTS_A_COMMIT):
            commit = list(islice(market, _EVENTS_A_COMMIT))
            stored_s += timed(lambda: writer(commit))  # noqa: B023 - called at once
        print(f"  {minute + 1} of {MINUTES} minutes stored", end="\r", flush=True)
    postgres.execute("ANALYZE tick_segments")
    _read(postgres, Cold(access), f"{_SYMBOL}, hot, {len(_files(postgres, access))} files")
    _read(postgres, NO_LAKE, f"{_SYMBOL}, hot, from Postgres alone")
    for name in ("copy", "compact the hour", "compact the day"):
        measured[name](platform, MINUTES)
    files = _files(postgres, access)
    segments = platform.sql_number(_BYTES)
    measured["read back and drop"](platform, MINUTES)
    measured["expire and remove"](platform, MINUTES)
    objects = len(list(ObjectStore(access).listing(TABLE.name, "")))
    print(f"  {'':<24}{'s':>8}{'CPU s':>8}{'us/tick':>9}{'MiB':>6}  servers' CPU s")
    for each in measured.values():
        each.show(ticks)
    print(f"  stored: {ticks / stored_s / 1e3:.0f} k ticks/s")
    print(f"  bytes a tick: Postgres {segments / ticks:.1f}, the lake {sum(files) / ticks:.1f}")
    print(f"  data files of the day: {len(files)}, objects at the end: {objects}")
    _read(postgres, Cold(access), f"{_SYMBOL}, cold")
    postgres.close()


def _fold(postgres: Postgres, access: S3Access, minute: int) -> None:
    """Fold as far as it is due at a minute; the hour and the day are over at their ends."""
    while compact(postgres, access, DAY, begin_us(DAY) + minute * _MINUTE_US, settled_s=0):
        pass


def _drop(postgres: Postgres, access: S3Access, _: int) -> None:
    postgres.execute("DELETE FROM unaggregated")
    postgres.execute(
        "UPDATE lake_days SET compacted_at = clock_timestamp() - interval '2 days',"
        " changed_at = clock_timestamp() - interval '2 days'"
    )
    assert verify(postgres, access, DAY)
    assert drop(postgres, DAY, Terms(tick_hours=24))


def _expire(postgres: Postgres, access: S3Access, _: int) -> None:
    later_ms = time.time_ns() // 1_000_000 + 48 * 3_600_000
    expire_snapshots(postgres, access, Terms(), now_ms=later_ms)
    remove_orphans(postgres, access, ObjectStore(access), grace=timedelta(0))


def _copy(postgres: Postgres, access: S3Access, _: int) -> None:
    while copy_ticks(postgres, access):
        pass


_WORK: dict[str, Callable[[Postgres, S3Access, int], None]] = {
    "copy": _copy,
    "fold what is alike": _fold,
    "compact the hour": lambda postgres, access, _: _fold(postgres, access, 24 * 60 - 1),
    "compact the day": lambda postgres, access, _: _fold(postgres, access, 24 * 60),
    "read back and drop": _drop,
    "expire and remove": _expire,
}


class _Process:
    """A process that does one kind of work when it is told to."""

    def __init__(self, name: str, access: S3Access) -> None:
        self._name, self._access = name, access
        self._seconds, self._servers, self._cpu_s, self._peak_mib = 0.0, 0.0, 0.0, 0.0
        let_arrow_use_malloc()  # by the environment, which the process inherits
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), leave_dataframes_out)

    def __call__(self, platform: Platform, minute: int) -> None:
        """Let it work."""
        servers, begin = sum(platform.cpu().values()), time.perf_counter()
        dsn = platform.environment["DATABASE_URL"]
        working = self._pool.submit(_worked, self._name, dsn, self._access, minute)
        self._cpu_s, self._peak_mib = working.result()
        self._seconds += time.perf_counter() - begin
        self._servers += sum(platform.cpu().values()) - servers

    def show(self, ticks: int) -> None:
        """Print what it took, and end it."""
        each = self._cpu_s / ticks * 1e6
        print(
            f"  {self._name:<24}{self._seconds:>8.1f}{self._cpu_s:>8.1f}{each:>9.2f}"
            f"{self._peak_mib:>6.0f}{self._servers:>10.1f}",
            flush=True,
        )
        self._pool.shutdown()


def _worked(name: str, dsn: str, access: S3Access, minute: int) -> tuple[float, float]:
    """Work in a process; return the CPU seconds and the most memory of its life so far."""
    hand_freed_memory_back()
    use_little_memory()
    postgres = Postgres(dsn, size=2, limits=MAINTENANCE)
    _WORK[name](postgres, access, minute)
    postgres.close()
    return time.process_time(), peak_mib()


def _read(postgres: Postgres, cold: Cold, title: str) -> None:
    """Read all of one symbol as history-query does: at first, and once more is at hand."""
    low = begin_us(DAY)
    high = low + MINUTES * _MINUTE_US
    slices = TickSlices(postgres, cold)

    def read() -> int:
        some = slices.slices(_SYMBOL, low, high, _MINUTE_US, newest=False)
        return sum(len(each.trades) for each in some)

    (first, *others), count = times_ms(read, 10)
    median = statistics.median(others)
    print(f"  {title}: {count} ticks in {first:.0f} ms, then {median:.0f} ms", flush=True)


def _files(postgres: Postgres, access: S3Access) -> list[int]:
    """Return the sizes of the data files that count."""
    with postgres.connection() as connection:
        table = Catalog(connection, access).table(TABLE)
    return [task.file.file_size_in_bytes for task in table.scan().plan_files()]
