"""A step: candles into series, judged, and written where nobody else has changed them meanwhile.

1. Read the series; what is missing is loaded from storage, and held against it once more later.
2. Merge the candles; move the frontier over those that can be judged.
3. Judge what is new or has changed: all series at once, since detectors are cheap in bulk.
4. Replace each series where it is still as it was read; take the others again.
What is to be told stays in the series until it is known to have been emitted (publish.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from functions.detect_pattern.edges import RuleInForce, raise_alerts
from functions.detect_pattern.judge import (
    JudgeRules,
    advance,
    judge,
    needs_older,
    waits_until_ms,
)
from functions.detect_pattern.series import Kept, Name, Series
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Read, Replacement, Store
from shared import metrics
from shared.errors import TransientError

log = logging.getLogger(__name__)

MAX_TRIES: Final = 20
RESEND_MS: Final = 5_000
REFRESH_MS: Final = 30_000
"""How long after a series was read from storage it is held against it again: what was on its way
to storage has arrived by then."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Takes steps. Raises TransientError while a store is away or other workers keep winning.

    `selective`: not every instrument's candles come always, so storage is asked about each hole.
    """

    storage: Storage
    rules: JudgeRules
    selective: bool = False

    def take(
        self, store: Store, candles: Mapping[Name, Sequence[Kept]], now_ms: int
    ) -> list[Series]:
        """Take closed candles in, none for a series that is only due; return the series to tell of.

        What several threads bring at once is one step, and one of them tells of it.
        """
        return store.turns.take(candles, lambda together: self._take(store, together, now_ms))

    def _take(
        self, store: Store, candles: Mapping[Name, Sequence[Kept]], now_ms: int
    ) -> list[Series]:
        done: list[Series] = []
        left = list(candles)
        alerts = self.storage.rules({instrument for instrument, _ in left})
        for _ in range(MAX_TRIES):
            if not left:
                return done
            reads = store.read(left)
            taken = [self._merged(name, reads[name], candles[name], now_ms) for name in left]
            self._judge(taken, alerts, now_ms)
            replacements = [
                self._replacement(series, reads[series.name], now_ms) for series in taken
            ]
            written = store.replace(replacements)
            done += [each for each, ok in zip(taken, written, strict=True) if ok]
            left = [each.name for each, ok in zip(taken, written, strict=True) if not ok]
            metrics.APPLY_CONFLICTS.inc(len(left))
        raise TransientError(f"{MAX_TRIES} conflicts in a row: too many workers on one series")

    def _merged(self, name: Name, read: Read, candles: Sequence[Kept], now_ms: int) -> Series:
        rules = self.rules
        if read.value is None:
            series = self.storage.load(name, rules.keep, rules.cooldown_us)
            series.changed_us = series.first_judgeable_us(rules.lookback)
            series.refresh_ms = now_ms + REFRESH_MS  # new, or not in storage yet: nobody knows
        else:
            series = Series.decode(read.value)
            if self.selective and series.leaves_hole(candles):
                series.refresh_ms = now_ms  # what came while it was not watched
        if 0 < series.refresh_ms <= now_ms:
            learnt_us = self.storage.refresh(series, rules.cooldown_us)
            floor_us = series.first_judgeable_us(rules.lookback)
            if learnt_us is not None and floor_us is not None:
                series.touch(max(learnt_us, floor_us))
            series.refresh_ms = 0
        series.merge(self._within_reach(series, candles, now_ms))
        return series

    def _within_reach(self, series: Series, candles: Sequence[Kept], now_ms: int) -> Sequence[Kept]:
        """Make room for candles older than those in state; leave out what is too old."""
        oldest_us = min((each.start_us for each in candles), default=None)
        if oldest_us is None or series.whole or oldest_us >= series.candles[0].start_us:
            return candles
        if self.storage.reaches(series, oldest_us):
            self._extend(series, oldest_us, now_ms)
            return candles
        first_us = series.candles[0].start_us
        near = [each for each in candles if each.start_us >= first_us]
        metrics.PATTERN_CANDLES_TOO_OLD.inc(len(candles) - len(near))
        log.warning("%s: %d candles too old to judge", series.name, len(candles) - len(near))
        return near

    def _extend(self, series: Series, from_us: int, now_ms: int) -> None:
        self.storage.older(series, from_us, self.rules.lookback, self.rules.cooldown_us)
        # What had left the state may still be on its way to storage.
        series.refresh_ms = now_ms + REFRESH_MS

    def _judge(
        self, taken: Sequence[Series], alerts: Mapping[Name, list[RuleInForce]], now_ms: int
    ) -> None:
        to_judge = []
        for series in taken:
            new_us = advance(series, self.rules, now_ms)
            starts = [each for each in (series.changed_us, new_us) if each is not None]
            if not starts:
                continue
            if needs_older(series, self.rules, min(starts)):
                self._extend(series, min(starts), now_ms)
            to_judge.append((series, min(starts)))
        judge(to_judge, self.rules)
        for series in taken:
            raise_alerts(series, alerts.get(series.name, ()))
            if not series.refresh_ms:
                series.trim(self.rules.keep, self.rules.cooldown_us)

    def _replacement(self, series: Series, read: Read, now_ms: int) -> Replacement:
        encoded = series.encode()
        if read.value is None:
            # Epochs differ, so versions never come again when a state was lost.
            return Replacement(
                series.name, read, series.revision, encoded, self.due(series, now_ms)
            )
        value = None if encoded == read.value else encoded
        return Replacement(series.name, read, read.number + 1, value, self.due(series, now_ms))

    def due(self, series: Series, now_ms: int) -> int | None:
        """Return when (wall clock, ms) to look at the series again, if ever."""
        times = [waits_until_ms(series, self.rules), series.refresh_ms or None]
        if series.unpublished or any(each.body for each in series.alerts.values()):
            times.append(now_ms + RESEND_MS)
        return min((each for each in times if each is not None), default=None)
