"""A step: merge candles into series, evaluate, and write by compare-and-set.

1. Read the series; load missing ones from storage, and compare them with it again later.
2. Merge the candles; advance the frontier over those that can be evaluated.
3. Evaluate new and changed candles: all series at once, since detectors are cheap in bulk.
4. Write each series that is unchanged since it was read; repeat the step for the others.
Patterns and alerts to publish stay in the series until the broker has them (publish.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from functions.detect_pattern.candle_rules import ActiveRules, needed, raise_alerts
from functions.detect_pattern.evaluate import (
    EvaluationRules,
    advance,
    evaluate,
    needs_older,
    waits_until_ms,
)
from functions.detect_pattern.series import Series
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Read, Replacement, Store
from functions.detect_pattern.window import Window
from shared.alerts.rule import Frequency
from shared.errors import TransientError
from shared.realtime.pattern_series import Name
from shared.runtime import metrics

log = logging.getLogger(__name__)

MAX_TRIES: Final = 20
RESEND_MS: Final = 5_000
REFRESH_MS: Final = 30_000
"""A series loaded from storage is compared with it again after this time, by when writes that were
under way have arrived."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Takes steps. Raises TransientError while a store is away or other workers keep winning.

    `selective`: only watched instruments are evaluated, so missing intervals are read from storage.
    """

    storage: Storage
    rules: EvaluationRules
    selective: bool = False

    @property
    def longest_wait_ms(self) -> int:
        """The longest time from now after which a series can be due."""
        return max(self.rules.grace_ms, REFRESH_MS, RESEND_MS)

    def take(self, store: Store, candles: Mapping[Name, Window], now_ms: int) -> list[Series]:
        """Merge closed candles (none for a series that is only due); return the series to publish.

        Concurrent calls share one step, and the first of them publishes: a step for sixteen costs
        little more than for one, and racing threads would lose most of their work to conflicts.
        """

        def step(group: list[Mapping[Name, Window]]) -> list[list[Series]]:
            changed = self._take(store, _together(group), now_ms)
            return [changed, *([] for _ in group[1:])]

        return store.group(candles, step)

    def _take(self, store: Store, candles: Mapping[Name, Window], now_ms: int) -> list[Series]:
        replaced: dict[Name, Series] = {}
        remaining = set(candles)
        rules = self.storage.rules({instrument for instrument, _ in remaining})
        nothing = Window.of(())
        for _ in range(MAX_TRIES):
            if not remaining:
                return list(replaced.values())
            reads = store.read(rules.seen_together(remaining))
            series = self._series(reads, candles, now_ms)
            for each in series:
                new_candles = candles.get(each.name, nothing)
                each.merge(self._within_reach(each, new_candles, now_ms))
            self._evaluate(series, rules, now_ms)
            replacements = [
                self._replacement(each, reads[each.name], now_ms)
                for each in series
                if len(each.candles) or each.name in candles
            ]
            written = store.replace(replacements, now_ms)
            replaced |= {each.name: each for each in series if written.get(each.name)}
            remaining = {name for name, is_written in written.items() if not is_written}
            metrics.APPLY_CONFLICTS.inc(len(remaining))
        raise TransientError(f"{MAX_TRIES} conflicts in a row: too many workers on one series")

    def _series(
        self, reads: Mapping[Name, Read], candles: Mapping[Name, Window], now_ms: int
    ) -> list[Series]:
        """Return the series from Redis or, if missing, from storage; refresh those that are due."""
        rules = self.rules
        series = [
            decoded
            for read in reads.values()
            if read.value is not None and (decoded := Series.decode(read.value)) is not None
        ]
        for each in series:
            each.limit_times(now_ms, now_ms + REFRESH_MS)
        missing = list(reads.keys() - {each.name for each in series})
        loaded = self.storage.load(missing, rules.keep, rules.cooldown_us)
        for each in loaded:
            each.changed_us = each.first_evaluable_us(rules.lookback)
            each.refresh_ms = now_ms + REFRESH_MS
        if self.selective:
            for each in series:
                if each.name in candles and each.leaves_gap(candles[each.name]):
                    each.refresh_ms = now_ms  # candles that closed while it was not watched
        stale = [each for each in series if 0 < each.refresh_ms <= now_ms]
        if stale:
            starts_us = self.storage.refresh(stale, rules.cooldown_us)
            for each, start_us in zip(stale, starts_us, strict=True):
                floor_us = each.first_evaluable_us(rules.lookback)
                if start_us is not None and floor_us is not None:
                    each.touch(max(start_us, floor_us))
                each.refresh_ms = 0
        return [*series, *loaded]

    def _within_reach(self, series: Series, candles: Window, now_ms: int) -> Window:
        """Load the state back to older candles; drop those that are too old."""
        if series.whole or not len(candles) or not len(series.candles):
            return candles
        oldest_us, first_us = int(candles.starts[0]), int(series.candles.starts[0])
        if oldest_us >= first_us:
            return candles
        if self.storage.reaches(series, oldest_us):
            self._extend(series, oldest_us, self.rules.lookback, now_ms)
            return candles
        count = candles.position(first_us)
        metrics.PATTERN_CANDLES_TOO_OLD.inc(count)
        log.warning("%s: %d candles too old to evaluate", series.name, count)
        near = replace(candles)
        near.drop_first(count)
        return near

    def _extend(self, series: Series, from_us: int, lookback: int, now_ms: int) -> None:
        self.storage.older(series, from_us, lookback, self.rules.cooldown_us)
        # Candles trimmed from the state may not be in storage yet.
        series.refresh_ms = now_ms + REFRESH_MS

    def _evaluate(self, changed: Sequence[Series], active: ActiveRules, now_ms: int) -> None:
        to_evaluate = []
        for series in changed:
            new_us = advance(series, self.rules, now_ms)
            starts = [each for each in (series.changed_us, new_us) if each is not None]
            before = needed(series, active.reading(series.name))
            if starts:
                before = max(self.rules.lookback - 1, before)
            from_us = min(starts, default=series.evaluated_us)
            if before and len(series.candles) and needs_older(series, before, from_us):
                self._extend(series, from_us, before + 1, now_ms)
            if starts:
                to_evaluate.append((series, from_us))
        evaluate(to_evaluate, self.rules)
        by_name = {each.name: each for each in changed}
        for series in changed:
            rules = active.of(series.name)
            raise_alerts(series, rules, by_name)
            if not series.refresh_ms:
                keep = self.rules.keep + needed(series, active.reading(series.name))
                once = {each.id for each in rules if each.rule.frequency is Frequency.ONCE}
                series.trim(keep, self.rules.cooldown_us, once)

    def _replacement(self, series: Series, read: Read, now_ms: int) -> Replacement:
        encoded = series.encode()
        if read.value is None:
            # Epochs differ, so no version repeats after a lost state.
            return Replacement(
                series.name, read, series.revision, encoded, self.due(series, now_ms)
            )
        value = None if encoded == read.value else encoded
        return Replacement(series.name, read, read.number + 1, value, self.due(series, now_ms))

    def due(self, series: Series, now_ms: int) -> int | None:
        """Return when (wall clock, ms) to evaluate the series again, if ever."""
        times = [waits_until_ms(series, self.rules), series.refresh_ms or None]
        if series.unpublished or any(each.body for each in series.alerts.values()):
            times.append(now_ms + RESEND_MS)
        return min((each for each in times if each is not None), default=None)


def _together(group: Sequence[Mapping[Name, Window]]) -> dict[Name, Window]:
    candles: dict[Name, Window] = {}
    for each in group:
        for name, window in each.items():
            if name in candles:
                candles[name].merge(window)
            else:
                candles[name] = replace(window)
    return candles
