"""The lake in a test: a database, real object storage, and an instrument of its own."""

from __future__ import annotations

import itertools
import time
from datetime import date
from decimal import Decimal
from typing import Any

from functions.persist.tick_writer import TickWriter
from shared.candles.trades import NO_ROWS, Rows, concatenated, trades_of
from shared.lake.catalog import Catalog
from shared.lake.maintenance.candle_days import copy_candles
from shared.lake.maintenance.candle_retention import drop_candles
from shared.lake.maintenance.compaction import compact
from shared.lake.maintenance.retention import retain
from shared.lake.maintenance.schedule import due_days, old_candle_days
from shared.lake.maintenance.settings import Terms
from shared.lake.maintenance.snapshot import copy_ticks
from shared.lake.reading.cold import Cold
from shared.lake.reading.plan import plan_ticks
from shared.lake.tables.definitions import TICKS, Definition
from shared.market.utc_days import day_of
from shared.reading.ranges import ticks_in_postgres
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore, S3Access
from shared.wire.candle import DECIMALS, Candle
from tests.functions.history_query.market import Tick, batches

TERMS = Terms(tick_hours=24, candle_days=30)
FOR_EVER_US = 2**62


def to_candles(columns: dict[str, list[Any]]) -> list[Candle]:
    """Return the candles of `to_lists`."""
    columns |= {name: list(map(Decimal, columns[name])) for name in DECIMALS}
    return [Candle(*values) for values in zip(*columns.values(), strict=True)]


class House:
    """The stores of one test. `symbol` is the instrument's name."""

    def __init__(self, servers: dict[str, str], database: str, symbol: str) -> None:
        self.symbol, self.dsn = symbol, database
        self.redis_url = servers["REDIS_URL"].rsplit("/", 1)[0] + "/1"
        self.access = S3Access.from_env(servers)
        self.postgres = Postgres(database, size=4)
        self.store = ObjectStore(self.access)
        self.cold = Cold(self.access)
        self.writer = TickWriter(self.postgres)
        self.numbers = itertools.count()
        self.repeated = 0

    def put(self, ticks: list[Tick], size: int = 200, symbol: str = "") -> None:
        """Store ticks as persist does, in commits of `size`, and mark them as aggregated."""
        for batch in batches(ticks, symbol or self.symbol, size):
            assert self.writer([(f"e{time.time_ns()}-{next(self.numbers)}", batch)])
        self.settle()

    def settle(self) -> None:
        """Mark all events as aggregated."""
        self.sql("DELETE FROM unaggregated")

    def make_days(self, ticks: list[Tick]) -> None:
        """Create partitions for the days of the ticks."""
        for day in {day_of(tick.time_us) for tick in ticks}:
            self.sql(f"SELECT make_partition('tick_segments', '{day}')")

    def age(self) -> None:
        """Move all copies and compactions two days into the past."""
        self.sql(
            "UPDATE lake_days SET changed_at = changed_at - interval '2 days',"
            " compacted_at = compacted_at - interval '2 days',"
            " verified_at = verified_at - interval '2 days'"
        )
        self.sql("UPDATE cold_days SET dropped_at = dropped_at - interval '2 days'")

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with self.postgres.connection() as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def copy(self) -> int:
        return copy_ticks(self.postgres, self.access)

    def compact(self, until_us: int = FOR_EVER_US) -> int:
        days = due_days(self.postgres, each_s=0)
        return sum(self._compacted(day, until_us) for day in days)

    def _compacted(self, day: date, until_us: int) -> int:
        count = 0
        while compact(self.postgres, self.access, day, until_us, settled_s=0):
            count += 1
        return count

    def retain(self) -> list[date]:
        """Verify and drop old days; return those that were dropped."""
        return list(retain(self.postgres, self.access, TERMS, time.time_ns() // 1000))

    def copy_candles(self) -> None:
        now_us = time.time_ns() // 1000
        while copy_candles(self.postgres, self.access, now_us, settled_s=0):
            pass

    def drop_candles(self) -> int:
        days = old_candle_days(self.postgres, TERMS, time.time_ns() // 1000)
        return sum(sum(drop_candles(self.postgres, self.access, day)) for day in days)

    def rows(self, from_us: int = 0, to_us: int = 10**16, *, of: str = "") -> Rows:
        """All stored ticks of both stores, each trade once; `of`: see `plan_ticks`."""
        with self.postgres.connection() as connection:
            plan = plan_ticks(connection, from_us, to_us, instrument=of)
            parts = [
                Rows.of(ticks)
                for ticks in ticks_in_postgres(connection, self.symbol, from_us, to_us, plan)
            ]
        parts += [rows for *_, rows in self.cold.rows(plan, self.symbol, from_us, to_us)]
        found = trades_of(concatenated(parts) if parts else NO_ROWS).rows
        self.repeated = sum(map(len, parts)) - len(found)
        return found

    def in_postgres(self) -> int:
        rows = self.sql("SELECT coalesce(sum(tick_count), 0)::bigint FROM tick_segments")
        assert isinstance(rows[0][0], int)
        return rows[0][0]

    def files(self, definition: Definition = TICKS) -> list[str]:
        """The paths of the current data files."""
        with self.postgres.connection() as connection:
            table = Catalog(connection, self.access).table(definition)
        return sorted(task.file.file_path for task in table.scan().plan_files())

    def objects(self, definition: Definition = TICKS, what: str = "data/") -> set[str]:
        """The existing objects."""
        ((lake,),) = self.sql("SELECT name FROM lake_identity")
        return {each.key for each in self.store.listing(definition.name, f"{lake}/{what}")}
