"""Stored ticks read back as columns: the truth that candles are checked against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from psycopg import Connection, sql

from shared.entries import Entries, Entry
from shared.instruments import NO_MARKET, Market
from shared.lake.cold import NO_LAKE, Cold
from shared.lake.plan import HOT, TickPlan, plan_ticks
from shared.shards import shard_of
from shared.stores.arrays import register
from shared.ticks import TEXT_ID, Mantissas, Ticks

_COLUMNS: Final = (
    *("source", "instrument", "price_scale", "size_scale", "tick_count"),
    *("venue", "event_time_us", "price", "size", "price_wide", "size_wide", "side"),
    *("trade_id", "trade_id_text", "trade_id_kind", "trade_id_kind_all"),
    *("receive_time_us", "sequence", "flags"),
)

_SELECT: Final = sql.SQL("SELECT {} FROM tick_segments WHERE {} ORDER BY day, event_id, part")
_OF_SEGMENTS: Final = sql.SQL(
    "(day, event_id, part) IN (SELECT * FROM"
    " unnest(%(days)s::date[], %(events)s::text[], %(parts)s::smallint[])) AND day = ANY(%(days)s)"
)

_OF_RANGE: Final = sql.SQL(
    "instrument = %(instrument)s AND first_time_us < %(to_us)s AND last_time_us >= %(from_us)s"
    " AND day BETWEEN (date '1970-01-01' + (%(from_us)s / 86400000000)::int)"
    " AND (date '1970-01-01' + (%(to_us)s / 86400000000)::int) AND " + HOT
)
_OF_EVENT: Final = sql.SQL("event_id = %(event_id)s")

FETCH: Final = 64
"""Segments held at once."""


def ticks_of_range(
    connection: Connection, instrument: str, from_us: int, to_us: int, cold: Cold = NO_LAKE
) -> Iterator[Ticks]:
    """Yield an instrument's stored ticks with event times in [from_us, to_us), wherever they are.

    Batches of one source, in no order between them, repetitions included. Raises TransientError.
    """
    plan = plan_ticks(connection, instrument, from_us, to_us)
    yield from ticks_in_postgres(connection, instrument, from_us, to_us, plan)
    if plan.files:
        yield from cold.ticks(instrument, plan.files, from_us, to_us)


def ticks_in_postgres(
    connection: Connection, instrument: str, from_us: int, to_us: int, plan: TickPlan
) -> Iterator[Ticks]:
    """Yield the part of the plan that is in Postgres, a segment each."""
    bounds = {"instrument": instrument, "from_us": from_us, "to_us": to_us}
    for ticks in _read(connection, _OF_RANGE, {**bounds, **plan.parameters}):
        inside = (ticks.event_time_us >= from_us) & (ticks.event_time_us < to_us)
        if inside.all():
            yield ticks
        elif inside.any():
            yield ticks.select(inside)


def ticks_of_segments(connection: Connection, keys: Sequence[object]) -> Iterator[Ticks]:
    """Yield the ticks of segments, each named by its day, event and part: three lists."""
    days, events, parts = keys
    yield from _read(connection, _OF_SEGMENTS, {"days": days, "events": events, "parts": parts})


def ticks_of_event(connection: Connection, event_id: str) -> Iterator[Ticks]:
    """Yield the ticks that an event stored, a segment each."""
    yield from _read(connection, _OF_EVENT, {"event_id": event_id})


def _read(
    connection: Connection, condition: sql.SQL, parameters: dict[str, Any]
) -> Iterator[Ticks]:
    register(connection)
    columns = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    with connection.cursor(binary=True) as cursor:
        for row in cursor.stream(_SELECT.format(columns, condition), parameters, size=FETCH):
            yield _ticks(row)


def _ticks(row: tuple[Any, ...]) -> Ticks:
    (
        source,
        instrument,
        price_scale,
        size_scale,
        n,
        venue,
        time,
        price,
        size,
        price_wide,
        size_wide,
        side,
        *ids,
        receive,
        sequence,
        flags,
    ) = row
    market = Market(venue, "") if venue else NO_MARKET
    trade_id, texts, kinds, kind_all = ids
    kind = np.full(n, kind_all, dtype=np.uint8) if kinds is None else kinds.astype(np.uint8)
    return Ticks(
        source,
        Entries.of(Entry(instrument, price_scale, size_scale, n, market)),
        time,
        _mantissas(price, price_wide),
        _mantissas(size, size_wide),
        np.zeros(n, dtype=np.uint8) if side is None else side.astype(np.uint8),
        kind,
        np.zeros(n, dtype=np.int64) if trade_id is None else trade_id,
        np.array(texts, dtype=object) if (kind == TEXT_ID).any() else None,
        receive,
        sequence,
        np.zeros(n, dtype=np.uint8) if flags is None else flags.astype(np.uint8),
    )


def _mantissas(column: Mantissas | None, wide: list[Decimal] | None) -> Mantissas:
    if column is not None:
        return column
    assert wide is not None
    return np.array([int(each) for each in wide], dtype=object)


def ticks_of_instruments(
    connection: Connection, names: Sequence[str], from_us: int, to_us: int, cold: Cold = NO_LAKE
) -> Iterator[Ticks]:
    """Yield the ticks of instruments in [from_us, to_us), wherever they are."""
    for name in names:
        yield from ticks_of_range(connection, name, from_us, to_us, cold)


def ticks_of_shard_events(
    connection: Connection, shard: int, shards: int, event_ids: Sequence[str]
) -> Iterator[Ticks]:
    """Yield what events stored of one of so many shards: each batch of one source."""
    for event_id in event_ids:
        for ticks in ticks_of_event(connection, event_id):
            if shard_of(ticks.names[0], shards) == shard:
                yield ticks
