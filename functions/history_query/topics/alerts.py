"""GET /api/alerts: when the rules of `kandle alert` came true."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Final

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.newest_first import (
    PAGE,
    Parameters,
    Row,
    newest_first,
    read_list,
)
from functions.history_query.api.parameters import ParameterError
from functions.history_query.queries.readers import Readers
from functions.history_query.topics import patterns

MAX_ID_CHARACTERS: Final = 64

_SELECT: Final = """
SELECT body -> 'data', start_us, rule_id FROM alerts
WHERE (%(symbol)s::text IS NULL OR instrument = %(symbol)s)
  AND (%(rule)s::text IS NULL OR rule_id = %(rule)s)
  AND start_us >= %(from_us)s AND start_us < %(to_us)s
  AND (start_us, rule_id) < (%(before_us)s, %(before_id)s)
ORDER BY start_us DESC, rule_id DESC LIMIT %(limit)s
"""
"""An alert has its rule and the value that made it true, but not its sink."""


def read_alerts(query: Mapping[str, str]) -> Parameters:
    """Read the parameters. Raises ParameterError."""
    rule = query.get("rule")
    if rule is not None and not (1 <= len(rule) <= MAX_ID_CHARACTERS and rule.isprintable()):
        raise ParameterError(f"rule: the id of one, of 1 to {MAX_ID_CHARACTERS} characters")
    return {**read_list(query), "rule": rule}


def _rows(readers: Readers, parameters: Parameters) -> Generator[Row]:
    with readers.postgres.connection() as connection:
        yield from connection.execute(_SELECT, parameters)


TOPIC: Final = newest_first(
    *("alerts", "Alert"),
    spec.schemas(
        """
        Alert
          id?            =Pattern
          symbol         string    The instrument, or the feed of the rule.
          timeframe      string    Empty if the rule is not about candles.
          pattern_type?,kind?,direction?,confidence?,level?,trigger_price?  =Pattern
          timestamp      ms        End of that candle, or the same time, ms.
          begin?,features?,candle_data?,source?,status?,revision?  =Pattern
          rule_id        string
          rule           string    The rule as added: `BTC-USD close > 75000 on 1m`.
          candle_start   ms        Start of the candle on which the rule fired, ms; for a rule
            without candles the time of the check.
          value?         decimal   The left side of the first comparison.
          to?            [string]  Targets named in the rule; empty: all.
          muted?         boolean   Whether it was not sent.
        """,
        Pattern=patterns.TOPIC.schemas["Pattern"],
    )["Alert"],
    (
        "Alerts of all instruments, the newest first. Rules are added by `kandle alert`.",
        "Alerts of an instrument, the newest first.",
    ),
    "from to",
    *PAGE,
    "rule",
    own=spec.queries(
        "rule  0a1b2c3d  id  Only alerts of the rule with this id.",
        id={"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS},
    ),
    read_parameters=read_alerts,
    rows=_rows,
)
