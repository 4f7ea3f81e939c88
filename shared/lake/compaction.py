"""Parts of an hour that is over, folded into one sorted file in which each trade stands once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
from psycopg import Connection

from shared.errors import TransientError
from shared.lake.cold import Cold, merged
from shared.lake.files import write
from shared.lake.manifest import LOCK, LakeFile, files_at, lake_of, record
from shared.lake.places import Place
from shared.lake.tick_table import to_table
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore
from shared.trades import MINUTE_US

SETTLED_S: Final = 60
"""An hour is compacted when it has been over for so long, and no part came for as long."""
LATE_EACH_S: Final = 300
"""Corrections of a compacted hour are folded in so often at most."""
_HOURS_AT_ONCE: Final = 50
_ROWS_AT_ONCE: Final = 150_000

_DUE: Final = """
SELECT instrument, from_us FROM lake_files
WHERE superseded_at IS NULL AND bucket = 'ticks'
GROUP BY instrument, from_us
HAVING NOT bool_and(whole) AND max(to_us) + %(settled_s)s * 1000000 < %(now_us)s
   AND max(recorded_at) FILTER (WHERE NOT whole)
       < clock_timestamp() - %(settled_s)s * interval '1 second'
   AND coalesce(max(recorded_at) FILTER (WHERE whole)
       < clock_timestamp() - %(late_s)s * interval '1 second', true)
ORDER BY from_us LIMIT %(limit)s
"""


def due_hours(
    postgres: Postgres,
    now_us: int,
    *,
    settled_s: float = SETTLED_S,
    late_each_s: float = LATE_EACH_S,
) -> list[Place]:
    """Return hours that are to be compacted, the oldest first. Raises TransientError."""
    with postgres.connection() as connection:
        rows = connection.execute(
            _DUE,
            {
                "now_us": now_us,
                "settled_s": settled_s,
                "late_s": late_each_s,
                "limit": _HOURS_AT_ONCE,
            },
        ).fetchall()
    return [Place.of_ticks(name, from_us) for name, from_us in rows]


def compact(postgres: Postgres, store: ObjectStore, cold: Cold, place: Place) -> bool:
    """Fold an hour's files into one; return False when another does, or there is nothing to fold.

    The new object is created first; then, in one transaction, it begins to count and the old ones
    cease to. Raises TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return False
        files = files_at(connection, place)
        if all(each.whole for each in files) and len(files) < 2:
            return False
        fold(connection, store, cold, place, files)
    return True


def fold(
    connection: Connection, store: ObjectStore, cold: Cold, place: Place, files: Sequence[LakeFile]
) -> None:
    """Let one new file of a place count instead of these, in the caller's transaction."""
    written = write(store, lake_of(connection), place, _merged_tables(cold, files), whole=True)
    if written is None:
        raise TransientError(f"the files of {place.folder} hold nothing")
    record(connection, written, max(each.stored_until for each in files), files)


def _merged_tables(cold: Cold, files: Sequence[LakeFile]) -> Iterator[pa.Table]:
    """Yield the rows in slices of whole minutes, since a trade is one of its minute."""
    low = min(each.min_time_us for each in files) // MINUTE_US * MINUTE_US
    end = max(each.max_time_us for each in files) + 1
    rows = sum(each.row_count for each in files)
    minutes = max(_ROWS_AT_ONCE * max((end - low) // MINUTE_US, 1) // rows, 1)
    while low < end:
        high = low + minutes * MINUTE_US
        some = [each for each in files if each.min_time_us < high and each.max_time_us >= low]
        if parts := [rows for _, rows in cold.rows(some, low, high)]:
            yield to_table(merged(parts))
        low = high
