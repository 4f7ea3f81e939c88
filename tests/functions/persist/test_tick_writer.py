"""Tick events in a real Postgres: effective once, and exact."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import numpy as np
import psycopg
import pytest

from functions.persist import tick_writer
from functions.persist.segments import segments
from functions.persist.tick_writer import TickWriter
from shared.market.instruments import Market
from shared.reading.ranges import last_tick_us, ticks_of_range
from shared.stores.postgres import Postgres
from shared.stores.segments import ticks_of_event
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import Ticks

DAY_US = 86_400_000_000


@pytest.fixture
def writer(postgres: Postgres) -> TickWriter:
    return TickWriter(postgres)


def mixed_ticks() -> Ticks:
    """Two entries over midnight with every kind of trade id and an extreme mantissa."""
    return Ticks(
        "udp-1",
        Entries.of(Entry("A", 2, 0, 3), Entry("B/X", 18, 3, 2, Market("V", "b-x"))),
        np.array([DAY_US - 1, DAY_US, DAY_US + 5, 7, 8], dtype=np.int64),
        np.array([12345, 1, 200, 2**63 - 1, 10**18], dtype=np.int64),
        np.array([0, 5, 10, 1500, 2**63 - 1], dtype=np.int64),
        np.array([1, 2, 0, 0, 0], dtype=np.uint8),
        np.array([1, 2, 0, 1, 1], dtype=np.uint8),
        np.array([7, 0, 0, 9, 9], dtype=np.int64),
        np.array(["", "t-1", "", "", ""], dtype=object),
        np.array([1, 2, 3, 4, 5], dtype=np.int64),
        np.array([1, 2, 3, 4, 5], dtype=np.int64),
        np.array([0, 1, 6, 0, 15], dtype=np.uint8),
    )


def is_new(writer: TickWriter, event_id: str, ticks: Ticks) -> bool:
    return writer([(event_id, ticks)]) == {event_id}


def test_ticks_read_back_as_plain_rows(writer: TickWriter, database: str) -> None:
    """The view has each tick with NUMERIC price and size, side and trade id."""
    assert is_new(writer, "e1", mixed_ticks())
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
        segments = connection.execute(
            "SELECT part, tick_count, names, first_time_us FROM tick_segments ORDER BY part"
        ).fetchall()
        counts = connection.execute("SELECT day::text, tick_count FROM stored_days ORDER BY 1")
        assert counts.fetchall() == [("1970-01-01", 3), ("1970-01-02", 2)]
    assert segments == [(0, 2, "B/X", 7), (1, 1, "A", DAY_US - 1), (2, 2, "A", DAY_US)]


def test_one_row_per_trade(writer: TickWriter, database: str) -> None:
    """`ticks` has a repeated trade once, and each tick without an id."""
    is_new(writer, "e1", mixed_ticks())
    is_new(writer, "e2", replace(mixed_ticks(), source="udp-2"))
    with psycopg.connect(database) as connection:
        (raw,) = connection.execute("SELECT count(*) FROM ticks_raw").fetchone() or (0,)
        rows = connection.execute(
            "SELECT instrument, trade_id, count(*) FROM ticks GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    assert raw == 10
    # B/X's two ticks with id 9 in one minute are one trade
    assert rows == [("A", "7", 1), ("A", "t-1", 1), ("A", None, 2), ("B/X", "9", 1)]


def test_an_event_is_written_once_by_racing_deliveries(writer: TickWriter, database: str) -> None:
    """Of eight concurrent deliveries exactly one writes, and the others find it done."""
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda _: is_new(writer, "e1", mixed_ticks()), range(8)))
    assert sorted(wrote) == [False] * 7 + [True]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ticks_raw").fetchone() == (5,)


def test_rows_and_marker_stand_or_fall_together(
    writer: TickWriter, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event with a failed row is not marked as applied and can be redelivered."""
    monkeypatch.setattr(tick_writer, "segments", lambda events: [*segments(events)] * 2)
    with pytest.raises(psycopg.errors.UniqueViolation):
        is_new(writer, "e1", mixed_ticks())
    monkeypatch.undo()
    tables = ("applied_events", "unaggregated", "stored_days", "first_ticks", "tick_segments")
    with psycopg.connect(database) as connection:
        for table in tables:
            assert connection.execute(f"SELECT FROM {table}".encode()).rowcount == 0
    assert is_new(writer, "e1", mixed_ticks())


def plain_rows(batches: list[Ticks]) -> list[tuple[object, ...]]:
    return sorted(
        (
            *(entry.name, entry.price_scale, entry.size_scale, entry.market.venue),
            *(ticks.source, *ticks.key_at(i), ticks.text_at(i)),
            *(int(column[i]) for column in (ticks.price, ticks.size, ticks.side, ticks.flags)),
        )
        for ticks in batches
        for entry, run in ticks.runs()
        for i in range(run.start, run.stop)
    )


def test_stored_ticks_read_back_as_the_columns_they_were(writer: TickWriter, database: str) -> None:
    """Each column of each segment is read back unchanged, and a range has only its rows."""
    is_new(writer, "e1", mixed_ticks())
    with psycopg.connect(database) as connection:
        of_event = list(ticks_of_event(connection, "e1"))
        late_a = list(ticks_of_range(connection, "A", DAY_US, DAY_US + 5))
        nothing = list(ticks_of_range(connection, "A", 0, DAY_US - 1))
    assert plain_rows(of_event) == plain_rows([mixed_ticks()])
    assert [(len(t), t.entries[0].name, t.text_at(0)) for t in late_a] == [(1, "A", "t-1")]
    assert nothing == []


def test_events_that_wait_together_are_few_rows(writer: TickWriter, database: str) -> None:
    """Five waiting events of 200 instruments are one segment, and all ticks are read back."""
    events = [(f"e{n}", market(n)) for n in range(5)]
    assert writer(events) == {f"e{n}" for n in range(5)}
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT FROM tick_segments").rowcount == 2
        found = [t for n in range(5) for t in ticks_of_event(connection, f"e{n}")]
        one = list(ticks_of_range(connection, "S17", 0, DAY_US))
        waiting = connection.execute(
            "SELECT shard, min(first_us), max(received_us) FROM unaggregated GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert plain_rows(found) == plain_rows([ticks for _, ticks in events])
    of_one = [row for row in plain_rows([t for _, t in events]) if row[0] == "S17"]
    assert plain_rows(one) == of_one
    shards = {shard: some for n in range(5) for shard, some in market(n).by_shard()}
    assert [row[0] for row in waiting] == sorted(shards)


def market(n: int) -> Ticks:
    """A tick of each of 200 instruments."""
    names = [f"S{k}" for k in range(200)]
    column = np.arange(200, dtype=np.int64)
    none = np.zeros(200, dtype=np.uint8)
    return Ticks(
        f"udp-{n}",
        Entries.of(*(Entry(name, 2, 0, 1) for name in names)),
        column * 1000 + n,
        column + 10_000,
        column + 1,
        none,
        none,
        np.zeros(200, dtype=np.int64),
        None,
        column * 1000 + 500 + n,
        column + 200 * n,
        none,
    ).sharded(16)


def test_mantissas_of_any_size_read_back(writer: TickWriter, database: str) -> None:
    """Mantissas beyond 64 bits are in their own segments and read back exactly."""
    price, size = 10**30 + 7, 3 * 10**25
    wide = replace(
        market(0),
        price=np.array([price + n for n in range(200)], dtype=object),
        size=np.array([size] * 200, dtype=object),
    )
    writer([("wide", wide), ("e1", market(1))])
    with psycopg.connect(database) as connection:
        assert plain_rows(list(ticks_of_event(connection, "wide"))) == plain_rows([wide])
        assert plain_rows(list(ticks_of_event(connection, "e1"))) == plain_rows([market(1)])
        rows = connection.execute(
            "SELECT price * 100, size FROM ticks WHERE event_id = 'wide' ORDER BY sequence"
        ).fetchall()
    assert rows == [
        (Decimal(each), Decimal(size)) for each in wide.price[np.argsort(wide.sequence)]
    ]


def test_the_last_tick_is_known(writer: TickWriter, database: str) -> None:
    """The last tick's time is exact to the microsecond, though written once a minute."""
    for n in range(4):
        later = replace(market(n), event_time_us=market(n).event_time_us + n * 25_000_000)
        writer([(f"e{n}", later)])
    with psycopg.connect(database) as connection:
        assert last_tick_us(connection, "S17") == 17_000 + 3 + 75_000_000
        assert last_tick_us(connection, "none") is None


def test_ticks_between_reads_an_instrument_and_its_times(writer: TickWriter, database: str) -> None:
    """`ticks_between` gives the same rows as the view."""
    is_new(writer, "e1", mixed_ticks())
    writer([("e2", market(2))])
    with psycopg.connect(database) as connection:
        for name in ("A", "B/X", "S3"):
            rows = connection.execute(
                "SELECT * FROM ticks WHERE instrument = %s AND event_time_us < %s ORDER BY 2",
                (name, DAY_US),
            ).fetchall()
            assert rows
            assert (
                rows
                == connection.execute(
                    "SELECT * FROM ticks_between(%s, 'epoch', '1970-01-02 UTC') ORDER BY 2", (name,)
                ).fetchall()
            )
