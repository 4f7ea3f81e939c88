"""NumPy columns as Postgres arrays in binary form, without a Python loop per element."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

_ARRAY_OID: Final = 1016
_ELEMENT_OID: Final = 20
_HEADER: Final = struct.Struct(">iiiii")
"""Dimensions, whether there are NULLs, element oid, length, lower bound."""
_CELL: Final = np.dtype([("length", ">i4"), ("value", ">i8")])


@dataclass(frozen=True, slots=True, eq=False)
class Bigints:
    """An int64 column to be stored as bigint[]."""

    column: NDArray[np.int64]


class _BigintsDumper(Dumper):
    format = Format.BINARY
    oid = _ARRAY_OID

    def dump(self, obj: Bigints) -> bytes:
        column = obj.column
        if not len(column):
            return struct.pack(">iii", 0, 0, _ELEMENT_OID)
        cells = np.empty(len(column), dtype=_CELL)
        cells["length"] = 8
        cells["value"] = column
        return _HEADER.pack(1, 0, _ELEMENT_OID, len(column), 1) + cells.tobytes()


def register(connection: Connection) -> None:
    """Register Bigints with the connection."""
    connection.adapters.register_dumper(Bigints, _BigintsDumper)
