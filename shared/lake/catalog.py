"""The catalog of the lake's tables: PyIceberg's SqlCatalog inside a transaction of the caller.

The catalog's rows stand in the same Postgres as what the lake takes from it. So a table's new
snapshot and the record of what it holds are committed by one transaction, or neither is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from psycopg import Connection
from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _MergeAppendFiles, _OverwriteFiles
from sqlalchemy import StaticPool, create_engine
from sqlalchemy.exc import DBAPIError

from shared.lake.access import file_io, translated
from shared.lake.tables import Definition
from shared.stores.s3_reader import S3Access

NAME: Final = "kandle"
NAMESPACE: Final = "kandle"
LOCK: Final = "kandle lake"
"""Who changes the lake holds this advisory lock, from its reading to its commit."""


class Catalog(SqlCatalog):
    """A SqlCatalog on the caller's connection. Only the caller commits its transaction."""

    def __init__(self, connection: Connection, access: S3Access) -> None:
        MetastoreCatalog.__init__(self, NAME, **file_io(access))
        self.engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: _Borrowed(connection),
            poolclass=StaticPool,
            pool_reset_on_return=None,
            use_native_hstore=False,
        )
        self._schema_version = "v1"

    def table(self, definition: Definition, lake: str, metadata: str = "") -> Table:
        """Return a table as it is now; where it is not there yet, make it, or take it over.

        `metadata`: where the metadata of a table is that another catalog had.
        """
        with _translated():
            try:
                return self.load_table((NAMESPACE, definition.name))
            except NoSuchTableError:
                with suppress(NamespaceAlreadyExistsError):
                    self.create_namespace(NAMESPACE)
                if metadata:
                    return self.register_table((NAMESPACE, definition.name), metadata)
                return self.create_table(
                    (NAMESPACE, definition.name),
                    definition.schema,
                    location=f"s3://{definition.name}/{lake}",
                    partition_spec=definition.partition_spec,
                    sort_order=definition.sort_order,
                    properties=definition.properties,
                )


class _Borrowed:
    """A connection whose transaction belongs to somebody else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        """Leave it to the owner."""

    rollback = close = commit


class _Overwrite(_OverwriteFiles):
    """An overwrite that carries no manifest on in which every file is deleted."""

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        mine = self._snapshot_id
        return [
            each
            for each in manifests
            if each.has_added_files() or each.has_existing_files() or each.added_snapshot_id == mine
        ]


def commit(
    table: Table,
    added: Iterable[DataFile],
    removed: Iterable[DataFile] = (),
    properties: dict[str, str] | None = None,
) -> None:
    """Let files count, and others cease to, in one snapshot. Raises TransientError."""
    removed = list(removed)
    kind: Any = _Overwrite if removed else _MergeAppendFiles
    with _translated(), table.transaction() as transaction:
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


@contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of object storage into TransientError, those of SQLAlchemy into psycopg's."""
    with translated():
        try:
            yield
        except DBAPIError as error:
            raise error.orig or error from error


logging.getLogger("pyiceberg").setLevel(logging.WARNING)
