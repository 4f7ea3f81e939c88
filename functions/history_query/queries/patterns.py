"""Pages of patterns out of Postgres, the newest first."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from psycopg import sql
from psycopg.rows import class_row

from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.parameters import (
    ParameterError,
    read_limit,
    read_moment,
    read_range,
)
from shared.stores.postgres import Postgres
from shared.wire.patterns import Pattern, as_event_json

DEFAULT_PATTERNS: Final = 100
STATUSES: Final = ("active", "retracted", "all")

_SELECT: Final = """
SELECT {} FROM patterns
WHERE {} end_us >= %(from_us)s AND end_us < %(to_us)s
  AND (end_us, id) < (%(before_us)s, %(before_id)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
  AND (%(type)s::text IS NULL OR pattern = %(type)s)
  AND confidence >= %(min_confidence)s
  AND (%(retracted)s::boolean IS NULL OR retracted = %(retracted)s)
ORDER BY end_us DESC, id DESC LIMIT %(limit)s
"""
MOST: Final = 20_000
_STANDING: Final = """
SELECT pattern, end_us, direction, confidence FROM patterns
WHERE instrument = %s AND end_us >= %s AND timeframe = %s AND NOT retracted
ORDER BY end_us DESC LIMIT %s
"""
_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Pattern))
_OF_ONE: Final = sql.SQL(_SELECT).format(_COLUMNS, sql.SQL("instrument = %(symbol)s AND"))
_OF_ALL: Final = sql.SQL(_SELECT).format(_COLUMNS, sql.SQL(""))
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_TIMEFRAME: Final = re.compile(r"[1-9][0-9]{0,3}[smhdw]")


@dataclass(frozen=True, slots=True)
class PatternPage:
    """Page of patterns: known in [from_us, to_us), before the cursor. None is any."""

    from_us: int
    to_us: int
    limit: int
    before: MomentCursor
    timeframe: str | None
    type: str | None
    min_confidence: float
    retracted: bool | None


def read_patterns(query: Mapping[str, str], now_us: int | None = None) -> PatternPage:
    """Read the parameters. Raises ParameterError."""
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    timeframe, type_ = query.get("timeframe") or None, query.get("type") or None
    if timeframe is not None and not _TIMEFRAME.fullmatch(timeframe):
        raise ParameterError(f"timeframe: {timeframe[:40]!r} is none, such as 1m or 4h")
    if type_ is not None and not _NAME.fullmatch(type_):
        raise ParameterError(f"type: {type_[:40]!r} is no pattern, such as double_top")
    status = query.get("status") or "active"
    if status not in STATUSES:
        raise ParameterError(f"status: {status[:40]!r} is none of {', '.join(STATUSES)}")
    from_us, to_us = read_range(query, now_us)
    return PatternPage(
        from_us or 0,
        to_us,
        read_limit(query, DEFAULT_PATTERNS),
        read_moment(query),
        timeframe,
        type_,
        _confidence(query),
        None if status == "all" else status == "retracted",
    )


def _confidence(query: Mapping[str, str]) -> float:
    text = query.get("min_confidence") or "0"
    if not re.fullmatch(r"0(\.[0-9]{1,9})?|1(\.0{1,9})?", text):
        raise ParameterError(f"min_confidence: {text[:40]!r} is no number from 0 to 1")
    return float(text)


@dataclass(frozen=True, slots=True)
class PatternPages:
    """Reads pages. Raises TransientError while Postgres is away."""

    postgres: Postgres

    def active(
        self, symbol: str, timeframe: str, from_us: int
    ) -> list[tuple[str, int, int, float]]:
        """Return name, end, direction and confidence of the active patterns since a time."""
        with self.postgres.connection() as connection:
            return connection.execute(_STANDING, (symbol, from_us, timeframe, MOST)).fetchall()

    def page(
        self, symbol: str | None, page: PatternPage
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return patterns of one symbol or all, newest first; a cursor if there are older ones."""
        parameters = {
            "symbol": symbol,
            "from_us": page.from_us,
            "to_us": page.to_us,
            "before_us": page.before.time_us,
            "before_id": page.before.id,
            "timeframe": page.timeframe,
            "type": page.type,
            "min_confidence": page.min_confidence,
            "retracted": page.retracted,
            "limit": page.limit + 1,
        }
        with (
            self.postgres.connection() as connection,
            connection.cursor(row_factory=class_row(Pattern)) as cursor,
        ):
            rows = cursor.execute(_OF_ALL if symbol is None else _OF_ONE, parameters).fetchall()
        page_rows = rows[: page.limit]
        has_more = len(rows) > page.limit
        next_cursor = (
            MomentCursor(page_rows[-1].end_us, page_rows[-1].id).text() if has_more else None
        )
        return [as_event_json(each)["data"] for each in page_rows], next_cursor
