"""Days of stored candles copied into files, a day that changed again into a new one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import date
from typing import Final

from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.candle import Candle
from shared.lake.candle_table import to_table
from shared.lake.cold import Cold
from shared.lake.files import write
from shared.lake.manifest import LOCK, files_at, lake_of, record
from shared.lake.places import DAY_US, Place, begin_us
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore

SETTLED_S: Final = 600
"""A day is copied when it has been over for so long, and nothing changed for a minute."""
_QUIET_S: Final = 60
_AT_ONCE: Final = 20

_DUE: Final = """
SELECT timeframe, instrument, day FROM lake_pending_candles
WHERE day < date '1970-01-01' + floor((%(now_us)s - %(settled_s)s * 1000000.0) / %(day_us)s)::int
GROUP BY timeframe, instrument, day
HAVING max(since) < clock_timestamp() - least(%(quiet_s)s, %(settled_s)s) * interval '1 second'
    OR min(since) < clock_timestamp() - interval '1 hour'
ORDER BY min(id) LIMIT %(limit)s
"""
_SELECT: Final = sql.SQL(
    "SELECT {} FROM candles WHERE instrument = %s AND timeframe = %s"
    " AND start_us >= %s AND start_us < %s ORDER BY start_us {}"
)
_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Candle))


def copy_candles(
    postgres: Postgres,
    store: ObjectStore,
    cold: Cold,
    now_us: int,
    *,
    settled_s: float = SETTLED_S,
) -> int:
    """Copy days that are due; return how many. Raises TransientError.

    A file holds the day whole: what Postgres has of it and, where that left Postgres, what the file
    before has, by the highest revision. Recorded in the transaction that strikes the changes.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        lake = lake_of(connection)
        due: list[tuple[str, str, date]] = connection.execute(
            _DUE,
            {
                "now_us": now_us,
                "settled_s": settled_s,
                "quiet_s": _QUIET_S,
                "day_us": DAY_US,
                "limit": _AT_ONCE,
            },
        ).fetchall()
        for timeframe, instrument, day in due:
            changes = connection.execute(
                "SELECT array_agg(id), clock_timestamp() FROM lake_pending_candles"
                " WHERE timeframe = %s AND instrument = %s AND day = %s",
                (timeframe, instrument, day),
            ).fetchone()
            assert changes is not None
            place = Place.of_candles(instrument, timeframe, begin_us(day))
            files = files_at(connection, place)
            before = cold.candles(files, place.from_us, place.to_us, DAY_US, newest=False)
            candles = highest([*before, *candles_in_postgres(connection, place)])
            written = write(store, lake, place, [to_table(candles)], whole=True)
            if written is not None:
                record(connection, written, changes[1], files)
            connection.execute("DELETE FROM lake_pending_candles WHERE id = ANY(%s)", (changes[0],))
    return len(due)


def highest(candles: Iterable[Candle]) -> list[Candle]:
    """Return one candle of each start, the highest revision, ascending."""
    found: dict[int, Candle] = {}
    for candle in candles:
        present = found.get(candle.start_us)
        if present is None or candle.revision > present.revision:
            found[candle.start_us] = candle
    return [found[start] for start in sorted(found)]


def candles_in_postgres(
    connection: Connection, place: Place, *, lock: bool = False
) -> list[Candle]:
    """Return the stored candles of a day, ascending."""
    statement = _SELECT.format(_COLUMNS, sql.SQL("FOR UPDATE" if lock else ""))
    bounds = (place.instrument, place.timeframe, place.from_us, place.to_us)
    with connection.cursor(row_factory=class_row(Candle)) as cursor:
        return cursor.execute(statement, bounds).fetchall()
