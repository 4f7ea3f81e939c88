"""Rows that move each minute move in place, and what left a large table is vacuumed soon."""

from __future__ import annotations

import psycopg

from functions.persist.tick_writer import TickWriter
from shared.stores.postgres import Postgres
from tests.functions.persist.test_tick_writer import market
from tests.local.broker.processes import eventually

MINUTE_US = 60_000_000
MINUTES = 30


def test_times_of_instruments_move_in_place(database: str) -> None:
    """Without a new entry in each index, but for few; so the table stays as large as it is."""
    postgres = Postgres(database, size=1)
    writer = TickWriter(postgres)
    for n in range(MINUTES):
        writer([(f"e{n}", market(n * MINUTE_US))])
    postgres.close()  # the server counts what a session did at its end at the latest
    counts = (
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'first_ticks'"
    )
    with psycopg.connect(database, autocommit=True) as connection:

        def is_counted() -> bool:
            row = connection.execute(counts).fetchone()
            return row is not None and row[0] == 200 * (MINUTES - 1)

        eventually(is_counted, 30)
        row = connection.execute(counts).fetchone()
        assert row is not None
        assert row[1] > 0.95 * row[0]


def test_a_day_of_candles_that_left_is_vacuumed_soon(database: str) -> None:
    """At a fiftieth of the table, which is less than a day of a month."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT option_value::float FROM pg_class, pg_options_to_table(reloptions)"
            " WHERE relname = 'candles' AND option_name = 'autovacuum_vacuum_scale_factor'"
        ).fetchone()
    assert row is not None
    assert row[0] < 1 / 30
