"""Rows of a time range, fetched page by page on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from kandle import _frames
from kandle._errors import ApiError
from kandle._requests import Paging
from kandle._rows import Row, as_dict

if TYPE_CHECKING:
    import duckdb
    import httpx
    import pandas as pd
    import polars as pl
    import pyarrow as pa

T = TypeVar("T")
P = TypeVar("P")


class Get(Protocol):
    """Read one page: a path and its query."""

    async def __call__(self, path: str, query: Mapping[str, str], /) -> httpx.Response: ...


@dataclass(frozen=True, eq=False, repr=False)
class AsyncRows(Generic[T]):
    """Rows of a range, ascending: iterate over them, or convert them to a frame.

    Nothing is requested before. Frames are read as Arrow, page by page, without an object per row;
    their columns are named like the row's attributes. `floats=True` gives 64-bit floats instead of
    DECIMAL(38, 18); the default is the connection's.
    """

    _get: Get
    _path: str
    _name: str
    _of: Callable[[Row], T]
    _paging: Callable[[], Paging]
    _floats: bool

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield the rows. Raises KandleError."""

        def read(response: httpx.Response) -> list[dict[str, Any]]:
            page = response.json()
            rows: list[dict[str, Any]] = page.pop(self._name)
            return [{**page, **row} for row in rows]

        async for page in self._pages("json", read, len):
            for row in page:
                yield self._of(row)

    async def to_dicts(self, *, floats: bool | None = None) -> list[dict[str, Any]]:
        """Return the rows as dictionaries by attribute name."""
        return [as_dict(row, floats=self._in_floats(floats)) async for row in self]

    async def to_arrow(self, *, floats: bool | None = None) -> pa.Table:
        """Return a PyArrow table. Needs `kandle[arrow]`."""
        _frames.package("pyarrow", "arrow")
        in_floats = self._in_floats(floats)

        def read(response: httpx.Response) -> pa.Table:
            return _frames.read_page(response.content)

        def read_floats(response: httpx.Response) -> pa.Table:
            return _frames.floats_of(response.json()[self._name])

        def count(page: pa.Table) -> int:
            return int(page.num_rows)

        try:
            pages = [page async for page in self._pages("arrow", read, count)]
        except ApiError as error:
            if not in_floats or error.status != 400:
                raise
            # Likely a number that DECIMAL(38, 18) does not hold; other errors occur again.
            pages = [page async for page in self._pages("json", read_floats, count)]
        return _frames.joined(pages, floats=in_floats)

    async def to_polars(self, *, floats: bool | None = None) -> pl.DataFrame:
        """Return a Polars frame. Needs `kandle[polars]`."""
        table = await self.to_arrow(floats=floats)
        frame: pl.DataFrame = _frames.package("polars", "polars").from_arrow(table)
        return frame

    async def to_pandas(self, *, floats: bool | None = None) -> pd.DataFrame:
        """Return a pandas frame. Needs `kandle[pandas]`."""
        table = await self.to_arrow(floats=floats)
        _frames.package("pandas", "pandas")
        frame: pd.DataFrame = table.to_pandas()
        return frame

    async def to_duckdb(self, *, floats: bool | None = None) -> duckdb.DuckDBPyRelation:
        """Return a relation of DuckDB's default connection. Needs `kandle[duckdb]`."""
        table = await self.to_arrow(floats=floats)
        relation: duckdb.DuckDBPyRelation = _frames.package("duckdb", "duckdb").from_arrow(table)
        return relation

    def _in_floats(self, override: bool | None) -> bool:
        return self._floats if override is None else override

    async def _pages(
        self, form: str, read: Callable[[httpx.Response], P], count: Callable[[P], int]
    ) -> AsyncIterator[P]:
        """Yield pages, in ascending order; the limit bounds a backward read."""
        paging = self._paging()
        backwards: list[P] = []
        while paging.query is not None:
            response = await self._get(self._path, {**paging.query, "format": form})
            page = read(response)
            paging.follow(response.headers.get("x-kandle-next"), count(page))
            if paging.backwards:
                backwards.append(page)
            else:
                yield page
        for page in reversed(backwards):
            yield page
