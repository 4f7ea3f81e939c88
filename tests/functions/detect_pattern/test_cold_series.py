"""A series is rebuilt when its older candles have moved to the lake."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from functions.detect_pattern.series import Series
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.window import Window
from shared.lake.maintenance.candle_days import copy_candles
from shared.lake.maintenance.candle_retention import drop_candles
from shared.lake.maintenance.schedule import old_candle_days
from shared.lake.maintenance.settings import Terms
from shared.lake.reading.cold import Cold
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access
from tests.functions.detect_pattern.house import LOOKBACK, NAME, RULES, House, candle, reference

MIDNIGHT = 1_440
"""Minutes of the first day; the candles of the second stay in Postgres."""


def cool(house: House, access: S3Access) -> None:
    """Move the first day's candles out of Postgres; the day's own candle stays."""
    day = replace(candle(0, 1, instrument="B"), timeframe="1d")
    house.persist_candles([day])
    with house.postgres.connection() as connection:
        connection.execute("INSERT INTO first_ticks VALUES ('A', 0, 1)")
    now_us = time.time_ns() // 1000
    while copy_candles(house.postgres, access, now_us, settled_s=0):
        pass
    days = old_candle_days(house.postgres, Terms(), now_us)
    assert sum(sum(drop_candles(house.postgres, access, day)) for day in days)


def test_a_lost_state_resumes_from_candles_of_the_lake(
    house: House, servers: dict[str, str]
) -> None:
    """A lost state is rebuilt with a window from the lake, and published patterns stay."""
    access = S3Access.from_env(servers)
    house.steps = Steps(Storage(house.postgres, Cold(access)), RULES)
    closes = [*(100 + n * 7 % 11 for n in range(RULES.keep + 10)), 90, 80, 70, 60]
    first = MIDNIGHT - len(closes)
    old = [candle(first + n, close) for n, close in enumerate(closes)]
    house.deliver(house.receive(old))
    house.settle()
    assert house.heard() == house.stored() == reference(old)
    cool(house, access)
    house.client.flushdb()
    house.settle()
    assert house.stored(retracted=True) == set()
    new = [candle(MIDNIGHT + n, 200 + n) for n in range(3)]
    house.deliver(house.receive(new))
    house.settle()
    assert house.stored(retracted=True) == set()
    assert house.heard() == house.stored() == reference([*old, *new])
    assert {("rise", MIDNIGHT), ("top", MIDNIGHT)} <= house.stored()


@pytest.mark.parametrize("older", [False, True])
def test_a_read_of_the_lake_holds_no_connection_while_it_waits(
    house: House, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    """While a series waits for its turn to read the lake, Postgres is free for others."""
    access = S3Access.from_env(servers)
    house.persist_candles([candle(n, 100 + n) for n in range(MIDNIGHT - 9, MIDNIGHT + 1)])
    cool(house, access)
    cold, postgres, begun = Cold(access), Postgres(house.database, size=1), threading.Event()
    storage, candle_lists = Storage(postgres, cold), cold.candle_lists
    series = Series(*NAME, revision=0)
    series.candles = Window.of([candle(MIDNIGHT, 100)])

    def noted(*args: Any, **options: Any) -> dict[str, list[Any]]:
        begun.set()
        return candle_lists(*args, **options)

    def read() -> Series:
        if not older:
            return storage.load([NAME], RULES.keep, RULES.cooldown_us)[0]
        storage.older(series, 0, LOOKBACK, RULES.cooldown_us)
        return series

    monkeypatch.setattr(cold, "candle_lists", noted)
    with ThreadPoolExecutor() as pool:
        with cold.scan(), cold.scan():
            reading = pool.submit(read)
            assert begun.wait(30)
            postgres.check()
        assert len(reading.result(30).candles) == 10
    postgres.close()
