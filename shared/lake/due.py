"""Whether stored ticks are to be copied: asked often, of Postgres alone."""

from __future__ import annotations

from typing import Final

from psycopg import Connection

AT_ONCE: Final = 10_000
"""Days of commits that are looked at once, at most."""
_TICK_BYTES: Final = 25
"""What a tick takes in a part, about."""
_DUE: Final = (
    "SELECT coalesce(sum(tick_count), 0)::bigint,"
    " coalesce(extract(epoch FROM clock_timestamp() - min(stored_at)), 0)::float FROM (SELECT"
    " tick_count, stored_at FROM stored_days"
    " WHERE commit_id > (SELECT commit_id FROM lake_position)"
    " ORDER BY commit_id LIMIT %s) AS oldest"
)


def ticks_are_due(connection: Connection, after_s: float, or_bytes: int) -> bool:
    """Tell whether the oldest pending tick has waited for so long, or they are so many."""
    ticks, waited_s = connection.execute(_DUE, (AT_ONCE,)).fetchone() or (0, 0.0)
    return bool(ticks) and (ticks * _TICK_BYTES >= or_bytes or waited_s >= after_s)
