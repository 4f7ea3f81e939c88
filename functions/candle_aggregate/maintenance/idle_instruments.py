"""Idle instruments: their records move from Redis to Postgres, and come back with a tick.

A record leaves once no block has the instrument, so that all of its candles are stored and all
that it says lies before its floor. It is written to Postgres before it is deleted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.session import Session
from shared.market.blocks import decoded
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


def move_unused(context: JobContext) -> int:
    """Move idle records of all shards to Postgres; return how many. Raises TransientError."""
    with context.postgres.connection() as connection:
        requested_us: dict[str, int] = dict(connection.execute(_REQUESTED).fetchall())
    if not requested_us and not context.rules.unused_us:
        return 0
    moved = sum(_move(context, shard, requested_us) for shard in range(context.rules.shards))
    metrics.INSTRUMENTS_UNUSED.inc(moved)
    return moved


def saved_records(postgres: Postgres, names: Sequence[str]) -> dict[str, bytes]:
    """Return the records of those of some instruments that left. Raises TransientError."""
    with postgres.connection() as connection:
        return dict(connection.execute(_SAVED, (list(names),)).fetchall())


def _move(context: JobContext, shard: int, requested_us: Mapping[str, int]) -> int:
    saved = context.engine.run(shard, partial(_unused, requested_us))
    if not saved:
        return 0
    with context.postgres.connection() as connection:
        connection.execute(_SAVE, (list(saved), list(saved.values())))
    moved = context.engine.run(shard, partial(_drop, requested_us, saved))
    with context.postgres.connection() as connection:
        connection.execute(_ANSWER, (moved,))
    return len(moved)


def _drop(
    requested_us: Mapping[str, int], saved: Mapping[str, bytes], session: Session
) -> list[str]:
    """Delete the records that are as they were saved, and still unused."""
    unused = _unused(requested_us, session)
    names = [name for name, blob in unused.items() if saved.get(name) == blob]
    session.drop_instruments(names)
    return names


def _unused(requested_us: Mapping[str, int], session: Session) -> dict[str, bytes]:
    """Return records without a live candle, not used since a request or for the term."""
    blobs, unused_us = session.instrument_blobs(), session.rules.unused_us
    body = b"".join(blob[: INSTRUMENT.itemsize] for blob in blobs.values())
    received_us = decoded(body, INSTRUMENT)["received_us"].tolist()
    term_us = session.now_us - unused_us if unused_us else 0
    names = [
        name
        for name, used_us in zip(blobs, received_us, strict=True)
        if used_us < max(term_us, requested_us.get(name, 0))
    ][:AT_ONCE]
    for block in session.blocks():
        if not names:
            break
        live = set(session.read(block, names)[0])
        names = [name for name in names if name not in live]
    return {name: blobs[name] for name in names}
