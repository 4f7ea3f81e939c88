"""Cancels and corrections: a row beside the trade's own, and its candle queued for repair.

A bust that came before its trade is retried with exponential backoff, then rejected.
Retries search the lake too.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from psycopg import Connection

from functions.persist import corrected_ids
from functions.persist.bust_trades import find
from functions.persist.corrected_ids import Place
from functions.persist.segments import segments
from functions.persist.tick_writer import copy_segments
from shared.candles.trades import Rows
from shared.errors import TransientError
from shared.lake.reading.cold import Cold
from shared.runtime import metrics
from shared.stores.applied import claim
from shared.stores.commits import next_commit
from shared.stores.postgres import Postgres
from shared.wire import busts
from shared.wire.busts import Bust

log = logging.getLogger(__name__)

TRIES: Final = 9
"""After 1, 2, 4, ... seconds: nine minutes together."""
_AT_ONCE: Final = 200

_WAIT: Final = """
    INSERT INTO pending_busts (event_id, position, source, format, bust, next_at)
    VALUES (%s, %s, %s, %s, %s, now() + interval '1 second')
"""
_DUE: Final = """
    SELECT event_id, position, source, format, bust, tries FROM pending_busts
    WHERE next_at <= now() OR next_at > now() + interval '20 minutes'
    ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
"""One that waits longer than the last pause does so since before the clock was set back."""
_AGAIN: Final = """
    UPDATE pending_busts SET tries = tries + 1, next_at = now() + interval '1 second' * (2 << tries)
    WHERE event_id = %s AND position = %s
"""
_LATER: Final = """
    UPDATE pending_busts SET next_at = now() + interval '5 seconds'
    WHERE event_id = %s AND position = %s
"""
_DONE: Final = "DELETE FROM pending_busts WHERE event_id = %s AND position = %s"
_REJECT: Final = """
    INSERT INTO rejects (event_id, position, code, detail, original, receive_time_us, source,
        sequence, format)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class BustWriter:
    """Writes busts, each once in effect. Methods raise TransientError.

    `cold`: where `retry` looks for trades that left Postgres.
    """

    def __init__(self, postgres: Postgres, cold: Cold | None = None) -> None:
        self._postgres = postgres
        self._cold = cold

    def __call__(self, event_id: str, source: str, format_: int, batch: Sequence[Bust]) -> bool:
        """Write an event's busts; return whether they were not written before."""
        with self._postgres.connection() as connection:
            commit_id = next_commit(connection)
            if not claim(connection, [event_id], commit_id):
                return False
            resolved = []
            for position, bust in enumerate(batch):
                place = Place(event_id, position, source, format_)
                trade = self._trade(connection, bust)
                if isinstance(trade, Rows):
                    resolved.append((place, bust, trade))
                elif trade:
                    _reject(connection, place, bust, "ambiguous_trade", trade)
                else:
                    body = busts.encode(source, format_, [bust])
                    connection.execute(_WAIT, (*place, body))
                    metrics.BUSTS.labels("waiting").inc()
            self._write(connection, commit_id, resolved)
        return True

    def retry(self) -> None:
        """Retry busts that wait for their trade; reject them after the last try."""
        with self._postgres.connection() as connection:
            due = connection.execute(_DUE, (_AT_ONCE,)).fetchall()
            if not due:
                return
            resolved = []
            for *key, body, tries in due:
                place = Place(*key)
                (bust,) = busts.decode(body)[2]
                try:
                    trade = self._trade(connection, bust, self._cold)
                except TransientError as error:  # object storage is away: that is no try
                    log.warning("a cancel or correction waits for the lake: %s", error)
                    connection.execute(_LATER, place[:2])
                    continue
                if trade is None and tries < TRIES:
                    connection.execute(_AGAIN, place[:2])
                    continue
                connection.execute(_DONE, place[:2])
                if isinstance(trade, Rows):
                    resolved.append((place, bust, trade))
                elif trade:
                    _reject(connection, place, bust, "ambiguous_trade", trade)
                elif bust.may_be_absent or self._is_listed(connection, bust):
                    metrics.BUSTS.labels("absent").inc()
                else:
                    _reject(connection, place, bust, "unknown_trade", _unknown(bust))
            if resolved:
                self._write(connection, next_commit(connection), resolved)

    def _is_listed(self, connection: Connection, bust: Bust) -> bool:
        """Tell whether the trade is stored under its corrected id only."""
        corrected = replace(bust, trade_id=bust.corrected_id)
        return bool(bust.corrected_id) and find(connection, corrected, self._cold) is not None

    def _trade(
        self, connection: Connection, bust: Bust, cold: Cold | None = None
    ) -> Rows | str | None:
        return find(connection, corrected_ids.at_its_time(connection, bust), cold)

    def _write(
        self, connection: Connection, commit_id: int, resolved: Sequence[tuple[Place, Bust, Rows]]
    ) -> None:
        """Store the rows that cancel or correct trades, and queue their candles."""
        with self._postgres.connection() as noting:
            corrected_ids.note(noting, resolved)
        events = []
        for place, bust, trade in resolved:
            for n, ticks in enumerate(corrected_ids.rows_of(connection, place.source, bust, trade)):
                event_id = f"{place.event_id}/{place.position}" + (f".{n}" if n else "")
                events.append((event_id, ticks))
                at_us = int(ticks.event_time_us[0])
                connection.execute(corrected_ids.REPAIR, (bust.instrument, at_us, event_id))
        copy_segments(connection, commit_id, list(segments(events)))
        metrics.BUSTS.labels("applied").inc(len(resolved))


def _unknown(bust: Bust) -> str:
    venue = f" at {bust.venue}" if bust.venue else ""
    searched = "in that minute" if bust.event_time_us else "in its last two days"
    return (
        f"no trade {bust.trade_id} of {bust.instrument}{venue} is stored {searched}:"
        " check symbol, venue and id, and say the trade's `time`"
    )


def _reject(connection: Connection, place: Place, bust: Bust, code: str, detail: str) -> None:
    values = (bust.original, bust.receive_time_us, place.source, bust.sequence, place.format)
    connection.execute(_REJECT, (place.event_id, place.position, code, detail, *values))
    metrics.BUSTS.labels(code).inc()
