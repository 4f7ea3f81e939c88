"""A day of ticks in the lake: copied each minute, compacted, read back and dropped.

TICKS (10,000,000 unless the environment says another number) of the day before yesterday, of 20 and
of 10,000 instruments: a commit and a copy each minute, each hour compacted when it is over, then
the day. What is measured runs in processes of its own, as `python -m shared.lake` does; the CPU of
Postgres and SeaweedFS stands beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from benchmarks._platform import Platform, running
from benchmarks.storage import WIDTHS, market, size
from functions.persist.tick_writer import TickWriter
from shared.lake.access import use_little_memory
from shared.lake.catalog import Catalog
from shared.lake.cold import Cold
from shared.lake.compaction import compact
from shared.lake.expiry import expire_snapshots, remove_orphans
from shared.lake.plan import Plan
from shared.lake.record import HOUR_US, begin_us, lake_of
from shared.lake.retention import drop, verify
from shared.lake.snapshot import copy_ticks
from shared.lake.tables import TICKS as TABLE
from shared.lake.terms import Terms
from shared.memory import hand_freed_memory_back
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore, S3Access

TICKS = int(os.environ.get("TICKS", "10000000"))
DAY = datetime.now(UTC).date() - timedelta(days=2)
_HOURS = 24
_MINUTES = 60
_MINUTE_US = 60_000_000
_SYMBOL = "SYM00007-USD"
_CHILD = """import sys
class NoPandas:  # Arrow loads it where it is installed, for nothing
    def find_spec(self, name, *_):
        if name == "pandas":
            raise ImportError(name)
sys.meta_path.insert(0, NoPandas())
from benchmarks.lake import serve
serve()"""


def run() -> None:
    """Print a table for each number of instruments."""
    for width in WIDTHS:
        with running("--functions", "none") as platform:
            measure(platform, width)


def measure(platform: Platform, width: int) -> None:
    """Let a day pass; print what its work took."""
    access, dsn = S3Access.from_mapping(platform.environment), platform.environment["DATABASE_URL"]
    postgres = Postgres(dsn, size=2)
    with postgres.connection() as connection:
        connection.execute("SELECT make_partition('tick_segments', %s)", (DAY,))
    events = market(
        width, begin_us(DAY), _HOURS * _MINUTES, TICKS // (_HOURS * _MINUTES), _MINUTE_US
    )
    writer = TickWriter(postgres)
    measured = {name: _Process(name, dsn, access) for name in _WORK}
    print(f"{width} instruments, {TICKS:,} ticks")
    print(f"  {'':<24}{'s':>8}{'CPU s':>8}{'MiB':>6}  servers' CPU s")
    for hour in range(_HOURS):
        for _ in range(_MINUTES):
            writer([next(events)])
            measured["copy"](platform, hour)
        measured["compact the hour"](platform, hour)
        if hour == _HOURS // 2:
            _read(postgres, access, "a symbol's hour, hours of files")
    measured["compact the day"](platform, _HOURS)
    files = _files(postgres, access)
    with psycopg.connect(dsn) as connection:
        segments = size(connection, "tick_segments")
    measured["read back and drop"](platform, _HOURS)
    measured["expire and remove"](platform, _HOURS)
    for each in measured.values():
        each.show()
    objects = len(list(ObjectStore(access).listing(TABLE.name, "")))
    print(f"  bytes a tick: Postgres {segments / TICKS:.1f}, the lake {sum(files) / TICKS:.1f}")
    print(f"  data files of the day: {len(files)}, objects at the end: {objects}")
    _read(postgres, access, "a symbol's hour, the day compacted")
    postgres.close()


def _compact(postgres: Postgres, access: S3Access, hour: int) -> int:
    count, until_us = 0, begin_us(DAY) + (hour + 1) * HOUR_US
    while compact(postgres, access, DAY, until_us, settled_s=0):
        count += 1
    return count


def _drop(postgres: Postgres, access: S3Access, _: int) -> int:
    postgres.execute("DELETE FROM unaggregated")
    postgres.execute(
        "UPDATE lake_days SET compacted_at = clock_timestamp() - interval '2 days',"
        " changed_at = clock_timestamp() - interval '2 days'"
    )
    assert verify(postgres, access, DAY)
    assert drop(postgres, DAY, Terms(tick_hours=24))
    return 1


def _expire(postgres: Postgres, access: S3Access, _: int) -> int:
    later_ms = time.time_ns() // 1_000_000 + 48 * 3_600_000
    expire_snapshots(postgres, access, Terms(), now_ms=later_ms)
    return remove_orphans(postgres, access, ObjectStore(access), grace=timedelta(0))


_WORK: dict[str, Callable[[Postgres, S3Access, int], int]] = {
    "copy": lambda postgres, access, _: copy_ticks(postgres, access),
    "compact the hour": _compact,
    "compact the day": _compact,
    "read back and drop": _drop,
    "expire and remove": _expire,
}


class _Process:
    """A process that does one kind of work when it is told to."""

    def __init__(self, name: str, dsn: str, access: S3Access) -> None:
        self._name, self._seconds, self._servers = name, 0.0, 0.0
        self._last = {"cpu_s": 0.0, "peak_mib": 0.0}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell([name, dsn, asdict(access)])

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def __call__(self, platform: Platform, hour: int) -> None:
        """Let it work."""
        servers, begin = sum(platform.cpu().values()), time.perf_counter()
        self._tell(hour)
        assert self._process.stdout is not None
        self._last = json.loads(self._process.stdout.readline())
        self._seconds += time.perf_counter() - begin
        self._servers += sum(platform.cpu().values()) - servers

    def show(self) -> None:
        """Print what it took, and end it."""
        cpu, peak = self._last["cpu_s"], self._last["peak_mib"]
        print(
            f"  {self._name:<24}{self._seconds:>8.1f}{cpu:>8.1f}{peak:>6.0f}{self._servers:>10.1f}",
            flush=True,
        )
        self._process.communicate("null\n")


def serve() -> None:
    """Work in a process, as stdin says; write what it took so far to stdout."""
    name, dsn, access = json.loads(sys.stdin.readline())
    hand_freed_memory_back()
    use_little_memory()
    postgres, store = Postgres(dsn, size=2), S3Access(**access)
    for line in sys.stdin:
        if (hour := json.loads(line)) is None:
            break
        _WORK[name](postgres, store, hour)
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        print(json.dumps({"cpu_s": time.process_time(), "peak_mib": peak / 1024}), flush=True)
    postgres.close()


def _read(postgres: Postgres, access: S3Access, title: str) -> None:
    """Read one symbol's hour from the table; the second time with its metadata at hand."""
    low = begin_us(DAY) + 5 * HOUR_US
    with postgres.connection() as connection:
        metadata = Catalog(connection, access).table(TABLE, lake_of(connection)).metadata_location
    plan, cold, times = Plan(((low, low + HOUR_US),), 0, metadata), Cold(access), []
    for _ in range(2):
        begin = time.perf_counter()
        count = sum(len(rows) for *_, rows in cold.rows(plan, _SYMBOL, low, low + HOUR_US))
        times.append((time.perf_counter() - begin) * 1e3)
    print(f"  {title}: {count} ticks in {times[0]:.0f} ms, again in {times[1]:.0f} ms", flush=True)


def _files(postgres: Postgres, access: S3Access) -> list[int]:
    """Return the sizes of the data files that count."""
    with postgres.connection() as connection:
        table = Catalog(connection, access).table(TABLE, lake_of(connection))
    return [task.file.file_size_in_bytes for task in table.scan().plan_files()]
