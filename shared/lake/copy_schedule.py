"""Schedule of copies to the lake, decided from Postgres alone."""

from __future__ import annotations

from typing import Final

from psycopg import Connection

_DUE: Final = (
    "SELECT min(stored_at) < clock_timestamp() - %s * interval '1 second' FROM stored_days"
    " WHERE commit_id > (SELECT commit_id FROM lake_position)"
)


def ticks_are_due(connection: Connection, after_s: float) -> bool:
    """Tell whether the oldest tick that the lake has not was stored so long ago."""
    return connection.execute(_DUE, (after_s,)).fetchone() == (True,)
