"""A database that was lost, filled from what is in object storage: the lake's record and its ticks.

The days before the last two are left where they are, recorded as cold. The ticks of the last two
are read for the pipeline to take in again, since live candles are made from them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from psycopg import Connection

from shared.candle import CandleKey
from shared.lake.cold import Cold
from shared.lake.compaction import fold
from shared.lake.files import LakeReader
from shared.lake.manifest import files_at
from shared.lake.places import CANDLES, DAY_US, TICKS, Place, Written, day_of
from shared.lake.tick_table import to_rows
from shared.stores.postgres import Postgres
from shared.stores.recompute import recomputed
from shared.stores.s3 import ObjectStore
from shared.ticks import Ticks
from shared.timeframes import Timeframe
from shared.trades import Rows, batches_of, concatenated, trades_of

PREFIX: Final = "restore/"
"""What the ids of events begin with that bring ticks back."""
_READERS: Final = 4
_TICKS_AT_ONCE: Final = 4_000
_EPOCHS_AHEAD: Final = 1_000_000
"""So many epochs may have begun after the snapshot was taken."""


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a lake. Days from `hot_from` on are brought back into Postgres."""

    files: list[Written]
    hot_from: date

    @property
    def hot(self) -> dict[Place, list[Written]]:
        """The tick files to bring back, by hour, in the order of instrument and time."""
        found = defaultdict(list)
        for each in self.files:
            if each.place.bucket == TICKS and day_of(each.place.from_us) >= self.hot_from:
                found[each.place].append(each)
        return {
            place: found[place] for place in sorted(found, key=lambda p: (p.instrument, p.from_us))
        }

    @property
    def cold_days(self) -> list[date]:
        """The days whose ticks stay in the lake alone."""
        days = {day_of(each.place.from_us) for each in self.files if each.place.bucket == TICKS}
        return sorted(day for day in days if day < self.hot_from)


def is_empty(postgres: Postgres) -> bool:
    """Tell whether nothing was ever stored but what was brought back. Raises TransientError."""
    with postgres.connection() as connection:
        row = connection.execute(
            "SELECT NOT EXISTS (SELECT FROM applied_events WHERE event_id NOT LIKE %s)",
            (PREFIX + "%",),
        ).fetchone()
    return bool(row and row[0])


def find(store: ObjectStore, lake: str, at_us: int) -> Found:
    """Describe every object of a lake, its digest computed anew. Raises TransientError."""
    reader = LakeReader(store)
    objects = [
        (bucket, each)
        for bucket in (TICKS, CANDLES)
        for each in store.listing(bucket)
        if f"-{lake}-" in each.key.rpartition("/")[2]
    ]
    with ThreadPoolExecutor(_READERS, "lake") as pool:
        files = pool.map(
            lambda o: reader.described(o[0], o[1].key, o[1].bytes, store.sha256(o[0], o[1].key)),
            objects,
        )
        return Found(list(files), day_of(at_us) - timedelta(days=1))


def outrank(postgres: Postgres, epoch: int) -> None:
    """Let every revision from now on be higher than those of a lost database. TransientError."""
    with postgres.connection() as connection:
        connection.execute(
            "SELECT setval('candle_epoch', greatest(last_value, %s)) FROM candle_epoch",
            (epoch + _EPOCHS_AHEAD,),
        )


def ticks_of(
    store: ObjectStore, place: Place, files: list[Written], until_us: int
) -> Iterator[tuple[str, Ticks]]:
    """Yield an hour's trades that were received by then, as (event id, batch). TransientError.

    The same at every call, so that what was cut off is taken up by beginning anew.
    """
    reader = LakeReader(store)
    parts: list[Rows] = [
        to_rows(table)
        for each in files
        for table in reader.tables(TICKS, each.path, each.bytes, place.from_us, place.to_us)
    ]
    rows = trades_of(concatenated(parts)).rows
    rows = rows.at(rows.receive_us <= until_us)
    for first in range(0, len(rows), _TICKS_AT_ONCE):
        piece = rows.at(np.arange(first, min(first + _TICKS_AT_ONCE, len(rows))))
        for n, ticks in enumerate(batches_of(piece, place.instrument)):
            yield f"{PREFIX}{place.folder}/{ticks.source}/{first}.{n}", ticks


def register(
    postgres: Postgres,
    store: ObjectStore,
    cold: Cold,
    found: Found,
    ladder: tuple[Timeframe, ...],
) -> int:
    """Record the files, in one transaction; return how many candles are queued for repair.

    Of an hour with several files one new one counts: some may be left from before they were folded
    into another, or of a copy that was cut off. Queued are the candles of cold days that no file
    has, or that a correction not folded in yet may have changed.
    Raises TransientError.
    """
    with postgres.connection() as connection:
        connection.cursor().executemany(
            "INSERT INTO cold_days (day) VALUES (%s) ON CONFLICT DO NOTHING",
            [(day,) for day in found.cold_days],
        )
        firsts: dict[str, int] = {}
        lasts: dict[str, int] = {}
        hours: Counter[Place] = Counter()
        for each in found.files:
            _record(connection, each)
            if each.place.bucket == TICKS:
                name = each.place.instrument
                hours[each.place] += 1
                firsts[name] = min(each.min_time_us, firsts.get(name, each.min_time_us))
                lasts[name] = max(each.max_time_us, lasts.get(name, each.max_time_us))
        connection.cursor().executemany(
            "INSERT INTO first_ticks (instrument, first_time_us, last_time_us)"
            " VALUES (%s, %s, %s) ON CONFLICT (instrument) DO UPDATE SET"
            " first_time_us = least(first_ticks.first_time_us, excluded.first_time_us),"
            " last_time_us = greatest(first_ticks.last_time_us, excluded.last_time_us)",
            [(name, firsts[name], lasts[name]) for name in sorted(firsts)],
        )
        for place, count in hours.items():
            if count > 1 and len(files := files_at(connection, place)) > 1:
                fold(connection, store, cold, place, files)
        return _queue(connection, found, ladder, cold)


def _record(connection: Connection, each: Written) -> None:
    place, is_cold = each.place, each.place.bucket == CANDLES
    connection.execute(
        "INSERT INTO lake_files (bucket, path, instrument, timeframe, from_us, to_us, whole,"
        " row_count, byte_count, sha256, min_time_us, max_time_us, stored_until, cold_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(),"
        " CASE WHEN %s THEN clock_timestamp() END) ON CONFLICT (bucket, path) DO NOTHING",
        (
            *(place.bucket, each.path, place.instrument, place.timeframe),
            *(place.from_us, place.to_us, each.whole, each.rows, each.bytes, each.sha256),
            *(each.min_time_us, each.max_time_us, is_cold),
        ),
    )


def _queue(connection: Connection, found: Found, ladder: tuple[Timeframe, ...], cold: Cold) -> int:
    kept: dict[tuple[str, int], set[str]] = defaultdict(set)
    ticks: dict[tuple[str, int], bool] = {}
    for each in found.files:
        place, day_us = each.place, each.place.from_us // DAY_US * DAY_US
        if place.bucket == CANDLES:
            kept[place.instrument, day_us].add(place.timeframe)
        elif day_of(day_us) < found.hot_from:
            of_day = place.instrument, day_us
            ticks[of_day] = ticks.get(of_day, False) or not each.whole
    candles: set[CandleKey] = set()
    for (name, day_us), is_corrected in ticks.items():
        if is_corrected or kept[name, day_us] != {each.name for each in ladder}:
            for some in recomputed(connection, [name], day_us, day_us + DAY_US, ladder[0], cold):
                candles |= {
                    (name, each.name, start_us)
                    for each in ladder
                    for start_us in each.starts_us(some.start_us).tolist()
                }
    connection.cursor().executemany(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)"
        " VALUES (%s, %s, %s, %s, 'asked') ON CONFLICT DO NOTHING",
        [(*key, PREFIX) for key in sorted(candles)],
    )
    return len(candles)
