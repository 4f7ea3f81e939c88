"""The lake kept in order: ticks copied, hours compacted, days verified and dropped, files swept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import metrics
from shared.errors import TransientError
from shared.lake.candle_days import copy_candles
from shared.lake.cold import Cold
from shared.lake.compaction import compact, due_hours
from shared.lake.garbage import remove_superseded, remove_unrecorded
from shared.lake.lifetimes import end_lake_files, end_states
from shared.lake.retention import drop, drop_candles, old_days, verify
from shared.lake.snapshot import copy_ticks
from shared.lake.states import state_is_due, take_state
from shared.lake.terms import Terms
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Does what is due. Several processes may: each piece of work has one holder of the lock."""

    postgres: Postgres
    store: ObjectStore
    cold: Cold
    terms: Terms
    live: redis.Redis | None = None
    shards: int = 1

    def round(self, now_us: int, until: float, *, sweep: bool = False) -> bool:
        """Do a bit of everything that is due; `until` is of the monotonic clock.

        What fails because a store is away is logged, and due again in the next round. Returns
        whether all went well.
        """
        work: dict[str, Callable[[], None]] = {
            "copy": lambda: self.copy(until),
            "compact": lambda: self.compact(now_us, until),
            "candles": lambda: self.copy_candles(now_us, until),
            "retain": lambda: self.retain(now_us, until),
            "end": lambda: self._end(now_us),
            "remove": self._remove,
            "state": lambda: self.take_state(now_us),
        }
        if sweep:
            work["sweep"] = self._sweep
        well = True
        for name, do in work.items():
            try:
                do()
            except TransientError as error:
                log.warning("the lake waits (%s): %s", name, error)
                well = False
        return well

    def copy(self, until: float) -> None:
        """Copy pending ticks while they are due."""
        while count := copy_ticks(
            self.postgres,
            self.store,
            after_s=self.terms.snapshot_s,
            or_bytes=self.terms.snapshot_bytes,
        ):
            metrics.LAKE_SEGMENTS.inc(count)
            if time.monotonic() > until:
                return

    def compact(self, now_us: int, until: float) -> None:
        """Fold the parts of hours that are over."""
        for place in due_hours(self.postgres, now_us):
            if time.monotonic() > until:
                return
            if compact(self.postgres, self.store, self.cold, place):
                metrics.LAKE_COMPACTED.inc()

    def copy_candles(self, now_us: int, until: float) -> None:
        """Copy the candles of days that are over."""
        while copy_candles(self.postgres, self.store, self.cold, now_us):
            if time.monotonic() > until:
                return

    def retain(self, now_us: int, until: float) -> None:
        """Verify what is older than the terms, and drop it from Postgres."""
        for day in old_days(self.postgres, self.terms, now_us):
            if day.waits_for:
                continue
            for verified in verify(self.postgres, self.store, self.cold, day):
                if not verified or time.monotonic() > until:
                    return
            if drop(self.postgres, day, self.terms):
                metrics.LAKE_DROPPED.labels("ticks").inc()
        gone = drop_candles(self.postgres, self.store, self.cold, self.terms, now_us)
        metrics.LAKE_DROPPED.labels("candles").inc(gone)

    def take_state(self, now_us: int) -> None:
        """Copy the live state, when the copy before is old."""
        if self.live is None:
            return
        if state_is_due(self.postgres, self.store, self.terms, now_us):
            take_state(self.postgres, self.live, self.store, self.shards, now_us)

    def _end(self, now_us: int) -> None:
        end_lake_files(self.postgres, self.terms, now_us)

    def _remove(self) -> None:
        remove_superseded(self.postgres, self.store)

    def _sweep(self) -> None:
        for name in remove_unrecorded(self.postgres, self.store):
            log.info("removed %s: it was never recorded", name)
        end_states(self.postgres, self.store, self.terms, time.time_ns() // 1000)
