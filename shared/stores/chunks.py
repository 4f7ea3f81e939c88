"""A range of stored ticks in parts that fit into memory, whether they are hot or cold."""

from __future__ import annotations

from typing import Final

from psycopg import Connection, sql

from shared.lake.plan import HOT, plan_ticks
from shared.repetitions import MINUTE_US

_COUNTS: Final = sql.SQL(
    "SELECT greatest(first_time_us, %(from_us)s) / 60000000, max(last_time_us), sum(tick_count)"
    " FROM tick_segments"
    " WHERE instrument = %(instrument)s"
    " AND first_time_us < %(to_us)s AND last_time_us >= %(from_us)s AND {} GROUP BY 1"
).format(sql.SQL(HOT))


def chunks_of_range(
    connection: Connection, instrument: str, from_us: int, to_us: int, most: int
) -> list[tuple[int, int]]:
    """Divide [from_us, to_us) at whole minutes into parts of about `most` stored ticks or a minute.

    What reaches over a border is read for both sides, and taken by each for its own.
    """
    plan = plan_ticks(connection, instrument, from_us, to_us)
    bounds = {"instrument": instrument, "from_us": from_us, "to_us": to_us, **plan.parameters}
    rows = [tuple(map(int, row)) for row in connection.execute(_COUNTS, bounds).fetchall()]
    for file in plan.files:
        minute = max(file.min_time_us, from_us) // MINUTE_US
        rows.append((minute, file.max_time_us, file.row_count))
    chunks: list[tuple[int, int]] = []
    begin_us = reach_us = count = 0
    for minute, last_us, ticks in sorted(rows):
        start_us = minute * MINUTE_US
        if (
            count
            and start_us > begin_us
            and (count + ticks > most or start_us > reach_us + MINUTE_US)
        ):
            chunks.append((begin_us, start_us))
            count = 0
        if not count:
            begin_us = start_us
        count += ticks
        reach_us = max(reach_us, last_us)
    if count:
        chunks.append((begin_us, min(to_us, reach_us + 1)))
    return chunks
