"""GET /api/patterns: patterns and anomalies found in closed candles."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import fields
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.newest_first import (
    PAGE,
    Parameters,
    Row,
    newest_first,
    read_list,
)
from functions.history_query.api.parameters import ParameterError, read_choice
from functions.history_query.queries.readers import Readers
from shared.wire.patterns import Pattern, as_event_json

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
_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(Pattern))
_OF_ONE: Final = sql.SQL(_SELECT).format(_COLUMNS, sql.SQL("instrument = %(symbol)s AND"))
_OF_ALL: Final = sql.SQL(_SELECT).format(_COLUMNS, sql.SQL(""))
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_TIMEFRAME: Final = re.compile(r"[1-9][0-9]{0,3}[smhdw]")
_FRACTION: Final = {"type": "number", "minimum": 0, "maximum": 1}
_OWN: Final = spec.queries(
    """
    timeframe       1m          string    Only patterns of this timeframe.
    type            double_top  string    Only this pattern, such as double_top.
    min_confidence  0.7         fraction  Minimum confidence.
    status          all         status    Active patterns, those retracted after a correction of
        their candles, or all.
    """,
    fraction=_FRACTION,
    status={"enum": list(STATUSES), "default": STATUSES[0]},
)
_PRICES: Final = spec.schemas(
    """
    prices
      open,high,low,close,volume  decimal
    """
)


def read_patterns(query: Mapping[str, str]) -> Parameters:
    """Read the parameters. Raises ParameterError."""
    timeframe, type_ = query.get("timeframe") or None, query.get("type") or None
    if timeframe is not None and not _TIMEFRAME.fullmatch(timeframe):
        raise ParameterError(f"timeframe: {timeframe[:40]!r} is none, such as 1m or 4h")
    if type_ is not None and not _NAME.fullmatch(type_):
        raise ParameterError(f"type: {type_[:40]!r} is not a pattern, such as double_top")
    status = read_choice(query, "status", STATUSES)
    return {
        **read_list(query),
        "timeframe": timeframe,
        "type": type_,
        "min_confidence": _confidence(query),
        "retracted": None if status == "all" else status == "retracted",
    }


def _confidence(query: Mapping[str, str]) -> float:
    text = query.get("min_confidence") or "0"
    if not re.fullmatch(r"0(\.[0-9]{1,9})?|1(\.0{1,9})?", text):
        raise ParameterError(f"min_confidence: {text[:40]!r} is not a number from 0 to 1")
    return float(text)


def _rows(readers: Readers, parameters: Parameters) -> Generator[Row]:
    statement = _OF_ALL if parameters["symbol"] is None else _OF_ONE
    with (
        readers.postgres.connection() as connection,
        connection.cursor(row_factory=class_row(Pattern)) as cursor,
    ):
        for each in cursor.execute(statement, parameters):
            yield as_event_json(each)["data"], each.end_us, each.id


TOPIC: Final = newest_first(
    *("patterns", "Pattern"),
    spec.schemas(
        """
        Pattern
          id             string    The same in every revision.
          symbol,timeframe,pattern_type  string
          kind           candlestick|chart|anomaly
          direction      -1|0|1    -1 down, 0 none, 1 up.
          confidence     fraction
          level          low|medium|high
          trigger_price  decimal
          timestamp      ms        End of its last candle, ms.
          begin          ms        Start of its first candle, ms.
          features       {number}  Measurements of the detector.
          candle_data    prices
          source         string
          status         active|retracted
          revision       count     The highest wins.
        """,
        fraction=_FRACTION,
        **_PRICES,
    )["Pattern"],
    (
        "Patterns and anomalies of all instruments, the newest first.",
        "Patterns and anomalies found in closed candles, the newest first.",
    ),
    "timeframe type min_confidence from to status",
    *PAGE,
    own=_OWN,
    read_parameters=read_patterns,
    rows=_rows,
)
