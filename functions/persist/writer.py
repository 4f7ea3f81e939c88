"""Candles, rejects and repairs to rows; idempotent by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

import numpy as np
from psycopg import sql

from shared.market.utc_days import DAY_US, day_of
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.late import Late
from shared.wire.rejects import Reject


def insert(table: str, columns: Sequence[str]) -> sql.Composed:
    """Return the statement that inserts a row of these columns."""
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )


def changes(columns: Iterable[str]) -> sql.Composed:
    """Return the assignments of these columns in ON CONFLICT DO UPDATE."""
    return sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(each)) for each in columns
    )


_CANDLE_COLUMNS: Final = [field.name for field in fields(Candle)]
_CANDLE_KEY: Final = ("instrument", "timeframe", "start_us")
_REJECT_COLUMNS: Final = (
    *("event_id", "position", "code", "detail", "original"),
    *("receive_time_us", "source", "sequence", "format"),
)

_INSERT_REJECT: Final = sql.SQL("{} ON CONFLICT DO NOTHING").format(
    insert("rejects", _REJECT_COLUMNS)
)
_CANDLE_TYPES: Final = {
    "instrument": "text",
    "timeframe": "text",
    "origin": "text",
    "trade_count": "bigint",
    **dict.fromkeys(("start_us", "first_time_us", "last_time_us", "revision"), "bigint"),
    **dict.fromkeys(("closed", "partial", "complete"), "boolean"),
}
_UPSERT_CANDLES: Final = sql.SQL(
    "INSERT INTO candles ({columns}) SELECT DISTINCT ON (instrument, timeframe, start_us) {columns}"
    " FROM unnest({arrays}) AS row ({columns})"
    # In one order everywhere, so that two workers cannot hold each other's rows.
    " ORDER BY instrument, timeframe, start_us, revision DESC"
    " ON CONFLICT (instrument, timeframe, start_us) DO UPDATE SET {changes}"
    " WHERE excluded.revision > candles.revision"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _CANDLE_COLUMNS)),
    arrays=sql.SQL(", ").join(
        sql.SQL("{}::{}[]").format(
            sql.Placeholder(),
            sql.SQL(_CANDLE_TYPES.get(name, "numeric")),
        )
        for name in _CANDLE_COLUMNS
    ),
    changes=changes(name for name in _CANDLE_COLUMNS if name not in _CANDLE_KEY),
)


class Writer:
    """Writes what events hold. Their rows are idempotent, so no event is remembered."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def candles(self, batches: Sequence[CandleColumns]) -> int:
        """Write closed candles, of each the highest revision; return how many rows changed.

        Raises TransientError.
        """
        columns = [batch.as_lists() for batch in batches]
        with self._postgres.connection() as connection:
            moved = connection.execute(
                _UPSERT_CANDLES,
                [[each for lists in columns for each in lists[name]] for name in _CANDLE_COLUMNS],
            ).rowcount
            if not moved:
                return 0
            days = {us // DAY_US for batch in batches for us in np.unique(batch.start_us).tolist()}
            connection.execute(
                "INSERT INTO lake_pending_candles (day) SELECT unnest(%s::date[])",
                ([day_of(day * DAY_US) for day in sorted(days)],),
            )
        return moved

    def rejects(self, event_id: str, source: str, rejects: Sequence[Reject]) -> bool:
        """Write rejects; return whether any was not there. Raises TransientError."""
        rows = [
            (
                *(event_id, n, each.code, each.detail, each.original),
                *(each.receive_time_us, source, each.sequence, each.format),
            )
            for n, each in enumerate(rejects)
        ]
        with self._postgres.connection() as connection:
            cursor = connection.cursor()
            cursor.executemany(_INSERT_REJECT, rows)
            return cursor.rowcount > 0

    def repairs(self, late: Late) -> None:
        """Queue base candles to be recomputed; idempotent. Raises TransientError."""
        with self._postgres.connection() as connection:
            connection.execute(
                "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)"
                " SELECT name, '', start_us, %s, %s"
                " FROM unnest(%s::text[], %s::bigint[]) AS t (name, start_us)"
                " ON CONFLICT (instrument, timeframe, start_us, event_id)"
                " DO UPDATE SET reason = excluded.reason WHERE excluded.reason = 'late'",
                (
                    late.event_id,
                    late.reason.value,
                    [name for name, _ in late.candles],
                    [start_us for _, start_us in late.candles],
                ),
            )
