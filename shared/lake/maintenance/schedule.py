"""Maintenance schedule: due work of the lake, read from Postgres only; imports no Iceberg."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg import Connection

from shared.lake.maintenance.settings import Terms
from shared.lake.record import HOUR_US
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US, begin_us, day_of
from shared.stores.postgres import Postgres

SETTLED_S: Final = 600
"""Age at which a day of candles is copied, if it is quiet for a minute."""
QUIET_S: Final = 60
COMPACTED_S: Final = 60
"""Age at which an hour or a day is compacted."""
_EACH_S: Final = 30
"""Minimum interval between two checks of a day."""

_TICKS: Final = (
    "SELECT min(stored_at) < clock_timestamp() - %s * interval '1 second' FROM stored_days"
    " WHERE commit_id > (SELECT commit_id FROM lake_position)"
)
_CHANGED: Final = """
SELECT day FROM lake_days
WHERE changed_at > coalesce(compacted_at, '-infinity')
  AND coalesce(tried_at < clock_timestamp() - %s * interval '1 second', true)
ORDER BY day LIMIT 100
"""
_CANDLE_DAY: Final = """
SELECT day, array_agg(id) FROM lake_pending_candles
WHERE day < date '1970-01-01' + floor((%(now_us)s - %(settled_s)s * 1000000.0) / 86400000000)::int
GROUP BY day
HAVING max(since) < clock_timestamp() - least(%(quiet_s)s, %(settled_s)s) * interval '1 second'
    OR min(since) < clock_timestamp() - interval '1 hour'
ORDER BY day LIMIT 1
"""
_CANDLES_TO_LEAVE: Final = """
SELECT day FROM lake_candle_days
WHERE day < %s AND is_in_postgres AND day NOT IN (SELECT day FROM lake_pending_candles)
ORDER BY day LIMIT 20
"""
_WAITS: Final = """
SELECT EXISTS (SELECT FROM stored_days WHERE day = %(day)s AND commit_id > position.commit_id),
       coalesce((SELECT sum(tick_count) FROM stored_days WHERE day = %(day)s), 0)
           <> coalesce(lake.taken, 0) AND NOT EXISTS (SELECT FROM cold_days WHERE day = %(day)s),
       lake.day IS NULL,
       lake.changed_at > coalesce(lake.compacted_at, '-infinity'),
       lake.changed_at > clock_timestamp() - %(hours)s * interval '1 hour',
       EXISTS (SELECT FROM unaggregated
               WHERE first_us < %(low)s + 86400000000 AND last_us >= %(low)s)
FROM lake_position AS position LEFT JOIN lake_days AS lake ON lake.day = %(day)s
"""
_PAST_TERMS: Final = """
WITH partitions AS (SELECT day FROM partition_days WHERE parent = 'tick_segments'),
old AS (SELECT day FROM lake_days
        WHERE day NOT IN (TABLE partitions) AND day NOT IN (SELECT day FROM cold_days)
        ORDER BY day LIMIT 20)
SELECT day, is_partition
FROM (SELECT day, true AS is_partition FROM partitions UNION ALL SELECT day, false FROM old) AS days
WHERE day < %s ORDER BY day
"""


def ticks_are_due(connection: Connection, after_s: float) -> bool:
    """Tell whether the oldest tick not in the lake was stored `after_s` ago or earlier."""
    return connection.execute(_TICKS, (after_s,)).fetchone() == (True,)


def candle_day(
    connection: Connection, now_us: int, settled_s: float
) -> tuple[date, list[int]] | None:
    """Return a day whose candles are to be copied, and the changes that its copy will have."""
    parameters = {"now_us": now_us, "settled_s": settled_s, "quiet_s": QUIET_S}
    return connection.execute(_CANDLE_DAY, parameters).fetchone()


def due_days(postgres: Postgres, *, each_s: float = _EACH_S) -> list[date]:
    """Return days whose files changed since they were compacted. Raises TransientError."""
    with postgres.connection() as connection:
        return [row[0] for row in connection.execute(_CHANGED, (each_s,)).fetchall()]


@dataclass(frozen=True, slots=True)
class DayOfTicks:
    """A day of Postgres, and what keeps it: "" when nothing does, but that it is to be verified.

    Ticks of a day without a partition are among those of old days.
    """

    day: date
    is_partition: bool
    waits_for: str


def old_days(postgres: Postgres, terms: Terms, now_us: int) -> list[DayOfTicks]:
    """Return the days that ended before the terms, the oldest first. Raises TransientError."""
    if not terms.tick_hours:
        return []
    with postgres.connection() as connection:
        rows = connection.execute(
            _PAST_TERMS, (day_of(now_us - terms.tick_hours * HOUR_US),)
        ).fetchall()
        return [
            DayOfTicks(day, is_partition, waits_for(connection, day, terms))
            for day, is_partition in rows
        ]


def waits_for(connection: Connection, day: date, terms: Terms) -> str:
    """Return the reason that a day stays in Postgres, or ""."""
    row = connection.execute(
        _WAITS, {"day": day, "low": begin_us(day), "hours": terms.tick_hours}
    ).fetchone()
    assert row is not None
    pending, differs, empty, uncompacted, young, unaggregated = row
    if pending:
        return "ticks that the lake has not yet"
    if differs:
        return "the lake, which took another number of ticks than were stored"
    if unaggregated:
        return "events that are not known to be in the candles"
    if empty:
        return ""
    if uncompacted:
        return "files to be compacted"
    return f"ticks stored in the last {terms.tick_hours} h" if young else ""


def old_candle_days(postgres: Postgres, terms: Terms, now_us: int) -> list[date]:
    """Return days of candles that may leave Postgres once verified. Raises TransientError."""
    if not terms.candle_days:
        return []
    until = day_of(now_us - terms.candle_days * DAY_US)
    with postgres.connection() as connection:
        rows = connection.execute(_CANDLES_TO_LEAVE, (until,)).fetchall()
    return [day for (day,) in rows]


def longest(connection: Connection) -> str:
    """Return the longest timeframe: its few rows stay in Postgres."""
    rows = connection.execute("SELECT DISTINCT unnest(timeframes) FROM lake_candle_days")
    names = [row[0] for row in rows]
    return max(names, key=lambda name: Timeframe.parse(name).length_us, default="")
