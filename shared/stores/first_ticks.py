"""The earliest event time ever stored of each instrument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

NEVER_US: Final = -(2**62)
"""Of an instrument without a stored tick: no candle is partial."""

_OF: Final = "SELECT instrument, first_time_us FROM first_ticks WHERE instrument = ANY(%s)"


def first_ticks(connection: Connection, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the time (us) of each instrument's first tick, NEVER_US where none is stored."""
    found: dict[str, int] = dict(connection.execute(_OF, (list(names),)).fetchall())
    return np.array([found.get(name, NEVER_US) for name in names], dtype=np.int64)
