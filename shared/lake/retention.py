"""What leaves Postgres: days of ticks and days of candles, once the lake provably has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.lake.cold import Cold
from shared.lake.manifest import LOCK, LakeFile
from shared.lake.places import DAY_US, HOUR_US, Place, begin_us, day_of
from shared.lake.terms import Terms
from shared.lake.verification import verify_candles, verify_hour
from shared.stores.partitions import days_before, drop_day
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore
from shared.stores.segments import instruments_between
from shared.timeframes import Timeframe

log = logging.getLogger(__name__)

_CANDLE_DAYS_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class DayOfTicks:
    """A partition, and what keeps it: "" when nothing does but that it is not verified yet."""

    day: date
    is_cold: bool
    waits_for: str


def old_days(postgres: Postgres, terms: Terms, now_us: int) -> list[DayOfTicks]:
    """Return the partitions whose day ended before the terms, the oldest first. TransientError."""
    if not terms.tick_hours:
        return []
    until = day_of(now_us - terms.tick_us)
    with postgres.connection() as connection:
        found = []
        for day in days_before(connection, "tick_segments", until):
            cold = connection.execute("SELECT FROM cold_days WHERE day = %s", (day,))
            found.append(DayOfTicks(day, bool(cold.rowcount), _waits_for(connection, day, terms)))
    return found


def _waits_for(connection: Connection, day: date, terms: Terms) -> str:
    row = connection.execute(
        """
        SELECT EXISTS (SELECT FROM stored_days WHERE day = %(day)s
                       AND commit_id > (SELECT commit_id FROM lake_position)),
               EXISTS (SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'
                       AND from_us >= %(low)s AND from_us < %(high)s AND NOT whole),
               EXISTS (SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'
                       AND from_us >= %(low)s AND from_us < %(high)s
                       AND stored_until > clock_timestamp() - %(hours)s * interval '1 hour'),
               EXISTS (SELECT FROM unaggregated
                       WHERE first_us < %(low)s + 86400000000 AND last_us >= %(low)s),
               NOT EXISTS (SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'
                           AND from_us >= %(low)s AND from_us < %(high)s)
        """,
        {
            "day": day,
            "low": begin_us(day),
            "high": begin_us(day) + DAY_US,
            "hours": terms.tick_hours,
        },
    ).fetchone()
    assert row is not None
    pending, parts, young, unaggregated, empty = row
    if pending:
        return "ticks that no file has yet"
    if empty:
        return "its first tick"
    if parts:
        return "parts to be compacted"
    if young:
        return f"ticks stored in the last {terms.tick_hours} h"
    return "events that are not known to be in the candles" if unaggregated else ""


def unverified_hours(postgres: Postgres, day: DayOfTicks) -> list[Place]:
    """Return the hours that a partition has ticks of, or may have, without a verified file."""
    low = begin_us(day.day)
    with postgres.connection() as connection:
        files = connection.execute(
            "SELECT instrument, from_us FROM lake_files WHERE superseded_at IS NULL"
            " AND bucket = 'ticks' AND from_us >= %s AND from_us < %s AND verified_at IS NULL",
            (low, low + DAY_US),
        ).fetchall()
        rows = set(files) | (hours_of_day(connection, low) - verified_hours(connection, low))
    return [Place.of_ticks(name, from_us) for name, from_us in sorted(rows)]


def verify(postgres: Postgres, store: ObjectStore, cold: Cold, day: DayOfTicks) -> Iterator[bool]:
    """Verify one hour at a time, and yield whether it is."""
    for place in unverified_hours(postgres, day):
        yield verify_hour(postgres, store, cold, place, is_cold=day.is_cold)


def drop(postgres: Postgres, day: DayOfTicks, terms: Terms) -> bool:
    """Drop a partition whose hours are verified; return False when something came between.

    What the day has is judged once no commit stores there any more. Raises TransientError when
    somebody still reads the partition: it is tried again later.
    """

    def proved(connection: Connection, partition: sql.Identifier) -> bool:
        low = begin_us(day.day)
        if not try_lock(connection, LOCK) or _waits_for(connection, day.day, terms):
            return False
        if hours_of_day(connection, low) - verified_hours(connection, low):
            return False
        unverified = connection.execute(
            "SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'"
            " AND from_us >= %s AND from_us < %s AND verified_at IS NULL LIMIT 1",
            (low, low + DAY_US),
        ).rowcount
        if unverified:
            return False
        connection.execute(
            "INSERT INTO cold_days (day) VALUES (%s) ON CONFLICT DO NOTHING", (day.day,)
        )
        return True

    return drop_day(postgres, "tick_segments", day.day, proved)


def hours_of_day(connection: Connection, low_us: int) -> set[tuple[str, int]]:
    """Return the instruments and hours (us) that Postgres has ticks of in a day."""
    return {
        (name, hour)
        for hour in range(low_us, low_us + DAY_US, HOUR_US)
        for name in instruments_between(connection, hour, hour + HOUR_US)
    }


def verified_hours(connection: Connection, low_us: int) -> set[tuple[str, int]]:
    """Return those whose file was read back and found equal."""
    rows = connection.execute(
        "SELECT instrument, from_us FROM lake_files WHERE superseded_at IS NULL"
        " AND bucket = 'ticks' AND from_us >= %s AND from_us < %s AND verified_at IS NOT NULL",
        (low_us, low_us + DAY_US),
    )
    return set(rows.fetchall())


def old_candle_days(postgres: Postgres, terms: Terms, now_us: int, limit: int) -> list[LakeFile]:
    """Return files of candle days whose rows may leave Postgres once verified. TransientError.

    Of each instrument its longest timeframe stays: a row a day at most, and it tells what there is.
    """
    if not terms.candle_days:
        return []
    with postgres.connection() as connection:
        names = connection.execute(
            "SELECT instrument, array_agg(DISTINCT timeframe) FROM lake_files"
            " WHERE bucket = 'candles' AND superseded_at IS NULL GROUP BY instrument"
        ).fetchall()
        leaving = [
            (name, timeframe)
            for name, some in names
            for timeframe in some
            if timeframe != max(some, key=lambda each: Timeframe.parse(each).length_us)
        ]
        with connection.cursor(row_factory=class_row(LakeFile)) as cursor:
            return cursor.execute(
                "SELECT id, bucket, path, f.instrument, f.timeframe, from_us, to_us, whole,"
                " row_count, byte_count, sha256, min_time_us, max_time_us, stored_until,"
                " recorded_at, verified_at, cold_at FROM lake_files f"
                " JOIN unnest(%s::text[], %s::text[]) AS l (instrument, timeframe)"
                "   ON (l.instrument, l.timeframe) = (f.instrument, f.timeframe)"
                " WHERE bucket = 'candles' AND superseded_at IS NULL AND verified_at IS NULL"
                " AND to_us <= %s AND stored_until < clock_timestamp() - interval '1 day'"
                " AND NOT EXISTS (SELECT FROM lake_pending_candles p"
                "   WHERE (p.instrument, p.timeframe) = (f.instrument, f.timeframe)"
                "   AND p.day = date '1970-01-01' + (f.from_us / 86400000000)::int)"
                " ORDER BY from_us LIMIT %s",
                (
                    *([each[0] for each in leaving], [each[1] for each in leaving]),
                    *(now_us - terms.candle_days * DAY_US, limit),
                ),
            ).fetchall()


def drop_candles(
    postgres: Postgres, store: ObjectStore, cold: Cold, terms: Terms, now_us: int
) -> int:
    """Delete the rows of candle days that were read back; return how many. Raises TransientError.

    A row goes only at the revision that the file has.
    """
    gone = 0
    for file in old_candle_days(postgres, terms, now_us, _CANDLE_DAYS_AT_ONCE):
        with postgres.connection() as connection:
            if not try_lock(connection, LOCK):
                return gone
            covered = verify_candles(connection, store, cold, file)
            if covered is None:
                continue
            connection.execute(
                "DELETE FROM candles"
                " USING unnest(%s::bigint[], %s::bigint[]) AS k (start, revision)"
                " WHERE instrument = %s AND timeframe = %s AND start_us = k.start"
                " AND candles.revision = k.revision",
                (
                    *([each[0] for each in covered], [each[1] for each in covered]),
                    *(file.instrument, file.timeframe),
                ),
            )
            connection.execute(
                "UPDATE lake_files SET verified_at = clock_timestamp(),"
                " cold_at = coalesce(cold_at, clock_timestamp())"
                " WHERE id = %s AND superseded_at IS NULL",
                (file.id,),
            )
            gone += len(covered)
    return gone
