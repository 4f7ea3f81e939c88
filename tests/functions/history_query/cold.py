"""An instrument with older days in Parquet and the last one in Postgres."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from shared.lake.maintenance.candle_days import copy_candles
from shared.lake.maintenance.candle_retention import drop_candles
from shared.lake.maintenance.schedule import old_candle_days
from shared.lake.maintenance.settings import Terms
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, batches, generated
from tests.shared.lake.house import House as Lake

DAY_US = 86_400_000_000
TERMS = Terms(tick_hours=24, candle_days=1)


class ColdMarket:
    """Ticks of three days, two of them years ago, as events of the pipeline."""

    def __init__(self, house: House, lake: Lake, count: int) -> None:
        self.house, self.lake, self.symbol = house, lake, lake.symbol
        old = generated(13, count, 100_000_000)
        today_us = time.time_ns() // 1000 // DAY_US * DAY_US
        shift_us = today_us - min(old).time_us // DAY_US * DAY_US
        new = [
            tick._replace(
                time_us=tick.time_us + shift_us,
                receive_us=tick.receive_us + shift_us,
                sequence=tick.sequence + (count << 16),
            )
            for tick in old[: count // 3]
        ]
        self.ticks = sorted([*old, *new], key=lambda tick: tick.place)
        lake.make_days(old)
        self.take(old)
        self.take(new)
        self.cool()

    def take(self, ticks: list[Tick]) -> None:
        """Store and aggregate as both stages do; open candles close after their time."""
        for batch in batches(ticks, self.symbol, 100):
            self.house.take(batch)

    def cool(self) -> None:
        """Move all old days out of Postgres."""
        self.lake.settle()
        self.lake.copy()
        self.lake.compact()
        now_us = time.time_ns() // 1000
        postgres, access = self.lake.postgres, self.lake.access
        while copy_candles(postgres, access, now_us, settled_s=0):
            pass
        for _ in range(2):
            self.lake.age()
            self.lake.retain()
        days = old_candle_days(postgres, TERMS, now_us)
        assert sum(sum(drop_candles(postgres, access, day)) for day in days)


@contextmanager
def cold_market(
    servers: dict[str, str], database: str, valkey: redis.Redis, count: int = 600
) -> Iterator[ColdMarket]:
    """Yield it over the test's stores."""
    lake = Lake(servers, database, f"S{uuid.uuid4().hex[:8]}/X")
    try:
        yield ColdMarket(House(lake.postgres, valkey, lake.cold), lake, count)
    finally:
        lake.postgres.close()
