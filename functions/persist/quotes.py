"""Quotes to rows: the latest of each instrument, or all of them, by a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
from psycopg import sql

from functions.persist.writer import changes, insert
from shared.market.instruments import Market
from shared.market.utc_days import DAY_US, day_of
from shared.runtime.settings import Choice
from shared.stores.applied import claim
from shared.stores.arrays import Bigints, register
from shared.stores.commits import next_commit
from shared.stores.partitions import OLD, open_days
from shared.stores.postgres import Postgres
from shared.wire.instrument_table import Entries, Entry
from shared.wire.quotes import Quotes
from shared.wire.ticks import Int64s

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
    changes((*_QUOTE, *_KEY)),
    _columns(_KEY, "excluded"),
    _columns(_KEY, "latest_quotes"),
)
_INSERT_SEGMENT: Final = insert("quote_segments", _SEGMENT)
_INSERT_MARKET: Final = "INSERT INTO markets VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


class QuotesStore(Choice):
    """Values of QUOTES_STORE."""

    LATEST = "latest"
    ALL = "all"


class QuoteWriter:
    """Writes quotes, and what exchanges call their instruments. Methods raise TransientError."""

    def __init__(self, postgres: Postgres, stored: QuotesStore = QuotesStore.LATEST) -> None:
        self._postgres = postgres
        self._stored = stored
        self._markets: set[tuple[str, Market]] = set()

    def quotes(self, event_id: str, quotes: Quotes) -> tuple[bool, int]:
        """Write an event's quotes; return whether it was new, and how many instruments moved.

        The latest quote only moves forward in the total order, so a repetition changes nothing and
        needs no memory; an event is remembered only where all quotes are stored.
        """
        self.markets(quotes.entries)
        latest = _latest(quotes)
        rows = list(_segments(event_id, quotes)) if self._stored is QuotesStore.ALL else []
        with self._postgres.connection() as connection:
            if rows:
                if not claim(connection, [event_id], next_commit(connection)):
                    return False, 0
                opened = open_days(connection, "quote_segments", {row[0] for row in rows})
                register(connection)
                connection.cursor().executemany(
                    _INSERT_SEGMENT,
                    [(day if day in opened else OLD, *values) for day, *values in rows],
                )
            cursor = connection.cursor()
            cursor.executemany(_UPSERT_LATEST, latest)
            moved = max(cursor.rowcount, 0)
        return True, moved

    def markets(self, entries: Entries) -> None:
        """Write the exchanges' names of instruments, each once per process."""
        pairs = set(zip(entries.names, entries.markets, strict=False))
        new_markets = {(name, market) for name, market in pairs - self._markets if market.venue}
        if not new_markets:
            return
        with self._postgres.connection() as connection:
            connection.cursor().executemany(
                _INSERT_MARKET, [(name, *market) for name, market in sorted(new_markets)]
            )
        self._markets |= new_markets


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
    part = 0
    for entry, rows in quotes.runs():
        for day, span in _days_of(quotes.event_time_us, rows):
            yield (
                *(day, event_id, part, entry.name, quotes.source),
                *(entry.price_scale, entry.size_scale, span.stop - span.start),
                int(quotes.event_time_us[span.start]),
                int(quotes.event_time_us[span.stop - 1]),
                *(Bigints(getattr(quotes, name)[span]) for name in _ARRAYS),
            )
            part += 1


def _days_of(event_time_us: Int64s, rows: slice) -> Iterator[tuple[date, slice]]:
    """Yield the UTC days of a run of rows in the order of time, each with its rows."""
    day = event_time_us[rows] // DAY_US
    if not len(day):
        return
    firsts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    lasts = np.append(firsts[1:], len(day))
    for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True):
        yield day_of(int(day[a]) * DAY_US), slice(rows.start + a, rows.start + b)
