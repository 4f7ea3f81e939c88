"""Stored candles: rows of Postgres, or of the lake once they have left it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.candles.folds import KeyedRecords, merged
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import plan_candles
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns

Int64s = NDArray[np.int64]

_COLUMNS: Final = sql.SQL(", ").join(
    sql.SQL("c.{}").format(sql.Identifier(each.name)) for each in fields(Candle)
)
_AT: Final = sql.SQL(
    "SELECT {} FROM unnest(%(names)s::text[], %(starts)s::bigint[]) AS q (name, start_us)"
    " JOIN candles c ON c.instrument = q.name AND c.timeframe = %(timeframe)s"
    " AND c.start_us = q.start_us"
).format(_COLUMNS)
_REVISIONS: Final = """
    SELECT q.n, c.revision FROM unnest(%s::text[]) WITH ORDINALITY AS q (name, n)
    JOIN candles c ON c.instrument = q.name AND c.timeframe = %s AND c.start_us = %s
"""
_FOLDED: Final = """
    SELECT q.n, f.* FROM unnest(%(names)s::text[], %(from)s::bigint[], %(to)s::bigint[])
        WITH ORDINALITY AS q (name, from_us, to_us, n)
    CROSS JOIN LATERAL (
        SELECT (array_agg(open ORDER BY start_us))[1] AS open, max(high), min(low),
            (array_agg(close ORDER BY start_us DESC))[1], sum(volume), sum(notional),
            sum(trade_count)::bigint, sum(buy_volume), sum(sell_volume),
            min(first_time_us), max(last_time_us), bool_and(complete), max(origin)
        FROM candles c
        WHERE c.instrument = q.name AND c.timeframe = %(timeframe)s
            AND c.start_us >= q.from_us AND c.start_us < q.to_us AND c.trade_count > 0
            AND NOT EXISTS (
                SELECT FROM unnest(%(without_names)s::text[], %(without_starts)s::bigint[])
                    AS w (name, start_us)
                WHERE w.name = c.instrument AND w.start_us = c.start_us)
    ) AS f WHERE f.open IS NOT NULL
"""


def stored_candles(
    connection: Connection,
    timeframe: str,
    names: Sequence[str],
    starts_us: Sequence[int],
    cold: Cold = NO_LAKE,
) -> CandleColumns:
    """Return those of the given candles (instrument, start) that are stored, unordered."""
    with connection.cursor(row_factory=class_row(Candle)) as cursor:
        parameters = {"timeframe": timeframe, "names": list(names), "starts": list(starts_us)}
        candles = cursor.execute(_AT, parameters).fetchall()
    stored = {(each.instrument, each.start_us) for each in candles}
    missing: dict[str, list[int]] = {}
    if not starts_us or not _any_in_lake(connection, min(starts_us), max(starts_us) + 1):
        return CandleColumns.of(timeframe, candles)
    for name, start_us in zip(names, starts_us, strict=True):
        if (name, start_us) not in stored:
            missing.setdefault(name, []).append(start_us)
    for name, starts in missing.items():
        lake_candles = in_lake(connection, name, timeframe, min(starts), max(starts) + 1, cold)
        candles += [each for each in lake_candles if each.start_us in starts]
    return CandleColumns.of(timeframe, candles)


def stored_revisions(
    connection: Connection, timeframe: str, start_us: int, names: Sequence[str]
) -> Int64s:
    """Return the stored revision of each instrument's candle, 0 if none is stored."""
    revisions = np.zeros(len(names), dtype=np.int64)
    rows = connection.execute(_REVISIONS, (list(names), timeframe, start_us)).fetchall()
    for n, revision in rows:
        revisions[n - 1] = revision
    return revisions


def folded(
    connection: Connection,
    timeframe: str,
    names: Sequence[str],
    from_us: Sequence[int],
    to_us: Sequence[int],
    without: Sequence[tuple[str, int]] = (),
    cold: Cold = NO_LAKE,
) -> KeyedRecords:
    """Fold the stored candles of a timeframe with starts in [from_us, to_us), one range each.

    Returns records by range number and `from_us`; ranges without a candle are left out.
    `without`: candles (instrument, start) to leave out.
    """
    parameters = {
        "timeframe": timeframe,
        "names": list(names),
        "from": list(from_us),
        "to": list(to_us),
        "without_names": [name for name, _ in without],
        "without_starts": [start_us for _, start_us in without],
    }
    candles, numbers = [], []
    for n, *values in connection.execute(_FOLDED, parameters).fetchall():
        candles.append(_folded(names[n - 1], timeframe, from_us[n - 1], values))
        numbers.append(n - 1)
    ignored = set(without)
    is_hot = not names or not _any_in_lake(connection, min(from_us), max(to_us))
    for n, (name, low, high) in enumerate(zip(names, from_us, to_us, strict=True)):
        for candle in [] if is_hot else in_lake(connection, name, timeframe, low, high, cold):
            if candle.trade_count and (name, candle.start_us) not in ignored:
                candles.append(candle)
                numbers.append(n)
    numbered = _numbered(timeframe, candles, numbers)
    starts = np.array(from_us, dtype=np.int64)
    return merged(KeyedRecords(numbered.instrument, starts[numbered.instrument], numbered.records))


def _any_in_lake(connection: Connection, from_us: int, to_us: int) -> bool:
    return not plan_candles(connection, from_us, to_us).is_hot


def in_lake(
    connection: Connection, name: str, timeframe: str, from_us: int, to_us: int, cold: Cold
) -> list[Candle]:
    """Return the candles with starts in [from_us, to_us) that left Postgres for the lake."""
    plan = plan_candles(connection, from_us, to_us)
    return cold.candles(plan, name, timeframe, from_us, to_us)


def _folded(name: str, timeframe: str, start_us: int, values: Sequence[Any]) -> Candle:
    open_, high, low, close, volume, notional, count, buy, sell, first, last, complete, origin = (
        values
    )
    return Candle(
        *(name, timeframe, start_us, open_, high, low, close, volume, notional, count, buy, sell),
        *(first, last, False, False, complete, 0, origin),
    )


def _numbered(timeframe: str, candles: Sequence[Candle], numbers: Sequence[int]) -> KeyedRecords:
    columns = CandleColumns.of(timeframe, candles)
    return KeyedRecords(np.array(numbers, dtype=np.int64), columns.start_us, columns.records)
