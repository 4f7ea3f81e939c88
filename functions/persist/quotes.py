"""Quotes to rows: the latest of each instrument, and all of them where a setting says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from psycopg import sql
from psycopg.errors import CheckViolation

from functions.persist.partitions import Partitions
from functions.persist.segments import days_of
from functions.persist.writer import first_time, insert
from shared.entries import Entries, Entry
from shared.errors import TransientError
from shared.instruments import Market
from shared.quotes import Quotes
from shared.settings import Choice
from shared.stores.arrays import Bigints, register
from shared.stores.postgres import Postgres

_KEY: Final = ("event_time_us", "update_id", "receive_time_us", "source", "sequence")
_QUOTE: Final = ("bid", "ask", "bid_size", "ask_size")
_ARRAYS: Final = (
    *("event_time_us", "bid", "ask", "bid_size", "ask_size"),
    *("update_id", "receive_time_us", "sequence"),
)
_SEGMENT: Final = (
    *("day", "event_id", "part", "instrument", "source", "price_scale", "size_scale"),
    *("quote_count", "first_time_us", "last_time_us", *_ARRAYS),
)


def _columns(names: Sequence[str], prefix: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(prefix, name) for name in names)


_UPSERT_LATEST: Final = sql.SQL(
    "{} ON CONFLICT (instrument) DO UPDATE SET {} WHERE ({}) > ({})"
).format(
    insert("latest_quotes", ("instrument", *_QUOTE, *_KEY)),
    sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in (*_QUOTE, *_KEY)
    ),
    _columns(_KEY, "excluded"),
    _columns(_KEY, "latest_quotes"),
)
_INSERT_SEGMENT: Final = insert("quote_segments", _SEGMENT)
_PARTITIONS: Final = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = 'quote_segments'::regclass ORDER BY c.relname"
)
_INSERT_MARKET: Final = "INSERT INTO markets VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


class QuotesStore(Choice):
    """What QUOTES_STORE may say."""

    LATEST = "latest"
    ALL = "all"


class QuoteWriter:
    """Writes quotes, and what exchanges call their instruments. Methods raise TransientError."""

    def __init__(
        self, postgres: Postgres, stored: QuotesStore = QuotesStore.LATEST, keep_days: int = 0
    ) -> None:
        self._postgres = postgres
        self._stored = stored
        self._keep_days = keep_days
        self._dropped_on: date | None = None
        self._partitions = Partitions(postgres, "quote_segments")
        self._markets: set[tuple[str, Market]] = set()

    def quotes(self, event_id: str, quotes: Quotes) -> tuple[bool, int]:
        """Write an event's quotes; return whether it was new, and how many instruments moved.

        The latest quote only moves forward in the total order, so a repetition changes nothing and
        needs no memory; an event is remembered only where all quotes are stored.
        """
        self.markets(quotes.entries)
        latest = _latest(quotes)
        rows = list(_segments(event_id, quotes)) if self._stored is QuotesStore.ALL else []
        days = {row[0] for row in rows}
        self._partitions.ensure(days)
        try:
            with self._postgres.connection() as connection:
                if rows:
                    if not first_time(connection, event_id):
                        return False, 0
                    register(connection)
                    connection.cursor().executemany(_INSERT_SEGMENT, rows)
                cursor = connection.cursor()
                cursor.executemany(_UPSERT_LATEST, latest)
                moved = max(cursor.rowcount, 0)
        except CheckViolation:  # another process dropped the day
            self._partitions.forget(days)
            raise TransientError("a day has no partition any more; it is made anew") from None
        if rows:
            self._drop_old(datetime.now(UTC).date())
        return True, moved

    def _drop_old(self, today: date) -> None:
        """Drop days of stored quotes that are older than they are kept; looked at once a day."""
        if not self._keep_days or self._dropped_on == today:
            return
        oldest = today - timedelta(days=self._keep_days)
        with self._postgres.connection() as connection:
            names = connection.execute(_PARTITIONS).fetchall()
        for (name,) in names:
            if name < f"quote_segments_{oldest:%Y%m%d}":
                with self._postgres.connection() as connection:
                    connection.execute("SET LOCAL lock_timeout = '2s'")
                    connection.execute(
                        sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name))
                    )
                day = datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()
                self._partitions.forget([day])
        self._dropped_on = today

    def markets(self, entries: Entries) -> None:
        """Write what exchanges call the instruments, each once in a process's life."""
        pairs = set(zip(entries.names, entries.markets, strict=False))
        fresh = {(name, market) for name, market in pairs - self._markets if market.venue}
        if not fresh:
            return
        with self._postgres.connection() as connection:
            connection.cursor().executemany(
                _INSERT_MARKET, [(name, *market) for name, market in sorted(fresh)]
            )
        self._markets |= fresh


def _latest(quotes: Quotes) -> list[tuple[Any, ...]]:
    """Return the newest row of each instrument, in one order everywhere against deadlocks."""
    newest: dict[str, tuple[Entry, int]] = {}
    for entry, rows in quotes.runs():
        last = rows.stop - 1
        if entry.name not in newest or quotes.key_at(last) > quotes.key_at(newest[entry.name][1]):
            newest[entry.name] = entry, last
    return [
        (name, *quotes.quote_at(entry, row), *quotes.key_at(row))
        for name, (entry, row) in sorted(newest.items())
    ]


def _segments(event_id: str, quotes: Quotes) -> Iterator[tuple[Any, ...]]:
    """Yield a row of `quote_segments` for each entry and UTC day."""
    for part, (entry, rows) in enumerate(quotes.runs()):
        for day, some in days_of(quotes.event_time_us, rows):
            yield (
                *(day, event_id, part, entry.name, quotes.source),
                *(entry.price_scale, entry.size_scale, some.stop - some.start),
                int(quotes.event_time_us[some.start]),
                int(quotes.event_time_us[some.stop - 1]),
                *(Bigints(getattr(quotes, name)[some]) for name in _ARRAYS),
            )
