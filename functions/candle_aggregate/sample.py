"""Closed candles held against the stored ticks: a sample, and an alarm when one differs."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import Final

from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Store
from shared import metrics
from shared.candle import Bar, CandleState
from shared.kernel import CandleKey
from shared.lake.cold import NO_LAKE, Cold
from shared.state import end_us
from shared.stores.postgres import Postgres
from shared.stores.recompute import recomputed

log = logging.getLogger(__name__)

AT_ONCE: Final = 5
SETTLED_US: Final = 120_000_000
"""A candle that was touched more recently may have ticks that are not stored, or not reconciled."""


def sample(
    store: Store, postgres: Postgres, rules: Rules, now_us: int, cold: Cold = NO_LAKE
) -> list[CandleKey]:
    """Recompute some closed candles of the base timeframe; return those that differ.

    A difference is logged and counted (`kandle_candles_differ_total`): it must never happen.
    """
    base = rules.ladder[0]
    differing = []
    pending = store.pending_since_ms()
    for name in store.some_instruments(AT_ONCE):
        starts = store.candles(name, base.name, 100)
        if not starts:
            continue
        key = (name, base.name, random.choice(starts))  # noqa: S311
        redis_key = store.keys.candle(*key)
        blob = store.read([redis_key])[redis_key].value
        if blob is None:
            continue
        state = CandleState.decode(blob)
        if not state.closed or now_us - state.touched_us < SETTLED_US:
            continue
        if pending is not None and pending * 1000 <= state.touched_us:
            continue  # an event that may be in it is not known to be stored, and compared
        with postgres.connection() as connection:
            interval = (key[2], end_us(base, key[2]))
            found = recomputed(connection, name, *interval, (base,), cold).get(key)
        after = store.read([redis_key])[redis_key].value
        if after == blob and (found is None or not _same(found.bar, state.bar)):
            log.error("candle %s differs from its stored ticks: %s, %s", key, state.bar, found)
            metrics.CANDLES_DIFFER.inc()
            differing.append(key)
        metrics.CANDLES_SAMPLED.inc()
    return differing


def _same(a: Bar, b: Bar) -> bool:
    """Compare what others see; of a trade that was sent twice either sending may have counted."""
    return replace(a, first=b.first, last=b.last) == b
