"""Each instrument's earliest event time, written in the transaction of the ticks that move it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection

from functions.persist.segments import Segment

_MOVE = """
    INSERT INTO first_ticks (instrument, first_time_us) VALUES (%s, %s)
    ON CONFLICT (instrument) DO UPDATE SET first_time_us = excluded.first_time_us
    WHERE excluded.first_time_us < first_ticks.first_time_us
"""


class FirstTicks:
    """Remembers what is known to be stored, so that a batch in the usual order costs nothing."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def move(self, connection: Connection, rows: Sequence[Segment]) -> dict[str, int]:
        """Write what is earlier than all before; return it, for `remember` after the commit."""
        earliest: dict[str, int] = {}
        for row in rows:
            known = earliest.get(row.instrument, self._known.get(row.instrument))
            if known is None or row.first_time_us < known:
                earliest[row.instrument] = row.first_time_us
        if earliest:
            # In one order everywhere, so that two workers cannot hold each other's rows.
            connection.cursor().executemany(_MOVE, sorted(earliest.items()))
        return earliest

    def remember(self, earliest: dict[str, int]) -> None:
        """Note what is committed by now."""
        for instrument, first_us in earliest.items():
            self._known[instrument] = min(first_us, self._known.get(instrument, first_us))
