"""Objects that do not count any more, or never did, removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from shared.lake.manifest import LOCK, lake_of
from shared.lake.places import CANDLES, TICKS
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore

GRACE_S: Final = 120
"""Who planned to read a file has so long to read it; then it plans again."""
_AT_ONCE: Final = 200
_UNRECORDED_AGE: Final = timedelta(hours=1)


def remove_superseded(postgres: Postgres, store: ObjectStore, *, grace_s: float = GRACE_S) -> int:
    """Remove superseded objects, then their records; return how many. Raises TransientError."""
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        rows = connection.execute(
            "SELECT id, bucket, path FROM lake_files WHERE superseded_at IS NOT NULL"
            " AND superseded_at < clock_timestamp() - %s * interval '1 second' LIMIT %s",
            (grace_s, _AT_ONCE),
        ).fetchall()
        for _, bucket, path in rows:
            store.remove(bucket, path)
        connection.execute("DELETE FROM lake_files WHERE id = ANY(%s)", ([row[0] for row in rows],))
    return len(rows)


def remove_unrecorded(
    postgres: Postgres, store: ObjectStore, *, older_than: timedelta = _UNRECORDED_AGE
) -> list[str]:
    """Remove this lake's objects that no record names: who wrote them was cut off.

    The lock says that nobody is between writing and recording now. Raises TransientError.
    """
    removed = []
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return []
        mine = f"-{lake_of(connection)}-"
        until = datetime.now(UTC) - older_than
        for bucket in (TICKS, CANDLES):
            for each in store.listing(bucket):
                if mine not in each.key.rpartition("/")[2] or each.modified > until:
                    continue
                known = connection.execute(
                    "SELECT FROM lake_files WHERE bucket = %s AND path = %s", (bucket, each.key)
                ).fetchone()
                if known is None:
                    store.remove(bucket, each.key)
                    removed.append(f"{bucket}/{each.key}")
    return removed
