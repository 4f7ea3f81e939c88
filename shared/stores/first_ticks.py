"""Start of the known trades and candles of each instrument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

NEVER_US: Final = -(2**62)
"""Of an instrument without a stored tick: no candle is partial."""

_SINCE: Final = (
    "SELECT instrument, least(first_time_us, history_us) FROM first_ticks"
    " WHERE instrument = ANY(%s)"
)
_OF: Final = "SELECT instrument, first_time_us FROM first_ticks WHERE instrument = ANY(%s)"

NOTE_TIMES: Final = """
    INSERT INTO first_ticks (instrument, first_time_us, last_time_us)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[])
    ON CONFLICT (instrument) DO UPDATE SET
        first_time_us = least(first_ticks.first_time_us, excluded.first_time_us),
        last_time_us = greatest(first_ticks.last_time_us, excluded.last_time_us)
"""
"""Widens the times of instruments: names, first and last times."""


def first_ticks(connection: Connection, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the time (us) of each instrument's first tick, NEVER_US where none is stored.

    Where it is known that no trade of before is missing, it is that time: its base candle is whole.
    """
    return _times(connection, _OF, names)


def beginnings(connection: Connection, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the time (us) of each instrument's first candle or tick: longer candles begin there.

    NEVER_US where none is stored.
    """
    return _times(connection, _SINCE, names)


def _times(connection: Connection, query: LiteralString, names: Sequence[str]) -> NDArray[np.int64]:
    times: dict[str, int] = dict(connection.execute(query, (list(names),)).fetchall())
    return np.array([times.get(name, NEVER_US) for name in names], dtype=np.int64)
