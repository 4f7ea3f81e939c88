"""Arrow pages as one table, and the optional packages that read it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from kandle._errors import MissingPackageError
from kandle._rows import NAMES, Row

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS: Final = frozenset(("time", "side", "id", "flags", "origin"))


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


def floats_of(rows: Sequence[Row]) -> pa.Table:
    """Return rows of JSON as a page, its numbers as 64-bit floats."""
    arrow = package("pyarrow", "arrow")
    rows = [{**row, **row.get("indicators", {})} for row in rows]
    columns: dict[str, Any] = {}
    for key in rows[0] if rows else ():
        values = [row[key] for row in rows]
        if key == "t":
            columns[key] = arrow.array(values, arrow.timestamp("ms", "UTC"))
        elif key in _TEXTS:
            columns[key] = arrow.array(values, arrow.string())
        elif key != "indicators":
            columns[key] = arrow.array([float(v) if isinstance(v, str) else v for v in values])
    return arrow.table(columns)


def joined(pages: Sequence[pa.Table], *, floats: bool) -> pa.Table:
    """Join pages; the columns are named as the attributes of rows, and times are UTC."""
    arrow = package("pyarrow", "arrow")
    pages = [page for page in pages if page.num_columns]
    if not pages:
        return arrow.table({})
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
    return table
