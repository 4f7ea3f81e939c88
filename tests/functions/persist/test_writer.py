"""Rows in a real Postgres: exactly once in effect, exact to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import numpy as np
import psycopg
import pytest

from functions.persist.segments import segments
from functions.persist.writer import Writer
from shared.candle import Candle
from shared.candle_columns import columns_of
from shared.entries import Entries, Entry
from shared.errors import TransientError
from shared.rejects import Reject
from shared.stores.postgres import Postgres
from shared.stores.segments import ticks_of_event, ticks_of_range
from shared.ticks import Ticks

DAY_US = 86_400_000_000


@pytest.fixture
def writer(database: str) -> Iterator[Writer]:
    postgres = Postgres(database)
    yield Writer(postgres)
    postgres.close()


def mixed_ticks() -> Ticks:
    """Two entries over midnight, with every kind of trade id and an extreme mantissa."""
    return Ticks(
        "udp-1",
        Entries.of(Entry("A", 2, 0, 3), Entry("B/X", 18, 3, 2)),
        np.array([DAY_US - 1, DAY_US, DAY_US + 5, 7, 8], dtype=np.int64),
        np.array([12345, 1, 200, 2**63 - 1, 10**18], dtype=np.int64),
        np.array([0, 5, 10, 1500, 2**63 - 1], dtype=np.int64),
        np.array([1, 2, 0, 0, 0], dtype=np.uint8),
        np.array([1, 2, 0, 1, 1], dtype=np.uint8),
        np.array([7, 0, 0, 9, 9], dtype=np.int64),
        np.array(["", "t-1", "", "", ""], dtype=object),
        np.array([1, 2, 3, 4, 5], dtype=np.int64),
        np.array([1, 2, 3, 4, 5], dtype=np.int64),
        np.array([0, 1, 6, 0, 255], dtype=np.uint8),
    )


def write(writer: Writer, event_id: str, ticks: Ticks) -> bool:
    return writer.ticks(event_id, list(segments(event_id, ticks)))


def test_ticks_read_back_as_plain_rows(writer: Writer, database: str) -> None:
    """The view shows every tick with NUMERIC price and size, side and trade id as sent."""
    assert write(writer, "e1", mixed_ticks())
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT instrument, event_time_us, price, size, side, trade_id FROM ticks_raw"
            " ORDER BY instrument, event_time_us"
        ).fetchall()
    assert rows == [
        ("A", DAY_US - 1, Decimal("123.45"), Decimal(0), "buy", "7"),
        ("A", DAY_US, Decimal("0.01"), Decimal(5), "sell", "t-1"),
        ("A", DAY_US + 5, Decimal(2), Decimal(10), None, None),
        ("B/X", 7, Decimal("9.223372036854775807"), Decimal("1.5"), None, "9"),
        ("B/X", 8, Decimal(1), Decimal("9223372036854775.807"), None, "9"),
    ]
    with psycopg.connect(database) as connection:
        days = connection.execute(
            "SELECT day::text, part, tick_count FROM tick_segments ORDER BY part, day"
        ).fetchall()
    assert days == [("1970-01-01", 0, 1), ("1970-01-02", 0, 2), ("1970-01-01", 1, 2)]


def test_one_row_per_trade(writer: Writer, database: str) -> None:
    """`ticks` shows a trade once however often it was sent; ticks without an id are each one."""
    write(writer, "e1", mixed_ticks())
    write(writer, "e2", replace(mixed_ticks(), source="udp-2"))
    with psycopg.connect(database) as connection:
        (raw,) = connection.execute("SELECT count(*) FROM ticks_raw").fetchone() or (0,)
        rows = connection.execute(
            "SELECT instrument, trade_id, count(*) FROM ticks GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    assert raw == 10
    # Both of B/X's ticks carry id 9 in one minute: one trade.
    assert rows == [("A", "7", 1), ("A", "t-1", 1), ("A", None, 2), ("B/X", "9", 1)]


def test_an_event_is_written_once_by_racing_deliveries(writer: Writer, database: str) -> None:
    """Of eight deliveries at once exactly one writes; the others find it done."""
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda _: write(writer, "e1", mixed_ticks()), range(8)))
    assert sorted(wrote) == [False] * 7 + [True]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ticks_raw").fetchone() == (5,)


def test_rows_and_marker_stand_or_fall_together(writer: Writer, database: str) -> None:
    """When a row cannot be written the event counts as not applied, and can come again."""
    rows = list(segments("e1", mixed_ticks()))
    with pytest.raises(psycopg.errors.UniqueViolation):
        writer.ticks("e1", [*rows, rows[0]])
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM applied_events").fetchone() == (0,)
    assert writer.ticks("e1", rows)


def candle(revision: int, close: str) -> Candle:
    one = Decimal(1)
    return Candle(
        *("A", "1m", 0, one, Decimal("1e30"), Decimal("1e-30"), Decimal(close), one, one, 1),
        *(one, one, 5, 6, True, False, True, revision),
    )


def test_the_highest_revision_stays(writer: Writer, database: str) -> None:
    """Candles arrive in any order; a lower revision never replaces a higher one."""
    for n, (revision, close) in enumerate([(2, "20"), (3, "30.5"), (1, "10")]):
        writer.candles(f"e{n}", columns_of([candle((1 << 32) + revision, close)]))
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT revision, close, high, low FROM candles").fetchall()
    assert rows == [((1 << 32) + 3, Decimal("30.5"), Decimal("1e30"), Decimal("1e-30"))]


def test_rejects_keep_their_bytes(writer: Writer, database: str) -> None:
    """Whatever the bytes were, they are there to be read back."""
    original = bytes(range(256))
    assert writer.rejects("e1", "udp-1", [Reject(original, "bad_text", "byte 128", 5, 65536)])
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT code, original, sequence FROM rejects").fetchall()
    assert rows == [("bad_text", original, 65536)]


def test_postgres_away_is_a_transient_error() -> None:
    """The channel delivers the event again."""
    postgres = Postgres("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TransientError, match="Postgres is away"):
        postgres.check()
    postgres.close()


def plain_rows(batches: list[Ticks]) -> list[tuple[object, ...]]:
    return sorted(
        (
            *(entry.name, entry.price_scale, entry.size_scale, *ticks.key_at(i)),
            *(int(column[i]) for column in (ticks.price, ticks.size, ticks.side, ticks.flags)),
        )
        for ticks in batches
        for entry, run in ticks.runs()
        for i in range(run.start, run.stop)
    )


def test_stored_ticks_read_back_as_the_columns_they_were(writer: Writer, database: str) -> None:
    """Every column of every segment, with ids of all kinds; a range takes just its own rows."""
    write(writer, "e1", mixed_ticks())
    with psycopg.connect(database) as connection:
        of_event = list(ticks_of_event(connection, "e1"))
        late_a = list(ticks_of_range(connection, "A", DAY_US, DAY_US + 5))
        nothing = list(ticks_of_range(connection, "A", 0, DAY_US - 1))
    assert plain_rows(of_event) == plain_rows([mixed_ticks()])
    assert [(len(t), t.entries[0].name, t.text_at(0)) for t in late_a] == [(1, "A", "t-1")]
    assert nothing == []
