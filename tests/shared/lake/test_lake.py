"""Ticks move to the lake and out of Postgres: nothing lost, nothing twice, late ones too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pyarrow as pa
import pytest
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile

from shared.candles.trades import Rows
from shared.lake.maintenance import retention
from shared.lake.maintenance.expiry import end_days, expire_snapshots, remove_orphans
from shared.lake.maintenance.retention import verify
from shared.lake.maintenance.settings import Terms
from shared.lake.reading import plan
from shared.lake.tables.files import read
from shared.market.utc_days import DAY_US, day_of
from shared.stores.limits import Limits
from shared.stores.postgres import Postgres
from tests.functions.history_query.market import Tick, generated, trades
from tests.shared.lake.house import FOR_EVER_US, House

HOUR_MS = 3_600_000


def keys(ticks: list[Tick]) -> list[tuple[int, str, int]]:
    """The identities of the trades that count, in the total order."""
    return sorted((t.time_us, t.source, t.sequence) for t in trades(ticks))


def stored(house: House) -> list[tuple[int, str, int]]:
    """The ticks read by both plans, with the least and the most of the lake; they are equal."""
    with patch.object(plan, "MOST_TICKS", 0):
        by_lake = _keys_of(house.rows(of=house.symbol))
    repeated = house.repeated
    found = _keys_of(house.rows())
    assert found == by_lake
    house.repeated = max(house.repeated, repeated)
    return found


def _keys_of(rows: Rows) -> list[tuple[int, str, int]]:
    found = zip(rows.time_us.tolist(), rows.source.tolist(), rows.sequence.tolist(), strict=True)
    return sorted(found)


def test_a_day_moves_to_the_lake_row_by_row(lake: House) -> None:
    """At each step of a day's move to the lake the same ticks are read.

    Small files, then one a day, then no partition.
    """
    ticks = generated(1, 1_000, 9_000_000)
    lake.make_days(ticks)
    lake.put(ticks[:500])
    assert lake.copy() == 500
    lake.put(ticks[500:])
    assert stored(lake) == keys(ticks)
    assert lake.copy() == 500
    assert lake.copy() == 0
    days = {day_of(tick.time_us) for tick in ticks}
    assert len(lake.files()) > len(days)
    assert stored(lake) == keys(ticks)
    lake.compact()
    assert len(lake.files()) == len(days)
    assert lake.retain() == []  # copied within 24 h
    lake.age()
    assert set(lake.retain()) == days
    assert lake.in_postgres() == 0
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0


def test_days_without_a_partition_leave_postgres_too(lake: House) -> None:
    """Segments of days without a partition are deleted when nobody can be reading them."""
    ticks = generated(7, 400, 9_000_000)
    lake.put(ticks)
    lake.copy()
    lake.compact()
    lake.age()
    assert lake.retain() == []
    assert lake.in_postgres() == len(ticks)
    assert stored(lake) == keys(ticks)
    lake.age()
    lake.retain()
    assert lake.in_postgres() == 0
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0


def test_late_ticks_of_a_cold_day_are_seen_at_once_and_folded_in(lake: House) -> None:
    """Late ticks of a cold day are read once each, from Postgres, a small file, then the day's."""
    ticks = generated(2, 400, 9_000_000)
    early, late = ticks[::2], ticks[1::2]
    lake.make_days(ticks)
    lake.put(early)
    lake.copy()
    lake.compact()
    lake.age()
    assert lake.retain()
    lake.put(late)
    for step in (lambda: None, lake.copy, lake.compact, lake.age, lake.retain, lake.age):
        step()
        assert stored(lake) == keys(ticks)
        assert lake.repeated == 0
    lake.retain()
    assert lake.in_postgres() == 0
    assert len(lake.files()) == len({day_of(tick.time_us) for tick in ticks})


def test_repeated_trades_stand_once_in_compacted_files(lake: House) -> None:
    """Trades that were received twice are in a compacted file once.

    The expected content of the day shrinks with what is dropped.
    """
    ticks = generated(8, 300, 1_000_000)
    again = [t._replace(source="udp-9", receive_us=t.receive_us + 5) for t in ticks if t.kind]
    lake.put(ticks)
    lake.copy()
    lake.put(again)
    lake.copy()
    lake.compact()
    lake.age()
    lake.retain()
    assert lake.sql("SELECT sum(row_count) FROM lake_days") == [(len(trades(ticks + again)),)]
    assert lake.sql("SELECT sum(taken) FROM lake_days") == [(len(ticks) + len(again),)]
    assert stored(lake) == keys(ticks + again)


def test_an_object_that_was_changed_keeps_its_day_in_postgres(lake: House) -> None:
    """A day with a changed object stays in Postgres: only verified files replace it."""
    ticks = generated(3, 500, 100_000)
    other = generated(31, 500, 100_000)
    lake.make_days(ticks)
    lake.put(ticks)
    lake.copy()
    lake.compact()
    lake.age()
    (day,) = {day_of(tick.time_us) for tick in ticks}
    (path,) = lake.files()
    name = path.removeprefix("s3://ticks/")
    whole = lake.store.read("ticks", name)
    lake.put(other)
    lake.copy()
    fresh, *_ = set(lake.files()) - {path}
    body = lake.store.read("ticks", fresh.removeprefix("s3://ticks/"))
    lake.store.remove("ticks", name)
    assert lake.retain() == []
    lake.store.create("ticks", name, body)  # a valid file of other ticks
    assert not retention.verify(lake.postgres, lake.access, day)
    lake.store.remove("ticks", name)
    lake.store.create("ticks", name, whole)
    lake.compact()
    lake.age()
    assert lake.retain() == [day]


def test_a_day_waits_until_its_events_are_in_the_candles(lake: House) -> None:
    """A day stays in Postgres until its events are aggregated, since rebuilding reads them."""
    ticks = generated(4, 300, 3_000_000)
    lake.make_days(ticks)
    lake.put(ticks)
    lake.copy()
    lake.compact()
    lake.age()
    time_us = ticks[0].time_us
    lake.sql(
        "INSERT INTO unaggregated (shard, event_id, commit_id, received_us, first_us, last_us)"
        f" VALUES (0, 'e', 1, {time_us}, {time_us}, {time_us})"
    )
    assert day_of(time_us) not in lake.retain()
    lake.settle()
    assert day_of(time_us) in lake.retain()


def test_snapshots_expire_and_what_only_they_named_is_removed(lake: House) -> None:
    """Expired snapshots and their unreferenced objects are removed, one an hour stays for a day.

    Objects of interrupted writers go, those of another lake stay.
    """
    for seed in (6, 7, 8):
        lake.put(generated(seed, 100, 60_000))
        lake.copy()
    parts = lake.objects()
    lake.compact()
    assert len(parts) == 3
    assert parts < lake.objects()
    now_ms = max(int(row[0].timestamp() * 1000) for row in lake.sql("SELECT now()"))  # type: ignore[attr-defined]
    assert expire_snapshots(lake.postgres, lake.access, Terms(), now_ms=now_ms) == 0
    assert remove_orphans(lake.postgres, lake.access, lake.store) == 0
    later = now_ms + 30 * HOUR_MS
    assert expire_snapshots(lake.postgres, lake.access, Terms(), now_ms=later) > 0
    ((lake_name,),) = lake.sql("SELECT name FROM lake_identity")
    lake.store.create("ticks", f"{lake_name}/data/cut-off.parquet", b"cut off")
    lake.store.create("ticks", f"{lake_name}x/data/other.parquet", b"another's")
    assert remove_orphans(lake.postgres, lake.access, lake.store, grace=timedelta(0)) > 3
    left = {f"s3://ticks/{key}" for key in lake.objects()}
    assert left == set(lake.files())
    assert len(lake.objects(what="metadata/")) < 12
    assert lake.store.read("ticks", f"{lake_name}x/data/other.parquet") == b"another's"
    assert len(stored(lake)) == 300


def test_days_past_the_lakes_term_go_and_only_those_that_left_postgres(lake: House) -> None:
    """Days past the lake's retention are removed if they have left Postgres.

    A late tick of such a day is stored, copied and dropped like any other.
    """
    ticks = generated(9, 400, 9_000_000)
    lake.make_days(ticks)
    lake.put(ticks)
    lake.copy()
    lake.compact()
    terms = Terms(lake_days=40)
    assert end_days(lake.postgres, lake.access, terms, FOR_EVER_US // 1000) == 0
    lake.age()
    gone = lake.retain()
    assert end_days(lake.postgres, lake.access, Terms(), 10**17) == 0
    assert end_days(lake.postgres, lake.access, terms, 10**17) == len(gone)
    assert lake.files() == []
    assert lake.sql("SELECT sum(row_count), sum(digest) FROM lake_days") == [(0, 0)]
    lake.put(ticks[:10])
    lake.copy()
    lake.compact()
    lake.age()
    lake.retain()
    assert stored(lake) == keys(ticks[:10])


def test_a_day_that_takes_longer_to_read_than_a_transaction_may_idle_is_verified(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a large day back takes longer than Postgres lets a transaction send nothing."""
    ticks = generated(9, 60, 1_000)
    for first in range(0, 60, 10):
        lake.put(ticks[first : first + 10])
        lake.copy()

    def slowly(io: FileIO, *files: DataFile) -> Iterator[pa.Table]:
        for rows in read(io, *files):
            time.sleep(0.3)
            yield rows

    monkeypatch.setattr(retention, "read", slowly)
    bounded = Postgres(lake.dsn, size=1, limits=Limits(statement_ms=0, lock_ms=0, idle_ms=1_000))
    assert verify(bounded, lake.access, day_of(ticks[0].time_us))
    bounded.close()


def test_open_gaps_stay_as_long_as_the_ticks_around_them(lake: House) -> None:
    """An open gap ends with the ticks of its days, and not within the term of its report.

    What is folded on reading is incomplete by it.
    """
    year_us = 365 * DAY_US
    (tick,) = generated(1, 1, 1)
    lake.put([tick._replace(time_us=year_us), tick._replace(time_us=2 * year_us)])
    lake.copy()
    for number, to_us, reported_us in (1, year_us, 1), (2, year_us, 2), (3, 2 * year_us, 1):
        lake.sql(
            f"INSERT INTO gaps VALUES ('f', 'A', 'A', {number}, {number}, {to_us - 1}, {to_us},"
            f" 'open', 0, 0, {reported_us * year_us}, true)"
        )

    def left(now_us: int) -> list[object]:
        end_days(lake.postgres, lake.access, Terms(lake_days=100), now_us)
        return [row[0] for row in lake.sql("SELECT first_id FROM gaps ORDER BY 1")]

    assert left(2 * year_us) == [1, 2, 3]  # Postgres still has the ticks
    lake.sql("INSERT INTO cold_days SELECT day FROM lake_days")
    assert left(2 * year_us) == [2, 3]
    assert left(3 * year_us) == []


def test_symbols_of_any_letters_are_found_in_the_lake(lake: House) -> None:
    """Each symbol is found in the lake, also with quotes, wildcards or another's name within."""
    names = ["^GSPC", "GSPC", "EURUSD=X", "M&M.NS", "SPXW  241227P05000000", "币安人生USDT"]
    names += ["600519", "A-B", "A.B", "[A]"]
    ticks = generated(3, 4 * len(names), 9_000_000)
    lake.make_days(ticks)
    shares = {name: ticks[n :: len(names)] for n, name in enumerate(names)}
    for name, some in shares.items():
        lake.put(some, symbol=name)
    lake.copy()
    lake.compact()
    lake.age()
    lake.retain()
    assert lake.in_postgres() == 0
    for name, some in shares.items():
        lake.symbol = name
        assert _keys_of(lake.rows()) == keys(some), name
