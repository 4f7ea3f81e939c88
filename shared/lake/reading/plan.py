"""Read plan: rows from Postgres and rows from the lake, split exactly at one instant.

Ticks: the lake has those of commits up to its position, and Postgres has those of later ones.
Postgres has the earlier ones too, but for cold days. So a range is read from Postgres alone, unless
it has a cold day or too much to decode; else from the lake up to its position, and from Postgres
after.
Candles are read from both between the first and the last cold day; the higher revision counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql

from shared.market.utc_days import DAY_US, begin_us
from shared.stores.segment_ranges import BETWEEN, OF_SHARD, bounds, named

MOST_TICKS: Final = 400_000
"""Decoding this many ticks takes as long as one read of the lake: about 25 ms."""
SEGMENT: Final = 500
"""Cost of opening a segment, in ticks."""

_TICKS: Final = """
SELECT EXISTS (SELECT FROM cold_days WHERE day BETWEEN %(first_day)s AND %(last_day)s),
       (SELECT commit_id FROM lake_position),
       (SELECT metadata_location FROM iceberg_tables WHERE table_name = 'ticks'),
       to_regclass('lake_files') IS NOT NULL
"""
_IS_MUCH: Final = sql.SQL(
    "(SELECT coalesce(sum(tick_count + %(segment)s), 0) >= %(most)s"
    " FROM (SELECT tick_count FROM tick_segments WHERE {} AND commit_id {} %(position)s"
    " LIMIT %(most)s / %(segment)s) AS few)"
)
_ARE_MUCH: Final = sql.SQL("SELECT {}, {}").format(
    *(
        _IS_MUCH.format(sql.SQL(BETWEEN + OF_SHARD), compared)
        for compared in (sql.SQL("<="), sql.SQL(">"))
    )
)
"""The part that the lake has, and the part that only Postgres has."""
_CANDLES: Final = """
SELECT min(day), max(day),
       (SELECT metadata_location FROM iceberg_tables WHERE table_name = 'candles'),
       to_regclass('lake_files') IS NOT NULL
FROM cold_candle_days WHERE day BETWEEN %(first_day)s AND %(last_day)s
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Range of time (us) that is read from the lake's table, as its metadata file says it is.

    `position`: of ticks Postgres has those of commits after it. `is_small`: what is read from it
    is known to be less than twice MOST_TICKS. `is_old`: the lake is to be taken over first.
    """

    cold: tuple[int, int] = (0, 0)
    position: int = 0
    metadata: str = ""
    is_small: bool = False
    is_old: bool = False

    @property
    def is_hot(self) -> bool:
        """Whether only Postgres is read."""
        return self.cold == (0, 0)

    def touches(self, from_us: int, to_us: int) -> bool:
        """Tell whether some of [from_us, to_us) is read from the lake."""
        return max(self.cold[0], from_us) < min(self.cold[1], to_us)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of OF_RANGE."""
        return {"position": self.position}


ALL_IN_POSTGRES: Final = Plan()
"""Plan that reads Postgres only."""


def hold_partitions(connection: Connection) -> None:
    """Let no partition be dropped until the transaction ends.

    Before the first reading of a transaction with one snapshot for all, which would else believe in
    a partition that is gone.
    """
    connection.execute("LOCK TABLE ONLY tick_segments IN ACCESS SHARE MODE")


def plan_ticks(connection: Connection, from_us: int, to_us: int, *, instrument: str = "") -> Plan:
    """Plan the ticks in [from_us, to_us); it holds until the transaction ends.

    With an instrument the lake is read too where Postgres had to decode MOST_TICKS of its segments.
    """
    hold_partitions(connection)
    row = connection.execute(_TICKS, bounds(from_us, to_us)).fetchone()
    assert row is not None
    is_cold, position, metadata, is_old = row
    if not is_cold:
        if not instrument or not metadata:
            return ALL_IN_POSTGRES
        weights = {"position": position, "most": MOST_TICKS, "segment": SEGMENT}
        parameters = bounds(from_us, to_us) | named(instrument) | weights
        row = connection.execute(_ARE_MUCH, parameters).fetchone()
        is_much, rest_is_much = row or (False, True)
        if not is_much:
            return Plan(is_small=not rest_is_much)
    return Plan((from_us, to_us), position, metadata or "", is_old=is_cold and is_old)


def plan_candles(connection: Connection, from_us: int, to_us: int) -> Plan:
    """Plan the candles that start in [from_us, to_us)."""
    row = connection.execute(_CANDLES, bounds(from_us, to_us)).fetchone()
    assert row is not None
    first_day, last_day, metadata, is_old = row
    if first_day is None:
        return ALL_IN_POSTGRES
    cold = max(begin_us(first_day), from_us), min(begin_us(last_day) + DAY_US, to_us)
    return Plan(cold, metadata=metadata or "", is_old=is_old)
