"""A client of Kandle: history as rows or frames, the live feed as events, and ticks to send.

    from kandle.client import Kandle

    with Kandle() as kandle:                      # API_URL, LIVE_URL, INGEST_URL, KANDLE_TOKEN
        for candle in kandle.candles("BTC-USD", "1m", start="-24h"):
            print(candle.time, candle.close)
        frame = kandle.candles("BTC-USD", "1h", start="-30d").to_pandas(floats=True)
        kandle.send([{"symbol": "BTC-USD", "price": "61845.68", "size": "0.5"}])
        for event in kandle.stream("candles:1m:BTC-USD", "ticks:*"):
            print(event.seq, event.data)

`AsyncKandle` is the same with `async with`, `async for` and `await`. Prices and sizes are Decimals,
times aware datetimes in UTC. A time is given as an aware datetime, milliseconds since 1970,
ISO 8601, or a time ago such as `-24h`. Every error is a KandleError that says what to do; 503 is
asked again, as the server says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import httpx

from kandle import _frames, _requests
from kandle._asynchronous import AsyncKandle, AsyncRows
from kandle._errors import (
    AddressError,
    ApiError,
    KandleError,
    MissingPackageError,
    UnreachableError,
)
from kandle._flow_rows import Bar, Flow, Profile
from kandle._live import Event, Feed
from kandle._requests import TIMEOUT_S, TRIES, Moment, Paging
from kandle._rows import Alert, Candle, Latest, Overview, Pattern, Sent, Series, Tick, as_dict

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = [
    "AddressError",
    "Alert",
    "ApiError",
    "AsyncKandle",
    "AsyncRows",
    "Bar",
    "Candle",
    "Event",
    "Flow",
    "Kandle",
    "KandleError",
    "Latest",
    "MissingPackageError",
    "Overview",
    "Pattern",
    "Profile",
    "Rows",
    "Sent",
    "Series",
    "Tick",
    "UnreachableError",
]

T = TypeVar("T")
P = TypeVar("P")


class Rows(Generic[T]):
    """Rows of a range, ascending: iterate over them, or have them as a frame.

    Nothing is asked before. Frames are read as Arrow, page by page, without an object for each row;
    their columns have the names of the row's attributes. `floats=True` gives 64-bit floats in place
    of DECIMAL(38, 18).
    """

    def __init__(
        self,
        get: Callable[[str, Mapping[str, str]], httpx.Response],
        path: str,
        name: str,
        of: Callable[[Mapping[str, Any]], T],
        paging: Callable[[], Paging],
    ) -> None:
        self._get, self._path, self._name, self._of, self._paging = get, path, name, of, paging

    def __iter__(self) -> Iterator[T]:
        """Yield the rows. Raises KandleError."""

        def read(answer: httpx.Response) -> list[dict[str, Any]]:
            page = answer.json()
            rows: list[dict[str, Any]] = page.pop(self._name)
            return [{**page, **row} for row in rows]

        for page in self._pages("json", read, len):
            yield from map(self._of, page)

    def to_dicts(self, *, floats: bool = False) -> list[dict[str, Any]]:
        """Return the rows by the names of their attributes; `floats`: in place of Decimals."""
        return [as_dict(row, floats=floats) for row in self]

    def to_arrow(self, *, floats: bool = False) -> pa.Table:
        """Return a PyArrow table. Needs `kandle[arrow]`."""
        return self._frame(floats).to_arrow()

    def to_polars(self, *, floats: bool = False) -> pl.DataFrame:
        """Return a Polars frame. Needs `kandle[polars]`."""
        return self._frame(floats).to_polars()

    def to_pandas(self, *, floats: bool = False) -> pd.DataFrame:
        """Return a pandas frame. Needs `kandle[pandas]`."""
        return self._frame(floats).to_pandas()

    def to_duckdb(self, *, floats: bool = False) -> duckdb.DuckDBPyRelation:
        """Return a relation of DuckDB's default connection. Needs `kandle[duckdb]`."""
        return self._frame(floats).to_duckdb()

    def _frame(self, floats: bool) -> _frames.Frame:
        _frames.package("pyarrow", "arrow")

        def read(answer: httpx.Response) -> pa.Table:
            return _frames.read_page(answer.content)

        pages = self._pages("arrow", read, lambda page: int(page.num_rows))
        return _frames.joined([*pages], floats=floats)

    def _pages(
        self, form: str, read: Callable[[httpx.Response], P], count: Callable[[P], int]
    ) -> Iterator[P]:
        """Yield pages. Those that go backwards are put in order: the limit bounds them."""
        paging = self._paging()
        backwards: list[P] = []
        while paging.query is not None:
            answer = self._get(self._path, {**paging.query, "format": form})
            page = read(answer)
            paging.next(answer, count(page))
            if paging.backwards:
                backwards.append(page)
            else:
                yield page
        yield from reversed(backwards)


class Kandle:
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
        self._http = httpx.Client(headers=_requests.headers_of(token), timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

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
    ) -> Rows[Candle]:
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
    ) -> Rows[Bar]:
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
    ) -> Rows[Flow]:
        """Return delta, cumulative delta and VWAP since the anchor of each candle."""
        options = {"timeframe": timeframe, "anchor": anchor, **options}
        path = _requests.path_of("/api/flow", symbol)
        return self._rows(path, "flow", Flow.of, start, end, limit, options)

    def profile(
        self, symbol: str, *, start: Moment = None, end: Moment = None, **options: object
    ) -> Profile:
        """Return volume by price, by default of 24 hours. `options`: step, value_area, tz."""
        path = _requests.path_of("/api/profile", symbol)
        query = _requests.query_of({**options, "from": start, "to": end})
        return Profile.of(self._api(path, query).json())

    def ticks(
        self, symbol: str, *, start: Moment = None, end: Moment = None, limit: int | None = None
    ) -> Rows[Tick]:
        """Return trades in the total order; without `start` the newest `limit` (1,000)."""
        path = _requests.path_of("/api/ticks", symbol)
        return self._rows(path, "ticks", Tick.of, start, end, limit, {})

    def latest(self, symbol: str) -> Latest:
        """Return the latest trade and quote. Raises ApiError (404) for what was never seen."""
        return Latest.of(self._api(_requests.path_of("/api/latest", symbol)).json())

    def overview(self, *symbols: str) -> list[Overview]:
        """Return the last trade and 24 hours of instruments; of all where none is named."""
        query: list[tuple[str, str]] = [("symbol", each) for each in symbols]
        return [Overview.of(row) for row in self._api("/api/overview", query).json()]

    def symbols(self) -> list[str]:
        """Return the names of all instruments."""
        return [each.symbol for each in self.series()]

    def series(self) -> list[Series]:
        """Return all instruments with the times of their first and last trade."""
        return [Series.of(row) for row in self._api("/api/symbols").json()]

    def feeds(self) -> list[dict[str, Any]]:
        """Return how each exchange feed is, as the API describes `Feed`."""
        feeds: list[dict[str, Any]] = self._api("/api/feeds").json()
        return feeds

    def patterns(
        self,
        symbol: str | None = None,
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: object,
    ) -> Iterator[Pattern]:
        """Yield patterns, the newest first, at most `limit` (1,000 without `start`).

        `options`: timeframe, type, min_confidence, status as the API takes them.
        """
        paging = Paging(start, end, limit, options)
        return map(Pattern.of, self._newest("/api/patterns", "patterns", symbol, paging))

    def alerts(
        self,
        symbol: str | None = None,
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
    ) -> Iterator[Alert]:
        """Yield alerts, the newest first, at most `limit` (1,000 without `start`)."""
        paging = Paging(start, end, limit, {})
        return map(Alert.of, self._newest("/api/alerts", "alerts", symbol, paging))

    def stream(self, *channels: str) -> Generator[Event, None, None]:
        """Yield what happens from now on, in channels such as `candles:1m:BTC-USD` and `ticks:*`.

        First the newest of each channel (`snapshot`). A connection that breaks is made again, and
        goes on behind the last event. Raises KandleError: a bad channel, or nothing there at first.
        """
        return self._events(Feed(channels))

    def replay(
        self, *channels: str, start: Moment, end: Moment = None, speed: float = 1.0
    ) -> Generator[Event, None, None]:
        """Yield a stored time as the live feed gave it, `speed` times as fast; ends at `end`."""
        return self._events(Feed(channels, replay_from=start, replay_to=end, speed=speed))

    def send(self, ticks: Iterable[Mapping[str, Any]], *, key: str | None = None) -> Sent:
        """Send ticks: mappings with symbol, price, and where known size, time, side and id.

        Returns once the pipeline has them. What is sent again with the same `key` counts once; the
        client does so itself when an answer does not come. Raises KandleError.
        """
        url = _requests.address(self._urls["INGEST_URL"], "INGEST_URL")
        return _requests.sent(
            [
                self._ask(self._http.build_request("POST", url, content=body, headers=headers))
                for body, headers in _requests.bodies(ticks, key)
            ]
        )

    def _rows(
        self,
        path: str,
        name: str,
        of: Callable[[Mapping[str, Any]], T],
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, object],
    ) -> Rows[T]:
        return Rows(self._api, path, name, of, lambda: Paging(start, end, limit, options))

    def _newest(
        self, route: str, name: str, symbol: str | None, paging: Paging
    ) -> Iterator[dict[str, Any]]:
        path = _requests.path_of(route, symbol)
        while paging.query is not None:
            page = self._api(path, paging.query).json()
            paging.follow(page["next"], len(page[name]))
            yield from page[name]

    def _events(self, feed: Feed) -> Generator[Event, None, None]:
        url = _requests.address(self._urls["LIVE_URL"], "LIVE_URL") + "/sse"
        while not feed.ended:
            broken: Exception | None = None
            try:
                with self._http.stream("GET", url, **feed.request()) as answer:
                    if not _requests.is_away(answer):
                        if not answer.is_success:
                            answer.read()
                        feed.opened(_requests.checked(answer))
                        for line in answer.iter_lines():
                            yield from feed.events(line)
            except httpx.TransportError as error:
                broken = _requests.unreachable(url, error)
            if not feed.ended:
                time.sleep(feed.pause_s(broken))

    def _api(self, path: str, query: Any = None) -> httpx.Response:
        url = _requests.address(self._urls["API_URL"], "API_URL") + path
        return self._ask(self._http.build_request("GET", url, params=query))

    def _ask(self, request: httpx.Request) -> httpx.Response:
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if not left:
                    raise _requests.unreachable(request.url, error) from error
                time.sleep(_requests.RETRY_S)
                continue
            if not left or not _requests.is_away(answer):
                return _requests.checked(answer)
            time.sleep(_requests.wait_s(answer))
        raise AssertionError("unreachable")
