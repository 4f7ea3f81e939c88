"""Arrow pages as one table, converted to other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kandle._errors import MissingPackageError
from kandle._rows import NAMES

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Frame:
    """A table with the names of `Candle`, `Bar` or `Tick` as its columns; times are UTC.

    Prices and sizes are DECIMAL(38, 18), or 64-bit floats where that was asked for.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_arrow(self) -> pa.Table:
        """Return a PyArrow table."""
        return self._table

    def to_polars(self) -> pl.DataFrame:
        """Return a Polars frame. Raises MissingPackageError."""
        frame: pl.DataFrame = package("polars", "polars").from_arrow(self._table)
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas frame. Raises MissingPackageError."""
        package("pandas", "pandas")
        frame: pd.DataFrame = self._table.to_pandas()
        return frame

    def to_duckdb(self) -> duckdb.DuckDBPyRelation:
        """Return a relation of DuckDB's default connection. Raises MissingPackageError."""
        relation: duckdb.DuckDBPyRelation = package("duckdb", "duckdb").from_arrow(self._table)
        return relation


def package(name: str, extra: str) -> Any:
    """Import an optional package. Raises MissingPackageError."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{error.name} is not installed: pip install 'kandle[{extra}]'"
        ) from error


def read_page(body: bytes) -> pa.Table:
    """Read a response of `format=arrow`."""
    arrow = package("pyarrow", "arrow")
    table: pa.Table = arrow.ipc.open_stream(body).read_all()
    return table


def joined(pages: Sequence[pa.Table], *, floats: bool) -> Frame:
    """Join pages, name the columns, and set the types of times and decimals."""
    arrow = package("pyarrow", "arrow")
    pages = [page for page in pages if page.num_columns]
    if not pages:
        return Frame(arrow.table({}))
    table = arrow.concat_tables(pages, promote_options="permissive")
    if "us" in table.column_names:  # of trades: the time to the microsecond
        exact = table["us"].cast(arrow.timestamp("us", "UTC"))
        at = table.column_names.index("t")
        table = table.set_column(at, "t", exact).drop_columns(["us"])
    for at, field in enumerate(table.schema):
        column = table[field.name]
        if field.name in ("end", "received", "ended") and arrow.types.is_integer(field.type):
            column = column.cast(arrow.timestamp("ms", "UTC"))
        elif floats and arrow.types.is_decimal(field.type):
            column = column.cast(arrow.float64())
        table = table.set_column(at, NAMES.get(field.name, field.name), column)
    return Frame(table)
