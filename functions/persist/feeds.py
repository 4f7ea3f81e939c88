"""Gaps and the status of feeds to rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.stores.applied import claim
from shared.stores.commits import next_commit
from shared.stores.postgres import Postgres
from shared.wire.feed_status import FeedStatus
from shared.wire.gaps import Gap

_UPSERT_GAP: Final = """
    INSERT INTO gaps (feed, symbol, instrument, first_id, last_id, from_us, to_us, state, absent,
        by_time, opened_us, changed_us)
    VALUES (%(feed)s, %(symbol)s, %(instrument)s, %(first)s, %(last)s, %(from)s, %(to)s, %(state)s,
        %(absent)s, %(by_time)s, %(changed)s, %(changed)s)
    ON CONFLICT (feed, symbol, first_id, last_id) DO UPDATE SET
        state = excluded.state, absent = excluded.absent, changed_us = excluded.changed_us,
        judged = false, queued = false
    WHERE gaps.state = 'open' AND excluded.state = 'filled'
"""
"""A gap opens once and is filled once, in any order of the two reports."""

_UPSERT_STATUS: Final = """
    INSERT INTO feeds (feed, symbol, instrument, source, state, last_message_us, last_trade_us,
        last_trade_id, id_time_us, gaps_open, gaps_filled, reconnects, skew_us, error, reported_us,
        trades_per_minute, history_done, history_parts)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (feed, symbol) DO UPDATE SET
        instrument = excluded.instrument, source = excluded.source, state = excluded.state,
        last_message_us = greatest(excluded.last_message_us, feeds.last_message_us),
        last_trade_us = greatest(excluded.last_trade_us, feeds.last_trade_us),
        last_trade_id = coalesce(excluded.last_trade_id, feeds.last_trade_id),
        id_time_us = CASE WHEN excluded.last_trade_id IS NULL
            THEN feeds.id_time_us ELSE excluded.id_time_us END,
        gaps_open = excluded.gaps_open, gaps_filled = excluded.gaps_filled,
        reconnects = excluded.reconnects, skew_us = excluded.skew_us, error = excluded.error,
        reported_us = excluded.reported_us, trades_per_minute = excluded.trades_per_minute,
        history_done = excluded.history_done, history_parts = excluded.history_parts
    WHERE excluded.reported_us > feeds.reported_us
        OR feeds.reported_us > 1000000 * extract(epoch FROM now() + interval '5 minutes')
"""
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
                connection.execute(_UPSERT_GAP, _values(feed, gap))
        return True

    def status(self, status: FeedStatus) -> bool:
        """Write a status if it is the newest; return whether it was."""
        rows = [
            (
                status.feed,
                each.symbol,
                each.instrument,
                status.source,
                each.state.value,
                each.last_message_us,
                each.last_trade_us,
                each.last_trade_id,
                each.id_time_us,
                each.gaps_open,
                each.gaps_filled,
                status.reconnects,
                status.skew_us,
                status.error,
                status.reported_us,
                each.trades_per_minute,
                each.history_done,
                each.history_parts,
            )
            for each in sorted(status.symbols, key=lambda each: each.symbol)
        ]
        with self._postgres.connection() as connection:
            cursor = connection.cursor()
            cursor.executemany(_UPSERT_STATUS, rows)
            return cursor.rowcount > 0


def _values(feed: str, gap: Gap) -> dict[str, str | int]:
    return {
        "feed": feed,
        "symbol": gap.symbol,
        "instrument": gap.instrument,
        "first": gap.first_id,
        "last": gap.last_id,
        "from": gap.from_us,
        "to": gap.to_us,
        "state": gap.state.value,
        "absent": gap.absent,
        "by_time": gap.by_time,
        "changed": gap.changed_us,
    }
