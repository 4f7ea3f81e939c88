"""What Postgres knows of a series: its candles, the patterns and alerts told of them, the rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

from psycopg import Connection, sql
from psycopg.rows import class_row

from functions.detect_pattern.edges import RuleInForce
from functions.detect_pattern.series import Kept, Name, Series
from shared.alerts import Alert, Rule
from shared.decimals import to_text
from shared.patterns import Pattern
from shared.stores.postgres import Postgres

EPOCH_BITS: Final = 32
"""A pattern's revision = epoch x 2^32 + counter; each read of a series begins an epoch."""

MOST: Final = 5_000
"""Candles of a series that are read at once; a correction further back is not judged again."""

_CANDLES: Final = (
    "SELECT start_us, open, high, low, close, volume, revision FROM candles"
    " WHERE instrument = %s AND timeframe = %s AND closed"
)
_NEWEST: Final = _CANDLES + " ORDER BY start_us DESC LIMIT %s"
_FROM: Final = _CANDLES + " AND start_us >= %s ORDER BY start_us DESC LIMIT %s"
_BETWEEN: Final = _CANDLES + " AND start_us >= %s AND start_us < %s ORDER BY start_us DESC"
_BEFORE: Final = _CANDLES + " AND start_us < %s ORDER BY start_us DESC LIMIT %s"
_SINCE_NEWEST: Final = """
SELECT count(*) FROM (
    SELECT FROM candles
    WHERE (instrument, timeframe) = (%(instrument)s, %(timeframe)s) AND start_us > coalesce(
        (SELECT max(start_us) FROM patterns
         WHERE (instrument, timeframe) = (%(instrument)s, %(timeframe)s)), -1)
    LIMIT %(most)s
) AS later
"""
_PATTERNS: Final = sql.SQL(
    "SELECT {} FROM patterns WHERE instrument = %s AND timeframe = %s AND start_us >= %s"
).format(sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Pattern)))
_ALERTS: Final = (
    "SELECT rule_id, start_us FROM alerts"
    " WHERE instrument = %s AND timeframe = %s AND start_us >= %s"
)
_RULES: Final = (
    "SELECT id, rule, after_us FROM alert_rules WHERE removed_at IS NULL AND instrument = ANY(%s)"
)
# One index entry a series instead of every candle of it.
_SERIES: Final = """
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
    """Reads. Every method raises TransientError while Postgres is away."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def load(self, name: Name, keep: int, cooldown_us: int) -> Series:
        """Return the series with its newest candles: `keep`, and all since its newest pattern.

        What was told of them is known; so judging them once more tells only what had not been told
        when the state was lost.
        """
        with self._postgres.connection() as connection:
            row = connection.execute("SELECT nextval('pattern_epoch')").fetchone()
            assert row is not None
            series = Series(*name, revision=int(row[0]) << EPOCH_BITS)
            wanted = {"instrument": name[0], "timeframe": name[1], "most": MOST}
            row = connection.execute(_SINCE_NEWEST, wanted).fetchone()
            assert row is not None
            count = min(keep + int(row[0]), MOST)
            rows = connection.execute(_NEWEST, (*name, count)).fetchall()
            series.candles = _kept(rows)
            series.whole = len(rows) < count
            self._learn(connection, series, cooldown_us)
        if series.candles:
            series.judged_us = series.candles[-1].start_us
        return series

    def refresh(self, series: Series, cooldown_us: int) -> int | None:
        """Take into a series what storage has by now, of its time and newer.

        Returns the start (us) of the first pattern of which storage knew better.
        """
        first_us = 0 if series.whole else series.candles[0].start_us
        with self._postgres.connection() as connection:
            rows = connection.execute(_FROM, (*series.name, first_us, MOST)).fetchall()
            series.merge(_kept(rows))
            return self._learn(connection, series, cooldown_us, outranked=True)

    def older(self, series: Series, from_us: int, lookback: int, cooldown_us: int) -> None:
        """Take in older candles, so that those from `from_us` on can be judged.

        Those between there and the first in state, and the lookback before them.
        """
        first_us = series.candles[0].start_us
        with self._postgres.connection() as connection:
            between = connection.execute(_BETWEEN, (*series.name, from_us, first_us)).fetchall()
            before_us = min(from_us, first_us)
            before = connection.execute(_BEFORE, (*series.name, before_us, lookback)).fetchall()
            series.merge(_kept([*between, *before]))
            series.whole = len(before) < lookback
            self._learn(connection, series, cooldown_us)

    def reaches(self, series: Series, from_us: int) -> bool:
        """Tell whether fewer than MOST stored candles lie between a time and the first in state."""
        first_us = series.candles[0].start_us
        with self._postgres.connection() as connection:
            cursor = connection.execute(
                _BETWEEN + " OFFSET %s LIMIT 1", (*series.name, from_us, first_us, MOST)
            )
            return cursor.fetchone() is None

    def all_series(self) -> list[Name]:
        """Return every series that has candles."""
        with self._postgres.connection() as connection:
            return connection.execute(_SERIES).fetchall()

    def rules(self, instruments: Collection[str]) -> dict[Name, list[RuleInForce]]:
        """Return the alert rules in force of these instruments, by series."""
        found: dict[Name, list[RuleInForce]] = {}
        with self._postgres.connection() as connection:
            for id_, text, after_us in connection.execute(_RULES, (list(instruments),)):
                rule = Rule.parse(text)
                in_force = RuleInForce(id_, rule, after_us)
                found.setdefault((rule.instrument, rule.timeframe), []).append(in_force)
        return found

    def sink_of(self, rule_id: str) -> str | None:
        """Return where a rule's alerts are posted; None when nowhere, or when it was removed."""
        with self._postgres.connection() as connection:
            row = connection.execute(
                "SELECT sink FROM alert_rules WHERE id = %s AND removed_at IS NULL", (rule_id,)
            ).fetchone()
        return None if row is None else row[0]

    def _learn(
        self,
        connection: Connection,
        series: Series,
        cooldown_us: int,
        *,
        outranked: bool = False,
    ) -> int | None:
        """Add what storage knows that was told of the series' time, where the state does not.

        `outranked`: also what a state that was lost since had told under a higher revision than
        this one knows; what was withdrawn so no longer counts as told. Returns the start of the
        first pattern that this changes.
        """
        if not series.candles:
            return None
        first_us = series.candles[0].start_us
        with connection.cursor(row_factory=class_row(Pattern)) as cursor:
            told = cursor.execute(_PATTERNS, (*series.name, first_us - cooldown_us)).fetchall()
        learnt = []
        for each in told:
            here = series.active.get(each.id)
            if here is None:
                is_news = not each.retracted
            else:
                is_news = outranked and each.revision > here.revision
            if is_news and each.id not in series.unpublished:
                learnt.append(each)
        for each in learnt:
            if each.retracted:
                del series.active[each.id]
            else:
                series.active[each.id] = each
        series.revision = max([series.revision, *(each.revision for each in told)])
        for rule_id, start_us in connection.execute(_ALERTS, (*series.name, first_us)):
            series.alerts.setdefault((rule_id, start_us), Alert(rule_id, start_us))
        return min((each.start_us for each in learnt), default=None)


def _kept(rows: Iterable[Sequence[Any]]) -> list[Kept]:
    """Return stored candles, ascending; they have waited for long enough."""
    return [
        Kept(
            start_us,
            to_text(open_),
            to_text(high),
            to_text(low),
            to_text(close),
            to_text(volume),
            revision,
            received_ms=0,
        )
        for start_us, open_, high, low, close, volume, revision in reversed(list(rows))
    ]
