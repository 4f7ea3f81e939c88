"""Candles of ranges from every store: rows of Postgres and of the lake, joined with live ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, sql

from shared.candles.folds import KeyedRecords, merged
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.lake.reading.plan import ALL_IN_POSTGRES, Plan, plan_candles
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US
from shared.wire.candle import DECIMALS, Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.candle_json import candle_rows

Columns = Mapping[str, Sequence[Any]]
Int64s = NDArray[np.int64]
_Span = tuple[int, int, int]  # number of a range, first and end of what is read of it

FIELDS: Final = tuple(each.name for each in fields(Candle))[2:]
SHOWN: Final = tuple(name for name in FIELDS if not name.endswith("_time_us"))
"""Those of the output form."""
_RANGES: Final = sql.SQL("""
    SELECT (q.n - 1)::int, f.*
    FROM unnest(%(names)s::text[], %(from)s::bigint[], %(to)s::bigint[])
        WITH ORDINALITY AS q (name, from_us, to_us, n)
    CROSS JOIN LATERAL (
        SELECT {} FROM candles c
        WHERE c.instrument = q.name AND c.timeframe = %(timeframe)s
            AND c.start_us >= q.from_us AND c.start_us < q.to_us {}
    ) AS f
""")
_FIRST: Final = sql.SQL("ORDER BY start_us {} LIMIT %(count)s")
_FOLDED: Final = _RANGES.format(
    sql.SQL("""
        (array_agg(open ORDER BY start_us))[1] AS open, max(high), min(low),
            (array_agg(close ORDER BY start_us DESC))[1], sum(volume), sum(notional),
            sum(trade_count)::bigint, sum(buy_volume), sum(sell_volume),
            min(first_time_us), max(last_time_us), false, false, bool_and(complete), 0,
            max(origin)"""),
    sql.SQL("""
            AND c.trade_count > 0 AND (c.instrument, c.start_us) NOT IN (
                SELECT * FROM unnest(%(without_names)s::text[], %(without_starts)s::bigint[]))
        HAVING count(*) > 0"""),
)
_REVISIONS: Final = """
    SELECT q.n, c.revision FROM unnest(%s::text[]) WITH ORDINALITY AS q (name, n)
    JOIN candles c ON c.instrument = q.name AND c.timeframe = %s AND c.start_us = %s
"""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of candles: of instrument `names[n]` with starts in [from_us[n], to_us[n]).

    Of each the first `count` if that is given, ascending, or descending if `newest`.
    """

    timeframe: str
    names: Sequence[str]
    from_us: Sequence[int]
    to_us: Sequence[int]
    count: int | None = None
    newest: bool = False

    @classmethod
    def same(
        cls, timeframe: str, names: Sequence[str], from_us: int, to_us: int, *, newest: bool = False
    ) -> Ranges:
        """Return the same range of each instrument."""
        n = len(names)
        return cls(timeframe, names, [from_us] * n, [to_us] * n, newest=newest)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of a statement."""
        return {
            "timeframe": self.timeframe,
            "names": list(self.names),
            "from": list(self.from_us),
            "to": list(self.to_us),
            "count": self.count,
        }

    def of(self, numbers: Sequence[int]) -> Ranges:
        """Return the ranges with these numbers."""
        return Ranges(
            self.timeframe,
            [self.names[n] for n in numbers],
            [self.from_us[n] for n in numbers],
            [self.to_us[n] for n in numbers],
        )


@dataclass(frozen=True, slots=True)
class ListedCandles:
    """Candles as lists by the names of `Candle`, exact numbers as text; `number` of their range."""

    columns: Columns

    @classmethod
    def of(cls, parts: Sequence[Columns], names: Sequence[str]) -> ListedCandles:
        """Return these columns of all parts, one after the other."""
        if len(parts) == 1:
            return cls({name: parts[0][name] for name in names})
        return cls({name: [*chain(*(part[name] for part in parts))] for name in names})

    def __len__(self) -> int:
        return len(self.columns["start_us"])

    def at(self, rows: slice) -> ListedCandles:
        """Return the candles of a slice."""
        return ListedCandles({name: each[rows] for name, each in self.columns.items()})

    def take(self, rows: Sequence[int]) -> ListedCandles:
        """Return the candles with these numbers."""
        columns = self.columns.items()
        return ListedCandles({name: [each[row] for row in rows] for name, each in columns})

    @property
    def traded(self) -> ListedCandles:
        """Those whose trades were not all cancelled."""
        rows = [row for row, count in enumerate(self.columns["trade_count"]) if count]
        return self if len(rows) == len(self) else self.take(rows)

    def rows(self) -> list[dict[str, Any]]:
        """Return the candles in their output form."""
        return candle_rows(self.columns)

    def candles(self, timeframe: str, names: Sequence[str]) -> Iterator[Candle]:
        """Yield the candles as values; `names` of the ranges.

        Without their first and last time these are the start.
        """
        starts = self.columns["start_us"]
        columns: dict[str, Iterable[Any]] = {
            **dict.fromkeys(("first_time_us", "last_time_us"), starts),
            **self.columns,
            **{name: map(Decimal, self.columns[name]) for name in DECIMALS},
        }
        for number, *values in zip(*(columns[name] for name in ("number", *FIELDS)), strict=True):
            yield Candle(names[number], timeframe, *values)


@dataclass(frozen=True, slots=True)
class PartlyRead:
    """Candles of the ranges from Postgres and Redis, and the plan of those in the lake."""

    ranges: Ranges
    candles: ListedCandles
    plan: Plan

    def with_lake(self, cold: Cold) -> ListedCandles:
        """Return the candles of all stores. It needs no connection, and may wait for the lake."""
        if self.plan.is_hot:
            return self.candles
        columns = self.candles.columns
        parts = [columns, *_in_lake(self.plan, cold, self.ranges, self.candles)]
        return _first(parts, self.ranges, [*columns])


def read_candles(
    connection: Connection,
    ranges: Ranges,
    live: CandleColumns | None = None,
    names: Sequence[str] = FIELDS,
) -> PartlyRead:
    """Read columns of the candles of the ranges; with the lake's, they are whole.

    Sorted by range and start, descending if `newest`. If several stores have a candle, the highest
    revision wins, so the first candles of the union are right wherever they are. Those whose trades
    were all cancelled are included. `live`: live ones in the ranges, read before: a candle
    persisted in between is then in both results.
    """
    names = "number", *names
    if not ranges.names:
        return PartlyRead(ranges, ListedCandles(dict.fromkeys(names, ())), ALL_IN_POSTGRES)
    columns = (f"trim_scale({each})::text" if each in DECIMALS else each for each in names[1:])
    order = _FIRST.format(sql.SQL("DESC" if ranges.newest else "ASC"))
    stored = connection.execute(
        _RANGES.format(sql.SQL(", ".join(columns)), order), ranges.parameters
    )
    plan = plan_candles(connection, min(ranges.from_us), max(ranges.to_us))  # after the rows
    rows = stored.fetchall()
    parts = [] if live is None else [_of_ranges(live.as_lists(), ranges)]
    parts += [dict(zip(names, zip(*rows, strict=True), strict=True))] if rows else []
    return PartlyRead(ranges, _first(parts, ranges, names), plan)


def stored_candles(
    connection: Connection,
    timeframe: str,
    names: Sequence[str],
    starts_us: Sequence[int],
    cold: Cold = NO_LAKE,
) -> CandleColumns:
    """Return those of the given candles (instrument, start) that are stored."""
    ranges = Ranges(timeframe, names, starts_us, [start_us + 1 for start_us in starts_us])
    found = read_candles(connection, ranges).with_lake(cold).candles(timeframe, names)
    return CandleColumns.of(timeframe, list(found))


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
    ranges: Ranges,
    without: Sequence[tuple[str, int]] = (),
    cold: Cold = NO_LAKE,
) -> KeyedRecords:
    """Fold the stored candles of each range.

    Returns records by range number and `from_us`; ranges without a candle are left out.
    `without`: candles (instrument, start) to leave out.
    """
    if not ranges.names:
        return KeyedRecords.of([])
    parameters = {
        **ranges.parameters,
        "without_names": [name for name, _ in without],
        "without_starts": [start_us for _, start_us in without],
    }
    folds = connection.execute(_FOLDED, parameters).fetchall()
    plan = plan_candles(connection, min(ranges.from_us), max(ranges.to_us))  # after the rows
    spans = zip(ranges.from_us, ranges.to_us, strict=True)
    of_lake = [n for n, span in enumerate(spans) if plan.touches(*span)]
    hot = {n: values for n, *values in folds}
    for n in of_lake:
        hot.pop(n, None)
    of_range = [*hot]
    candles = [Candle(ranges.names[n], ranges.timeframe, 0, *hot[n]) for n in hot]
    ignored, few = {*without}, ranges.of(of_lake)
    found = read_candles(connection, few).with_lake(cold).traded
    of_few = found.candles(few.timeframe, few.names)
    for n, candle in zip(found.columns["number"], of_few, strict=True):
        if (candle.instrument, candle.start_us) not in ignored:
            of_range.append(of_lake[n])
            candles.append(candle)
    columns = CandleColumns.of(ranges.timeframe, candles)
    number = np.array(of_range, dtype=np.int64)
    starts = np.array(ranges.from_us, dtype=np.int64)
    return merged(KeyedRecords(number, starts[number], columns.records))


def _of_ranges(live: Columns, ranges: Ranges) -> Columns:
    """Return live candles with the number of their instrument's range."""
    number_of = {name: n for n, name in enumerate(ranges.names)}
    return {**live, "number": [number_of[name] for name in live["instrument"]]}


def _first(parts: Sequence[Columns], ranges: Ranges, names: Sequence[str]) -> ListedCandles:
    """Return the first candles of all parts, of each start the one with the highest revision."""
    found = [part for part in parts if len(part["start_us"])]
    candles = ListedCandles.of(found or [dict.fromkeys(names, ())], names)
    revisions = candles.columns["revision"]
    by_key: dict[tuple[int, int], int] = {}
    keys = zip(candles.columns["number"], candles.columns["start_us"], strict=True)
    for row, key in enumerate(keys):
        known = by_key.setdefault(key, row)
        if revisions[row] > revisions[known]:
            by_key[key] = row
    in_order = sorted(sorted(by_key, reverse=ranges.newest), key=itemgetter(0))
    of_ranges = groupby(in_order, itemgetter(0))
    rows = [by_key[key] for _, group in of_ranges for key in islice(group, ranges.count)]
    return candles if rows == [*range(len(candles))] else candles.take(rows)


def _in_lake(plan: Plan, cold: Cold, ranges: Ranges, candles: ListedCandles) -> Iterator[Columns]:
    """Yield the lake's candles of each range, unless `candles` has its first ones already."""
    numbers = candles.columns["number"]
    counts, edges = Counter(numbers), dict(zip(numbers, candles.columns["start_us"], strict=True))
    spans: dict[str, list[_Span]] = defaultdict(list)
    for n, (name, low, high) in enumerate(
        zip(ranges.names, ranges.from_us, ranges.to_us, strict=True)
    ):
        if counts[n] == ranges.count:  # no lake candle beyond these can be among the first
            low, high = (edges[n], high) if ranges.newest else (low, edges[n] + 1)
        if plan.touches(low, high):
            spans[name].append((n, low, high))
    length_us = Timeframe.parse(ranges.timeframe).length_us
    for name, of_name in spans.items():
        for group in _together(of_name, length_us):
            found = cold.candle_lists(
                *(plan, name, ranges.timeframe, group[0][1], max(high for *_, high in group)),
                count=ranges.count if len(group) == 1 else None,
                newest=ranges.newest,
            )
            starts = np.array(found["start_us"], dtype=np.int64)
            for n, low, high in group:
                rows = np.flatnonzero((low <= starts) & (starts < high)).tolist()
                yield {**ListedCandles(found).take(rows).columns, "number": [n] * len(rows)}


def _together(spans: list[_Span], length_us: int) -> Iterator[list[_Span]]:
    """Yield spans that one read takes: at most twice as long as they are, and a day."""
    group: list[_Span] = []
    wanted_us = 0
    for span in sorted(spans, key=itemgetter(1)):
        _, low, high = span
        wanted_us += max(high - low, length_us)
        if group and high - group[0][1] > 2 * wanted_us + DAY_US:
            yield group
            group, wanted_us = [], max(high - low, length_us)
        group.append(span)
    yield group
