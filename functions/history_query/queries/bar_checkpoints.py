"""Checkpoints of bars within trading days: a later read resumes from the newest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
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
"""Bars of a day that are held: a page of the default limit, and that there are more."""
_RECENT: Final = 8
"""Checkpoints that stay however few trades lie between them, since the last ones may fall."""

Key = tuple[str, str, str, int]
"""Instrument, type of bar, trading days and when the day begins (us)."""

_CHANGED: Final = sql.SQL("""
SELECT (SELECT min(first_time_us) FROM tick_segments WHERE {}),
       (SELECT sum(taken)::bigint FROM lake_days JOIN cold_days USING (day)
        WHERE day BETWEEN %(first_day)s AND %(last_day)s)
""").format(sql.SQL(SINCE))
_REPLICA: Final = "SELECT commit_id FROM lake_position WHERE pg_is_in_recovery()"


@dataclass(frozen=True, slots=True, eq=False)
class MadeBars:
    """Bars, ascending, with the place of the trade that is the last of each to make a price."""

    bars: Bars
    ends: list[OrderKey]

    def at(self, rows: range) -> MadeBars:
        """Return some rows."""
        return MadeBars(
            self.bars.at(np.arange(rows.start, rows.stop)), self.ends[rows.start : rows.stop]
        )


def joined(parts: Sequence[MadeBars]) -> MadeBars:
    """Return the bars of all parts."""
    nonempty = [part for part in parts if part.ends]
    if not nonempty:
        return MadeBars(NO_BARS, [])
    return MadeBars(
        Bars(
            np.concatenate([part.bars.start_us for part in nonempty]),
            concatenated([part.bars.records for part in nonempty]),
        ),
        [end for part in nonempty for end in part.ends],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Bars of a day's trades before `time_us`, a whole minute.

    `bars` that ended, of so many `trades`; `last` that makes a price. `made`: the bars that ended
    since the checkpoint before; None: they are not held. `fold` is copied before it takes more.
    """

    time_us: int
    trades: int
    bars: int
    last: OrderKey | None
    fold: BarFold
    made: MadeBars | None


@dataclass(frozen=True, slots=True, eq=False)
class BarDay:
    """A day's checkpoints, ascending: true of all commits up to `commit`.

    `taken`: how many ticks the lake took of it, once it has left Postgres.
    """

    commit: int
    taken: int | None
    checkpoints: tuple[Checkpoint, ...] = ()


class Checkpoints:
    """Holds those of the days that were read last."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._lock = threading.Lock()
        self._days: OrderedDict[Key, BarDay] = OrderedDict()

    def of_day(self, key: Key, end_us: int) -> BarDay:
        """Return a day's checkpoints that hold: nothing was stored since of the time before them.

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
        if first_us is not None:  # in its minute the trades before it may be others too
            checkpoints = tuple(
                each for each in checkpoints if each.time_us <= first_us // MINUTE_US * MINUTE_US
            )
        return BarDay(commit, taken, checkpoints)

    def hold(self, key: Key, day: BarDay) -> None:
        """Hold a day as `of_day` gave it, with the checkpoints that were added."""
        with self._lock:
            self._days[key] = replace(day, checkpoints=_thinned(day.checkpoints))
            self._days.move_to_end(key)
            while len(self._days) > _DAYS:
                self._days.popitem(last=False)


def _settled(connection: Connection) -> int:
    """Return a commit; all up to it have ended, and are seen from now on.

    A replica knows no transaction in flight, but the lake's position, which is such a commit.
    """
    row = connection.execute(_REPLICA).fetchone()
    return last_settled_commit(connection) if row is None else int(row[0])


def _thinned(checkpoints: tuple[Checkpoint, ...]) -> tuple[Checkpoint, ...]:
    """Drop those of before that are near the one before them, and bars that are not the newest."""
    thinned: list[Checkpoint] = []
    for n, each in enumerate(checkpoints):
        previous_trades = thinned[-2].trades if len(thinned) > 1 else 0
        if (
            thinned
            and n < len(checkpoints) - _RECENT
            and each.trades - previous_trades <= LARGEST_SLICE
        ):
            dropped = thinned.pop().made
            merged = None if dropped is None or each.made is None else joined([dropped, each.made])
            each = replace(each, made=merged)
        thinned.append(each)
    enough = checkpoints[-1].bars - _HELD_BARS if checkpoints else 0
    return tuple(replace(each, made=None) if each.bars < enough else each for each in thinned)
