"""Display events: changed candles of watched instruments after a step. Best effort.

What cancels or corrects their trades goes the same way.

What is held back here is lost with the process, and nothing is missed but a moment on a screen: the
next trade, or the closed candle, says it again. normalize shows the trades.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from functions.candle_aggregate.steps.cache import Ints
from functions.candle_aggregate.steps.levels import Level
from functions.candle_aggregate.steps.step import Computed, Steps, TickEvent
from functions.candle_aggregate.steps.store import Lease
from shared.adapter.event import Event, OutgoingEvent
from shared.market.blocks import CLOSED, PRICED, Records, concatenated, merge
from shared.market.shards import shard_of
from shared.market.timeframes import Timeframe
from shared.realtime.keys import Block
from shared.realtime.leases import Selection, Watched
from shared.wire import busts, events
from shared.wire.candle_columns import CandleColumns, decode_columns
from shared.wire.compression import decompress

_CANDLES_AN_EVENT: Final = 2_000
_REPAIRED_SHOWN: Final = 500
"""Of each part of a batch: a rebuild of years is no news of a screen."""


class Display:
    """Events for Broker display. `every_us`: how often the state of an open candle is shown."""

    def __init__(self, watched: Watched, every_us: int) -> None:
        self._watched = watched
        self._every_us = every_us
        self._next_us: Ints = np.zeros(0, dtype=np.int64)
        self._start_us: Ints = np.zeros(0, dtype=np.int64)
        self._changed: NDArray[np.bool_] = np.zeros(0, dtype=bool)
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
        selections = self._watched.all_of(leases)
        timeframes = [
            each
            for each in steps.rules.ladder
            if any(names.shows_any(each.name) for names in selections.values())
        ]
        self._grow(len(steps.cache.instruments))
        if not timeframes:
            if self._changed.any():
                self._changed[self._held(steps, leases)] = False  # of others some are watched
            return []
        columns = []
        if computed.levels:
            every = np.unique(np.concatenate([each.places.instrument for each in computed.levels]))
            watched = self._watched_of(every, selections, steps)
            levels = [each for each in computed.levels if each.timeframe in timeframes]
            columns = [_closed(each, watched, steps) for each in levels]
            self._note(computed.levels[0], watched)
        columns += self._open(timeframes, steps, leases, now_us)
        newest_us = max((event.received_us for event in applied), default=0)
        self._received_us = max(self._received_us, newest_us)
        return _candle_events(columns, self._received_us)

    def waiting(self, steps: Steps, now_us: int) -> set[int]:
        """Return the shards of open candles that have changed and that are due."""
        changed, next_us = self._changed, self._next_us
        size = min(len(changed), len(next_us))
        gids = np.flatnonzero(changed[:size] & self._due(next_us[:size], now_us))
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
        missing = size - len(self._next_us)
        if missing > 0:
            self._next_us = np.append(self._next_us, np.zeros(missing, dtype=np.int64))
            self._start_us = np.append(self._start_us, np.zeros(missing, dtype=np.int64))
            self._changed = np.append(self._changed, np.zeros(missing, dtype=bool))

    @staticmethod
    def _watched_of(gids: Ints, selections: Mapping[int, Selection], steps: Steps) -> Ints:
        """Return those of instruments of whose candles somebody watches any."""
        instruments = steps.cache.instruments

        def is_watched(gid: int) -> bool:
            names = selections.get(int(instruments.shard[gid]))
            return names is not None and names.selects_candles(instruments.names[gid])

        mask = np.fromiter(map(is_watched, gids.tolist()), dtype=bool, count=len(gids))
        return np.asarray(gids[mask], dtype=np.int64)

    def _note(self, base: Level, watched: Ints) -> None:
        """Note which instruments' base candles a step changed, and when the newest begins."""
        places = base.places.at(np.isin(base.places.instrument, watched))
        gids = places.instrument
        np.maximum.at(self._start_us, gids, places.start_us)
        self._changed[gids] = True

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
        held = self._held(steps, leases)
        due = held[self._changed[held] & self._due(self._next_us[held], now_us)]
        self._changed[due] = False
        self._next_us[due] = now_us + self._every_us
        return self._shown(due, timeframes, steps, leases)

    def _shown(
        self, gids: Ints, timeframes: Sequence[Timeframe], steps: Steps, leases: Mapping[int, Lease]
    ) -> list[CandleColumns]:
        base, starts = steps.rules.ladder[0], self._start_us[gids]
        columns = []
        for start_us in np.unique(starts).tolist():
            open_gids = gids[starts == start_us]
            blocks = {
                each: Block(each.name, each.start_us(start_us)) for each in [base, *timeframes]
            }
            steps.read_records({block: [open_gids] for block in blocks.values()}, leases)
            rows = steps.cache.rows(blocks[base], open_gids).astype(np.int64)
            open_gids, rows = open_gids[rows >= 0], rows[rows >= 0]
            now = steps.cache.pool.at(rows)
            is_open = ~now.has(CLOSED) & now.has(PRICED)
            open_gids, now = open_gids[is_open], now.at(is_open)
            for timeframe in timeframes:
                block = blocks[timeframe]
                folds = now if timeframe is base else _with_fold(now, open_gids, block, steps)
                columns.append(_columns(timeframe, block.start_us, open_gids, folds, steps))
        return columns


def _with_fold(now: Records, gids: Ints, block: Block, steps: Steps) -> Records:
    """Merge open base records with the folds of the interval's closed ones."""
    rows = steps.cache.rows(block, gids).astype(np.int64)
    has_fold = rows >= 0
    folds = steps.cache.pool.at(rows[has_fold])
    revision = np.maximum(folds.data["revision"], now.data["revision"][has_fold])
    joined = merge(folds, now.at(has_fold))
    joined.data["revision"] = revision
    order = np.argsort(np.append(np.flatnonzero(has_fold), np.flatnonzero(~has_fold)))
    return concatenated([joined, now.at(~has_fold)]).at(order)


def _columns(
    timeframe: Timeframe, start_us: int, gids: Ints, records: Records, steps: Steps
) -> CandleColumns:
    names = [steps.cache.instruments.names[gid] for gid in gids.tolist()]
    starts = np.full(len(names), start_us, dtype=np.int64)
    columns = CandleColumns(timeframe.name, names, starts, records)
    return columns.at(np.flatnonzero(records.has(PRICED)))


def _closed(level: Level, watched: Ints, steps: Steps) -> CandleColumns:
    places = level.places
    ready = np.isin(places.instrument, watched)
    ready &= places.records.has(CLOSED) & places.records.has(PRICED)
    return places.at(ready).columns(level.timeframe.name, steps.cache.instruments.names)


def _candle_events(parts: Sequence[CandleColumns], received_us: int) -> list[OutgoingEvent]:
    """Return events that are named by what they say: same content, same id."""
    bodies, batch, size = [], [], 0
    for part in parts:
        for first in range(0, len(part), _CANDLES_AN_EVENT):
            rows = np.arange(first, min(first + _CANDLES_AN_EVENT, len(part)))
            batch.append(part.at(rows).encode())
            size += len(rows)
            if size >= _CANDLES_AN_EVENT:
                bodies.append(b"".join(batch))
                batch, size = [], 0
    if batch:
        bodies.append(b"".join(batch))
    about = {events.RECEIVED: str(received_us)} if received_us else {}
    return [
        OutgoingEvent.packed(
            f"display/{hashlib.blake2b(body, digest_size=16).hexdigest()}",
            events.CANDLES,
            body,
            about,
        )
        for body in bodies
    ]
