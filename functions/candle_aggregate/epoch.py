"""The epoch of the state: begun once, and renewed when Redis has lost its memory."""

from __future__ import annotations

from functions.candle_aggregate.rebuild import rebuild
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Store
from shared.errors import TransientError
from shared.lake.cold import NO_LAKE, Cold
from shared.stores.postgres import Postgres


def current_epoch(
    store: Store, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> int:
    """Return the shard's epoch; where there is none, rebuild the state from Postgres first.

    One holder rebuilds; for the others the event is to be delivered again (TransientError).
    """
    epoch = store.epoch()
    if epoch is not None:
        return epoch
    rebuild(store, postgres, rules, now_us, cold)
    epoch = store.epoch()
    if epoch is None:
        raise TransientError("Redis did not keep the epoch")
    return epoch
