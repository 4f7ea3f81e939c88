"""A range of stored ticks in parts that fit into memory, whether they are hot or cold."""

from __future__ import annotations

from psycopg import Connection

from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import plan_ticks
from shared.repetitions import MINUTE_US
from shared.stores.segments import counts_of_range


def chunks_of_range(
    connection: Connection,
    instrument: str,
    from_us: int,
    to_us: int,
    most: int,
    cold: Cold = NO_LAKE,
) -> list[tuple[int, int]]:
    """Divide [from_us, to_us) at whole minutes into parts of about `most` stored ticks or a minute.

    What reaches over a border is read for both sides, and taken by each for its own.
    """
    plan = plan_ticks(connection, from_us, to_us)
    rows = [
        (max(first_us, from_us) // MINUTE_US, last_us, count)
        for first_us, last_us, count in counts_of_range(
            connection, instrument, from_us, to_us, plan
        )
    ]
    for first_us, last_us, count in cold.extents(plan, instrument, from_us, to_us):
        rows.append((first_us // MINUTE_US, last_us, count))
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
