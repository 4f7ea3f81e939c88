"""The client for asyncio: as `kandle.client.Kandle`, which says what each does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import httpx

from kandle import _frames, _requests
from kandle._flow_rows import Bar, Flow, Profile
from kandle._live import Event, Feed
from kandle._requests import TIMEOUT_S, TRIES, Moment, Paging
from kandle._rows import Alert, Candle, Latest, Overview, Pattern, Sent, Series, Tick, as_dict

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

T = TypeVar("T")
P = TypeVar("P")


class AsyncRows(Generic[T]):
    """Rows of a range, ascending: iterate over them, or have them as a frame.

    Nothing is asked before. Frames are read as Arrow, page by page, without an object for each row;
    their columns have the names of the row's attributes. `floats=True` gives 64-bit floats in place
    of DECIMAL(38, 18).
    """

    def __init__(
        self,
        get: Callable[[str, Mapping[str, str]], Awaitable[httpx.Response]],
        path: str,
        name: str,
        of: Callable[[Mapping[str, Any]], T],
        paging: Callable[[], Paging],
    ) -> None:
        self._get, self._path, self._name, self._of, self._paging = get, path, name, of, paging

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield the rows. Raises KandleError."""

        def read(answer: httpx.Response) -> list[dict[str, Any]]:
            page = answer.json()
            rows: list[dict[str, Any]] = page.pop(self._name)
            return [{**page, **row} for row in rows]

        async for page in self._pages("json", read, len):
            for row in page:
                yield self._of(row)

    async def to_dicts(self, *, floats: bool = False) -> list[dict[str, Any]]:
        """Return the rows by the names of their attributes; `floats`: in place of Decimals."""
        return [as_dict(row, floats=floats) async for row in self]

    async def to_arrow(self, *, floats: bool = False) -> pa.Table:
        """Return a PyArrow table. Needs `kandle[arrow]`."""
        return (await self._frame(floats)).to_arrow()

    async def to_polars(self, *, floats: bool = False) -> pl.DataFrame:
        """Return a Polars frame. Needs `kandle[polars]`."""
        return (await self._frame(floats)).to_polars()

    async def to_pandas(self, *, floats: bool = False) -> pd.DataFrame:
        """Return a pandas frame. Needs `kandle[pandas]`."""
        return (await self._frame(floats)).to_pandas()

    async def to_duckdb(self, *, floats: bool = False) -> duckdb.DuckDBPyRelation:
        """Return a relation of DuckDB's default connection. Needs `kandle[duckdb]`."""
        return (await self._frame(floats)).to_duckdb()

    async def _frame(self, floats: bool) -> _frames.Frame:
        _frames.package("pyarrow", "arrow")

        def read(answer: httpx.Response) -> pa.Table:
            return _frames.read_page(answer.content)

        pages = self._pages("arrow", read, lambda page: int(page.num_rows))
        return _frames.joined([page async for page in pages], floats=floats)

    async def _pages(
        self, form: str, read: Callable[[httpx.Response], P], count: Callable[[P], int]
    ) -> AsyncIterator[P]:
        """Yield pages. Those that go backwards are put in order: the limit bounds them."""
        paging = self._paging()
        backwards: list[P] = []
        while paging.query is not None:
            answer = await self._get(self._path, {**paging.query, "format": form})
            page = read(answer)
            paging.next(answer, count(page))
            if paging.backwards:
                backwards.append(page)
            else:
                yield page
        for page in reversed(backwards):
            yield page


class AsyncKandle:
    """A connection to Kandle. Close it, or use it in a `with`.

    Addresses and the token that are not given are the environment's: API_URL, LIVE_URL, INGEST_URL
    and KANDLE_TOKEN. One that is missing is missed when it is needed (AddressError).
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        live_url: str | None = None,
        ingest_url: str | None = None,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._urls = {"API_URL": url, "LIVE_URL": live_url, "INGEST_URL": ingest_url}
        self._http = httpx.AsyncClient(headers=_requests.headers_of(token), timeout=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        as_of: Moment = None,
        **options: object,
    ) -> AsyncRows[Candle]:
        """Return candles; without `start` the newest `limit` (by default 1,000).

        `as_of`: only trades received by that time count, so that a backtest sees what was known.
        `options`: fill, session, calendar, tz, adjusted, indicators (a text, or a list of them) as
        the API takes them.
        """
        options = {"timeframe": timeframe, "as_of": as_of, **options}
        path = _requests.path_of("/api/candles", symbol)
        return self._rows(path, "candles", Candle.of, start, end, limit, options)

    def bars(
        self,
        symbol: str,
        type: str = "tick:100",  # noqa: A002 - as the API calls it
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: object,
    ) -> AsyncRows[Bar]:
        """Return bars by `tick:100`, `volume:1000`, `dollar:1000000` or `range:5`, as candles."""
        path = _requests.path_of("/api/bars", symbol)
        return self._rows(path, "bars", Bar.of, start, end, limit, {"type": type, **options})

    def flow(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        anchor: Moment = "day",
        **options: object,
    ) -> AsyncRows[Flow]:
        """Return delta, cumulative delta and VWAP since the anchor of each candle."""
        options = {"timeframe": timeframe, "anchor": anchor, **options}
        path = _requests.path_of("/api/flow", symbol)
        return self._rows(path, "flow", Flow.of, start, end, limit, options)

    async def profile(
        self, symbol: str, *, start: Moment = None, end: Moment = None, **options: object
    ) -> Profile:
        """Return volume by price, by default of 24 hours. `options`: step, value_area, tz."""
        path = _requests.path_of("/api/profile", symbol)
        query = _requests.query_of({**options, "from": start, "to": end})
        return Profile.of((await self._api(path, query)).json())

    def ticks(
        self, symbol: str, *, start: Moment = None, end: Moment = None, limit: int | None = None
    ) -> AsyncRows[Tick]:
        """Return trades in the total order; without `start` the newest `limit` (1,000)."""
        path = _requests.path_of("/api/ticks", symbol)
        return self._rows(path, "ticks", Tick.of, start, end, limit, {})

    async def latest(self, symbol: str) -> Latest:
        """Return the latest trade and quote. Raises ApiError (404) for what was never seen."""
        return Latest.of((await self._api(_requests.path_of("/api/latest", symbol))).json())

    async def overview(self, *symbols: str) -> list[Overview]:
        """Return the last trade and 24 hours of instruments; of all where none is named."""
        query: list[tuple[str, str]] = [("symbol", each) for each in symbols]
        return [Overview.of(row) for row in (await self._api("/api/overview", query)).json()]

    async def symbols(self) -> list[str]:
        """Return the names of all instruments."""
        return [each.symbol for each in await self.series()]

    async def series(self) -> list[Series]:
        """Return all instruments with the times of their first and last trade."""
        return [Series.of(row) for row in (await self._api("/api/symbols")).json()]

    async def feeds(self) -> list[dict[str, Any]]:
        """Return how each exchange feed is, as the API describes `Feed`."""
        feeds: list[dict[str, Any]] = (await self._api("/api/feeds")).json()
        return feeds

    def patterns(
        self,
        symbol: str | None = None,
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: object,
    ) -> AsyncIterator[Pattern]:
        """Yield patterns, the newest first, at most `limit` (1,000 without `start`).

        `options`: timeframe, type, min_confidence, status as the API takes them.
        """
        paging = Paging(start, end, limit, options)
        return (
            Pattern.of(row)
            async for row in self._newest("/api/patterns", "patterns", symbol, paging)
        )

    def alerts(
        self,
        symbol: str | None = None,
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
    ) -> AsyncIterator[Alert]:
        """Yield alerts, the newest first, at most `limit` (1,000 without `start`)."""
        paging = Paging(start, end, limit, {})
        return (
            Alert.of(row) async for row in self._newest("/api/alerts", "alerts", symbol, paging)
        )

    def stream(self, *channels: str) -> AsyncGenerator[Event, None]:
        """Yield what happens from now on, in channels such as `candles:1m:BTC-USD` and `ticks:*`.

        First the newest of each channel (`snapshot`). A connection that breaks is made again, and
        goes on behind the last event. Raises KandleError: a bad channel, or nothing there at first.
        """
        return self._events(Feed(channels))

    def replay(
        self, *channels: str, start: Moment, end: Moment = None, speed: float = 1.0
    ) -> AsyncGenerator[Event, None]:
        """Yield a stored time as the live feed gave it, `speed` times as fast; ends at `end`."""
        return self._events(Feed(channels, replay_from=start, replay_to=end, speed=speed))

    async def send(self, ticks: Iterable[Mapping[str, Any]], *, key: str | None = None) -> Sent:
        """Send ticks: mappings with symbol, price, and where known size, time, side and id.

        Returns once the pipeline has them. What is sent again with the same `key` counts once; the
        client does so itself when an answer does not come. Raises KandleError.
        """
        url = _requests.address(self._urls["INGEST_URL"], "INGEST_URL")
        return _requests.sent(
            [
                await self._ask(
                    self._http.build_request("POST", url, content=body, headers=headers)
                )
                for body, headers in _requests.bodies(ticks, key)
            ]
        )

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self._ask(self._http.build_request("POST", url, content=body, headers=headers))

    def _rows(
        self,
        path: str,
        name: str,
        of: Callable[[Mapping[str, Any]], T],
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, object],
    ) -> AsyncRows[T]:
        return AsyncRows(self._api, path, name, of, lambda: Paging(start, end, limit, options))

    async def _newest(
        self, route: str, name: str, symbol: str | None, paging: Paging
    ) -> AsyncIterator[dict[str, Any]]:
        path = _requests.path_of(route, symbol)
        while paging.query is not None:
            page = (await self._api(path, paging.query)).json()
            paging.follow(page["next"], len(page[name]))
            for row in page[name]:
                yield row

    async def _events(self, feed: Feed) -> AsyncGenerator[Event, None]:
        url = _requests.address(self._urls["LIVE_URL"], "LIVE_URL") + "/sse"
        while not feed.ended:
            broken: Exception | None = None
            try:
                async with self._http.stream("GET", url, **feed.request()) as answer:
                    if not _requests.is_away(answer):
                        if not answer.is_success:
                            await answer.aread()
                        feed.opened(_requests.checked(answer))
                        async for line in answer.aiter_lines():
                            for event in feed.events(line):
                                yield event
            except httpx.TransportError as error:
                broken = _requests.unreachable(url, error)
            if not feed.ended:
                await asyncio.sleep(feed.pause_s(broken))

    async def _api(self, path: str, query: Any = None) -> httpx.Response:
        url = _requests.address(self._urls["API_URL"], "API_URL") + path
        return await self._ask(self._http.build_request("GET", url, params=query))

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = await self._http.send(request)
            except httpx.TransportError as error:
                if not left:
                    raise _requests.unreachable(request.url, error) from error
                await asyncio.sleep(_requests.RETRY_S)
                continue
            if not left or not _requests.is_away(answer):
                return _requests.checked(answer)
            await asyncio.sleep(_requests.wait_s(answer))
        raise AssertionError("unreachable")
