"""Expiry in the lake: snapshots, orphaned objects, days past their retention."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString
from urllib.parse import urlsplit

from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table

from shared.lake.access import translated
from shared.lake.catalog import commit, locked, open_table
from shared.lake.maintenance.compaction import files_of
from shared.lake.maintenance.settings import Terms
from shared.lake.tables.definitions import CANDLES, TICKS
from shared.market.utc_days import DAY_US, begin_us, day_of
from shared.stores.postgres import Postgres
from shared.stores.s3 import ObjectStore, S3Access

log = logging.getLogger(__name__)

_TICKS_ENDED: Final[LiteralString] = (
    "UPDATE lake_days SET row_count = 0, digest = 0 WHERE row_count > 0 AND day < %s"
    " AND day IN (SELECT day FROM cold_days) RETURNING day"
)
_CANDLES_ENDED: Final[LiteralString] = "DELETE FROM cold_candle_days WHERE day < %s RETURNING day"
_GAPS_ENDED: Final = """
DELETE FROM gaps WHERE state = 'open' AND greatest(to_us, changed_us) < %s AND NOT EXISTS (
    SELECT FROM lake_days WHERE row_count > 0 AND day BETWEEN
        date '1970-01-01' + floor(from_us / 86400000000.0)::int
        AND date '1970-01-01' + floor(to_us / 86400000000.0)::int)
"""
_MS_OF_HOUR: Final = 3_600_000
GRACE: Final = timedelta(hours=1)
"""An object that no snapshot names is removed when it is so old: its writer was cut off, or the
last snapshot that named it expired."""


def expire_snapshots(postgres: Postgres, access: S3Access, terms: Terms, *, now_ms: int) -> int:
    """Expire snapshots; return how many. Raises TransientError.

    Keeps all of the last hour, then the last of each hour for as long as the terms say. The
    current one stays, and what has a tag.
    """
    expired = 0
    for definition in (TICKS, CANDLES):
        with locked(postgres) as connection:
            table = open_table(connection, access, definition)
            ids = _expired(table, now_ms, terms.snapshot_hours)
            if ids:
                with translated():
                    table.maintenance.expire_snapshots().by_ids(ids).commit()
                expired += len(ids)
    return expired


def _expired(table: Table, now_ms: int, hours: int) -> list[int]:
    stay = {ref.snapshot_id for ref in table.metadata.refs.values()}
    last_of_hour: dict[int, int] = {}
    for each in sorted(table.metadata.snapshots, key=lambda each: each.timestamp_ms):
        age_ms = now_ms - each.timestamp_ms
        if age_ms <= _MS_OF_HOUR:
            stay.add(each.snapshot_id)
        elif age_ms <= hours * _MS_OF_HOUR:
            last_of_hour[each.timestamp_ms // _MS_OF_HOUR] = each.snapshot_id
    stay |= set(last_of_hour.values())
    return [s.snapshot_id for s in table.metadata.snapshots if s.snapshot_id not in stay]


def remove_orphans(
    postgres: Postgres, access: S3Access, store: ObjectStore, *, grace: timedelta = GRACE
) -> int:
    """Remove unreferenced objects of this lake; return how many. Raises TransientError.

    The lock says that nobody is between writing and committing now.
    """
    removed = 0
    for definition in (TICKS, CANDLES):
        with locked(postgres) as connection:
            table = open_table(connection, access, definition)
            referenced = {urlsplit(path).path.lstrip("/") for path in _referenced(table)}
            prefix = urlsplit(table.location()).path.lstrip("/") + "/"
            until = datetime.now(UTC) - grace
            for each in store.listing(definition.name, prefix):
                if each.key not in referenced and each.modified <= until:
                    store.remove(definition.name, each.key)
                    removed += 1
    return removed


def _referenced(table: Table) -> set[str]:
    """Return every object that the table's metadata references.

    Entries of one manifest are in memory at a time; `table.inspect` builds rows of all.
    """
    metadata = table.metadata
    paths = {table.metadata_location, *(each.metadata_file for each in metadata.metadata_log)}
    manifests: dict[str, ManifestFile] = {}
    with translated():
        for snapshot in metadata.snapshots:
            paths.add(snapshot.manifest_list)
            manifests |= {each.manifest_path: each for each in snapshot.manifests(table.io)}
        for path, manifest in manifests.items():
            paths.add(path)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                paths.add(entry.data_file.file_path)
    return paths


def end_days(postgres: Postgres, access: S3Access, terms: Terms, now_us: int) -> int:
    """Delete days past the lake's term from the tables; return how many. Raises TransientError.

    Only days that Postgres has no longer: else they would be copied anew. Open gaps go with the
    ticks of their days: what is folded of those is incomplete.
    """
    if not terms.lake_days:
        return 0
    until = day_of(now_us - terms.lake_days * DAY_US)
    ended = 0
    for definition, ended_days in ((TICKS, _TICKS_ENDED), (CANDLES, _CANDLES_ENDED)):
        with locked(postgres) as connection:
            days = [row[0] for row in connection.execute(ended_days, (until,)).fetchall()]
            if not days:
                continue
            table = open_table(connection, access, definition)
            with translated():
                files = [file for day in days for file in files_of(table, day)]
            if files:
                commit(table, [], files, {"kandle.ended": f"{days[0]} to {days[-1]}"})
            ended += len(days)
            log.info("%s of %s to %s ended: past their term", definition.name, days[0], days[-1])
    with postgres.connection() as connection:
        connection.execute(_GAPS_ENDED, (begin_us(until),))
    return ended
