"""Postgres for series: their candles, published patterns and alerts, and the alert rules."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

from psycopg import Connection, sql
from psycopg.rows import class_row

from functions.detect_pattern.candle_rules import ActiveRule, ActiveRules
from functions.detect_pattern.series import Series
from functions.detect_pattern.window import Window
from shared.alerts.event import Alert
from shared.alerts.grammar import RuleError
from shared.alerts.rule import Rule
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.reading.stored_candles import Ranges, read_candles
from shared.realtime.pattern_series import Name
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.patterns import Pattern

log = logging.getLogger(__name__)

MOST: Final = 5_000
"""Most candles of a series read at once; older corrections are not evaluated again."""

# The revisions of a load: the clock (us) of Postgres, that replicas share, also after it was lost.
_CLOCK: Final = "SELECT (1000000 * extract(epoch FROM clock_timestamp()))::bigint"
_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields(Candle))
_SERIES_OF: Final = sql.SQL("""
WITH series AS (
    SELECT * FROM unnest(%(instruments)s::text[], %(timeframes)s::text[], %(numbers)s::bigint[])
        WITH ORDINALITY AS s (instrument, timeframe, number, series)
)
""")
# As many as the state keeps, and all since the newest published pattern.
_NEWEST: Final = _SERIES_OF + sql.SQL("""
SELECT series, wanted, newest.*
FROM series, LATERAL (
    SELECT least(number + count(*), %(most)s) AS wanted FROM (
        SELECT FROM candles c
        WHERE (c.instrument, c.timeframe) = (series.instrument, series.timeframe)
          AND c.start_us > coalesce(
              (SELECT max(start_us) FROM patterns p
               WHERE (p.instrument, p.timeframe) = (series.instrument, series.timeframe)), -1)
        LIMIT %(most)s
    ) AS later
) AS counted, LATERAL (
    SELECT {} FROM candles c
    WHERE (c.instrument, c.timeframe) = (series.instrument, series.timeframe) AND c.closed
    ORDER BY start_us DESC LIMIT wanted
) AS newest
""").format(_COLUMNS)
_SINCE: Final = _SERIES_OF + sql.SQL("""
SELECT series, since.* FROM series, LATERAL (
    SELECT {} FROM candles c
    WHERE (c.instrument, c.timeframe) = (series.instrument, series.timeframe) AND c.closed
      AND start_us >= number
    ORDER BY start_us DESC LIMIT %(most)s
) AS since
""").format(_COLUMNS)
_COLD: Final = """
SELECT instrument FROM first_ticks WHERE instrument = ANY(%s) AND first_time_us <
    (SELECT 86400000000 * (max(day) + 1 - date '1970-01-01') FROM cold_candle_days)
"""
_BEYOND: Final = """
SELECT FROM candles WHERE instrument = %s AND timeframe = %s AND closed
    AND start_us >= %s AND start_us < %s
ORDER BY start_us DESC OFFSET %s LIMIT 1
"""
_PATTERNS: Final = _SERIES_OF + sql.SQL(
    "SELECT {} FROM series JOIN patterns p USING (instrument, timeframe)"
    " WHERE p.start_us >= series.number"
).format(sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Pattern)))
_ALERTS: Final = _SERIES_OF + sql.SQL(
    "SELECT series, rule_id, start_us FROM series JOIN alerts a USING (instrument, timeframe)"
    " WHERE a.start_us >= series.number"
)
_RULES: Final = """
SELECT id, rule, after_us, muted FROM alert_rules
WHERE removed_at IS NULL AND timeframe <> '' AND instrument = ANY(%s)
  AND NOT (once AND EXISTS (SELECT FROM alerts WHERE rule_id = id))
"""
# One index entry a series instead of every candle of it.
_ALL_SERIES: Final = """
WITH RECURSIVE series AS (
    (SELECT instrument, timeframe FROM candles ORDER BY instrument, timeframe LIMIT 1)
    UNION ALL
    SELECT further.instrument, further.timeframe
    FROM series, LATERAL (
        SELECT instrument, timeframe FROM candles
        WHERE (instrument, timeframe) > (series.instrument, series.timeframe)
        ORDER BY instrument, timeframe LIMIT 1
    ) AS further
)
SELECT instrument, timeframe FROM series
"""


class Storage:
    """Reads of Postgres and the lake. Every method raises TransientError while a store is away."""

    def __init__(self, postgres: Postgres, cold: Cold = NO_LAKE) -> None:
        self.postgres = postgres
        self._cold = cold

    def load(self, names: Sequence[Name], keep: int, cooldown_us: int) -> list[Series]:
        """Return the series with their newest candles: `keep`, and all since the newest pattern.

        Their published patterns and alerts are loaded too, so evaluating them again publishes only
        what had not been published when the state was lost. A series is whole if nothing older is
        stored.
        """
        if not names:
            return []
        with self.postgres.connection() as connection:
            ((revision,),) = connection.execute(_CLOCK).fetchall()
            series = [Series(*name, revision) for name in names]
            rows = _rows_by_series(connection, _NEWEST, series, [keep] * len(series))
            cold = {row[0] for row in connection.execute(_COLD, ([name for name, _ in names],))}
        for each, series_rows in zip(series, rows, strict=True):
            each.candles = _window(row[1:] for row in series_rows)
            each.whole = not series_rows or len(series_rows) < series_rows[0][0]
            if each.whole and each.instrument in cold:
                before_us = int(each.candles.starts[0]) if len(each.candles) else 2**62
                older = self._stored(each, before_us, keep)
                each.whole = len(older) < keep
                each.candles.merge(older)
            if len(each.candles):
                each.evaluated_us = int(each.candles.starts[-1])
        with self.postgres.connection() as connection:
            self._load_published(connection, series, cooldown_us)
        return series

    def refresh(self, series: Sequence[Series], cooldown_us: int) -> list[int | None]:
        """Merge what storage has by now, from each series' first candle on.

        Returns for each the start (us) of the first pattern that storage had a newer version of.
        """
        first_us = [
            0 if each.whole or not len(each.candles) else int(each.candles.starts[0])
            for each in series
        ]
        with self.postgres.connection() as connection:
            rows = _rows_by_series(connection, _SINCE, series, first_us)
            for each, series_rows in zip(series, rows, strict=True):
                each.merge(_window(series_rows))
            return self._load_published(connection, series, cooldown_us, outranked=True)

    def older(self, series: Series, from_us: int, lookback: int, cooldown_us: int) -> None:
        """Merge older candles, so that those from `from_us` on can be evaluated.

        Reads those between `from_us` and the first in state, and the lookback before them.
        """
        first_us = int(series.candles.starts[0])
        before_us = min(from_us, first_us)
        before = self._stored(series, before_us, lookback)
        if from_us < first_us:
            series.merge(self._stored(series, first_us, MOST, from_us))
        series.merge(before)
        series.whole = before.position(before_us) < lookback
        with self.postgres.connection() as connection:
            self._load_published(connection, [series], cooldown_us)

    def reaches(self, series: Series, from_us: int) -> bool:
        """Tell whether at most MOST stored candles lie between `from_us` and the first in state."""
        first_us = int(series.candles.starts[0])
        with self.postgres.connection() as connection:
            cursor = connection.execute(_BEYOND, (*series.name, from_us, first_us, MOST))
            return cursor.fetchone() is None

    def all_series(self) -> list[Name]:
        """Return every series that has candles."""
        with self.postgres.connection() as connection:
            return connection.execute(_ALL_SERIES).fetchall()

    def rules(self, instruments: Collection[str]) -> ActiveRules:
        """Return the alert rules in force for these instruments, by series."""
        with self.postgres.connection() as connection:
            rows = connection.execute(_RULES, (list(instruments),)).fetchall()
        return ActiveRules.index(
            ActiveRule(id_, rule, after_us, muted)
            for id_, text, after_us, muted in rows
            if (rule := parsed_rule(text)) is not None
        )

    def sink_of(self, rule_id: str) -> str | None:
        """Return the sink of a rule; None if it has none or was removed."""
        with self.postgres.connection() as connection:
            row = connection.execute(
                "SELECT sink FROM alert_rules WHERE id = %s AND removed_at IS NULL", (rule_id,)
            ).fetchone()
        return None if row is None else row[0]

    def _stored(self, series: Series, before_us: int, count: int, from_us: int = 0) -> Window:
        """Return the newest candles in [from_us, before_us), of Postgres and the lake."""
        name, timeframe = series.name
        ranges = Ranges(timeframe, [name], [from_us], [before_us], count, newest=True)
        with self.postgres.connection() as connection:
            found = read_candles(connection, ranges)
        # Without a connection, since it may wait for the lake.
        return Window.of([*found.with_lake(self._cold).candles(timeframe, [name])])

    def _load_published(
        self,
        connection: Connection,
        series: Sequence[Series],
        cooldown_us: int,
        *,
        outranked: bool = False,
    ) -> list[int | None]:
        """Add published patterns and alerts in the time of the series that these lack.

        `outranked`: also replace patterns that storage has at a higher revision, published by a
        state lost since. Returns for each the start of the first pattern that this changes.
        """
        never = 2**62
        first_us = [int(each.candles.starts[0]) if len(each.candles) else never for each in series]
        published: dict[Name, list[Pattern]] = {}
        with connection.cursor(row_factory=class_row(Pattern)) as cursor:
            cursor.execute(_PATTERNS, _parameters(series, [us - cooldown_us for us in first_us]))
            for pattern in cursor:
                published.setdefault((pattern.instrument, pattern.timeframe), []).append(pattern)
        for number, rule_id, start_us in connection.execute(_ALERTS, _parameters(series, first_us)):
            series[number - 1].alerts.setdefault((rule_id, start_us), Alert(rule_id, start_us))
        return [_add_published(each, published.get(each.name, []), outranked) for each in series]


@lru_cache(maxsize=4096)
def parsed_rule(text: str) -> Rule | None:
    """Parse a stored rule; log and skip one that cannot be parsed."""
    try:
        return Rule.parse(text)
    except RuleError as error:
        log.warning("rule %r is left out: %s", text, error)
        return None


def _add_published(series: Series, published: Sequence[Pattern], outranked: bool) -> int | None:
    newer = []
    for each in published:
        current = series.active.get(each.id)
        if current is None:
            is_newer = not each.retracted
        else:
            is_newer = outranked and each.revision > current.revision
        if is_newer and each.id not in series.unpublished:
            newer.append(each)
    for each in newer:
        if each.retracted:
            del series.active[each.id]
        else:
            series.active[each.id] = each.to_message()
    series.revision = max([series.revision, *(each.revision for each in published)])
    return min((each.start_us for each in newer), default=None)


def _parameters(series: Sequence[Series], numbers: Sequence[int]) -> dict[str, Any]:
    return {
        "instruments": [each.instrument for each in series],
        "timeframes": [each.timeframe for each in series],
        "numbers": list(numbers),
        "most": MOST,
    }


def _rows_by_series(
    connection: Connection,
    statement: sql.Composed,
    series: Sequence[Series],
    numbers: Sequence[int],
) -> list[list[Sequence[Any]]]:
    rows: list[list[Sequence[Any]]] = [[] for _ in series]
    for number, *row in connection.execute(statement, _parameters(series, numbers)):
        rows[number - 1].append(row)
    return rows


def _window(rows: Iterable[Sequence[Any]]) -> Window:
    """Return stored candles as a window; received at 0, so their grace is over."""
    return Window.of([Candle(*row) for row in rows])
