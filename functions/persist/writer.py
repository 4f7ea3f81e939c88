"""Rows of an event and its `applied_events` row, in one transaction: exactly once in effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from psycopg import Connection, sql
from psycopg.errors import CheckViolation

from functions.persist.first_ticks import FirstTicks
from functions.persist.partitions import Partitions
from functions.persist.segments import Segment
from shared.candle import Candle
from shared.candle_columns import CandleColumns
from shared.errors import TransientError
from shared.lake.places import day_of
from shared.late import Late
from shared.rejects import Reject
from shared.stores.arrays import register
from shared.stores.postgres import Postgres


def insert(table: str, columns: Sequence[str]) -> sql.Composed:
    """Return the statement that inserts a row of these columns."""
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )


_SEGMENT_COLUMNS: Final = [field.name for field in fields(Segment)]
_CANDLE_COLUMNS: Final = [field.name for field in fields(Candle)]
_CANDLE_KEY: Final = ("instrument", "timeframe", "start_us")
_REJECT_COLUMNS: Final = (
    *("event_id", "position", "code", "detail", "original"),
    *("receive_time_us", "source", "sequence"),
)

_SEGMENT_TYPES: Final = [
    *("date", "text", "int2", "text", "text", "int2", "int2", "int4", "int8", "int8"),
    *("int8[]", "int8[]", "int8[]", "numeric[]", "numeric[]", "int2[]", "int8[]", "text[]"),
    *("int2[]", "int2", "int8[]", "int8[]", "int2[]", "text"),
]
_COPY_SEGMENTS: Final = sql.SQL("COPY tick_segments ({}) FROM STDIN (FORMAT BINARY)").format(
    sql.SQL(", ").join(map(sql.Identifier, _SEGMENT_COLUMNS))
)
_INSERT_REJECT: Final = insert("rejects", _REJECT_COLUMNS)
_CANDLE_TYPES: Final = {
    "instrument": "text",
    "timeframe": "text",
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
    changes=sql.SQL(", ").join(
        sql.SQL("{} = excluded.{}").format(sql.Identifier(name), sql.Identifier(name))
        for name in _CANDLE_COLUMNS
        if name not in _CANDLE_KEY
    ),
)


class Writer:
    """Writes events. Each method returns False when the event was written before."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._partitions = Partitions(postgres)
        self._first_ticks = FirstTicks()

    def ticks(self, event_id: str, rows: Sequence[Segment], shards: Sequence[int] = (0,)) -> bool:
        """Write tick segments of instruments of these shards. Raises TransientError."""
        days = {row.day for row in rows}
        self._partitions.ensure(days)
        try:
            with self._postgres.connection() as connection:
                if not first_time(connection, event_id, shards):
                    return False
                register(connection)
                with connection.cursor() as cursor, cursor.copy(_COPY_SEGMENTS) as copy:
                    copy.set_types(_SEGMENT_TYPES)
                    for row in rows:
                        copy.write_row(_values(row, _SEGMENT_COLUMNS))
                _await_copies(connection, rows)
                earliest = self._first_ticks.move(connection, rows)
        except CheckViolation:  # a partition that was here has left Postgres for the lake
            self._partitions.forget(days)
            raise TransientError("a day has no partition any more; it is made anew") from None
        self._first_ticks.remember(earliest)
        return True

    def candles(self, event_id: str, parts: Sequence[CandleColumns]) -> bool:
        """Write closed candles, the highest revision kept. Raises TransientError."""
        columns = [part.as_lists() for part in parts]
        with self._postgres.connection() as connection:
            if not first_time(connection, event_id):
                return False
            connection.execute(
                _UPSERT_CANDLES,
                [[each for some in columns for each in some[name]] for name in _CANDLE_COLUMNS],
            )
            changed = sorted(
                {
                    (part.timeframe, name, day_of(start_us))
                    for part in parts
                    for name, start_us in zip(part.names, part.start_us.tolist(), strict=True)
                }
            )
            connection.execute(
                "INSERT INTO lake_pending_candles (timeframe, instrument, day)"
                " SELECT * FROM unnest(%s::text[], %s::text[], %s::date[])",
                [[row[column] for row in changed] for column in range(3)],
            )
        return True

    def rejects(self, event_id: str, source: str, rejects: Sequence[Reject]) -> bool:
        """Write rejects. Raises TransientError."""
        rows = [
            (event_id, n, r.code, r.detail, r.original, r.receive_time_us, source, r.sequence)
            for n, r in enumerate(rejects)
        ]
        with self._postgres.connection() as connection:
            if not first_time(connection, event_id):
                return False
            connection.cursor().executemany(_INSERT_REJECT, rows)
        return True

    def repairs(self, late: Late) -> None:
        """Queue base candles to be recomputed; twice is as good as once. Raises TransientError."""
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


def _values(row: object, columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in columns)


def _await_copies(connection: Connection, rows: Sequence[Segment]) -> None:
    """Say that the segments are in no file of the lake yet."""
    names = ("day", "event_id", "part", "instrument", "tick_count")
    connection.execute(
        "INSERT INTO lake_pending_ticks (day, event_id, part, instrument, tick_count)"
        " SELECT * FROM unnest(%s::date[], %s::text[], %s::smallint[], %s::text[], %s::int[])",
        [[getattr(row, name) for row in rows] for name in names],
    )


def first_time(connection: Connection, event_id: str, shards: Sequence[int] | None = None) -> bool:
    """Claim the event; a concurrent delivery waits here until this one commits or rolls back."""
    cursor = connection.execute(
        "INSERT INTO applied_events (event_id, shards) VALUES (%s, %s::smallint[])"
        " ON CONFLICT DO NOTHING",
        (event_id, None if shards is None else list(shards)),
    )
    return cursor.rowcount == 1
