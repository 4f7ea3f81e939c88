"""Files read back and held, row by row, against what Postgres has, before that may be dropped."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import numpy as np
from psycopg import Connection

from shared import metrics
from shared.lake.candle_days import candles_in_postgres
from shared.lake.cold import Cold, merged
from shared.lake.manifest import LakeFile, files_at
from shared.lake.places import Place, day_of
from shared.lake.plan import all_in_postgres, hold_partitions
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore
from shared.stores.s3_reader import ObjectMissing
from shared.stores.segments import ticks_in_postgres
from shared.trades import MINUTE_US, Rows

log = logging.getLogger(__name__)

_ROWS_AT_ONCE: Final = 150_000


def verify_hour(
    postgres: Postgres, store: ObjectStore, cold: Cold, place: Place, *, is_cold: bool
) -> bool:
    """Read an hour's file back; mark it verified when it is what its record and Postgres say.

    It must have the recorded bytes, and exactly the trades of the stored segments. Where the day
    left Postgres before (`is_cold`), those that came since must add nothing to it. A difference is
    logged and counted, and leaves everything where it is. Raises TransientError.
    """
    with postgres.connection() as connection:
        hold_partitions(connection)
        files = files_at(connection, place)
        if len(files) > 1 or not all(each.whole for each in files):
            return False  # to be compacted first
        if not all(_unharmed(store, each) for each in files):
            return False
        if not _same(connection, cold, place, files, is_cold=is_cold):
            return False
        connection.execute(
            "UPDATE lake_files SET verified_at = clock_timestamp() WHERE id = ANY(%s)",
            ([each.id for each in files],),
        )
    return True


def verify_candles(
    connection: Connection, store: ObjectStore, cold: Cold, file: LakeFile
) -> list[tuple[int, int]] | None:
    """Read a day of candles back; return (start, revision) of the rows in Postgres it covers.

    None when it is not what its record says, or lacks a row. Raises TransientError.
    """
    if not _unharmed(store, file):
        return None
    rows = candles_in_postgres(connection, file.place, lock=True)
    found = cold.candles([file], file.from_us, file.to_us, file.row_count, newest=False)
    if len(found) != file.row_count:
        _differs(file, f"it has {len(found)} rows")
        return None
    kept = {each.start_us: each for each in found}
    for row in rows:
        there = kept.get(row.start_us)
        if there is None or there.revision < row.revision:
            return None  # it changed since: a new file is due
        if there.revision == row.revision and there != row:
            _differs(file, f"the candle at {row.start_us} is another")
            return None
    return [(row.start_us, row.revision) for row in rows]


def _unharmed(store: ObjectStore, file: LakeFile) -> bool:
    try:
        if store.sha256(file.bucket, file.path) == file.sha256:
            return True
    except ObjectMissing:
        pass
    _differs(file, "its bytes are not those that were written, or it is gone")
    return False


def _same(
    connection: Connection, cold: Cold, place: Place, files: Sequence[LakeFile], *, is_cold: bool
) -> bool:
    rows = sum(each.row_count for each in files)
    minutes = max(60 * _ROWS_AT_ONCE // max(rows, 1), 1)
    seen = 0
    for low in range(place.from_us, place.to_us, minutes * MINUTE_US):
        high = min(low + minutes * MINUTE_US, place.to_us)
        stored = [
            Rows.of(ticks)
            for ticks in ticks_in_postgres(
                connection, place.instrument, low, high, all_in_postgres()
            )
        ]
        kept = [each for _, each in cold.rows(files, low, high)]
        both = [*stored, *kept]
        if not both:
            continue
        truth = merged(both if is_cold else stored) if stored or is_cold else None
        there = merged(kept) if kept else None
        count = sum(map(len, kept))
        seen += count
        if truth is None or there is None or len(there) != count or not equal(truth, there):
            if not _moved(connection, place, files):
                log.error("%s differs from the stored ticks in [%d, %d)", place.folder, low, high)
                metrics.LAKE_DIFFERS.inc()
            return False
    if seen != rows:
        _differs(files[0], f"it has {seen} rows")
    return seen == rows


def _moved(connection: Connection, place: Place, files: Sequence[LakeFile]) -> bool:
    """Tell whether ticks came while it was read: then a difference says nothing."""
    pending = connection.execute(
        "SELECT FROM stored_days WHERE day = %s AND commit_id >"
        " (SELECT commit_id FROM lake_position) LIMIT 1",
        (day_of(place.from_us),),
    ).rowcount
    return bool(pending) or files_at(connection, place) != list(files)


def equal(a: Rows, b: Rows) -> bool:
    """Tell whether both are the same rows in the same order, to the last column."""
    return len(a) == len(b) and all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(Rows)
    )


def _differs(file: LakeFile, what: str) -> None:
    log.error("object %s/%s is not what it must be: %s", file.bucket, file.path, what)
    metrics.LAKE_DIFFERS.inc()
