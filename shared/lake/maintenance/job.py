"""Maintenance of the lake: copies, compaction, retention and expiry, each when due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import TransientError
from shared.lake.catalog import LakeBusyError
from shared.lake.maintenance.candle_days import copy_candles
from shared.lake.maintenance.candle_retention import drop_candles
from shared.lake.maintenance.compaction import compact
from shared.lake.maintenance.expiry import end_days, expire_snapshots, remove_orphans
from shared.lake.maintenance.failures import BEGUN, BUSY
from shared.lake.maintenance.retention import retain
from shared.lake.maintenance.schedule import due_days, old_candle_days, ticks_are_due
from shared.lake.maintenance.settings import Terms
from shared.lake.maintenance.snapshot import copy_ticks
from shared.lake.states import end_states, state_is_due, take_state
from shared.runtime import metrics
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore, S3Access

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Does the work that is due. Several processes may run it: a lock serializes them."""

    postgres: Postgres
    access: S3Access
    store: ObjectStore
    terms: Terms
    live: redis.Redis | None = None
    shards: int = 1

    def round(self, now_us: int, until: float, *, sweep: bool = False) -> Iterator[tuple[str, str]]:
        """Do some of all work that is due; `until`: monotonic clock.

        Yields the name of each piece of work before it begins, with BEGUN, and after it, with BUSY
        or the reason if it failed, which keeps nothing else. It is due again in the next round.
        """
        work: dict[str, Callable[[], object]] = {
            "copy": lambda: self.copy(until),
            "compact": lambda: self.compact(now_us, until),
            "candles": lambda: self.copy_candles(now_us, until),
            "retain": lambda: self.retain(now_us, until),
            "state": lambda: self.take_state(now_us),
        }
        if sweep:
            work["end"] = lambda: end_days(self.postgres, self.access, self.terms, now_us)
            work["expire"] = lambda: expire_snapshots(
                self.postgres, self.access, self.terms, now_ms=now_us // 1_000
            )
            work["remove"] = lambda: remove_orphans(self.postgres, self.access, self.store)
            work["states"] = lambda: end_states(self.postgres, self.store, self.terms, now_us)
        for name, do in work.items():
            yield name, BEGUN
            reason = ""
            try:
                do()
            except LakeBusyError:
                reason = BUSY
            except TransientError as error:
                reason = str(error)
                log.warning("the lake waits (%s): %s", name, reason)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                log.exception("a defect of the lake (%s)", name)
            yield name, reason

    def copy(self, until: float) -> None:
        """Copy stored ticks while they are due; those stored meanwhile wait for their time."""
        while time.monotonic() < until:
            with self.postgres.connection() as connection:
                if not ticks_are_due(connection, self.terms.snapshot_s):
                    return
            if not (count := copy_ticks(self.postgres, self.access)):
                return
            metrics.LAKE_TICKS.inc(count)

    def compact(self, now_us: int, until: float) -> None:
        """Fold small files."""
        for day in due_days(self.postgres):
            while compact(self.postgres, self.access, day, now_us):
                metrics.LAKE_COMPACTED.inc()
                if time.monotonic() > until:
                    return

    def copy_candles(self, now_us: int, until: float) -> None:
        """Copy the candles of days that are over."""
        while copy_candles(self.postgres, self.access, now_us):
            if time.monotonic() > until:
                return

    def retain(self, now_us: int, until: float) -> None:
        """Verify days past their terms, and drop them from Postgres."""
        for _ in retain(self.postgres, self.access, self.terms, now_us, until):
            metrics.LAKE_DROPPED.labels("ticks").inc()
        for day in old_candle_days(self.postgres, self.terms, now_us):
            for deleted in drop_candles(self.postgres, self.access, day):
                metrics.LAKE_DROPPED.labels("candles").inc(deleted)
                if time.monotonic() > until:
                    return

    def take_state(self, now_us: int) -> None:
        """Snapshot the live state when due."""
        live = self.live
        if live is not None and state_is_due(self.postgres, self.store, self.terms, now_us):
            take_state(self.postgres, live, self.store, self.shards, now_us)
