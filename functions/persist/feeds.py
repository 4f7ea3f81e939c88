"""Gaps and the status of feeds to rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Final

from psycopg import sql

from functions.persist.writer import changes, insert
from shared.stores.applied import claim
from shared.stores.commits import next_commit
from shared.stores.postgres import Postgres
from shared.wire.feed_status import FeedStatus
from shared.wire.gaps import Gap

_UPSERT_GAP: Final = """
    INSERT INTO gaps (feed, symbol, instrument, first_id, last_id, from_us, to_us, state, absent,
        by_time, opened_us, changed_us)
    VALUES (%(feed)s, %(symbol)s, %(instrument)s, %(first_id)s, %(last_id)s, %(from_us)s,
        %(to_us)s, %(state)s, %(absent)s, %(by_time)s, %(changed_us)s, %(changed_us)s)
    ON CONFLICT (feed, symbol, first_id, last_id) DO UPDATE SET
        state = excluded.state, absent = excluded.absent, changed_us = excluded.changed_us,
        judged = false, queued = false
    WHERE gaps.state = 'open' AND excluded.state = 'filled'
"""
"""A gap opens once and is filled once, in any order of the two reports."""

_OF_FEED: Final = ("feed", "source", "reported_us", "reconnects", "skew_us", "error")
_CHANGING: Final = (
    *("instrument", "state", "gaps_open", "gaps_filled", "trades_per_minute"),
    *("history_done", "history_parts"),
)
_KEPT: Final = ("symbol", "last_message_us", "last_trade_us", "last_trade_id", "id_time_us")
_of_feed, _changing = attrgetter(*_OF_FEED), attrgetter(*_CHANGING)
_UPSERT_STATUS: Final = sql.SQL("""
    {} ON CONFLICT (feed, symbol) DO UPDATE SET {},
        last_message_us = greatest(excluded.last_message_us, feeds.last_message_us),
        last_trade_us = greatest(excluded.last_trade_us, feeds.last_trade_us),
        last_trade_id = coalesce(excluded.last_trade_id, feeds.last_trade_id),
        id_time_us = CASE WHEN excluded.last_trade_id IS NULL
            THEN feeds.id_time_us ELSE excluded.id_time_us END
    WHERE excluded.reported_us > feeds.reported_us
        OR feeds.reported_us > 1000000 * extract(epoch FROM now() + interval '5 minutes')
""").format(insert("feeds", (*_OF_FEED, *_KEPT, *_CHANGING)), changes((*_OF_FEED[1:], *_CHANGING)))
"""The newest counts; what a new life does not know yet stays as the life before knew it.

One of a later time is from before the clock was set back."""


class FeedWriter:
    """Writes gaps and the status of feeds. Methods raise TransientError."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def gaps(self, event_id: str, feed: str, gaps: Sequence[Gap]) -> bool:
        """Write gaps; return False when the event was written before.

        candle-aggregate evaluates the candles that they touch.
        """
        with self._postgres.connection() as connection:
            if not claim(connection, [event_id], next_commit(connection)):
                return False
            for gap in sorted(gaps, key=lambda each: (each.symbol, each.first_id)):
                connection.execute(_UPSERT_GAP, {"feed": feed, **asdict(gap)})
        return True

    def status(self, status: FeedStatus) -> bool:
        """Write a status if it is the newest; return whether it was."""
        symbols = sorted(status.symbols, key=attrgetter("symbol"))
        rows = [
            (
                *(*_of_feed(status), each.symbol, each.last_message_us, each.last_trade_us),
                *(each.last_trade_id, each.id_time_us, *_changing(each)),
            )
            for each in symbols
        ]
        with self._postgres.connection() as connection:
            cursor = connection.cursor()
            cursor.executemany(_UPSERT_STATUS, rows)
            return cursor.rowcount > 0
