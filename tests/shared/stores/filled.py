"""Rows of any content in every table, so many that the planner looks for an index."""

from __future__ import annotations

from typing import Final

from psycopg import Connection, sql

_ROWS: Final = {"candles": 30_000}
_ROWS_OF_OTHERS: Final = 3_000
_OF_TYPE: Final = {
    "bigint": "n",
    "boolean": "n % 100 = 0",
    "bytea": "''::bytea",
    "date": "date '0001-01-01'",
    "double precision": "0.5",
    "integer": "n",
    "jsonb": "'{}'::jsonb",
    "numeric": "1",
    "real": "0.5",
    "smallint": "n",
    **dict.fromkeys(("text", "character varying"), "'t' || n"),
    "timestamp with time zone": "now() - n * interval '1 hour'",
}
_OF_NAME: Final = {
    **dict.fromkeys(("judged", "queued", "settled", "closed", "complete"), "n % 100 <> 0"),
    "instrument": "'S' || n % 1000",
    "timeframe": "(ARRAY['1m', '5m', '1h'])[1 + n % 3]",
    "state": "CASE WHEN n % 100 = 0 THEN 'open' ELSE 'filled' END",
    "origin": "'trades'",
    "reason": "'flag'",
    "rule_id": "'t' || n % 50",
}
_UNIQUE: Final = {("first_ticks", "instrument"), ("latest_quotes", "instrument"),
                  ("unused_instruments", "instrument"), ("alert_states", "rule_id")}  # fmt: skip
_COLUMNS: Final = """
SELECT c.relname, array_agg(a.attname ORDER BY attnum),
    array_agg(format_type(atttypid, -1) ORDER BY attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
GROUP BY 1
"""


def fill(connection: Connection, empty: set[str]) -> None:
    """Insert rows into each table but those that are to stay `empty`."""
    for table, names, types in connection.execute(_COLUMNS).fetchall():
        if table not in empty:
            values = [_value(table, *each) for each in zip(names, types, strict=True)]
            insert = sql.SQL("INSERT INTO {} SELECT {} FROM generate_series(1, {}) AS n").format(
                sql.Identifier(table),
                sql.SQL(", ".join(values)),
                _ROWS.get(table, _ROWS_OF_OTHERS),
            )
            connection.execute(insert)
    connection.execute("ANALYZE")


def _value(table: str, name: str, type_: str) -> str:
    if type_.endswith("[]"):
        return f"'{{}}'::{type_}"
    return _OF_TYPE[type_] if (table, name) in _UNIQUE else _OF_NAME.get(name, _OF_TYPE[type_])
