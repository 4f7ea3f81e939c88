"""The lake in a test: a database and real object storage; an instrument's own name."""

from __future__ import annotations

import itertools
import time

from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.lake.cold import Cold, merged
from shared.lake.compaction import compact, due_hours
from shared.lake.places import day_of
from shared.lake.plan import plan_ticks
from shared.lake.retention import drop, old_days, verify
from shared.lake.snapshot import copy_ticks
from shared.lake.terms import Terms
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore
from shared.stores.s3_reader import S3Access
from shared.stores.segments import ticks_in_postgres
from shared.trades import Rows
from tests.functions.history_query.market import Tick, batches

TERMS = Terms(tick_hours=24, candle_days=30)
FOR_EVER_US = 2**62


class House:
    """Stores of one test. `symbol` is its own, since the buckets are everybody's."""

    def __init__(self, servers: dict[str, str], database: str, symbol: str) -> None:
        self.symbol, self.dsn = symbol, database
        access = S3Access.from_mapping(servers)
        self.postgres = Postgres(database, size=4)
        self.store = ObjectStore(access)
        self.cold = Cold(access)
        self.tick_writer, self.writer = TickWriter(self.postgres), Writer(self.postgres)
        self.numbers = itertools.count()
        self.repeated = 0

    def put(self, ticks: list[Tick], size: int = 200, *, made: bool = True) -> None:
        """Store ticks as persist does, in events of `size`; they count as aggregated.

        `made`: their days have had partitions since they were today.
        """
        if made:
            self.make_days(ticks)
        for batch in batches(ticks, self.symbol, size):
            event_id = f"e{time.time_ns()}-{next(self.numbers)}"
            assert self.tick_writer([(event_id, batch)])
        self.settle()

    def make_days(self, ticks: list[Tick]) -> None:
        """Let the days of the ticks have partitions, as those that were today have."""
        with self.postgres.connection() as connection:
            for day in sorted({day_of(tick.time_us) for tick in ticks}):
                connection.execute("SELECT make_partition('tick_segments', %s)", (day,))

    def settle(self) -> None:
        """All events are known to be in the candles."""
        self.sql("DELETE FROM unaggregated")

    def unsettle(self) -> None:
        """No event is."""
        self.sql(
            "INSERT INTO unaggregated"
            " SELECT 0, unnest(event_ids), commit_id, now(), 0, first_time_us, last_time_us"
            " FROM tick_segments ON CONFLICT DO NOTHING"
        )

    def age(self) -> None:
        """As if all was stored and copied two days ago."""
        self.sql(
            "UPDATE lake_files SET stored_until = stored_until - interval '2 days',"
            " recorded_at = recorded_at - interval '2 days'"
        )

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with self.postgres.connection() as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def waiting(self) -> list[tuple[object, ...]]:
        """Commits that no file has yet."""
        return self.sql(
            "SELECT commit_id FROM stored_days"
            " WHERE commit_id > (SELECT commit_id FROM lake_position)"
        )

    def copy(self) -> int:
        return copy_ticks(self.postgres, self.store, after_s=0)

    def copy_all(self) -> None:
        while self.copy():
            pass

    def compact(self) -> int:
        places = due_hours(self.postgres, FOR_EVER_US, settled_s=0, late_each_s=0)
        return sum(compact(self.postgres, self.store, self.cold, place) for place in places)

    def retain(self) -> list[str]:
        """Verify and drop what is old; return the days that left."""
        gone = []
        for day in old_days(self.postgres, TERMS, time.time_ns() // 1000):
            if day.waits_for:
                continue
            if all(verify(self.postgres, self.store, self.cold, day)) and drop(
                self.postgres, day, TERMS
            ):
                gone.append(str(day.day))
        return gone

    def rows(self, from_us: int = 0, to_us: int = 10**16) -> Rows:
        """All that is stored, wherever it is, each trade once."""
        with self.postgres.connection() as connection:
            plan = plan_ticks(connection, self.symbol, from_us, to_us)
            hot = [
                Rows.of(ticks)
                for ticks in ticks_in_postgres(connection, self.symbol, from_us, to_us, plan)
            ]
        cold = [rows for _, rows in self.cold.rows(plan.files, from_us, to_us)]
        counted = sum(map(len, [*hot, *cold]))
        found = merged([*hot, *cold])
        self.repeated = counted - len(found)
        return found

    def in_postgres(self) -> int:
        rows = self.sql("SELECT coalesce(sum(tick_count), 0)::bigint FROM tick_segments")
        assert isinstance(rows[0][0], int)
        return rows[0][0]

    def live_files(self) -> int:
        rows = self.sql("SELECT count(*) FROM lake_files WHERE superseded_at IS NULL")
        assert isinstance(rows[0][0], int)
        return rows[0][0]

    def objects(self) -> set[str]:
        prefix = f"symbol={self.symbol.replace('/', '%2F')}/"
        return {each.key for each in self.store.listing("ticks", prefix)}
