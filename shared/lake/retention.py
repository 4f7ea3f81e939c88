"""What leaves Postgres: days of ticks and days of candles, once the lake provably has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.lake.cold import Cold
from shared.lake.manifest import LOCK, LakeFile
from shared.lake.places import DAY_US, Place, begin_us, day_of
from shared.lake.terms import Terms
from shared.lake.verification import verify_candles, verify_hour
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore
from shared.timeframes import Timeframe

log = logging.getLogger(__name__)

_CANDLE_DAYS_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class DayOfTicks:
    """A partition, and what keeps it: "" when nothing does but that it is not verified yet."""

    day: date
    partition: str
    is_cold: bool
    waits_for: str


def old_days(postgres: Postgres, terms: Terms, now_us: int) -> list[DayOfTicks]:
    """Return the partitions whose day ended before the terms, the oldest first. TransientError."""
    if not terms.tick_hours:
        return []
    until = day_of(now_us - terms.tick_us)
    with postgres.connection() as connection:
        names = connection.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'tick_segments'::regclass ORDER BY c.relname"
        ).fetchall()
        found = []
        for (name,) in names:
            day = datetime.strptime(name.rpartition("_")[2], "%Y%m%d").date()  # noqa: DTZ007
            if day < until:
                cold = connection.execute("SELECT FROM cold_days WHERE day = %s", (day,))
                found.append(
                    DayOfTicks(day, name, bool(cold.rowcount), _waits_for(connection, day, terms))
                )
    return found


def _waits_for(connection: Connection, day: date, terms: Terms) -> str:
    row = connection.execute(
        """
        SELECT EXISTS (SELECT FROM lake_pending_ticks WHERE day = %(day)s),
               EXISTS (SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'
                       AND from_us >= %(low)s AND from_us < %(high)s AND NOT whole),
               EXISTS (SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'
                       AND from_us >= %(low)s AND from_us < %(high)s
                       AND stored_until > clock_timestamp() - %(hours)s * interval '1 hour'),
               EXISTS (SELECT FROM applied_events a WHERE cardinality(a.shards) > 0
                       AND EXISTS (SELECT FROM tick_segments s WHERE s.day = %(day)s
                                   AND s.event_id = a.event_id)),
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
    with postgres.connection() as connection:
        rows = connection.execute(
            "SELECT DISTINCT instrument, hour * 3600000000 FROM tick_segments,"
            " generate_series(first_time_us / 3600000000, last_time_us / 3600000000) AS hour"
            " WHERE day = %s AND NOT EXISTS (SELECT FROM lake_files f"
            "   WHERE f.superseded_at IS NULL AND f.bucket = 'ticks' AND f.timeframe = ''"
            "   AND f.instrument = tick_segments.instrument AND f.from_us = hour * 3600000000"
            "   AND f.verified_at IS NOT NULL)",
            (day.day,),
        ).fetchall()
    return [Place.of_ticks(name, from_us) for name, from_us in sorted(rows)]


def verify(postgres: Postgres, store: ObjectStore, cold: Cold, day: DayOfTicks) -> Iterator[bool]:
    """Verify one hour at a time, and yield whether it is."""
    for place in unverified_hours(postgres, day):
        yield verify_hour(postgres, store, cold, place, is_cold=day.is_cold)


def drop(postgres: Postgres, day: DayOfTicks, terms: Terms) -> bool:
    """Drop a partition whose hours are verified; return False when something came between.

    Under the lake's lock and the partition's own, so that what was asked before still holds: who
    stores a tick of that day meanwhile has done so, or finds no partition and makes a new one.
    Raises TransientError when the table is busy: it is tried again later.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return False
        connection.execute("SET LOCAL lock_timeout = '2s'")
        connection.execute("LOCK TABLE ONLY tick_segments IN ACCESS EXCLUSIVE MODE")
        partition = sql.Identifier(day.partition)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(partition))
        if _waits_for(connection, day.day, terms):
            return False
        missing = connection.execute(
            sql.SQL(
                "SELECT FROM {} s WHERE NOT EXISTS (SELECT FROM lake_files f"
                " WHERE f.superseded_at IS NULL AND f.bucket = 'ticks' AND f.timeframe = ''"
                " AND f.instrument = s.instrument AND f.verified_at IS NOT NULL"
                " AND f.from_us <= s.first_time_us AND f.to_us > s.first_time_us) LIMIT 1"
            ).format(partition)
        ).rowcount
        unverified = connection.execute(
            "SELECT FROM lake_files WHERE superseded_at IS NULL AND bucket = 'ticks'"
            " AND from_us >= %s AND from_us < %s AND verified_at IS NULL LIMIT 1",
            (begin_us(day.day), begin_us(day.day) + DAY_US),
        ).rowcount
        if missing or unverified:
            return False
        connection.execute(sql.SQL("DROP TABLE {}").format(partition))
        connection.execute(
            "INSERT INTO cold_days (day) VALUES (%s) ON CONFLICT DO NOTHING", (day.day,)
        )
    log.info("ticks of %s left Postgres: the lake has them", day.day)
    return True


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
