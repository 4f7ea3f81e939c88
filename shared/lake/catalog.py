"""The catalog of the lake's tables: Iceberg's JDBC catalog on the caller's connection.

Its rows are in the same database as the data that the lake copies. So a table's new snapshot and
the record of what it holds are committed by one transaction, or neither is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from psycopg import Connection
from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update import TableRequirement, TableUpdate
from pyiceberg.table.update.snapshot import _MergeAppendFiles, _OverwriteFiles

from shared.errors import TransientError
from shared.lake.access import file_io, translated
from shared.lake.record import lake_of
from shared.lake.tables.definitions import FORMER_NAMES, Definition
from shared.stores.postgres import Postgres, try_lock
from shared.stores.s3 import S3Access

NAME: Final = "kandle"
NAMESPACE: Final = "kandle"
LOCK: Final = "kandle lake"
"""Advisory lock of a writer of the lake, held from its first read to its commit."""

_LOCATION: Final = "SELECT metadata_location FROM iceberg_tables WHERE table_name = %s"
_INSERT: Final = (
    "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,"
    " iceberg_type) VALUES (%s, %s, %s, %s, 'TABLE') ON CONFLICT DO NOTHING"
)
_MOVE: Final = (
    "UPDATE iceberg_tables SET metadata_location = %s, previous_metadata_location ="
    " metadata_location WHERE table_name = %s AND metadata_location = %s"
)


class Catalog(MetastoreCatalog, NoopCatalog):
    """Loads, makes and commits tables. PyIceberg's SqlCatalog has a connection of its own.

    Only the caller commits the transaction.
    """

    def __init__(self, connection: Connection, access: S3Access) -> None:
        super().__init__(NAME, **file_io(access))
        self._connection = connection

    def table(self, definition: Definition, metadata: str = "") -> Table:
        """Load a table of this database's lake; create it, or adopt it, if it does not exist.

        `metadata`: metadata location of a table to adopt from another catalog.
        """
        with translated():
            if (row := self._connection.execute(_LOCATION, (definition.name,)).fetchone()) is None:
                made = NAME, NAMESPACE, definition.name, metadata or self._new(definition)
                self._connection.execute(_INSERT, made)
                row = self._connection.execute(_LOCATION, (definition.name,)).fetchone()
            assert row is not None
            location = str(row[0])
            io = self._load_file_io(location=location)
            table_metadata = FromInputFile.table_metadata(io.new_input(location))
        table = Table((NAMESPACE, definition.name), table_metadata, location, io, self)
        with translated():
            return _with_columns(table, definition)

    def _new(self, definition: Definition) -> str:
        staged = self._create_staged_table(
            (NAMESPACE, definition.name),
            definition.schema,
            f"s3://{definition.name}/{lake_of(self._connection)}",
            definition.partition_spec,
            definition.sort_order,
            definition.properties,
        )
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        return staged.metadata_location

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Point the table's row to new metadata. Raises TransientError."""
        staged = self._update_and_stage_table(table, table.name(), requirements, updates)
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        row = staged.metadata_location, table.name()[-1], table.metadata_location
        if self._connection.execute(_MOVE, row).rowcount != 1:
            raise TransientError(f"another changed the table {table.name()[-1]}")
        return CommitTableResponse.model_validate(
            {"metadata": staged.metadata, "metadata-location": staged.metadata_location}
        )


def _with_columns(table: Table, definition: Definition) -> Table:
    """Rename and add columns to match the definition.

    Added ones are optional. Both change metadata alone: files name columns by their field ids.
    """
    names = definition.schema.column_names
    for former, name in FORMER_NAMES.items():
        if former in table.schema().column_names and name in names:
            with table.update_schema() as update:
                update.rename_column(former, name)
    if all(name in table.schema().column_names for name in names):
        return table
    with table.update_schema() as update:
        update.union_by_name(definition.schema)
    return table


class LakeBusyError(TransientError):
    """Another process works on the lake."""


@contextmanager
def locked(postgres: Postgres, *, waits: bool = False) -> Iterator[Connection]:
    """Yield a connection whose transaction has the lake's lock. Raises TransientError.

    Unless it waits, raises LakeBusyError while another has it.
    """
    with postgres.connection() as connection:
        if waits:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (LOCK,))
        elif not try_lock(connection, LOCK):
            raise LakeBusyError("another process works on the lake: try again in a minute")
        yield connection


def open_table(connection: Connection, access: S3Access, definition: Definition) -> Table:
    """Load a table of this database's lake. Raises TransientError."""
    return Catalog(connection, access).table(definition)


class _Overwrite(_OverwriteFiles):
    """An overwrite that carries no manifest on in which every file is deleted."""

    def _build_manifest_evaluator(self, spec_id: int) -> Callable[[ManifestFile], bool]:
        """Return a predicate that several threads may use: PyIceberg's holds what it looks at."""
        build = super()._build_manifest_evaluator
        return lambda manifest: build(spec_id)(manifest)

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        snapshot_id = self._snapshot_id
        return [
            each
            for each in manifests
            if each.has_added_files()
            or each.has_existing_files()
            or each.added_snapshot_id == snapshot_id
        ]


def commit(
    table: Table,
    added: Iterable[DataFile],
    removed: Iterable[DataFile] = (),
    properties: dict[str, str] | None = None,
) -> None:
    """Add and remove files in one snapshot. Raises TransientError."""
    removed = list(removed)
    kind: Any = _Overwrite if removed else _MergeAppendFiles
    with translated(), table.transaction() as transaction:
        producer = kind(
            operation=Operation.OVERWRITE if removed else Operation.APPEND,
            transaction=transaction,
            io=table.io,
            snapshot_properties=properties or {},
        )
        for each in added:
            producer.append_data_file(each)
        for each in removed:
            producer.delete_data_file(each)
        producer.commit()


logging.getLogger("pyiceberg").setLevel(logging.WARNING)
