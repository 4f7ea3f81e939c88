"""Conditions on `tick_segments`: a range of time, an instrument, what the lake does not have."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, LiteralString

from shared.market.shards import shard_of
from shared.market.utc_days import day_of
from shared.stores.segment_columns import HOUR_US

_LATEST_US: Final = 250_000_000_000_000_000

BETWEEN: Final[LiteralString] = (
    "first_time_us >= %(hour_us)s AND first_time_us < %(to_us)s AND last_time_us >= %(from_us)s"
    " AND (day = '0001-01-01' OR day BETWEEN %(first_day)s AND %(last_day)s)"
)
"""Segments that overlap [from_us, to_us): each lies within an hour, and one day or the old days."""
OF_SHARD: Final[LiteralString] = " AND mod(%(hash)s, shards) BETWEEN first_shard AND last_shard"
"""Segments that may have an instrument: decided without their names."""
ONE: Final[LiteralString] = (
    OF_SHARD + " AND strpos(E'\\n' || names || E'\\n', E'\\n' || %(instrument)s || E'\\n') > 0"
)
OF_RANGE: Final[LiteralString] = BETWEEN + ONE + " AND commit_id > %(position)s"
"""An instrument's segments of a range that a plan reads from Postgres; takes `Plan.position`."""

SINCE: Final[LiteralString] = (
    "commit_id > %(commit)s AND first_time_us + 0 < %(to_us)s AND last_time_us >= %(from_us)s" + ONE
)
"""An instrument's segments of a range that commits after one have: found by their number alone."""


def named(instrument: str) -> dict[str, Any]:
    """Return the parameters of ONE."""
    return {"instrument": instrument, "hash": shard_of(instrument, 1 << 32)}


def bounds(from_us: int, to_us: int) -> dict[str, Any]:
    """Return the parameters of BETWEEN."""
    return {
        "from_us": from_us,
        "to_us": to_us,
        "hour_us": from_us - from_us % HOUR_US,
        "first_day": day_in_calendar(from_us),
        "last_day": day_in_calendar(to_us - 1),
    }


def day_in_calendar(time_us: int) -> date:
    """Return the day, as far as the calendar goes."""
    return day_of(min(max(time_us, 0), _LATEST_US))
