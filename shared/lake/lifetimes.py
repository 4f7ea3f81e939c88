"""How long the cold side lives: files of the lake by their record, state snapshots by their age."""

from __future__ import annotations

import logging
from typing import Final

from shared.errors import TransientError
from shared.lake.manifest import LOCK, lake_of
from shared.lake.places import DAY_US
from shared.lake.states import STATE, list_states
from shared.lake.terms import Terms
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import ObjectStore

log = logging.getLogger(__name__)

_END: Final = """
UPDATE lake_files SET superseded_at = clock_timestamp()
WHERE superseded_at IS NULL AND to_us <= %(until_us)s AND (
    (bucket = 'candles' AND cold_at IS NOT NULL)
    OR (bucket = 'ticks'
        AND date '1970-01-01' + floor(from_us / 86400000000.0)::int IN (SELECT day FROM cold_days)))
"""


def end_lake_files(postgres: Postgres, terms: Terms, now_us: int) -> int:
    """Let files no longer count that are past the lake's term; return how many. TransientError.

    Only of what Postgres has no longer: else it would be copied anew. Their objects go as those do
    that were superseded. A rule of the bucket could not do that: the record would name objects
    that are gone, and who planned to read them would find none.
    """
    if not terms.lake_days:
        return 0
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return 0
        ended = connection.execute(_END, {"until_us": now_us - terms.lake_days * DAY_US}).rowcount
    if ended:
        log.info("%d files of the lake ended: they are older than %d days", ended, terms.lake_days)
    return ended


def end_states(postgres: Postgres, store: ObjectStore, terms: Terms, now_us: int) -> int:
    """See to it that state snapshots end; return how many were removed here. TransientError.

    The bucket is given a lifecycle rule; where the server knows none, or is slow to follow it, this
    lake's old snapshots are removed from here.
    """
    if not terms.state_days:
        return 0
    try:
        store.expire(STATE, "", terms.state_days)
    except TransientError as error:
        log.debug("no lifecycle rule: %s", error)
    with postgres.connection() as connection:
        lake = lake_of(connection)
    old = [
        each.key
        for each in list_states(store)
        if each.lake == lake and each.taken_us < now_us - terms.state_days * DAY_US
    ]
    for key in old:
        store.remove(STATE, key)
    return len(old)
