"""Appends stored ticks that are not in the lake yet, in one commit."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

import numpy as np
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.candles.trades import MINUTE_US
from shared.errors import TransientError
from shared.lake.access import translated
from shared.lake.catalog import LOCK, Catalog, commit
from shared.lake.digest import digest
from shared.lake.files import write
from shared.lake.merge import merged
from shared.lake.record import HOUR_US, Change, joined, lake_of, move, position_of
from shared.lake.tables import SMALL_ROW_GROUP, TICKS
from shared.lake.tick_table import each_trade_once, ints, to_table, whole
from shared.market.utc_days import day_of
from shared.stores.commits import last_settled_commit
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access
from shared.stores.segments import ticks_of_commits
from shared.wire.ticks import Ticks

POSITION: Final = "kandle.position"
"""The property of a snapshot that names the last commit of ticks in it."""
_RUN_ROWS: Final = 16_384
_BATCH_ROWS: Final = 1_024
_MOST_ROWS: Final = 500_000
_FEW_ROWS: Final = 65_536

_UNTIL: Final = """
SELECT min(commit_id) FROM (
    SELECT commit_id, sum(tick_count) OVER (ORDER BY commit_id) AS ticks
    FROM stored_days WHERE commit_id > %s AND commit_id <= %s) AS commits
WHERE ticks >= %s
"""

_NEWEST: Final = "SELECT coalesce(max(commit_id), 0) FROM tick_segments"
_WAITING: Final = (
    "SELECT EXISTS (SELECT FROM tick_segments s, lake_position p"
    " WHERE s.commit_id > p.commit_id AND s.commit_id <= %s)"
)
_PAUSE_S: Final = 0.2


def copy_ticks(postgres: Postgres, access: S3Access) -> int:
    """Copy ticks stored since the last snapshot; return how many. Raises TransientError.

    1. Read the commits after the position, under the lake's lock. 2. Create the objects. 3. Commit
    the table's snapshot and the position that it reaches, in one transaction. Cut off anywhere
    before its end, the position is as it was and the objects are garbage.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        position, until = position_of(connection), last_settled_commit(connection)
        if until <= position:
            return 0
        row = connection.execute(_UNTIL, (position, until, _MOST_ROWS)).fetchone()
        until = row[0] if row and row[0] is not None else until
        table = Catalog(connection, access).table(TICKS, lake_of(connection))
        work = _Work()
        for _, ticks in ticks_of_commits(connection, position, until):
            work.take(ticks)
        files, changes = work.written(table)
        if files:
            commit(table, files, properties={POSITION: str(until)})
        move(connection, until, changes)
    return sum(change.taken for change in changes.values())


def copy_stored(postgres: Postgres, access: S3Access, *, patience_s: float) -> int:
    """Copy all stored ticks; return how many.

    Waits for another that holds the lake's lock, and for commits in flight. Raises TransientError
    when that takes longer than `patience_s`.
    """
    until_s = time.monotonic() + patience_s
    with postgres.connection() as connection:
        newest = connection.execute(_NEWEST).fetchone()
    count = 0
    while True:
        count += (copied := copy_ticks(postgres, access))
        with postgres.connection() as connection:
            waiting = connection.execute(_WAITING, newest).fetchone()
        if waiting is None or not waiting[0]:
            return count
        if not copied:
            if time.monotonic() > until_s:
                raise TransientError("stored ticks wait for a commit that does not end")
            time.sleep(_PAUSE_S)


@dataclass(slots=True)
class _Counts:
    """Rows that were folded, and their digest."""

    rows: int = 0
    digest: int = 0

    def folded(self, rows: pa.Table) -> pa.Table:
        """Return each trade once."""
        unique = each_trade_once(rows)
        self.rows, self.digest = self.rows + len(unique), joined(self.digest, digest(unique))
        return unique


class _Work:
    """Ticks held as sorted runs of compressed columns, until an hour's are merged into one file."""

    def __init__(self) -> None:
        self._waiting: list[Ticks] = []
        self._rows = 0
        self._runs: dict[int, list[pa.Buffer]] = defaultdict(list)
        self._tick_counts: Counter[int] = Counter()

    def take(self, ticks: Ticks) -> None:
        """Take ticks in."""
        self._waiting.append(ticks)
        self._rows += len(ticks)
        if self._rows >= _RUN_ROWS:
            self._sort()

    def written(self, table: Table) -> tuple[list[DataFile], dict[date, Change]]:
        """Write one object per hour, or one for a day of few ticks.

        Returns what they hold, and what came to each UTC day.
        """
        self._sort()
        files: list[DataFile] = []
        changes: dict[date, Change] = {}
        for day, of_day in groupby(sorted(self._runs), lambda hour: day_of(hour * HOUR_US)):
            hours = list(of_day)
            tick_count = sum(self._tick_counts[hour] for hour in hours)
            rows = total = 0
            for group in [hours] if tick_count < _FEW_ROWS else [[hour] for hour in hours]:
                counts = _Counts()
                runs = [_unpacked(run) for hour in group for run in self._runs.pop(hour)]
                merge = merged(runs, TICKS.key, MINUTE_US, counts.folded)
                with translated():
                    files += write(table, day, merge, TICKS, row_group=SMALL_ROW_GROUP)
                rows, total = rows + counts.rows, joined(total, counts.digest)
            changes[day] = Change(rows, total, tick_count)
        return files, changes

    def _sort(self) -> None:
        table = to_table(self._waiting).combine_chunks()  # each cut of thousands costs thousands
        hours = ints(whole(table["time"])) // HOUR_US
        order = np.argsort(hours, kind="stable")
        table = table.take(order)
        each, starts = np.unique(hours[order], return_index=True)
        ends = np.append(starts, len(hours))[1:]
        for hour, start, end in zip(each.tolist(), starts.tolist(), ends.tolist(), strict=True):
            rows = table.slice(start, end - start)
            self._runs[hour].append(_packed(each_trade_once(rows)))
            self._tick_counts[hour] += len(rows)
        self._waiting, self._rows = [], 0


def _packed(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as stream:
        stream.write_table(rows, max_chunksize=_BATCH_ROWS)
    return sink.getvalue()


def _unpacked(run: pa.Buffer) -> Iterator[pa.Table]:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    for batch in pa.ipc.open_stream(run, options=options):
        yield pa.Table.from_batches([batch])
