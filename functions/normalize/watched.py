"""Select the trades of watched instruments."""

from __future__ import annotations

import numpy as np

from shared.realtime.leases import Watched
from shared.wire.ticks import Ticks


def watched_ticks(ticks: Ticks, watched: Watched) -> Ticks:
    """Return the rows of watched instruments. `ticks`: sorted by shard."""
    entries = ticks.entries
    shards = np.repeat(np.arange(ticks.shards), entries.shard_entries).tolist()
    selections = watched.all_of(set(shards))
    named = zip(shards, ticks.names, strict=True)
    is_watched = [selections[shard].selects(name) for shard, name in named]
    if all(is_watched):
        return ticks
    return ticks.select(np.repeat(np.asarray(is_watched, dtype=bool), entries.counts))
