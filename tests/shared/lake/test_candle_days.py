"""Candles move to the lake and out of Postgres; corrections win wherever they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import redis
from psycopg import Connection, Cursor

from functions.history_query.queries.closed_and_live import StoredCandles
from functions.persist.writer import Writer
from shared.lake.maintenance.candle_retention import drop_candles
from shared.lake.maintenance.schedule import old_candle_days
from shared.lake.tables.definitions import CANDLES
from shared.market.timeframes import Timeframe
from shared.market.utc_days import day_of
from shared.reading.stored_candles import Ranges, folded, read_candles, stored_candles
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.candle_columns import columns_of
from shared.wire.candle_json import candle_json
from tests.shared.lake.house import TERMS, House

DAY_US = 86_400_000_000
START_US = 19_000 * DAY_US
MINUTE = Timeframe.parse("1m")


def candle(symbol: str, timeframe: str, start_us: int, revision: int = 1) -> Candle:
    price = Decimal(start_us // 60_000_000 % 1_000 + revision) / 100
    return Candle(
        symbol,
        timeframe,
        start_us,
        price,
        price,
        price,
        price,
        Decimal(3),
        price * 3,
        2,
        Decimal(1),
        Decimal(2),
        start_us,
        start_us + 1,
        closed=True,
        revision=revision,
    )


def minutes(symbol: str) -> list[Candle]:
    """Two days with a gap, and the first minutes of the third."""
    return [candle(symbol, "1m", START_US + n * 60_000_000) for n in range(0, 2_900, 7)]


def everything(
    house: House, valkey: redis.Redis, *, newest: bool = False
) -> Sequence[Mapping[str, Any]]:
    kept = StoredCandles(house.postgres, LiveState(valkey, 1, (MINUTE,)), house.cold)
    wanted = Ranges.same("1m", [house.symbol], START_US, START_US + 4 * DAY_US, newest=newest)
    found = [each for batch in kept.batches(wanted, 100) for each in batch.rows()]
    return found[::-1] if newest else found


def shown(candles: list[Candle]) -> list[dict[str, Any]]:
    return list(map(candle_json, candles))


def write(house: House, candles: list[Candle]) -> None:
    Writer(house.postgres).candles(columns_of(candles))


def test_days_of_candles_move_to_the_lake(lake: House, valkey: redis.Redis) -> None:
    """A query reads the same before and after days of candles move to the lake.

    The longest timeframe stays.
    """
    candles = minutes(lake.symbol)
    day = [candle(lake.symbol, "1d", START_US + n * DAY_US) for n in range(3)]
    write(lake, [*candles, *day])
    assert everything(lake, valkey) == shown(candles)
    assert lake.drop_candles() == 0  # not copied yet
    lake.copy_candles()
    assert lake.drop_candles() == len(candles)
    assert lake.sql("SELECT timeframe, count(*) FROM candles GROUP BY 1") == [("1d", 3)]
    assert everything(lake, valkey) == shown(candles)
    assert everything(lake, valkey, newest=True) == shown(candles)


def test_numbers_of_any_size_are_the_same_text_from_either_store(
    lake: House, valkey: redis.Redis
) -> None:
    """Numbers of any size and scale are the same plain text from either store."""
    numbers = ("0", "1E-18", "-1.50E-7", "120.5000", "1E+5", "99999999999999999999.9", "1E-25")
    candles = [
        replace(
            candle(lake.symbol, "1m", START_US + n * 60_000_000),
            open=Decimal(number),
            volume=Decimal(number) * 2,
            notional=Decimal(number) * 3,
        )
        for n, number in enumerate(numbers)
    ]
    write(lake, [*candles, candle(lake.symbol, "1d", START_US + 2 * DAY_US)])
    assert everything(lake, valkey) == shown(candles)
    lake.copy_candles()
    assert lake.drop_candles() == len(candles)
    assert everything(lake, valkey) == shown(candles)


def test_candles_leave_piece_by_piece(lake: House) -> None:
    """Candles are deleted in pieces, and an interrupted deletion resumes."""
    names = [f"{lake.symbol}{n:02}" for n in range(40)]
    first = range(0, 1_440, 3)
    write(lake, [candle(name, "1m", START_US + n * 60_000_000) for name in names for n in first])
    write(lake, [candle(name, "1d", START_US) for name in names])
    lake.copy_candles()
    total, day = len(names) * len(first), day_of(START_US)
    pieces = drop_candles(lake.postgres, lake.access, day)
    begun = next(pieces)
    pieces.close()
    assert 0 < begun < total
    assert old_candle_days(lake.postgres, TERMS, time.time_ns() // 1000) == [day]
    assert lake.drop_candles() == total - begun
    assert old_candle_days(lake.postgres, TERMS, time.time_ns() // 1000) == []


def test_a_symbol_with_quotes_and_line_ends_moves_too(lake: House, valkey: redis.Redis) -> None:
    """A symbol with quotes and line ends moves to the lake."""
    lake.symbol = 'A "quoted",\n name'
    write(lake, [*minutes(lake.symbol)[:9], candle(lake.symbol, "1d", START_US)])
    lake.copy_candles()
    assert lake.drop_candles() == 9
    assert everything(lake, valkey) == shown(minutes(lake.symbol)[:9])


def test_a_correction_of_a_cold_candle_wins(lake: House, valkey: redis.Redis) -> None:
    """A correction of a cold candle wins, from Postgres and then from its file.

    An older revision never does.
    """
    candles = minutes(lake.symbol)
    day = [candle(lake.symbol, "1d", START_US + n * DAY_US) for n in range(3)]
    write(lake, [*candles, *day])
    lake.copy_candles()
    lake.drop_candles()
    better = [replace(candles[5], revision=9, close=Decimal("77.5"))]
    worse = [replace(candles[6], revision=0, close=Decimal("66.6"))]
    new = [candle(lake.symbol, "1m", START_US + 60_000_000)]
    write(lake, [*better, *worse, *new])
    expected = sorted([*candles[:5], *better, *candles[6:], *new], key=lambda each: each.start_us)
    assert everything(lake, valkey) == shown(expected)
    lake.copy_candles()
    assert everything(lake, valkey) == shown(expected)
    assert lake.drop_candles() == 3
    assert everything(lake, valkey) == shown(expected)


def test_a_day_that_changed_is_one_file_again(lake: House, valkey: redis.Redis) -> None:
    """A changed day is one file again with each candle once, for readers that ignore revisions."""
    candles = minutes(lake.symbol)
    write(lake, candles)
    lake.copy_candles()
    days = {each.start_us // DAY_US for each in candles}
    assert len(lake.files(CANDLES)) == len(days)
    write(lake, [replace(candles[5], revision=9, close=Decimal("77.5"))])
    lake.copy_candles()
    assert len(lake.files(CANDLES)) == len(days)
    assert everything(lake, valkey)[5]["revision"] == 9


def test_a_candle_that_the_lake_has_otherwise_stays_in_postgres(lake: House) -> None:
    """A candle that differs in the lake is not deleted from Postgres."""
    candles = [*minutes(lake.symbol), candle(lake.symbol, "1d", START_US)]
    write(lake, candles)
    lake.copy_candles()
    lake.sql(
        "UPDATE candles SET volume = volume + 1 WHERE timeframe = '1m' AND trade_count = 2"
        f" AND start_us = {START_US}"
    )
    assert lake.drop_candles() == len(candles) - 2
    assert lake.sql("SELECT start_us FROM candles WHERE timeframe = '1m'") == [(START_US,)]


def test_a_fold_has_each_candle_of_a_cold_day_once(lake: House) -> None:
    """A fold over a cold day takes each candle once, wherever its highest revision is.

    A candle that was corrected is in both stores until the day is copied again.
    """
    candles = minutes(lake.symbol)
    write(lake, [*candles, candle(lake.symbol, "1d", START_US + 2 * DAY_US)])
    lake.copy_candles()
    lake.drop_candles()
    better = replace(candles[5], revision=9, trade_count=7)
    worse = replace(candles[6], revision=0, trade_count=9)
    withdrawn = replace(candles[7], revision=9, trade_count=0)
    write(lake, [better, worse, withdrawn])
    ranges = Ranges("1m", [lake.symbol], [START_US], [START_US + DAY_US])
    of_day = [each for each in candles if each.start_us < START_US + DAY_US]
    with lake.postgres.connection() as connection:
        once = folded(connection, ranges, cold=lake.cold)
        without = folded(connection, ranges, [(lake.symbol, START_US)], lake.cold)
        starts = [each.start_us for each in candles[5:8]]
        places = "1m", [lake.symbol] * 3, starts, lake.cold
        found = sorted(stored_candles(connection, *places).candles(), key=lambda x: x.start_us)
    assert once.records.data["count"].tolist() == [2 * (len(of_day) - 2) + 7]
    assert without.records.data["count"].tolist() == [2 * (len(of_day) - 3) + 7]
    assert [each.trade_count for each in found] == [7, 2, 0]


def test_a_fold_has_the_candles_of_a_day_that_becomes_cold_meanwhile(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day that becomes cold after a fold's first statement is in the fold as before."""
    write(lake, [*minutes(lake.symbol), candle(lake.symbol, "1d", START_US + 2 * DAY_US)])
    lake.copy_candles()
    ranges = Ranges("1m", [lake.symbol], [START_US], [START_US + DAY_US])
    with lake.postgres.connection() as connection:
        before = folded(connection, ranges, cold=lake.cold)
    dropped: list[int] = []
    execute = Connection.execute

    def first_execute(self: Connection, *args: Any) -> Cursor[Any]:
        monkeypatch.setattr(Connection, "execute", execute)
        cursor = execute(self, *args)
        dropped.append(lake.drop_candles())
        return cursor

    with lake.postgres.connection() as connection:
        monkeypatch.setattr(Connection, "execute", first_execute)
        after = folded(connection, ranges, cold=lake.cold)
    assert dropped == [len(minutes(lake.symbol))]
    assert after.records.data["count"].tolist() == before.records.data["count"].tolist()


def test_ranges_far_apart_are_not_read_as_one(lake: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours that are weeks apart are read without what is between them; those near as one."""
    hour_us = DAY_US // 24
    every = [candle(lake.symbol, "1m", START_US + n * hour_us // 4) for n in range(20 * 96)]
    write(lake, [*every, candle(lake.symbol, "1d", START_US + 20 * DAY_US)])
    lake.copy_candles()
    assert lake.drop_candles() == len(every)
    reads: list[int] = []
    candle_lists = lake.cold.candle_lists

    def counted(*args: Any, **options: Any) -> dict[str, list[Any]]:
        found = candle_lists(*args, **options)
        reads.append(len(found["start_us"]))
        return found

    monkeypatch.setattr(lake.cold, "candle_lists", counted)
    for days, expected in (((19, 0), [4, 4]), ((3, 5, 4, 4, 9), [4, 64, 4])):
        froms = [START_US + day * DAY_US + n * 9 * hour_us for n, day in enumerate(days)]
        ranges = Ranges("1m", [lake.symbol] * len(days), froms, [us + hour_us for us in froms])
        with lake.postgres.connection() as connection:
            folds = folded(connection, ranges, cold=lake.cold)
        assert folds.records.data["count"].tolist() == [8] * len(days)
        assert reads == expected
        reads.clear()


def test_candles_of_several_ranges_are_sorted_by_range(lake: House) -> None:
    """Candles of several ranges come range by range, the newest of each first if so wanted."""
    write(lake, minutes(lake.symbol))
    for newest in (False, True):
        ranges = Ranges("1m", [lake.symbol] * 2, [0, START_US], [10**17] * 2, 2, newest)
        with lake.postgres.connection() as connection:
            found = read_candles(connection, ranges).with_lake(lake.cold).columns
        starts = sorted([each.start_us for each in minutes(lake.symbol)], reverse=newest)[:2]
        assert [*zip(found["number"], found["start_us"], strict=True)] == [
            (n, start_us) for n in range(2) for start_us in starts
        ]


def test_a_page_holds_no_connection_while_it_waits_for_the_lake(
    lake: House, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While pages wait for their turn to read the lake, Postgres is free for others."""
    write(lake, [*minutes(lake.symbol), candle(lake.symbol, "1d", START_US + 2 * DAY_US)])
    lake.copy_candles()
    lake.drop_candles()
    postgres = Postgres(lake.dsn, size=1)
    kept = StoredCandles(postgres, LiveState(valkey, 1, (MINUTE,)), lake.cold)
    begun = threading.Event()
    candle_lists = lake.cold.candle_lists

    def noted(*args: Any, **options: Any) -> dict[str, list[Any]]:
        begun.set()
        return candle_lists(*args, **options)

    monkeypatch.setattr(lake.cold, "candle_lists", noted)
    with ThreadPoolExecutor() as pool:
        with lake.cold.scan(), lake.cold.scan():
            wanted = Ranges("1m", [lake.symbol], [START_US], [START_US + DAY_US], 3)
            page = pool.submit(kept.read, wanted)
            assert begun.wait(30)
            postgres.check()
        assert len(page.result(30)) == 3
    postgres.close()
