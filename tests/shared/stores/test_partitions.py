"""Day partitions in a real Postgres: their creation and removal block no reader or writer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest
from psycopg import Connection, sql

from functions.persist.tick_writer import TickWriter
from shared.errors import TransientError
from shared.reading.ranges import ticks_of_range
from shared.stores import partitions
from shared.stores.commits import are_settled, last_settled_commit, next_commit
from shared.stores.limits import MAINTENANCE, Limits
from shared.stores.partitions import drop_day, make_ahead
from shared.stores.postgres import Postgres
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import Ticks

DAY_US = 86_400_000_000


@pytest.fixture
def postgres(database: str) -> Iterator[Postgres]:
    pool = Postgres(database, size=6, limits=replace(MAINTENANCE, lock_ms=300))
    yield pool
    pool.close()


def today() -> date:
    return datetime.now(UTC).date()


def begin_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US


def ticks_at(times_us: list[int], source: str = "u") -> Ticks:
    n = len(times_us)
    none = np.zeros(n, dtype=np.uint8)
    column = np.array(sorted(times_us), dtype=np.int64)
    zeros = column * 0
    return Ticks(
        source=source,
        entries=Entries.of(Entry("A", 2, 0, n)),
        event_time_us=column,
        price=zeros + 5,
        size=zeros + 1,
        side=none,
        trade_id_kind=none,
        trade_id=zeros,
        trade_id_text=None,
        receive_time_us=column,
        sequence=np.arange(n, dtype=np.int64),
        flags=none,
    )


def days_with_partition(connection: Connection) -> set[date]:
    rows = connection.execute("SELECT day FROM partition_days WHERE parent = 'tick_segments'")
    return {row[0] for row in rows}


def stored(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT sum(tick_count) FROM tick_segments").fetchone()
    return int(row[0] or 0) if row else 0


def yes(connection: Connection, partition: sql.Identifier) -> bool:
    return True


def test_an_open_reader_does_not_block_a_new_day(postgres: Postgres, database: str) -> None:
    """A new day is stored and gets its partition while a dump holds locks on all tables."""
    writer = TickWriter(postgres)
    tomorrow = today() + timedelta(days=1)
    writer([("e1", ticks_at([begin_us(today()) + 1]))])
    with postgres.connection() as connection:
        table = sql.Identifier(f"tick_segments_{tomorrow:%Y%m%d}")
        connection.execute(sql.SQL("DROP TABLE {}").format(table))
        connection.execute("DELETE FROM partition_days WHERE day = %s", (tomorrow,))
    with psycopg.connect(database) as reader:
        reader.execute("SELECT * FROM ticks").fetchall()
        assert writer([("e2", ticks_at([begin_us(tomorrow) + 1]))]) == {"e2"}
        assert make_ahead(postgres) > 0
        assert writer([("e3", ticks_at([begin_us(tomorrow) + 2]))]) == {"e3"}
        assert reader.execute("SELECT count(*) FROM ticks_raw").fetchone() == (3,)
    with psycopg.connect(database) as connection:
        assert tomorrow in days_with_partition(connection)
        found = connection.execute(
            "SELECT tableoid::regclass::text, tick_count FROM tick_segments ORDER BY commit_id"
        ).fetchall()
    assert [name for name, _ in found] == [
        f"tick_segments_{today():%Y%m%d}",
        "tick_segments_old",
        f"tick_segments_{tomorrow:%Y%m%d}",
    ]


def test_ticks_of_old_days_create_no_partition(postgres: Postgres, database: str) -> None:
    """Ticks of 17,000 days in one event are stored without partitions and read back."""
    with psycopg.connect(database) as connection:
        postgres.check()
        before = days_with_partition(connection)
    times = [day * DAY_US + day for day in range(17_000)]
    assert TickWriter(postgres)([("e1", ticks_at(times))]) == {"e1"}
    with psycopg.connect(database) as connection:
        assert days_with_partition(connection) == before
        found = [
            time
            for ticks in ticks_of_range(connection, "A", 500 * DAY_US, 700 * DAY_US)
            for time in ticks.event_time_us.tolist()
        ]
    assert sorted(found) == times[500:700]
    assert stored(database) == 17_000


def test_a_day_is_dropped_under_load_after_its_readers(
    postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day is dropped once its readers have ended, while ticks are stored.

    Late ticks of the day stay.
    """
    monkeypatch.setattr(partitions, "_READERS_S", 0.3)
    yesterday = today() - timedelta(days=1)
    writer = TickWriter(postgres)
    writer([(f"old-{n}", ticks_at([begin_us(yesterday) + n])) for n in range(20)])
    stop, counts = threading.Event(), [0]

    def load() -> None:
        while not stop.is_set():
            n = counts[0]
            batch = [
                (f"new-{n}", ticks_at([begin_us(today()) + n])),
                (f"late-{n}", ticks_at([begin_us(yesterday) + 1000 + n])),
            ]
            writer(batch)
            counts[0] += 1

    before = counts[0]
    thread = threading.Thread(target=load)
    thread.start()
    try:
        with psycopg.connect(database) as reader:
            reader.execute("SELECT count(*) FROM ticks_raw").fetchone()
            assert not drop_day(postgres, "tick_segments", yesterday, yes)
            while counts[0] < before + 20:
                assert thread.is_alive()
            assert reader.execute("SELECT min(event_time_us) FROM ticks_raw").fetchone() == (
                begin_us(yesterday),
            )
        while not _dropped(postgres, yesterday):
            assert thread.is_alive()
    finally:
        stop.set()
        thread.join()
    with psycopg.connect(database) as connection:
        assert yesterday not in days_with_partition(connection)
        (new, late) = connection.execute(
            "SELECT count(*) FILTER (WHERE event_id LIKE 'new-%'),"
            " count(*) FILTER (WHERE event_id LIKE 'late-%'"
            "   AND segment.tableoid = 'tick_segments_old'::regclass)"
            " FROM tick_segments AS segment, unnest(event_ids) AS event_id"
        ).fetchone() or (0, 0)
    assert new == counts[0]
    assert late > 0


def _dropped(postgres: Postgres, day: date) -> bool:
    try:
        return drop_day(postgres, "tick_segments", day, yes)
    except TransientError:  # the next round tries again
        return False


def test_an_unverified_day_is_not_dropped(postgres: Postgres, database: str) -> None:
    """A day that is not verified in the lake is closed for commits and still read."""
    yesterday = today() - timedelta(days=1)
    TickWriter(postgres)([("e1", ticks_at([begin_us(yesterday)]))])
    assert not drop_day(postgres, "tick_segments", yesterday, lambda *_: False)
    assert stored(database) == 1
    TickWriter(postgres)([("e2", ticks_at([begin_us(yesterday)]))])
    counts: list[int] = []

    def count(connection: Connection, partition: sql.Identifier) -> bool:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(partition)).fetchone()
        counts.append(row[0] if row else 0)
        return True

    assert drop_day(postgres, "tick_segments", yesterday, count)
    assert counts == [1]
    assert stored(database) == 1


def test_a_commit_in_flight_prevents_the_drop(postgres: Postgres, database: str) -> None:
    """A day is not dropped while a commit that may have seen it open is in flight."""
    yesterday = today() - timedelta(days=1)
    postgres.check()
    with psycopg.connect(database) as writer:
        next_commit(writer)
        assert not drop_day(postgres, "tick_segments", yesterday, yes)
    assert drop_day(postgres, "tick_segments", yesterday, yes)


def test_an_interrupted_drop_is_resumed(postgres: Postgres, database: str) -> None:
    """An interrupted detach and a detached table that was not dropped are finished.

    Beside a transaction that has read the other days: dropping alone would wait for its end.
    """
    postgres.check()
    day = today() - timedelta(days=1)
    partition = f"tick_segments_{day:%Y%m%d}"
    detach = f"ALTER TABLE tick_segments DETACH PARTITION {partition} CONCURRENTLY".encode()
    with (
        psycopg.connect(database) as reader,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        reader.execute("SELECT count(*) FROM tick_segments")
        connection.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(detach)
    with psycopg.connect(database) as reader:
        reader.execute("SELECT count(*) FROM tick_segments")
        assert drop_day(postgres, "tick_segments", day, yes)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT make_partition('tick_segments', %s)", (day,))
        connection.execute(detach)
    assert drop_day(postgres, "tick_segments", day, yes)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regclass(%s)", (partition,)).fetchone() == (None,)


def test_commits_are_settled_in_order(database: str) -> None:
    """A commit in flight holds back later commits that have already ended."""
    postgres = Postgres(database, size=1, limits=Limits(0, 0, 0))
    with postgres.connection() as connection:
        before = last_settled_commit(connection)
    with psycopg.connect(database) as slow, psycopg.connect(database) as quick:
        first, second = next_commit(slow), next_commit(quick)
        quick.commit()
        with postgres.connection() as connection:
            assert first < second
            assert last_settled_commit(connection) == before
            assert not are_settled(connection, second)
        slow.commit()
        with postgres.connection() as connection:
            assert last_settled_commit(connection) == second
            assert are_settled(connection, second)
    postgres.close()
