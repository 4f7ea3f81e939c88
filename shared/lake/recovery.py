"""Restore of a lost database from object storage: the lake's tables and their newest ticks.

The days before the last two stay where they are, as cold days. The ticks of the last two are read
for the pipeline to take in again, since live candles are made from them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from shared.candles.trades import MINUTE_US, batches_of
from shared.lake.access import translated
from shared.lake.catalog import Catalog, commit, locked, open_table
from shared.lake.maintenance.compaction import files_of
from shared.lake.maintenance.retention import counted
from shared.lake.record import lake_of
from shared.lake.tables.definitions import CANDLES, TICKS, Definition
from shared.lake.tables.files import day_of_file, read
from shared.lake.tables.merge import merged
from shared.lake.tables.tick_table import each_trade_once, to_rows
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US, begin_us, day_of
from shared.stores.first_ticks import NOTE_TIMES
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore, S3Access
from shared.wire.ticks import Ticks

PREFIX: Final = "restore/"
"""Prefix of the ids of restore events."""
_TAG: Final = "restore"
_TICKS_AT_ONCE: Final = 4_000


@dataclass(frozen=True, slots=True)
class Adopted:
    """A lake that became this database's: ticks of `hot` days are to be taken in again."""

    hot: list[date]
    cold: list[date]


def is_empty(postgres: Postgres) -> bool:
    """Tell whether no event but restored ones was ever stored. Raises TransientError."""
    with postgres.connection() as connection:
        row = connection.execute(
            "SELECT NOT EXISTS (SELECT FROM applied_events WHERE event_id NOT LIKE %s)",
            (PREFIX + "%",),
        ).fetchone()
    return bool(row and row[0])


def is_adopted(postgres: Postgres) -> bool:
    """Tell whether this empty database has another one's lake already. Raises TransientError."""
    with postgres.connection() as connection:
        row = connection.execute("SELECT EXISTS (SELECT FROM cold_days)").fetchone()
    return bool(row and row[0])


def adopt(
    postgres: Postgres, access: S3Access, store: ObjectStore, lake: str, at_us: int
) -> Adopted:
    """Adopt another database's lake in one transaction. Raises TransientError.

    The days from the one before `at_us` on leave its tables; a tag holds the snapshot that has
    their ticks. Called again, it returns the same.
    """
    hot_from = day_of(at_us) - timedelta(days=1)
    with locked(postgres, waits=True) as connection:
        catalog = Catalog(connection, access)
        if lake_of(connection) != lake:
            connection.execute("DELETE FROM iceberg_tables")
            connection.execute("UPDATE lake_identity SET name = %s", (lake,))
            connection.execute("UPDATE lake_position SET commit_id = 0")
            for definition in (TICKS, CANDLES):
                location = _newest_metadata(store, definition, lake)
                if location:
                    catalog.table(definition, location)
            _record(connection, catalog.table(TICKS), hot_from)
            for day in _remove_hot(catalog.table(CANDLES), hot_from):
                connection.execute("INSERT INTO cold_candle_days VALUES (%s)", (day,))
        ticks = catalog.table(TICKS)
        days = sorted({day_of_file(file) for file in _tagged(ticks)})
        return Adopted(
            [day for day in days if day >= hot_from], [day for day in days if day < hot_from]
        )


def _newest_metadata(store: ObjectStore, definition: Definition, lake: str) -> str:
    """Return the location of a table's newest metadata, by its number."""
    keys = [
        each.key
        for each in store.listing(definition.name, f"{lake}/metadata/")
        if each.key.endswith(".metadata.json")
    ]
    newest = max(keys, key=lambda key: int(key.rpartition("/")[2].partition("-")[0]), default="")
    return f"s3://{definition.name}/{newest}" if newest else ""


def _record(connection: Connection, table: Table, hot_from: date) -> None:
    """Record the days before `hot_from` as cold; each is read back for its counts."""
    with translated():
        if (current := table.current_snapshot()) is not None:
            table.manage_snapshots().create_tag(current.snapshot_id, _TAG).commit()
    for day in _remove_hot(table, hot_from):
        _note_times(connection, table, day)
        rows, digest = counted(connection, table, day)
        connection.execute(
            "INSERT INTO lake_days (day, taken, row_count, digest, compacted_at, verified_at)"
            " VALUES (%s, %s, %s, %s, clock_timestamp(), clock_timestamp())",
            (day, rows, rows, digest),
        )
        connection.execute("INSERT INTO cold_days (day) VALUES (%s)", (day,))


def _note_times(connection: Connection, table: Table, day: date) -> None:
    """Record the first and last tick time of a day's instruments."""
    with translated():
        for rows in read(table.io, *files_of(table, day)):
            times = pa.table({"symbol": rows["symbol"], "us": rows["time"].cast(pa.int64())})
            ranges = times.group_by("symbol").aggregate([("us", "min"), ("us", "max")])
            columns = [ranges[name].to_pylist() for name in ("symbol", "us_min", "us_max")]
            connection.execute(NOTE_TIMES, columns)


def _remove_hot(table: Table, hot_from: date) -> list[date]:
    """Remove the files from `hot_from` on from a table; return the days that stay."""
    with translated():
        files = [task.file for task in table.scan().plan_files()]
    hot = [file for file in files if day_of_file(file) >= hot_from]
    if hot:
        commit(table, [], hot)
    return sorted({day_of_file(file) for file in files} - {day_of_file(file) for file in hot})


def _tagged(table: Table) -> list[DataFile]:
    """Return the files of the snapshot that the tag holds."""
    reference = table.metadata.refs.get(_TAG)
    if reference is None:
        return []
    with translated():
        return [f.file for f in table.scan(snapshot_id=reference.snapshot_id).plan_files()]


def ticks_of(
    postgres: Postgres, access: S3Access, day: date, until_us: int
) -> Iterator[tuple[str, Ticks]]:
    """Yield a hot day's trades that were received by then, as (event id, batch). TransientError.

    The same at every call, so that what was cut off is taken up by beginning anew.
    """
    with postgres.connection() as connection:
        table = open_table(connection, access, TICKS)
    files = sorted(_tagged(table), key=lambda file: file.file_path)
    of_day = [read(table.io, file) for file in files if day_of_file(file) == day]
    numbers: Counter[str] = Counter()
    with translated():
        for rows in merged(of_day, TICKS.key, MINUTE_US, each_trade_once):
            received = rows.filter(pc.less_equal(rows["receive_time"].cast(pa.int64()), until_us))
            for symbol in pc.unique(received["symbol"]).to_pylist():
                symbol_rows = received.filter(pc.equal(received["symbol"], symbol))
                for offset in range(0, len(symbol_rows), _TICKS_AT_ONCE):
                    for ticks in batches_of(
                        to_rows(symbol_rows.slice(offset, _TICKS_AT_ONCE)), symbol
                    ):
                        numbers[symbol] += 1
                        yield f"{PREFIX}{day}/{symbol}/{ticks.source}/{numbers[symbol]}", ticks


def finish(
    postgres: Postgres, access: S3Access, adopted: Adopted, ladder: tuple[Timeframe, ...]
) -> int:
    """Queue the candles of cold days that the lake lacks; return how many. Raises TransientError.

    Removes the tag: its ticks are in Postgres.
    """
    with locked(postgres, waits=True) as connection:
        ticks, candles = (open_table(connection, access, each) for each in (TICKS, CANDLES))
        queued = sum(_queue(connection, ticks, candles, day, ladder) for day in adopted.cold)
        if _TAG in ticks.metadata.refs:
            with translated():
                ticks.manage_snapshots().remove_tag(_TAG).commit()
    return queued


def _queue(
    connection: Connection, ticks: Table, candles: Table, day: date, ladder: tuple[Timeframe, ...]
) -> int:
    """Queue each candle of instruments that lack one of the timeframes on a day."""
    present: dict[str, set[str]] = defaultdict(set)
    minutes: dict[str, set[int]] = defaultdict(set)
    inside = f"time >= '{day}T00:00:00+00:00' and time < '{day + timedelta(days=1)}T00:00:00+00:00'"
    with translated():
        scan = candles.scan(inside, selected_fields=("timeframe", "symbol"))
        for batch in scan.to_arrow_batch_reader():
            for row in batch.to_pylist():
                present[row["symbol"]].add(row["timeframe"])
        timeframes = {each.name for each in ladder}
        scan = ticks.scan(inside, selected_fields=("symbol", "time"))
        for batch in scan.to_arrow_batch_reader():
            times = pc.divide(batch["time"].cast(pa.int64()), MINUTE_US)
            pairs = pa.table({"symbol": batch["symbol"], "minute": times}).group_by(
                ["symbol", "minute"]
            )
            for row in pairs.aggregate([]).to_pylist():
                if present[row["symbol"]] != timeframes:
                    minutes[row["symbol"]].add(row["minute"] * MINUTE_US)
    keys = {
        (symbol, each.name, each.start_us(time_us))
        for symbol, times_us in minutes.items()
        for time_us in times_us
        for each in ladder
        if begin_us(day) <= each.start_us(time_us) < begin_us(day) + DAY_US
    }
    connection.cursor().executemany(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)"
        " VALUES (%s, %s, %s, %s, 'asked') ON CONFLICT DO NOTHING",
        [(*key, PREFIX) for key in sorted(keys)],
    )
    return len(keys)
