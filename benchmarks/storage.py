"""Ticks in Postgres: bytes a tick, ticks stored and read a second, at 20 and 10,000 instruments.

SECONDS (10 unless the environment says another number) of RATE (20,000) ticks a second are stored
as persist stores them: events of 50 ms, four in a commit. Beside it the form that one row for each
event and instrument takes, with an array a column, and what zstd makes of the same columns.
"""

from __future__ import annotations

import time
from dataclasses import fields

import psycopg
import zstandard
from psycopg import Connection

from benchmarks._market import Event, events
from benchmarks._measure import number, sql_number, table_bytes, timed
from benchmarks._platform import running
from functions.persist.segments import segments
from functions.persist.tick_writer import TickWriter
from shared.lake.reading.plan import ALL_IN_POSTGRES
from shared.reading.ranges import rows_of_range
from shared.stores.arrays import Bigints, register
from shared.stores.postgres import Postgres

RATE = number("RATE", 20_000)
SECONDS = number("SECONDS", 10)
WIDTHS = (20, 10_000)

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
    for width in WIDTHS:
        with running("--functions", "none") as platform:
            measure(platform.environment["DATABASE_URL"], width)


def measure(dsn: str, width: int) -> None:
    """Store and read a market of so many instruments."""
    postgres = Postgres(dsn, size=2)
    writer = TickWriter(postgres)
    begin_us = (time.time_ns() // 1000 - _HOUR_US) // _HOUR_US * _HOUR_US
    shape = SECONDS * _EVENTS_A_SECOND, RATE // _EVENTS_A_SECOND, 1_000_000 // _EVENTS_A_SECOND
    market = list(events(width, begin_us, *shape))
    ticks = sum(len(each) for _, each in market)
    commits = [market[n : n + _EVENTS_A_COMMIT] for n in range(0, len(market), _EVENTS_A_COMMIT)]
    stored_s = timed(lambda: [writer(commit) for commit in commits])
    print(f"{width} instruments, {ticks} ticks, {len(market)} events, {len(commits)} commits")
    with psycopg.connect(dsn, autocommit=True) as connection:
        peer_s = timed(lambda: store_peer(connection, market))
        zstd = sum(map(compressed, commits))
        rows = sql_number(connection, "SELECT count(*) FROM tick_segments")
        print(f"  {'':<34}{'segments':>12}{'a row each':>12}{'zstd alone':>12}")
        line("bytes a tick", table_bytes(connection, "tick_segments") / ticks,
             table_bytes(connection, "peer") / ticks, zstd / ticks)  # fmt: skip
        line("rows", rows, sql_number(connection, "SELECT count(*) FROM peer"))
        line("thousand ticks stored a second", ticks / stored_s / 1e3, ticks / peer_s / 1e3)
        symbol = "SYM00007-USD"
        first_us, last_us = market[0][1].event_time_us.min(), market[-1][1].event_time_us.max()
        span = int(first_us), int(last_us) + 1
        found = [0]

        def read() -> None:
            with postgres.connection() as reader:
                some = rows_of_range(reader, symbol, *span, ALL_IN_POSTGRES, newest=False)
                found[0] = sum(len(part) for _, _, part in some)

        def read_peer() -> None:
            with psycopg.connect(dsn) as reader, reader.cursor(binary=True) as cursor:
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


def store_peer(connection: Connection, market: list[Event]) -> None:
    """Store a row for each event and instrument."""
    connection.execute(_PEER)
    register(connection)
    for event_id, ticks in market:
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


def line(what: str, *values: float) -> None:
    """Print a line of the table."""
    print(f"  {what:<34}" + "".join(f"{value:>12.1f}" for value in values), flush=True)
