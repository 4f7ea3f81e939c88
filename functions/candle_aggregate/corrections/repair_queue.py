"""Repair queue: candles to recompute, in a table of Postgres; rows are taken, deleted or put off.

A row stays until what it published is stored; until then no other repair of that instrument begins,
since it would read the stored candles as they were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from psycopg import Connection

from functions.candle_aggregate.corrections.venue_history import unstored
from functions.candle_aggregate.job_context import JobContext
from functions.candle_aggregate.rules import Rules
from shared.stores.applied import are_stored

QUEUED_AT_ONCE: Final = 20_000
CANDLES_AT_ONCE: Final = 2_000
BUST: Final = "bust"
"""A trade was cancelled or corrected; `start_us` is when that trade was."""

_AWAY: Final = """
    SELECT instrument, timeframe, start_us, event_id, reason, published_us, published FROM repairs
    WHERE published_us IS NOT NULL
"""
_QUEUED: Final = """
    SELECT instrument, timeframe, start_us, event_id, reason, published_us, published FROM repairs
    WHERE published_us IS NULL
        AND (requested_at <= now() OR requested_at > now() + interval '1 minute')
    ORDER BY requested_at, instrument, start_us LIMIT %s
"""
"""A later time than that of a postponed one is from before the clock was set back."""
_POSTPONE: Final = """
    UPDATE repairs SET requested_at = now() + interval '10 seconds', published_us = NULL
    FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) AS q (i, t, s, e)
    WHERE instrument = q.i AND timeframe = q.t AND start_us = q.s AND event_id = q.e
"""
_PUBLISHED: Final = """
    UPDATE repairs SET published_us = q.u, published = q.p::text[], requested_at = now()
    FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[])
        AS q (i, t, s, e, u, p)
    WHERE instrument = q.i AND timeframe = q.t AND start_us = q.s AND event_id = q.e
"""
_DELETE: Final = """
    DELETE FROM repairs USING unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])
        AS q (i, t, s, e, r)
    WHERE instrument = q.i AND timeframe = q.t AND start_us = q.s AND event_id = q.e
        AND reason = q.r
"""
_STORED: Final = """
    SELECT q.n FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[])
        AS q (n, i, t, s, u)
    LEFT JOIN candles c ON c.instrument = q.i AND c.timeframe = q.t AND c.start_us = q.s
    WHERE coalesce(c.revision, 0) < q.u
"""
_NO_LONGER_PARTIAL: Final = """
    INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)
    SELECT instrument, timeframe, start_us, '', 'flag'
    FROM candles JOIN first_ticks f USING (instrument)
    WHERE partial AND trade_count > 0 AND timeframe = ANY(%(ladder)s) AND start_us >= CASE timeframe
        WHEN %(base)s THEN f.first_time_us ELSE least(f.first_time_us, f.history_us) END
    ON CONFLICT DO NOTHING
"""


class Row(NamedTuple):
    """A base candle to recompute, or a longer one to fold again, and why.

    `published_us`: the revision that it was published at, in these timeframes.
    """

    instrument: str
    timeframe: str
    start_us: int
    event_id: str
    reason: str
    published_us: int | None
    published: list[str]

    @property
    def key(self) -> tuple[str, str, int, str]:
        """Identity of the row."""
        return self[:4]


@dataclass(slots=True)
class QueueUpdate:
    """Outcomes of rows of the queue."""

    done: list[Row] = field(default_factory=list)
    postponed: list[Row] = field(default_factory=list)
    published: list[tuple[Row, int, list[str]]] = field(default_factory=list)

    def write(self, connection: Connection) -> None:
        """Update the queue."""
        published = [
            (*row.key, revision, "{" + ",".join(timeframes) + "}")
            for row, revision, timeframes in self.published
        ]
        for query, rows in (
            (_DELETE, [(*row.key, row.reason) for row in self.done]),
            (_POSTPONE, [row.key for row in self.postponed]),
            (_PUBLISHED, published),
        ):
            if rows:
                connection.execute(query, [list(column) for column in zip(*rows, strict=True)])


def ready_rows(connection: Connection, rules: Rules) -> list[Row]:
    """Return the rows to work off now: their ticks are stored, no publication is in flight.

    Delete or postpone those that the stores have answered.
    """
    away = [Row(*row) for row in connection.execute(_AWAY)]
    queued = [Row(*row) for row in connection.execute(_QUEUED, (QUEUED_AT_ONCE,))]
    on_their_way = _on_their_way(connection, rules, away)
    busy = {key[0] for key in on_their_way} | unstored(connection, rules)
    idle = [row for row in queued if row.instrument not in busy]
    events = {row.event_id for row in idle if row.reason in ("late", "repeated")}
    waiting = events - are_stored(connection, sorted(events))
    update = QueueUpdate(
        done=[row for row in away if row.key not in on_their_way],
        postponed=[row for row in idle if row.event_id in waiting],
    )
    update.write(connection)
    return [row for row in idle if row.event_id not in waiting]


def queue_flags(context: JobContext) -> None:
    """Queue candles that are marked partial though an older tick has come. TransientError."""
    with context.postgres.connection() as connection:
        ladder = [each.name for each in context.rules.ladder]
        connection.execute(_NO_LONGER_PARTIAL, {"ladder": ladder, "base": ladder[0]})


def portions(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows of some instruments at a time, each instrument once.

    Of one with very many candles the others wait until what these publish is stored.
    """
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_name[row.instrument].append(row)
    portion: list[Row] = []
    candles = 0
    for instrument_rows in by_name.values():
        starts = set(
            islice(dict.fromkeys(row.start_us for row in instrument_rows), CANDLES_AT_ONCE)
        )
        portion += [row for row in instrument_rows if row.start_us in starts]
        candles += len(starts)
        if candles >= CANDLES_AT_ONCE:
            yield portion
            portion, candles = [], 0
    if portion:
        yield portion


def _on_their_way(
    connection: Connection, rules: Rules, rows: Sequence[Row]
) -> set[tuple[str, str, int, str]]:
    """Return the keys of the rows of which a published candle is not stored yet."""
    expected = [
        (n, row.instrument, name, rules.timeframe(name).start_us(row.start_us), row.published_us)
        for n, row in enumerate(rows)
        for name in row.published
    ]
    if not expected:
        return set()
    columns = [list(column) for column in zip(*expected, strict=True)]
    return {rows[n].key for (n,) in connection.execute(_STORED, columns)}
