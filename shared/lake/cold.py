"""Ticks and candles read from the lake, only what is needed of it, a bounded number at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from shared.candle import Candle
from shared.errors import TransientError
from shared.lake.manifest import LakeFile
from shared.stores.s3 import ObjectStore
from shared.stores.s3_reader import ObjectMissing, S3Access
from shared.ticks import Ticks
from shared.trades import Rows, batches_of, concatenated, trades_of

if TYPE_CHECKING:
    from shared.lake.files import LakeReader

_WAIT_S: Final = 10.0
_AT_ONCE: Final = 4


class Cold:
    """Reads recorded files. The libraries for it are loaded at the first use.

    Methods raise TransientError while the store is away, when there is none, when too many read at
    once, and when a file was superseded and removed since the plan: planning again finds another.
    """

    def __init__(self, access: S3Access, *, scans: int = 2) -> None:
        self._access = access
        self._places = threading.BoundedSemaphore(scans)
        self._lock = threading.Lock()
        self._reader: LakeReader | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def reader(self) -> LakeReader:
        """The reader of objects."""
        with self._lock:
            if self._reader is None:
                if not self._access.endpoint:
                    raise TransientError("what is asked for is in the lake: set S3_ENDPOINT_URL")
                import pyarrow as pa

                from shared.lake.files import LakeReader

                # Its own allocators keep what was freed, and its pools a thread a processor each.
                pa.set_memory_pool(pa.system_memory_pool())
                pa.set_cpu_count(1)
                pa.set_io_thread_count(1)

                self._reader = LakeReader(ObjectStore(self._access))
                self._pool = ThreadPoolExecutor(_AT_ONCE, "lake")
            return self._reader

    def rows(
        self, files: Sequence[LakeFile], low_us: int, high_us: int, *, newest: bool = False
    ) -> Iterator[tuple[LakeFile, Rows]]:
        """Yield ticks in [low_us, high_us), a row group each; files in their order or backwards."""
        from shared.lake.tick_table import to_rows

        for file in reversed(files) if newest else files:
            with _planned_long_ago():
                tables = self.reader.tables(
                    file.bucket, file.path, file.byte_count, low_us, high_us
                )
                for table in tables:
                    rows = to_rows(table)
                    inside = (rows.time_us >= low_us) & (rows.time_us < high_us)
                    if inside.any():
                        yield file, rows if inside.all() else rows.at(inside)

    def ticks(
        self, instrument: str, files: Sequence[LakeFile], low_us: int, high_us: int
    ) -> Iterator[Ticks]:
        """Yield ticks in [low_us, high_us) as batches of one source each, in the total order."""
        with self.scan():
            for _, rows in self.rows(files, low_us, high_us):
                yield from batches_of(rows, instrument)

    def candles(
        self, files: Sequence[LakeFile], low_us: int, high_us: int, count: int, *, newest: bool
    ) -> list[Candle]:
        """Return the first `count` candles in [low_us, high_us), ascending or descending."""
        ordered = iter(reversed(files) if newest else files)
        found: list[Candle] = []

        def read(file: LakeFile) -> list[Candle]:
            from shared.lake.candle_table import to_candles

            candles: list[Candle] = []
            with _planned_long_ago():
                for table in reader.tables(
                    file.bucket, file.path, file.byte_count, low_us, high_us
                ):
                    candles += to_candles(table, file.instrument, file.timeframe)
            return candles

        with self.scan():
            reader = self.reader
            assert self._pool is not None
            while len(found) < count and (some := list(islice(ordered, 2 * _AT_ONCE))):
                for candles in self._pool.map(read, some):
                    inside = [each for each in candles if low_us <= each.start_us < high_us]
                    found += inside[::-1] if newest else inside
        return found[:count]

    @contextmanager
    def scan(self) -> Iterator[None]:
        """Hold one of few places, since each may take memory."""
        if not self._places.acquire(timeout=_WAIT_S):
            raise TransientError("too many requests read the lake at once")
        try:
            yield
        finally:
            self._places.release()


NO_LAKE: Final = Cold(S3Access())
"""Where there is no object store: nothing was ever moved there."""


def merged(parts: Sequence[Rows]) -> Rows:
    """Return all rows of the parts, each trade once, in the total order; at least one part."""
    return trades_of(concatenated(parts)).rows


@contextmanager
def _planned_long_ago() -> Iterator[None]:
    try:
        yield
    except ObjectMissing as error:
        raise TransientError(f"an object was superseded while it was read: {error}") from error
