"""Retention of candles in Postgres: rows are deleted once read back from the lake."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import date
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from psycopg import Connection, IsolationLevel, sql
from pyiceberg.table import Table

from shared.lake.access import translated
from shared.lake.candle_days import stored_texts
from shared.lake.candle_table import from_texts, to_candles
from shared.lake.catalog import LOCK, Catalog
from shared.lake.compaction import files_of
from shared.lake.digest import row_digests
from shared.lake.files import read
from shared.lake.record import lake_of
from shared.lake.schedule import longest
from shared.lake.tables import CANDLES
from shared.market.utc_days import DAY_US, begin_us
from shared.runtime import metrics
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access
from shared.wire.candle import Candle, CandleKey

log = logging.getLogger(__name__)

_BECOMES_COLD: Final = "INSERT INTO cold_candle_days (day) VALUES (%s) ON CONFLICT DO NOTHING"
_LEFT: Final = "UPDATE lake_candle_days SET is_in_postgres = false WHERE day = %s"
_METADATA: Final = "SELECT metadata_location FROM iceberg_tables WHERE table_name = %s"
_DELETE: Final = "DELETE FROM candles WHERE ctid = ANY(%s::tid[])"
_OF_PIECE: Final = sql.SQL(
    "timeframe = {timeframe} AND instrument = ANY({names}) AND start_us >= {low}"
    " AND start_us < {high} AND NOT (instrument = {first} AND start_us < {first_us})"
    " AND NOT (instrument = {last} AND start_us > {last_us})"
)


def drop_candles(postgres: Postgres, access: S3Access, day: date) -> Generator[int]:
    """Delete the candles of a day that the lake was seen to have; yield how many, piece by piece.

    A piece is the candles of a row group: one transaction reads them in both places, and deletes
    those that are the same, or older than in the lake. Begun anew, it finds the others. Raises
    TransientError.
    """
    with postgres.connection() as connection:
        if not try_lock(connection, LOCK):
            return
        stays = longest(connection)
        table = Catalog(connection, access).table(CANDLES, lake_of(connection))
        connection.execute(_BECOMES_COLD, (day,))
    differing = 0
    with translated():
        for piece in chain.from_iterable(read(table.io, file) for file in files_of(table, day)):
            for timeframe in pc.unique(piece["timeframe"]).to_pylist():
                if timeframe == stays:
                    continue
                copied = piece.filter(pc.equal(piece["timeframe"], timeframe))
                with postgres.connection(IsolationLevel.REPEATABLE_READ) as connection:
                    if not try_lock(connection, LOCK) or not _is_current(connection, table):
                        return
                    deleted, differs = _delete_covered(connection, day, timeframe, copied)
                differing += differs
                yield deleted
    if not differing:
        with postgres.connection() as connection:
            connection.execute(_LEFT, (day,))


def _is_current(connection: Connection, table: Table) -> bool:
    row = connection.execute(_METADATA, (CANDLES.name,)).fetchone()
    return row == (table.metadata_location,)


def _delete_covered(
    connection: Connection, day: date, timeframe: str, copied: pa.Table
) -> tuple[int, int]:
    """Delete the rows that the lake has; return how many, and how many differ.

    The transaction reads one snapshot: a row that changes meanwhile ends it.
    """
    names, times = pc.unique(copied["symbol"]).to_pylist(), copied["time"].cast(pa.int64())
    of_piece = _OF_PIECE.format(
        timeframe=timeframe,
        names=names,
        low=begin_us(day),
        high=begin_us(day) + DAY_US,
        first=names[0],
        first_us=times[0].as_py(),
        last=names[-1],
        last_us=times[-1].as_py(),
    )
    digests = row_digests(copied)
    deleted = differs = 0
    for texts in list(stored_texts(connection, of_piece, "ctid")):
        stored = from_texts(texts)
        covered = np.isin(row_digests(stored), digests)
        if not covered.all():
            differs += _compare(stored, copied, covered)
        ctids = texts["ctid"].filter(pa.array(covered)).to_pylist()
        array = '{"' + '","'.join(ctids) + '"}' if ctids else "{}"
        deleted += connection.execute(_DELETE, (array,)).rowcount
    return deleted, differs


def _compare(stored: pa.Table, copied: pa.Table, covered: NDArray[np.bool_]) -> int:
    """Also mark rows older than the lake's as covered; return how many differ."""
    lake_candles = {_key(candle): candle for candle in to_candles(copied)}
    uncovered = np.flatnonzero(~covered)
    differs = 0
    for row, candle in zip(uncovered.tolist(), to_candles(stored.take(uncovered)), strict=True):
        twin = lake_candles.get(_key(candle))
        if twin is None or twin.revision < candle.revision:  # it will be copied
            continue
        covered[row] = twin == candle or candle.revision < twin.revision
        if not covered[row]:
            differs += 1
            metrics.LAKE_DIFFERS.inc()
            log.error("the lake has another candle than Postgres: %s, %s", twin, candle)
    return differs


def _key(candle: Candle) -> CandleKey:
    return candle.instrument, candle.timeframe, candle.start_us
