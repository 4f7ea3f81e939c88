"""The lake kept in order by the clock: copied, compacted, verified, swept, a bit at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from shared import metrics
from shared.errors import TransientError
from shared.lake.candle_days import copy_candles
from shared.lake.cold import Cold
from shared.lake.compaction import compact, due_hours
from shared.lake.garbage import remove_superseded, remove_unrecorded
from shared.lake.retention import Terms, drop, drop_candles, old_days, verify
from shared.lake.snapshot import AFTER_S, OR_BYTES, copy_ticks
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore

log = logging.getLogger(__name__)

BUDGET_S: Final = 20.0
"""So that the clock event is answered in time; a later one goes on."""
_COPY_EACH_S: Final = 5
_COMPACT_EACH_S: Final = 15
_CANDLES_EACH_S: Final = 30
_RETAIN_EACH_S: Final = 60
_SWEEP_EACH_S: Final = 3600


@dataclass(slots=True)
class Keeper:
    """Does what is due. Several processes may: each piece of work has one holder of the lock."""

    postgres: Postgres
    store: ObjectStore
    cold: Cold
    terms: Terms
    after_s: float = AFTER_S
    or_bytes: int = OR_BYTES
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _last: dict[str, float] = field(default_factory=dict)

    def __call__(self, now_us: int) -> None:
        """Do what is due at this second, unless this process is at it already.

        What fails because a store is away is logged, and tried again when it is due again.
        """
        if not self._busy.acquire(blocking=False):
            return
        try:
            until = time.monotonic() + BUDGET_S
            self._each(_COPY_EACH_S, "copy", lambda: self.copy(until))
            self._each(_COMPACT_EACH_S, "compact", lambda: self.compact(now_us, until))
            self._each(_CANDLES_EACH_S, "candles", lambda: self.copy_candles(now_us, until))
            self._each(_RETAIN_EACH_S, "retain", lambda: self.retain(now_us, until))
            self._each(_RETAIN_EACH_S, "remove", self._remove)
            self._each(_SWEEP_EACH_S, "sweep", self._sweep)
        finally:
            self._busy.release()

    def copy(self, until: float) -> None:
        """Copy pending ticks while they are due."""
        while count := copy_ticks(
            self.postgres, self.store, after_s=self.after_s, or_bytes=self.or_bytes
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

    def _remove(self) -> None:
        remove_superseded(self.postgres, self.store)

    def _sweep(self) -> None:
        for name in remove_unrecorded(self.postgres, self.store):
            log.info("removed %s: it was never recorded", name)

    def _each(self, seconds: float, name: str, work: Callable[[], None]) -> None:
        now = time.monotonic()
        if now - self._last.get(name, -seconds) < seconds:
            return
        self._last[name] = now
        try:
            work()
        except TransientError as error:
            log.warning("the lake waits (%s): %s", name, error)
