"""Candles from stored ticks: the definition itself, each trade once, in the total order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from psycopg import Connection

from shared.candle import CandleState
from shared.kernel import CandleKey, partial_candles, rolled_up
from shared.lake.cold import NO_LAKE, Cold
from shared.repetitions import MINUTE_US, each_once
from shared.state import end_us
from shared.stores.chunks import chunks_of_range
from shared.stores.segments import ticks_of_range
from shared.ticks import Ticks
from shared.timeframes import Timeframe

CHUNK_TICKS: Final = 250_000
"""Ticks held at once, but for a minute that has more: trades are told apart by their minute."""


def stored_trades(
    connection: Connection, instrument: str, from_us: int, to_us: int, cold: Cold = NO_LAKE
) -> Iterator[list[Ticks]]:
    """Yield an instrument's ticks of [from_us, to_us), each trade once, chunk by chunk in time.

    From wherever they are stored. Raises TransientError.
    """
    first_us = from_us - from_us % MINUTE_US
    last_us = to_us + -to_us % MINUTE_US
    for begin_us, end_us_ in chunks_of_range(
        connection, instrument, first_us, last_us, CHUNK_TICKS
    ):
        batches = each_once(list(ticks_of_range(connection, instrument, begin_us, end_us_, cold)))
        inside = [
            batch.select((batch.event_time_us >= from_us) & (batch.event_time_us < to_us))
            for batch in batches
        ]
        if some := [batch for batch in inside if len(batch)]:
            yield some


def first_tick_us(connection: Connection, instrument: str) -> int | None:
    """Return the event time of the earliest tick that was ever stored of an instrument."""
    row = connection.execute(
        "SELECT first_time_us FROM first_ticks WHERE instrument = %s", (instrument,)
    ).fetchone()
    return None if row is None else int(row[0])


def recomputed(
    connection: Connection,
    instrument: str,
    from_us: int,
    to_us: int,
    timeframes: tuple[Timeframe, ...],
    cold: Cold = NO_LAKE,
) -> dict[CandleKey, CandleState]:
    """Return the candles of the ticks of [from_us, to_us), which must be whole intervals.

    `partial` is set; the other flags and the revision are not.
    """
    found: dict[CandleKey, CandleState] = {}
    for batches in stored_trades(connection, instrument, from_us, to_us, cold):
        fold(found, batches, timeframes)
    return flagged(found, first_tick_us(connection, instrument), timeframes)


def fold(
    found: dict[CandleKey, CandleState],
    batches: Iterable[Ticks],
    timeframes: tuple[Timeframe, ...],
) -> None:
    """Merge the trades of batches into candles of every timeframe."""
    base = timeframes[0]
    nested = tuple(each for each in timeframes if each.length_us % base.length_us == 0)
    others = [each for each in timeframes if each not in nested]
    for ticks in batches:
        changes = rolled_up(partial_candles(ticks, base), nested)
        for other in others:
            changes |= rolled_up(partial_candles(ticks, other), (other,))
        for key, change in changes.items():
            present = found.get(key)
            found[key] = change if present is None else present.merge(change)


def flagged(
    found: dict[CandleKey, CandleState], first_us: int | None, timeframes: Iterable[Timeframe]
) -> dict[CandleKey, CandleState]:
    """Mark the candles that began before the instrument's first tick."""
    if first_us is not None:
        for (_, timeframe_name, start_us), state in found.items():
            timeframe = next(each for each in timeframes if each.name == timeframe_name)
            state.partial = start_us < first_us < end_us(timeframe, start_us)
    return found
