"""The epoch of the state: begun once, and missed loudly when Redis has lost its memory."""

from __future__ import annotations

from functions.candle_aggregate.store import Store
from shared.errors import TransientError
from shared.stores.postgres import Postgres


def current_epoch(store: Store, postgres: Postgres) -> int:
    """Return the shard's epoch, beginning one where nothing was ever stored.

    Raises TransientError when Redis is empty but Postgres is not: events wait in the channel.
    """
    epoch = store.epoch()
    if epoch is not None:
        return epoch
    with postgres.connection() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('kandle epoch'))")
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM candles) OR EXISTS (SELECT FROM tick_segments)"
        ).fetchone()
        if row is not None and row[0]:
            raise TransientError(
                "Redis holds no state of Kandle but Postgres holds its data. This version does not"
                " rebuild the one from the other: restore Redis (its append-only file), or start"
                " with an empty database"
            )
        if store.epoch() is None:
            fresh = connection.execute("SELECT nextval('candle_epoch')").fetchone()
            assert fresh is not None
            store.begin(int(fresh[0]))
    epoch = store.epoch()
    if epoch is None:
        raise TransientError("Redis did not keep the epoch")
    return epoch
