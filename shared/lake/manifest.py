"""The record of the lake in Postgres: which objects count, and what each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import Connection, sql
from psycopg.rows import class_row

from shared.lake.places import CANDLES, TICKS, Place, Written

LOCK: Final = "kandle lake"
"""Who changes the lake holds this advisory lock, from its reading to its record."""


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A row of `lake_files`: an object that counts. Times of rows in [min_time_us, max_time_us]."""

    id: int
    bucket: str
    path: str
    instrument: str
    timeframe: str
    from_us: int
    to_us: int
    whole: bool
    row_count: int
    byte_count: int
    sha256: str
    min_time_us: int
    max_time_us: int
    stored_until: datetime
    recorded_at: datetime
    verified_at: datetime | None
    cold_at: datetime | None

    @property
    def place(self) -> Place:
        """What it is of."""
        return Place(self.bucket, self.instrument, self.timeframe, self.from_us, self.to_us)


_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(each.name) for each in fields(LakeFile))


def _live(
    connection: Connection, condition: LiteralString, parameters: dict[str, Any]
) -> list[LakeFile]:
    statement = sql.SQL("SELECT {} FROM lake_files WHERE superseded_at IS NULL AND {}").format(
        _COLUMNS, sql.SQL(condition)
    )
    with connection.cursor(row_factory=class_row(LakeFile)) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def lake_of(connection: Connection) -> str:
    """Return the name of this database's lake."""
    row = connection.execute("SELECT name FROM lake_identity").fetchone()
    assert row is not None
    return str(row[0])


def record(
    connection: Connection,
    written: Written,
    stored_until: datetime,
    supersedes: Sequence[LakeFile] = (),
) -> None:
    """Let an object count, and no longer those that it replaces; in the caller's transaction."""
    place = written.place
    connection.execute(
        "INSERT INTO lake_files (bucket, path, instrument, timeframe, from_us, to_us, whole,"
        " row_count, byte_count, sha256, min_time_us, max_time_us, stored_until, cold_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(place.bucket, written.path, place.instrument, place.timeframe),
            *(place.from_us, place.to_us, written.whole, written.rows, written.bytes),
            *(written.sha256, written.min_time_us, written.max_time_us, stored_until),
            min((each.cold_at for each in supersedes if each.cold_at), default=None),
        ),
    )
    connection.execute(
        "UPDATE lake_files SET superseded_at = clock_timestamp() WHERE id = ANY(%s)",
        ([each.id for each in supersedes],),
    )


def files_at(connection: Connection, place: Place) -> list[LakeFile]:
    """Return the files that count of one place."""
    return _live(
        connection,
        "bucket = %(bucket)s AND instrument = %(instrument)s AND timeframe = %(timeframe)s"
        " AND from_us = %(from_us)s ORDER BY id",
        asdict(place),
    )


def tick_files_of_day(connection: Connection, from_us: int, to_us: int) -> list[LakeFile]:
    """Return the files that count of the hours that begin in [from_us, to_us)."""
    return _live(
        connection,
        "bucket = %(bucket)s AND from_us >= %(from_us)s AND from_us < %(to_us)s"
        " ORDER BY instrument, from_us, id",
        {"bucket": TICKS, "from_us": from_us, "to_us": to_us},
    )


def cold_candle_files(
    connection: Connection, instrument: str, timeframe: str, from_us: int, to_us: int
) -> list[LakeFile]:
    """Return the files of candles that left Postgres, with starts that may lie in the range."""
    return _live(
        connection,
        "bucket = %(bucket)s AND instrument = %(instrument)s AND timeframe = %(timeframe)s"
        " AND cold_at IS NOT NULL AND from_us < %(to_us)s AND to_us > %(from_us)s"
        " AND max_time_us >= %(from_us)s AND min_time_us < %(to_us)s ORDER BY from_us, id",
        {
            "bucket": CANDLES,
            "instrument": instrument,
            "timeframe": timeframe,
            "from_us": from_us,
            "to_us": to_us,
        },
    )


def files_of_ids(connection: Connection, ids: Sequence[int]) -> list[LakeFile]:
    """Return files of a plan, be they superseded meanwhile, by place and time."""
    statement = sql.SQL(
        "SELECT {} FROM lake_files WHERE id = ANY(%s) ORDER BY from_us, min_time_us, id"
    ).format(_COLUMNS)
    with connection.cursor(row_factory=class_row(LakeFile)) as cursor:
        return cursor.execute(statement, (list(ids),)).fetchall()
