"""Ticks in Postgres: bytes a tick, ticks stored and read a second, at 20 and 10,000 instruments.

SECONDS (10 unless the environment says another number) of RATE (20,000) ticks a second are stored
as persist stores them: events of 50 ms, four in a commit. Beside it the form that one row for each
event and instrument takes, with an array a column, and what zstd makes of the same columns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import psycopg
import zstandard
from psycopg import Connection, sql

from benchmarks import _market
from benchmarks._measure import timed
from benchmarks._platform import running
from functions.persist.segments import segments
from functions.persist.tick_writer import TickWriter
from shared.lake.reading.plan import ALL_IN_POSTGRES
from shared.market.shards import DEFAULT_SHARDS
from shared.reading.ranges import rows_of_range
from shared.stores.arrays import Bigints, register
from shared.stores.postgres import Postgres
from shared.wire.ticks import Ticks

RATE = int(os.environ.get("RATE", "20000"))
SECONDS = int(os.environ.get("SECONDS", "10"))
WIDTHS = (20, 10_000)

Event = tuple[str, Ticks]
"""The id of an event, and its ticks."""

_EVENTS_A_SECOND = 20
_EVENTS_A_COMMIT = 4
_HOUR_US = 3_600_000_000
_ARRAYS = ("event_time_us", "price", "size", "trade_id", "receive_time_us", "sequence")
_PEER = """
CREATE TABLE peer (day date, event_id text, part integer, instrument text, source text,
    price_scale smallint, size_scale smallint, tick_count integer, first_time_us bigint,
    last_time_us bigint, event_time_us bigint[], price bigint[], size bigint[], trade_id bigint[],
    receive_time_us bigint[], sequence bigint[], side smallint[], kind smallint,
    PRIMARY KEY (day, event_id, part));
CREATE INDEX ON peer (instrument, first_time_us, last_time_us);
"""
_INSERT_PEER = (
    "INSERT INTO peer VALUES ('2026-01-01', %s, %s, %s, %s, 2, 3, %s, %s, %s, %s, %s, %s, %s, %s,"
    " %s, NULL, 1)"
)


def run() -> None:
    """Print a table for each width."""
    with running("--functions", "none") as platform:
        for width in WIDTHS:
            measure(platform.environment["DATABASE_URL"], width)


def measure(dsn: str, width: int) -> None:
    """Store and read a market of so many instruments in a database of its own."""
    name = f"storage_{width}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    own = dsn.rsplit("/", 1)[0] + f"/{name}"
    postgres = Postgres(own, size=2)
    writer = TickWriter(postgres)
    begin_us = (time.time_ns() // 1000 - _HOUR_US) // _HOUR_US * _HOUR_US
    shape = SECONDS * _EVENTS_A_SECOND, RATE // _EVENTS_A_SECOND, 1_000_000 // _EVENTS_A_SECOND
    events = list(market(width, begin_us, *shape))
    ticks = sum(len(each) for _, each in events)
    commits = [events[n : n + _EVENTS_A_COMMIT] for n in range(0, len(events), _EVENTS_A_COMMIT)]
    stored_s = timed(lambda: [writer(commit) for commit in commits])
    print(f"{width} instruments, {ticks} ticks, {len(events)} events, {len(commits)} commits")
    with psycopg.connect(own, autocommit=True) as connection:
        peer_s = timed(lambda: store_peer(connection, events))
        zstd = sum(map(compressed, commits))
        rows = count(connection, "SELECT count(*) FROM tick_segments")
        print(f"  {'':<34}{'segments':>12}{'a row each':>12}{'zstd alone':>12}")
        line("bytes a tick", size(connection, "tick_segments") / ticks,
             size(connection, "peer") / ticks, zstd / ticks)  # fmt: skip
        line("rows", rows, count(connection, "SELECT count(*) FROM peer"))
        line("thousand ticks stored a second", ticks / stored_s / 1e3, ticks / peer_s / 1e3)
        symbol = "SYM00007-USD"
        first_us, last_us = events[0][1].event_time_us.min(), events[-1][1].event_time_us.max()
        span = int(first_us), int(last_us) + 1
        found = [0]

        def read() -> None:
            with postgres.connection() as reader:
                some = rows_of_range(reader, symbol, *span, ALL_IN_POSTGRES, newest=False)
                found[0] = sum(len(part) for _, _, part in some)

        def read_peer() -> None:
            with psycopg.connect(own) as reader:
                register(reader)
                with reader.cursor(binary=True) as cursor:
                    cursor.execute(
                        "SELECT * FROM peer WHERE instrument = %s ORDER BY first_time_us", (symbol,)
                    ).fetchall()

        read()
        line(f"ms to read one ({found[0]} ticks)", timed(read) * 1e3, timed(read_peer) * 1e3)
        view_s = timed(lambda: connection.execute("SELECT count(price) FROM ticks_raw"))
        peer_view_s = timed(lambda: connection.execute(
            "SELECT count(trim_scale(t.price * '1e-2'::numeric)) FROM peer CROSS JOIN LATERAL"
            " unnest(event_time_us, price, size, trade_id, receive_time_us, sequence) AS"
            " t (event_time, price, size, trade_id, receive_time, sequence)"))  # fmt: skip
        line("thousand view rows a second", ticks / view_s / 1e3, ticks / peer_view_s / 1e3)
    postgres.close()


def market(
    width: int, begin_us: int, events: int, size: int, event_us: int, *, share: float = 0
) -> Iterator[Event]:
    """Yield events of a random walk of each instrument, ids and sequences counting up.

    `size` ticks an event, one event in each `event_us` microseconds from `begin_us` on. One
    instrument, number 7, has that `share` of the ticks and its part of the others.
    """
    source = np.random.default_rng(width)
    price = source.integers(1_000, 5_000_000, width)
    next_id = source.integers(1_000, 50_000_000, width)
    names = [f"SYM{n:05d}-USD" for n in range(width)]
    for number in range(events):
        who = np.where(source.random(size) < share, 7, source.integers(0, width, size))
        when = begin_us + number * event_us + np.sort(source.integers(0, event_us, size))
        order = np.lexsort((when, who))
        who, when = who[order], when[order]
        held, counts = np.unique(who, return_counts=True)
        place = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
        ids = next_id[who] + place
        next_id[held] += counts
        price[held] += source.integers(-3, 4, len(held))
        yield (
            f"udp-listener-5f7d8c9b6-abcde-1700000000-{number}/normalize/0",
            _market.ticks(
                "udp-listener-5f7d8c9b6-abcde-1700000000",
                _market.entries(names, held, counts),
                when,
                price[who] + source.integers(-2, 3, size),
                np.minimum(source.lognormal(4, 1.6, size).astype(np.int64) + 1, 10**6),
                ids,
                received_us=when + source.integers(2_000, 60_000, size),
                sequence=(number << 16)
                + np.argsort(np.argsort(when, kind="stable"), kind="stable"),
                chance=source,
            ).sharded(DEFAULT_SHARDS),
        )


def store_peer(connection: Connection, events: list[Event]) -> None:
    """Store a row for each event and instrument."""
    connection.execute(_PEER)
    register(connection)
    for event_id, ticks in events:
        rows = [
            (
                *(event_id, part, entry.name, ticks.source, entry.count),
                *(int(ticks.event_time_us[some.start]), int(ticks.event_time_us[some.stop - 1])),
                *(Bigints(getattr(ticks, name)[some]) for name in _ARRAYS),
            )
            for part, (entry, some) in enumerate(ticks.runs())
        ]
        with connection.transaction():
            connection.cursor().executemany(_INSERT_PEER, rows)


def compressed(commit: list[Event]) -> int:
    """Return the bytes of a commit's segments with zstd over each."""
    compressor = zstandard.ZstdCompressor(level=3)
    found = 0
    for row in segments(commit):
        values = (getattr(row, field.name) for field in fields(row))
        columns = b"".join(each for each in values if isinstance(each, bytes))
        found += len(compressor.compress(columns + row.names.encode()))
    return found


def count(connection: Connection, query: str) -> int:
    """Return one number."""
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def size(connection: Connection, table: str) -> int:
    """Return the bytes of a table, its partitions, TOAST and indexes."""
    return count(
        connection,
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c LEFT JOIN pg_inherits i"
        f" ON i.inhrelid = c.oid WHERE c.oid = '{table}'::regclass"
        f" OR i.inhparent = '{table}'::regclass",
    )


def line(what: str, *values: float) -> None:
    """Print a line of the table."""
    print(f"  {what:<34}" + "".join(f"{value:>12.1f}" for value in values), flush=True)
