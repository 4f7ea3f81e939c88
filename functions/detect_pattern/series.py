"""A series: the newest closed candles of one symbol and timeframe, and its published patterns.

The stored form is `PackedSeries` (patterns.proto).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from functions.detect_pattern.window import RECEIVED, ROWS, Window
from shared.alerts.event import Alert
from shared.market.timeframes import Timeframe
from shared.realtime.pattern_series import Name
from shared.schema import patterns_pb2
from shared.wire.compression import FAST, compress, decompress
from shared.wire.patterns import Pattern

NOTHING_EVALUATED: Final = -1
FORM: Final = 13
"""Version of the stored form; increase it with each change of it or of a window's rows."""


@dataclass(slots=True)
class Series:
    """Candles ascend. Changed in place while a step is computed; never shared between threads.

    `evaluated_us`: start of the newest evaluated candle. `whole`: no older candle exists.
    `revision`: highest revision given to a pattern. `active`: active patterns by id, of the candles
    in state and of a cooldown before them; kept as messages, since few are read. `unpublished`:
    patterns to emit, by id. `alerts`: by rule and candle; those with a body are to be emitted.
    `changed_us`: oldest evaluated candle that has changed since (not stored: the same step
    evaluates it again). `refresh_ms`: wall clock of the next comparison with storage; 0: never.
    """

    instrument: str
    timeframe: str
    revision: int
    candles: Window = field(default_factory=lambda: Window.of(()))
    evaluated_us: int = NOTHING_EVALUATED
    whole: bool = True
    active: dict[str, patterns_pb2.Pattern] = field(default_factory=dict)
    unpublished: dict[str, Pattern] = field(default_factory=dict)
    alerts: dict[tuple[str, int], Alert] = field(default_factory=dict)
    refresh_ms: int = 0
    changed_us: int | None = None

    @property
    def name(self) -> Name:
        """Instrument and timeframe."""
        return self.instrument, self.timeframe

    def merge(self, candles: Window) -> None:
        """Merge candles; the highest revision of each wins.

        Order and duplicates make no difference.
        """
        changed_us = self.candles.merge(candles)
        if changed_us is not None and changed_us <= self.evaluated_us:
            self.touch(changed_us)

    def leaves_gap(self, candles: Window) -> bool:
        """Tell whether intervals are missing between the newest candle in state and `candles`."""
        if not len(candles) or not len(self.candles):
            return False
        length_us = Timeframe.parse(self.timeframe).length_us
        return bool(candles.starts[0] > self.candles.starts[-1] + length_us)

    @property
    def next_to_evaluate(self) -> int:
        """Index of the first candle not evaluated yet."""
        return self.candles.position(self.evaluated_us + 1)

    def touch(self, start_us: int) -> None:
        """Mark the candles from `start_us` on for another evaluation."""
        self.changed_us = start_us if self.changed_us is None else min(self.changed_us, start_us)

    def first_evaluable_us(self, lookback: int) -> int | None:
        """Return the start of the first candle whose window is in state; None if there is none."""
        at = 0 if self.whole else lookback - 1
        return int(self.candles.starts[at]) if at < len(self.candles) else None

    def limit_times(self, now_ms: int, refresh_ms: int) -> None:
        """Bring times of a clock that was set back since to now, and to the next comparison."""
        received = self.candles.table[RECEIVED]
        if received.max(initial=0) > now_ms:
            received[received > now_ms] = now_ms
        self.refresh_ms = min(self.refresh_ms, refresh_ms)

    def next_revision(self) -> int:
        """Return a revision above all previous ones."""
        self.revision += 1
        return self.revision

    def trim(self, keep: int, cooldown_us: int, once: Collection[str] = ()) -> None:
        """Drop all but the newest evaluated candles, and the patterns and alerts of the others.

        `once`: ids of rules that alert only once; their alerts stay.
        """
        surplus = self.next_to_evaluate - keep
        if surplus > 0:
            self.candles.drop_first(surplus)
            self.whole = False
        if not self.whole and len(self.candles):
            first_us = int(self.candles.starts[0])
            gone = [p.id for p in self.active.values() if p.start_us < first_us - cooldown_us]
            for id_ in gone:
                del self.active[id_]
            done = [
                key
                for key, alert in self.alerts.items()
                if key[1] < first_us and not alert.body and key[0] not in once
            ]
            for key in done:
                del self.alerts[key]

    def encode(self) -> bytes:
        """Return the stored form (without the version that precedes it in Redis)."""
        window = self.candles
        series = patterns_pb2.PatternSeries(
            instrument=self.instrument,
            timeframe=self.timeframe,
            candles=b"" if window.is_wide else window.encode(),
            wide=map(str, window.table.ravel()) if window.is_wide else (),
            price_scale=window.price_scale,
            volume_scale=window.volume_scale,
            evaluated_us=self.evaluated_us,
            whole=self.whole,
            revision=self.revision,
            active=self.active.values(),
            unpublished=[pattern.to_message() for pattern in self.unpublished.values()],
            alerts=[
                patterns_pb2.Alert(rule_id=a.rule_id, start_us=a.start_us, body=a.body)
                for a in self.alerts.values()
            ],
            refresh_ms=self.refresh_ms,
        )
        packed = compress(series.SerializeToString(), FAST)
        return patterns_pb2.PackedSeries(form=FORM, series=packed).SerializeToString()

    @classmethod
    def decode(cls, blob: bytes) -> Series | None:
        """Read the stored form; None if another version wrote it: reload from storage."""
        packed = patterns_pb2.PackedSeries.FromString(blob)
        if packed.form != FORM:
            return None
        m = patterns_pb2.PatternSeries.FromString(decompress(packed.series))
        if m.wide:
            table = np.array([int(each) for each in m.wide], dtype=object).reshape(ROWS, -1)
            window = Window(table, m.price_scale, m.volume_scale)
        else:
            window = Window.decode(m.candles, m.price_scale, m.volume_scale)
        unpublished = [Pattern.from_message(message) for message in m.unpublished]
        return cls(
            m.instrument,
            m.timeframe,
            m.revision,
            window,
            m.evaluated_us,
            m.whole,
            {message.id: message for message in m.active},
            {pattern.id: pattern for pattern in unpublished},
            {(a.rule_id, a.start_us): Alert(a.rule_id, a.start_us, a.body) for a in m.alerts},
            m.refresh_ms,
        )
