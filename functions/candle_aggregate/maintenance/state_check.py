"""Check that a shard's live state holds everything that Postgres relies on.

The state has a lineage and counts its steps. Both are recorded in Postgres before an event is
recorded as aggregated, and in the transaction that completes a correction of the state. So a state
of another lineage, or with fewer steps than are recorded, may lack what Postgres relies on: Redis
was lost, or went back to an older dump. It is rebuilt.
"""

from __future__ import annotations

import logging
from typing import Final

from psycopg import Connection

from functions.candle_aggregate.rules import Rules
from shared.errors import TransientError
from shared.market.timeframes import parse_ladder
from shared.stores.applied import reshard
from shared.stores.postgres import Postgres

log = logging.getLogger(__name__)

_KNOWN: Final = "SELECT lineage, steps FROM shard_lineage WHERE shard = %s"
_RECORD: Final = """
    UPDATE shard_lineage SET steps = greatest(steps, %(steps)s),
        clock_us = greatest(clock_us, %(clock_us)s)
    WHERE shard = %(shard)s AND lineage = %(lineage)s AND steps <= %(most)s
"""
_BEGIN: Final = """
    INSERT INTO shard_lineage (shard, lineage, steps, clock_us) VALUES (%s, %s, 0, %s)
    ON CONFLICT (shard) DO UPDATE SET lineage = excluded.lineage, steps = 0,
        clock_us = greatest(shard_lineage.clock_us, excluded.clock_us)
"""
_MADE_BY: Final = "SELECT ladder, shards FROM aggregation"
_FOLD: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    SELECT DISTINCT instrument, %(timeframe)s, start_us
        - mod(mod(start_us - %(some_start)s, %(length)s) + %(length)s, %(length)s), '', 'flag'
    FROM candles WHERE timeframe = %(base)s ON CONFLICT DO NOTHING
"""
"""The outer `mod` is for times before that start, whose inner one is negative."""
_ADOPT: Final = """
    INSERT INTO aggregation (ladder, shards) VALUES (%s, %s)
    ON CONFLICT (only_row) DO UPDATE SET ladder = excluded.ladder, shards = excluded.shards
"""


def adopt(postgres: Postgres, rules: Rules) -> None:
    """Record the ladder and the number of shards that candles are made by from now on.

    Once, when the process starts: the one that started last decides. Candles of a timeframe that is
    added are queued to be folded from the base candles that are stored. Raises TransientError, also
    when the base timeframe is another: the others are folds of it.
    """
    with postgres.connection() as connection:
        connection.execute("LOCK TABLE aggregation IN EXCLUSIVE MODE")
        row = connection.execute(_MADE_BY).fetchone()
        if row == rules.made_for:
            return
        if row is not None:
            before = parse_ladder(row[0])
            check_base(connection, rules)
            log.warning(
                "candles were made by TIMEFRAMES=%s SHARDS=%d, from now on by %s and %d:"
                " every live state is made anew",
                *(*row, *rules.made_for),
            )
            for added in set(rules.ladder) - set(before):
                fold = {"timeframe": added.name, "length": added.length_us, "base": rules.base.name}
                connection.execute(_FOLD, fold | {"some_start": added.start_us(0)})
        if row is None or row[1] != rules.shards:
            reshard(connection, rules.shards)
        connection.execute(_ADOPT, rules.made_for)


def check_base(connection: Connection, rules: Rules) -> None:
    """Raise TransientError when the stored candles are folds of another base timeframe."""
    row = connection.execute(_MADE_BY).fetchone()
    if row is not None and (base := parse_ladder(row[0])[0]) != rules.base:
        raise TransientError(
            f"the stored candles are folds of {base}, so TIMEFRAMES must begin with"
            f" it, not with {rules.base}; another base timeframe needs another database"
        )


def check(connection: Connection, rules: Rules) -> None:
    """Raise TransientError when candles are made by another ladder or number of shards."""
    row = connection.execute(_MADE_BY).fetchone()
    if row is not None and row != rules.made_for:
        ladder, shards = rules.made_for
        raise TransientError(
            f"candles are made by TIMEFRAMES={row[0]} SHARDS={row[1]}, this process was given"
            f" {ladder} and {shards}: give every function the same"
        )


def is_whole(postgres: Postgres, shard: int, lineage: str, steps: int) -> bool:
    """Return whether a state has all recorded steps. Raises TransientError."""
    with postgres.connection() as connection:
        row = connection.execute(_KNOWN, (shard,)).fetchone()
    return row is not None and row[0] == lineage and row[1] <= steps


def begin(connection: Connection, shard: int, lineage: str, clock_us: int) -> None:
    """Record the next lineage in Postgres; states of any other are void."""
    connection.execute(_BEGIN, (shard, lineage, clock_us))


def record(
    connection: Connection,
    shard: int,
    lineage: str,
    steps: int,
    clock_us: int,
    *,
    at_least: bool = False,
) -> None:
    """Record a state's steps in Postgres, in the caller's transaction.

    Raises TransientError when it knows another lineage, or of more steps: Redis was lost, or went
    back. `clock_us`: above the revisions so far. `at_least`: it may know of more.
    """
    step = {"shard": shard, "lineage": lineage, "steps": steps, "clock_us": clock_us}
    step["most"] = 2**62 if at_least else steps
    if not connection.execute(_RECORD, step).rowcount:
        raise TransientError(f"the live state of shard {shard} is not the one that Postgres knows")


def recorded_clock_us(connection: Connection) -> int:
    """Return the latest clock by which a step was recorded; a lost state may have had it."""
    (clock_us,) = connection.execute("SELECT max(clock_us) FROM shard_lineage").fetchone() or (0,)
    return clock_us or 0
