"""A series: the newest closed candles of one symbol and timeframe, and what was told of them.

The stored form is `PatternSeries` (patterns.proto).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from shared.alerts import Alert
from shared.candle import Candle
from shared.decimals import to_text
from shared.patterns import Pattern
from shared.schema import patterns_pb2
from shared.timeframes import Timeframe

Name = tuple[str, str]
"""Instrument and timeframe."""

NOTHING_JUDGED: Final = -1


class Kept(NamedTuple):
    """A candle as the state keeps it: decimals as canonical text, wall clock of its arrival."""

    start_us: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    revision: int
    received_ms: int

    @classmethod
    def of(cls, candle: Candle, received_ms: int) -> Kept:
        """Keep of a candle what judging needs."""
        return cls(
            candle.start_us,
            to_text(candle.open),
            to_text(candle.high),
            to_text(candle.low),
            to_text(candle.close),
            to_text(candle.volume),
            candle.revision,
            received_ms,
        )

    def says_as(self, other: Kept) -> bool:
        """Tell whether both are the same but for revision and arrival."""
        return self[:6] == other[:6]


@dataclass(slots=True)
class Series:
    """Candles ascend. Changed in place while a step is computed; never shared between threads.

    `judged_us`: start of the newest candle that was judged. `whole`: nothing older exists.
    `revision`: the highest that a pattern was given. `active`: by id, those that hold, of candles
    in state and, for the cooldown, somewhat before. `unpublished`: patterns to emit, by id.
    `alerts`: by rule and candle; those with a body are to be emitted. `changed_us`: the oldest
    judged candle that has changed since (not stored: a step judges what it changes).
    `refresh_ms`: wall clock when to hold it against storage once more; 0 is never.
    """

    instrument: str
    timeframe: str
    revision: int
    candles: list[Kept] = field(default_factory=list)
    judged_us: int = NOTHING_JUDGED
    whole: bool = True
    active: dict[str, Pattern] = field(default_factory=dict)
    unpublished: dict[str, Pattern] = field(default_factory=dict)
    alerts: dict[tuple[str, int], Alert] = field(default_factory=dict)
    refresh_ms: int = 0
    changed_us: int | None = None

    @property
    def name(self) -> Name:
        """Instrument and timeframe."""
        return self.instrument, self.timeframe

    def place(self, start_us: int) -> int:
        """Return where a candle that starts then is, or would be."""
        return bisect_left(self.candles, start_us, key=lambda kept: kept.start_us)

    def merge(self, candles: Iterable[Kept]) -> bool:
        """Take candles in, the highest revision of each; return whether anything changed.

        The order in which they come makes no difference, nor does a repetition.
        """
        changed = False
        for candle in candles:
            at = self.place(candle.start_us)
            present = self.candles[at] if at < len(self.candles) else None
            if present is None or present.start_us != candle.start_us:
                self.candles.insert(at, candle)
            elif candle.revision <= present.revision:
                continue
            else:
                self.candles[at] = candle._replace(received_ms=present.received_ms)
                if candle.says_as(present):
                    changed = True
                    continue
            changed = True
            if candle.start_us <= self.judged_us:
                self.touch(candle.start_us)
        return changed

    def leaves_hole(self, candles: Iterable[Kept]) -> bool:
        """Tell whether intervals are missing between the newest candle here and those to come."""
        oldest_us = min((each.start_us for each in candles), default=None)
        if oldest_us is None or not self.candles:
            return False
        length_us = Timeframe.parse(self.timeframe).length_us
        return oldest_us > self.candles[-1].start_us + length_us

    def touch(self, start_us: int) -> None:
        """Note that judged candles from there on are to be judged again."""
        self.changed_us = start_us if self.changed_us is None else min(self.changed_us, start_us)

    def first_judgeable_us(self, lookback: int) -> int | None:
        """Return the first candle whose window is in state; None when there is no such candle."""
        at = 0 if self.whole else lookback - 1
        return self.candles[at].start_us if at < len(self.candles) else None

    def next_revision(self) -> int:
        """Return a revision above every one before."""
        self.revision += 1
        return self.revision

    def trim(self, keep: int, cooldown_us: int) -> None:
        """Let go of all but the newest judged candles, and of what was told of the others."""
        surplus = self.place(self.judged_us + 1) - keep
        if surplus > 0:
            del self.candles[:surplus]
            self.whole = False
        if not self.whole:
            first_us = self.candles[0].start_us
            gone = [p.id for p in self.active.values() if p.start_us < first_us - cooldown_us]
            for id_ in gone:
                del self.active[id_]
            told = [k for k, a in self.alerts.items() if k[1] < first_us and not a.body]
            for key in told:
                del self.alerts[key]

    def encode(self) -> bytes:
        """Return the stored form (without the version that precedes it in Redis)."""
        columns = list(zip(*self.candles, strict=True)) or [()] * 8
        starts, opens, highs, lows, closes, volumes, revisions, received = columns
        return patterns_pb2.PatternSeries(
            instrument=self.instrument,
            timeframe=self.timeframe,
            start_us=_differences(starts),
            open=opens,
            high=highs,
            low=lows,
            close=closes,
            volume=volumes,
            candle_revision=revisions,
            received_ms=_differences(received),
            judged_us=self.judged_us,
            whole=self.whole,
            revision=self.revision,
            active=[pattern.to_message() for pattern in self.active.values()],
            unpublished=[pattern.to_message() for pattern in self.unpublished.values()],
            alerts=[
                patterns_pb2.Alert(rule_id=a.rule_id, start_us=a.start_us, body=a.body)
                for a in self.alerts.values()
            ],
            refresh_ms=self.refresh_ms,
        ).SerializeToString()

    @classmethod
    def decode(cls, blob: bytes) -> Series:
        """Read the stored form."""
        m = patterns_pb2.PatternSeries.FromString(blob)
        columns = (
            *(accumulate(m.start_us), m.open, m.high, m.low, m.close, m.volume),
            *(m.candle_revision, accumulate(m.received_ms)),
        )
        active = [Pattern.from_message(message) for message in m.active]
        unpublished = [Pattern.from_message(message) for message in m.unpublished]
        return cls(
            m.instrument,
            m.timeframe,
            m.revision,
            [Kept(*row) for row in zip(*columns, strict=True)],
            m.judged_us,
            m.whole,
            {pattern.id: pattern for pattern in active},
            {pattern.id: pattern for pattern in unpublished},
            {(a.rule_id, a.start_us): Alert(a.rule_id, a.start_us, a.body) for a in m.alerts},
            m.refresh_ms,
        )


def _differences(values: tuple[int, ...] | list[int]) -> list[int]:
    return [*values[:1], *(b - a for a, b in pairwise(values))]
