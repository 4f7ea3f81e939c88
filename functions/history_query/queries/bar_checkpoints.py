"""Checkpoints of bars within trading days: a later read resumes from the newest."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from psycopg import Connection, sql

from functions.history_query.queries.tick_slices import LARGEST_SLICE
from shared.candles.bar_fold import NO_BARS, BarFold, Bars
from shared.candles.trades import MINUTE_US
from shared.market.blocks import concatenated
from shared.market.order import OrderKey
from shared.stores.commits import last_settled_commit
from shared.stores.postgres import Postgres
from shared.stores.segment_ranges import SINCE, bounds, named

_DAYS: Final = 24
_HELD_BARS: Final = 1_100
"""Bars held per day: a page of the default limit, and some more."""
_RECENT: Final = 8
"""Newest checkpoints, never thinned, since late trades may invalidate the last ones."""

Key = tuple[str, str, str, int]
"""Instrument, bar type, trading days and start of the day (us)."""

_CHANGED: Final = sql.SQL("""
SELECT (SELECT min(first_time_us + 0) FROM tick_segments WHERE {}),
       (SELECT sum(taken)::bigint FROM lake_days JOIN cold_days USING (day)
        WHERE day BETWEEN %(first_day)s AND %(last_day)s)
""").format(sql.SQL(SINCE))
_REPLICA: Final = "SELECT commit_id FROM lake_position WHERE pg_is_in_recovery()"


@dataclass(frozen=True, slots=True, eq=False)
class MadeBars:
    """Bars, ascending, each with the order key of its last trade that sets a price, int64[n, 5].

    Many are held: as numbers they take a sixth of the memory of objects.
    """

    bars: Bars
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, bars: Bars, ends: Sequence[OrderKey]) -> MadeBars:
        """Return bars with their ends."""
        return cls(bars, np.array(ends, dtype=np.int64).reshape(-1, len(OrderKey._fields)))

    def __len__(self) -> int:
        return len(self.ends)

    def end(self, row: int) -> OrderKey:
        """Return the order key that a bar ends with."""
        return OrderKey(*self.ends[row].tolist())

    def at(self, rows: range) -> MadeBars:
        """Return a range of rows."""
        index = np.arange(rows.start, rows.stop)
        return MadeBars(self.bars.at(index), self.ends[index])


def joined(parts: Sequence[MadeBars]) -> MadeBars:
    """Return the bars of all parts."""
    nonempty = [part for part in parts if len(part)]
    if not nonempty:
        return MadeBars.of(NO_BARS, [])
    return MadeBars(
        Bars(
            np.concatenate([part.bars.start_us for part in nonempty]),
            concatenated([part.bars.records for part in nonempty]),
        ),
        np.concatenate([part.ends for part in nonempty]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Bars of a day's trades before `time_us`, a whole minute.

    `bars` and `trades`: counts of closed bars and of trades; `last`: key of the last trade that
    sets a price. `new_bars`: bars closed since the previous checkpoint; None: not held. Copy `fold`
    before adding trades to it.
    """

    time_us: int
    trades: int
    bars: int
    last: OrderKey | None
    fold: BarFold
    new_bars: MadeBars | None


@dataclass(frozen=True, slots=True, eq=False)
class BarDay:
    """A day's checkpoints, ascending, valid for all commits up to `commit`.

    `taken`: ticks of the day in the lake, once it has left Postgres.
    """

    commit: int
    taken: int | None
    checkpoints: tuple[Checkpoint, ...] = ()


class Checkpoints:
    """Checkpoints of the most recently read days."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._lock = threading.Lock()
        self._days: LRUCache[Key, BarDay] = LRUCache(_DAYS)

    def of_day(self, key: Key, end_us: int) -> BarDay:
        """Return a day's valid checkpoints: no trade before them was stored since.

        Raises TransientError while Postgres is away.
        """
        with self._lock:
            held = self._days.get(key)
        symbol, _, _, begin_us = key
        checkpoints = held.checkpoints if held else ()
        until_us = checkpoints[-1].time_us if checkpoints else begin_us + 1
        with self._postgres.connection() as connection:
            commit = _settled(connection)
            parameters = bounds(begin_us, end_us) | named(symbol) | {"to_us": until_us}
            parameters["commit"] = held.commit if held else commit
            row = connection.execute(_CHANGED, parameters).fetchone()
        assert row is not None
        first_us, taken = row
        if held is None or held.taken != taken:
            return BarDay(commit, taken)
        if first_us is not None:  # deduplication within its minute may change
            checkpoints = tuple(
                each for each in checkpoints if each.time_us <= first_us // MINUTE_US * MINUTE_US
            )
        return BarDay(commit, taken, checkpoints)

    def hold(self, key: Key, day: BarDay) -> None:
        """Store a day returned by `of_day`, with its new checkpoints."""
        with self._lock:
            self._days[key] = replace(day, checkpoints=_thinned(day.checkpoints))


def _settled(connection: Connection) -> int:
    """Return a commit up to which all transactions have ended and are visible.

    A replica does not know the transactions in flight; there it is the lake's position.
    """
    row = connection.execute(_REPLICA).fetchone()
    return last_settled_commit(connection) if row is None else int(row[0])


def _thinned(checkpoints: tuple[Checkpoint, ...]) -> tuple[Checkpoint, ...]:
    """Drop older checkpoints that are close together, and the bars of all but the newest."""
    thinned: list[Checkpoint] = []
    for n, each in enumerate(checkpoints):
        previous_trades = thinned[-2].trades if len(thinned) > 1 else 0
        if (
            thinned
            and n < len(checkpoints) - _RECENT
            and each.trades - previous_trades <= LARGEST_SLICE
        ):
            dropped = thinned.pop().new_bars
            merged = (
                None
                if dropped is None or each.new_bars is None
                else joined([dropped, each.new_bars])
            )
            each = replace(each, new_bars=merged)
        thinned.append(each)
    return tuple(without_old_bars(thinned))


def without_old_bars(checkpoints: Sequence[Checkpoint]) -> Iterator[Checkpoint]:
    """Yield checkpoints, with the bars of the newest alone."""
    enough = checkpoints[-1].bars - _HELD_BARS if checkpoints else 0
    for each in checkpoints:
        yield replace(each, new_bars=None) if each.bars < enough else each
