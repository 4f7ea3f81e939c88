"""Idle instruments: their records move from Redis to Postgres, and come back with a tick.

A record leaves once no block has the instrument, so that all of its candles are stored and all
that it says lies before its floor. It is written to Postgres before it is deleted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from shared.market.shards import shard_of
from shared.realtime.instrument_records import INSTRUMENT
from shared.runtime import metrics
from shared.stores.postgres import Postgres

AT_ONCE: Final = 1_000
"""Records of a shard that leave in one round."""

_REQUESTED: Final = """
    SELECT instrument, (extract(epoch FROM requested_at) * 1000000)::bigint
    FROM unused_instruments WHERE requested_at IS NOT NULL
"""
_SAVE: Final = """
    INSERT INTO unused_instruments (instrument, record)
    SELECT * FROM unnest(%s::text[], %s::bytea[])
    ON CONFLICT (instrument) DO UPDATE SET record = excluded.record
"""
_ANSWER: Final = "UPDATE unused_instruments SET requested_at = NULL WHERE instrument = ANY(%s)"
_SAVED: Final = (
    "SELECT instrument, record FROM unused_instruments"
    " WHERE instrument = ANY(%s) AND record IS NOT NULL"
)


def let_unused_go(engine: Engine, postgres: Postgres, rules: Rules, now_us: int) -> int:
    """Move idle records of all shards to Postgres; return how many. Raises TransientError."""
    with postgres.connection() as connection:
        requested_us: dict[str, int] = dict(connection.execute(_REQUESTED).fetchall())
    if not requested_us and not rules.unused_us:
        return 0
    removed = 0
    for shard in range(rules.shards):
        shard_requests = {
            n: us for n, us in requested_us.items() if shard_of(n, rules.shards) == shard
        }
        removed += _let_go(engine, postgres, rules, shard, now_us, shard_requests)
    metrics.INSTRUMENTS_UNUSED.inc(removed)
    return removed


def saved_records(postgres: Postgres, names: Sequence[str]) -> dict[str, bytes]:
    """Return the records of those of some instruments that left. Raises TransientError."""
    with postgres.connection() as connection:
        return dict(connection.execute(_SAVED, (list(names),)).fetchall())


def _let_go(
    engine: Engine,
    postgres: Postgres,
    rules: Rules,
    shard: int,
    now_us: int,
    requested_us: Mapping[str, int],
) -> int:
    def unused(session: Session) -> dict[str, bytes]:
        return _unused(session, rules, now_us, requested_us)

    saved = engine.run(shard, unused)
    if not saved:
        return 0
    with postgres.connection() as connection:
        connection.execute(_SAVE, (list(saved), list(saved.values())))

    def drop(session: Session) -> list[str]:
        names = [name for name, blob in unused(session).items() if saved.get(name) == blob]
        session.drop_instruments(names)
        return names

    deleted = engine.run(shard, drop)
    with postgres.connection() as connection:
        connection.execute(_ANSWER, (deleted,))
    return len(deleted)


def _unused(
    session: Session, rules: Rules, now_us: int, requested_us: Mapping[str, int]
) -> dict[str, bytes]:
    """Return records without a live candle, not used since a request or for the term."""
    blobs = session.instrument_blobs()
    size = INSTRUMENT.itemsize
    records = np.frombuffer(b"".join(blob[:size] for blob in blobs.values()), dtype=INSTRUMENT)
    term_us = now_us - rules.unused_us if rules.unused_us else 0
    names = [
        name
        for name, received_us in zip(blobs, records["received_us"].tolist(), strict=True)
        if received_us < max(term_us, requested_us.get(name, 0))
    ][:AT_ONCE]
    for block in session.blocks():
        if not names:
            break
        live = set(session.read(block, names)[0])
        names = [name for name in names if name not in live]
    return {name: blobs[name] for name in names}
