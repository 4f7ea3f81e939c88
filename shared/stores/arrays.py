"""NumPy columns as Postgres arrays in binary form, without a Python loop per element, both ways."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format

BIGINT_ARRAY_OID: Final = 1016
SMALLINT_ARRAY_OID: Final = 1005

_HEADER: Final = struct.Struct(">iiiii")
"""Dimensions, whether there are NULLs, element oid, length, lower bound."""


@dataclass(frozen=True, slots=True, eq=False)
class Bigints:
    """An int64 column to be stored as bigint[]."""

    column: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Smallints:
    """A column of small integers to be stored as smallint[]."""

    column: NDArray[Any]


def _cells(element: str) -> np.dtype[Any]:
    return np.dtype([("length", ">i4"), ("value", element)])


class _ArrayDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]
    element: ClassVar[str]

    def dump(self, obj: Any) -> bytes:
        column = obj.column
        if not len(column):
            return struct.pack(">iii", 0, 0, self.element_oid)
        cells = np.empty(len(column), dtype=_cells(self.element))
        cells["length"] = np.dtype(self.element).itemsize
        cells["value"] = column
        return _HEADER.pack(1, 0, self.element_oid, len(column), 1) + cells.tobytes()


class _BigintsDumper(_ArrayDumper):
    oid = BIGINT_ARRAY_OID
    element_oid = 20
    element = ">i8"


class _SmallintsDumper(_ArrayDumper):
    oid = SMALLINT_ARRAY_OID
    element_oid = 21
    element = ">i2"


class _ArrayLoader(Loader):
    """Reads what the dumpers wrote: one dimension, no NULLs."""

    format = Format.BINARY
    element: ClassVar[str]

    def load(self, data: Buffer) -> NDArray[np.int64]:
        if len(data) < _HEADER.size:
            return np.zeros(0, dtype=np.int64)
        cells = np.frombuffer(data, dtype=_cells(self.element), offset=_HEADER.size)
        return cells["value"].astype(np.int64)


class _BigintsLoader(_ArrayLoader):
    element = ">i8"


class _SmallintsLoader(_ArrayLoader):
    element = ">i2"


def register(connection: Connection) -> None:
    """Register Bigints and Smallints with the connection; it returns such arrays as int64 columns.

    Results are columns only in binary form: `connection.cursor(binary=True)`.
    """
    adapters = connection.adapters
    adapters.register_dumper(Bigints, _BigintsDumper)
    adapters.register_dumper(Smallints, _SmallintsDumper)
    adapters.register_loader(BIGINT_ARRAY_OID, _BigintsLoader)
    adapters.register_loader(SMALLINT_ARRAY_OID, _SmallintsLoader)
