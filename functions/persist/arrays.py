"""NumPy columns as Postgres arrays in binary form, built without a Python loop per element."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format


@dataclass(frozen=True, slots=True, eq=False)
class Bigints:
    """An int64 column to be stored as bigint[]."""

    column: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Smallints:
    """A column of small integers to be stored as smallint[]."""

    column: NDArray[Any]


class _ArrayDumper(Dumper):
    """PostgreSQL's binary array: dimensions 1, no NULLs, element oid, length, lower bound 1."""

    format = Format.BINARY
    element_oid: ClassVar[int]
    element: ClassVar[str]

    def dump(self, obj: Any) -> bytes:
        column = obj.column
        width = np.dtype(self.element).itemsize
        cells = np.empty(len(column), dtype=[("length", ">i4"), ("value", self.element)])
        cells["length"] = width
        cells["value"] = column
        if not len(column):
            return struct.pack(">iii", 0, 0, self.element_oid)
        return struct.pack(">iiiii", 1, 0, self.element_oid, len(column), 1) + cells.tobytes()


class _BigintsDumper(_ArrayDumper):
    oid = 1016
    element_oid = 20
    element = ">i8"


class _SmallintsDumper(_ArrayDumper):
    oid = 1005
    element_oid = 21
    element = ">i2"


def register(connection: Connection) -> None:
    """Let the connection take Bigints and Smallints as parameters."""
    connection.adapters.register_dumper(Bigints, _BigintsDumper)
    connection.adapters.register_dumper(Smallints, _SmallintsDumper)
