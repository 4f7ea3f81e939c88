"""Display events: changed candles of watched instruments after a step. Best effort.

What cancels or corrects their trades goes the same way.

What is held back here is lost with the process, and nothing is missed but a moment on a screen: the
next trade, or the closed candle, says it again. normalize shows the trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.publish import candle_bodies, candle_events
from functions.candle_aggregate.steps.cache import Ints
from functions.candle_aggregate.steps.levels import Level, existing
from functions.candle_aggregate.steps.step import Computed, Steps, TickEvent
from functions.candle_aggregate.steps.store import Lease
from shared.adapter.event import Event, OutgoingEvent
from shared.candles.folds import KeyedRecords, merged
from shared.market.blocks import CLOSED, PRICED
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.realtime.keys import Block
from shared.realtime.leases import Selection, Watched
from shared.wire import busts, events
from shared.wire.candle_columns import CandleColumns, decode_columns
from shared.wire.compression import decompress

_REPAIRED_SHOWN: Final = 500
"""Of each part of a batch: a rebuild of years is no news of a screen."""


_OPEN: Final = np.dtype([("start_us", "<i8"), ("next_us", "<i8"), ("changed", "?")])
"""Of each instrument: start of its newest candle, when to show it, whether it is to be shown."""


class Display:
    """Events for Broker display. `every_us`: how often the state of an open candle is shown."""

    def __init__(self, watched: Watched, every_us: int) -> None:
        self._watched = watched
        self._every_us = every_us
        self._open_candles: NDArray[np.void] = np.zeros(0, dtype=_OPEN)
        self._received_us = 0

    def events(
        self,
        computed: Computed,
        applied: Sequence[TickEvent],
        steps: Steps,
        leases: Mapping[int, Lease],
        now_us: int,
    ) -> list[OutgoingEvent]:
        """Return what a step shows: its closed candles, and open ones that are due.

        Only of instruments and timeframes that somebody watches.
        """
        selections = {n: names for n, names in self._watched.all_of(leases).items() if names}
        timeframes = [
            each
            for each in steps.rules.ladder
            if any(names.shows_any(each.name) for names in selections.values())
        ]
        self._grow(len(steps.cache.instruments))
        if not timeframes:
            if (changed := self._open_candles["changed"]).any():
                changed[self._held(steps, leases)] = False  # of others some are watched
            return []
        columns = []
        if computed.levels:
            every = np.unique(np.concatenate([each.candles.instrument for each in computed.levels]))
            watched = self._watched_of(every, selections, steps)
            levels = [each for each in computed.levels if each.timeframe in timeframes]
            columns = [_closed(each, watched, steps) for each in levels]
            base = computed.levels[0].candles
            self._note(base.instrument, base.start_us, watched)
        columns += self._open(timeframes, steps, leases, now_us)
        newest_us = max((event.received_us for event in applied), default=0)
        self._received_us = max(self._received_us, newest_us)
        return _candle_events(columns, self._received_us)

    def waiting(self, steps: Steps, now_us: int) -> set[int]:
        """Return the shards of open candles that have changed and that are due."""
        candles = self._open_candles
        gids = np.flatnonzero(candles["changed"] & self._due(candles["next_us"], now_us))
        return set(steps.cache.instruments.shard[gids].tolist())

    def _due(self, next_us: Ints, now_us: int) -> NDArray[np.bool_]:
        """Return which times have come; all of them, if the clock was set back."""
        waits_us = next_us - now_us
        return (waits_us <= 0) | (waits_us > self._every_us)

    @staticmethod
    def _held(steps: Steps, leases: Mapping[int, Lease]) -> Ints:
        """Return the instruments of the shards of a step."""
        instruments = steps.cache.instruments
        shards = instruments.shard[: len(instruments)]
        return np.flatnonzero(np.isin(shards, list(leases)))

    def _grow(self, size: int) -> None:
        if (missing := size - len(self._open_candles)) > 0:
            self._open_candles = np.append(self._open_candles, np.zeros(missing, dtype=_OPEN))

    @staticmethod
    def _watched_of(gids: Ints, selections: Mapping[int, Selection], steps: Steps) -> Ints:
        """Return those of instruments of whose candles somebody watches any."""
        instruments = steps.cache.instruments

        def is_watched(gid: int) -> bool:
            names = selections.get(int(instruments.shard[gid]))
            return names is not None and names.selects_candles(instruments.names[gid])

        mask = np.fromiter(map(is_watched, gids.tolist()), dtype=bool, count=len(gids))
        return np.asarray(gids[mask], dtype=np.int64)

    def note_corrected(self, shard: int, starts_us: Mapping[str, int], steps: Steps) -> None:
        """Note open candles that no step has changed: by instrument the latest start."""
        gids = steps.cache.instruments.gids(list(starts_us))
        watched = self._watched_of(gids, self._watched.all_of([shard]), steps)
        self._grow(len(steps.cache.instruments))
        starts = np.array(list(starts_us.values()), dtype=np.int64)
        self._note(gids, starts, watched)

    def _note(self, gids: Ints, starts_us: Ints, watched: Ints) -> None:
        """Note which watched instruments have changed, and when their newest candle begins."""
        is_watched, candles = np.isin(gids, watched), self._open_candles
        np.maximum.at(candles["start_us"], gids[is_watched], starts_us[is_watched])
        candles["changed"][gids[is_watched]] = True

    def busts(self, event: Event, shards: int) -> list[OutgoingEvent]:
        """Return what an event says that ends trades of watched instruments.

        Raises PermanentError.
        """
        source, format_, batch = busts.decode(event.data())
        watched = [
            each
            for each in batch
            if self._watched.of(shard_of(each.instrument, shards)).selects(each.instrument)
        ]
        if not watched:
            return []
        body = busts.encode(source, format_, watched)
        return [OutgoingEvent.packed(f"{event.id}/display", events.BUSTS, body)]

    def repaired(self, outputs: Iterable[OutgoingEvent], shards: int) -> list[OutgoingEvent]:
        """Return what closed candles that no step has changed show: the newest that are watched.

        Raises PermanentError.
        """
        selections = self._watched.all_of(range(shards))
        if not any(selections.values()):
            return []
        parts = []
        for output in outputs:
            if output.type != events.CANDLES:
                continue
            for part in decode_columns(decompress(output.body)):
                rows = [
                    row
                    for row in np.argsort(part.start_us, kind="stable").tolist()
                    for name in [part.names[row]]
                    if selections[shard_of(name, shards)].shows(part.timeframe, name)
                ]
                parts.append(part.at(np.array(rows[-_REPAIRED_SHOWN:], dtype=np.intp)))
        return _candle_events(parts, 0)

    def _open(
        self,
        timeframes: Sequence[Timeframe],
        steps: Steps,
        leases: Mapping[int, Lease],
        now_us: int,
    ) -> list[CandleColumns]:
        """Return the newest open candles of instruments that have changed and that are due.

        `timeframes`: those that somebody watches.
        """
        held, candles = self._held(steps, leases), self._open_candles
        due = held[candles["changed"][held] & self._due(candles["next_us"][held], now_us)]
        candles["changed"][due] = False
        candles["next_us"][due] = now_us + self._every_us
        return self._shown(due, timeframes, steps, leases)

    def _shown(
        self, gids: Ints, timeframes: Sequence[Timeframe], steps: Steps, leases: Mapping[int, Lease]
    ) -> list[CandleColumns]:
        base, starts = steps.rules.ladder[0], self._open_candles["start_us"][gids]
        columns = []
        for start_us in np.unique(starts).tolist():
            same_start = gids[starts == start_us]
            blocks = {
                each: Block(each.name, each.start_us(start_us)) for each in [base, *timeframes]
            }
            steps.read_records({block: [same_start] for block in blocks.values()}, leases)
            now = _records(blocks[base], same_start, steps)
            now = now.at(~now.records.has(CLOSED))
            for timeframe in timeframes:
                start = np.full(len(now), blocks[timeframe].start_us, dtype=np.int64)
                parts = [KeyedRecords(now.instrument, start, now.records)]
                if timeframe is not base:
                    folds = _records(blocks[timeframe], same_start, steps)
                    grows = np.isin(folds.instrument, now.instrument)  # also one that is closed
                    parts.insert(0, folds.at(grows | ~folds.records.has(CLOSED)))
                names = steps.cache.instruments.names
                columns.append(merged(KeyedRecords.of(parts)).columns(timeframe.name, names))
        return columns


def _records(block: Block, gids: Ints, steps: Steps) -> KeyedRecords:
    """Return the candles of a block; of a longer one the folds of closed base candles."""
    records = existing(steps.cache, block, gids)
    return records.at(records.records.has(PRICED))


def _closed(level: Level, watched: Ints, steps: Steps) -> CandleColumns:
    candles = level.candles
    ready = np.isin(candles.instrument, watched)
    ready &= candles.records.has(CLOSED) & candles.records.has(PRICED)
    return candles.at(ready).columns(level.timeframe.name, steps.cache.instruments.names)


def _candle_events(parts: Sequence[CandleColumns], received_us: int) -> list[OutgoingEvent]:
    bodies = (body for part in parts for body, _ in candle_bodies(part))
    about = {events.RECEIVED: str(received_us)} if received_us else {}
    return list(candle_events("display", bodies, about))
