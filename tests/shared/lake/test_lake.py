"""Ticks go to the lake and out of Postgres: nothing is lost, nothing twice, late ones too."""

from __future__ import annotations

from datetime import timedelta

from shared.lake.garbage import remove_superseded, remove_unrecorded
from tests.functions.history_query.market import Tick, generated, trades
from tests.shared.lake.house import House


def keys(ticks: list[Tick]) -> list[tuple[int, str, int]]:
    """What identifies the trades that count, in the total order."""
    return sorted((t.time_us, t.source, t.sequence) for t in trades(ticks))


def stored(house: House) -> list[tuple[int, str, int]]:
    rows = house.rows()
    found = zip(rows.time_us.tolist(), rows.source.tolist(), rows.sequence.tolist(), strict=True)
    return sorted(found)


def test_a_day_moves_to_the_lake_row_by_row(lake: House) -> None:
    """Parts, then one file an hour, then no partition; at every step the same ticks."""
    ticks = generated(1, 1_000, 9_000_000)
    lake.put(ticks)
    assert stored(lake) == keys(ticks)
    lake.copy_all()
    assert (
        lake.sql(
            "SELECT 1 FROM stored_days WHERE commit_id > (SELECT commit_id FROM lake_position)"
        )
        == []
    )
    assert stored(lake) == keys(ticks)
    lake.compact()
    hours = {tick.time_us // 3_600_000_000 for tick in ticks}
    assert lake.live_files() == len(hours)
    assert lake.retain() == []  # stored in the last 24 h
    lake.age()
    assert lake.retain()
    assert lake.in_postgres() == 0
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0


def test_late_ticks_of_a_cold_day_are_seen_at_once_and_folded_in(lake: House) -> None:
    """Pending in Postgres, then in a correction part, then in the hour's file; each time once."""
    ticks = generated(2, 400, 9_000_000)
    early, late = ticks[::2], ticks[1::2]
    lake.put(early)
    lake.copy_all()
    lake.compact()
    lake.age()
    assert lake.retain()
    lake.put(late)
    for step in (lambda: None, lake.copy_all, lake.compact, lake.age, lake.retain):
        step()
        assert stored(lake) == keys(ticks)
        assert lake.repeated == 0
    assert lake.in_postgres() == 0
    assert lake.sql("SELECT count(*) FROM lake_files WHERE NOT whole AND superseded_at IS NULL")[
        0
    ] == (0,)


def test_an_object_that_was_changed_keeps_its_day_in_postgres(lake: House) -> None:
    """Only what reads back as it was written covers anything."""
    lake.put(generated(3, 500, 3_000_000))
    lake.copy_all()
    lake.compact()
    lake.age()
    (path,) = lake.sql("SELECT path FROM lake_files WHERE superseded_at IS NULL ORDER BY 1 LIMIT 1")
    name = str(path[0])
    body = lake.store.read("ticks", name)
    lake.store.remove("ticks", name)
    lake.store.create("ticks", name, body[:-1] + bytes([body[-1] ^ 1]))
    before = lake.in_postgres()
    days = lake.sql("SELECT DISTINCT day FROM tick_segments")
    assert len(lake.retain()) < len(days)
    lake.store.remove("ticks", name)
    assert len(lake.retain()) < len(days)
    assert 0 < lake.in_postgres() <= before


def test_a_day_waits_until_its_events_are_in_the_candles(lake: House) -> None:
    """Reconciling and rebuilding read them from Postgres."""
    lake.put(generated(4, 300, 3_000_000))
    lake.copy_all()
    lake.compact()
    lake.age()
    lake.unsettle()
    assert lake.retain() == []
    lake.settle()
    assert lake.retain()


def test_a_tick_of_a_day_that_was_dropped_is_stored_among_the_old_days(lake: House) -> None:
    """It makes no partition; it is read beside what the lake has."""
    ticks = [tick._replace(source="u", price_scale=2) for tick in generated(5, 100, 3_000_000)]
    lake.put(ticks[:50])
    lake.copy_all()
    lake.compact()
    lake.age()
    assert lake.retain()
    partitions = lake.sql("SELECT day FROM partition_days")
    lake.put(sorted(ticks[50:]), made=False)
    assert lake.sql("SELECT day FROM partition_days") == partitions
    assert stored(lake) == keys(ticks)
    lake.copy_all()
    lake.compact()
    assert stored(lake) == keys(ticks)


def test_only_what_does_not_count_is_removed(lake: House) -> None:
    """Superseded objects after a grace; unrecorded ones of this lake, of no other."""
    lake.put(generated(6, 400, 9_000_000))
    lake.copy_all()
    parts = lake.objects()
    lake.compact()
    assert parts < lake.objects()
    assert remove_superseded(lake.postgres, lake.store) == 0
    remove_superseded(lake.postgres, lake.store, grace_s=0)
    left = lake.objects()
    assert not parts & left
    assert len(left) == lake.live_files()
    (name,) = lake.sql("SELECT name FROM lake_identity")[0]
    folder = next(iter(left)).rpartition("/")[0]
    lake.store.create("ticks", f"{folder}/part-{name}-1.parquet", b"cut off")
    lake.store.create("ticks", f"{folder}/part-0123abcd-1.parquet", b"another's")
    removed = remove_unrecorded(lake.postgres, lake.store, older_than=timedelta(0))
    assert removed == [f"ticks/{folder}/part-{name}-1.parquet"]
    assert lake.objects() == left | {f"{folder}/part-0123abcd-1.parquet"}
