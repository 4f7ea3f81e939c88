"""Reads ticks and candles from the lake, with a bounded number of scans at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.candles.trades import Rows, batches_of
from shared.errors import TransientError
from shared.lake.reading.plan import Plan
from shared.market.utc_days import DAY_US
from shared.runtime.memory import let_arrow_use_malloc
from shared.stores.s3 import S3Access
from shared.wire.ticks import Ticks

if TYPE_CHECKING:
    import pyarrow as pa

    from shared.lake.reading.reader import LakeReader

_WAIT_S: Final = 10.0
_AWAY_S: Final = 10.0


class Cold:
    """Reads what a plan leaves to the lake. The libraries for it are loaded at the first use.

    Methods raise TransientError while the store is away, when there is none, and when too many read
    at once.
    """

    def __init__(self, access: S3Access, *, scans: int = 2) -> None:
        let_arrow_use_malloc()  # what converts rows is loaded before the reader, too
        self._access = access
        self._slots = threading.BoundedSemaphore(scans)
        self._lock = threading.Lock()
        self._reader: LakeReader | None = None
        self._away_until_s = 0.0

    @property
    def is_there(self) -> bool:
        """Whether a lake is configured and has not failed in the last seconds."""
        return bool(self._access.endpoint) and time.monotonic() > self._away_until_s

    def load(self) -> None:
        """Preload the libraries if there is a lake, so that the first reader does not wait."""
        if self.is_there:
            from shared.lake.tables import tick_table  # noqa: F401

            _ = self.reader

    @property
    def reader(self) -> LakeReader:
        """The reader of the tables."""
        with self._lock:
            if self._reader is None:
                if not self._access.endpoint:
                    raise TransientError("what is asked for is in the lake: set S3_ENDPOINT_URL")
                from shared.lake.access import use_little_memory
                from shared.lake.reading.reader import LakeReader

                use_little_memory(threads=2)
                self._reader = LakeReader(self._access)
            return self._reader

    def extents(
        self, plan: Plan, instrument: str, low_us: int, high_us: int, *, newest: bool = False
    ) -> Iterator[tuple[int, int, int]]:
        """Yield first time, last time and most rows of each row group that may have its ticks.

        In the order of `rows`.
        """
        if not plan.is_hot:
            series = {"symbol": instrument}
            with self._watched():
                for each in self.reader.groups(plan, series, low_us, high_us, newest=newest):
                    yield each.first_us, each.last_us, each.rows

    def rows(
        self, plan: Plan, instrument: str, low_us: int, high_us: int, *, newest: bool = False
    ) -> Generator[tuple[int, int, Rows]]:
        """Yield the plan's ticks in [low_us, high_us), a row group each, with its time bounds.

        By first time ascending, or by last time descending.
        """
        if plan.is_hot:
            return
        from shared.lake.tables.tick_table import to_rows

        series = {"symbol": instrument}
        with self._watched():
            groups = self.reader.groups(plan, series, low_us, high_us, newest=newest)
            for group, rows in self.reader.read(groups, series, to_rows):
                inside = (rows.time_us >= group.first_us) & (rows.time_us <= group.last_us)
                if inside.any():
                    yield group.first_us, group.last_us, rows if inside.all() else rows.at(inside)

    def ticks(self, plan: Plan, instrument: str, low_us: int, high_us: int) -> Iterator[Ticks]:
        """Yield ticks in [low_us, high_us) as batches of one source each, in the total order."""
        if plan.is_hot:
            return
        with self.scan():
            for _, _, rows in self.rows(plan, instrument, low_us, high_us):
                yield from batches_of(rows, instrument)

    def candle_lists(
        self,
        plan: Plan,
        instrument: str,
        timeframe: str,
        low_us: int,
        high_us: int,
        *,
        count: int | None = None,
        newest: bool = False,
    ) -> dict[str, list[Any]]:
        """Return the first `count` candles in [low_us, high_us), ascending or descending.

        Lists by the names of `Candle`, exact numbers as their text.
        """
        from shared.lake.tables.candle_table import between, first, to_lists

        series = {"timeframe": timeframe, "symbol": instrument}
        tables: list[pa.Table] = []
        with self.scan(), self._watched():
            day = -1
            groups = self.reader.groups(plan, series, low_us, high_us, newest=newest)
            for group, rows in self.reader.read(groups, series, lambda rows: rows):
                is_enough = count is not None and sum(map(len, tables)) >= count
                if is_enough and group.first_us // DAY_US != day:
                    break
                day = group.first_us // DAY_US
                tables.append(
                    between(rows, group.first_us, group.last_us) if group.is_cut else rows
                )
        return to_lists(first(tables, count, newest=newest))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except TransientError:
            self._away_until_s = time.monotonic() + _AWAY_S
            raise

    @contextmanager
    def scan(self) -> Iterator[None]:
        """Hold a slot for a scan; slots bound the memory."""
        if not self._slots.acquire(timeout=_WAIT_S):
            raise TransientError("too many requests read the lake at once")
        try:
            yield
        finally:
            self._slots.release()


NO_LAKE: Final = Cold(S3Access())
"""Reader for deployments without an object store."""
