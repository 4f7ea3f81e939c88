"""The client: the routes of the API and the live feed as methods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, Unpack, overload

from kandle import _requests
from kandle._async.ranges import AsyncRows
from kandle._flow_rows import Bar, Flow, Profile
from kandle._live import Event, Feed, event_of
from kandle._requests import TIMEOUT_S, TRIES, Moment, Options, Paging
from kandle._rows import (
    Alert,
    Candle,
    Latest,
    N,
    Number,
    Overview,
    Pattern,
    Row,
    Sent,
    Series,
    Tick,
)

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncKandle(Generic[N]):
    """A connection to Kandle. Close it, or use it in a `with`.

    Addresses and the token default to the environment: API_URL, LIVE_URL, INGEST_URL and
    KANDLE_TOKEN. A missing one raises AddressError when it is first needed. `floats=True` returns
    prices, sizes and volumes as 64-bit floats instead of Decimals. `trust_env=False` ignores the
    environment's proxy, which is never used for this machine.
    """

    @overload
    def __init__(
        self: AsyncKandle[Decimal],
        url: str | None = ...,
        *,
        floats: Literal[False] = ...,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: AsyncKandle[float],
        url: str | None = ...,
        *,
        floats: Literal[True],
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(
        self,
        url: str | None = None,
        *,
        live_url: str | None = None,
        ingest_url: str | None = None,
        token: str | None = None,
        timeout_s: float = TIMEOUT_S,
        trust_env: bool = True,
        floats: bool = False,
    ) -> None:
        import httpx  # lazily: it dominates the import time

        self._urls = {"API_URL": url, "LIVE_URL": live_url, "INGEST_URL": ingest_url}
        self._http = httpx.AsyncClient(
            headers=_requests.headers_of(token),
            timeout=timeout_s,
            mounts=_requests.DIRECT,
            trust_env=trust_env,
        )
        self._broken = httpx.TransportError
        self._number: Number[Any] = float if floats else Decimal

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
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
    ) -> AsyncRows[Candle[N]]:
        """Return candles; without `start` the newest `limit` (by default 1,000).

        `as_of`: only trades received by that time count, so that a backtest sees what was known.
        `options`: fill, session, calendar, tz, adjusted, indicators (a string or a list) as in the
        API.
        """
        options = {"timeframe": timeframe, "as_of": as_of, **options}
        return self._rows("candles", symbol, Candle.of, start, end, limit, options)

    def bars(
        self,
        symbol: str,
        type: str = "tick:100",  # noqa: A002 - as the API calls it
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: object,
    ) -> AsyncRows[Bar[N]]:
        """Return bars by `tick:100`, `volume:1000`, `dollar:1000000` or `range:5`, as candles."""
        return self._rows("bars", symbol, Bar.of, start, end, limit, {"type": type, **options})

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
    ) -> AsyncRows[Flow[N]]:
        """Return delta, cumulative delta and VWAP since the anchor of each candle."""
        options = {"timeframe": timeframe, "anchor": anchor, **options}
        return self._rows("flow", symbol, Flow.of, start, end, limit, options)

    async def profile(
        self, symbol: str, *, start: Moment = None, end: Moment = None, **options: object
    ) -> Profile[N]:
        """Return volume by price, by default of 24 hours. `options`: step, value_area, tz."""
        query = _requests.query_of({**options, "from": start, "to": end})
        response = await self._api(_requests.path_of("profile", symbol), query)
        return Profile.of(response.json(), self._number)

    def ticks(
        self, symbol: str, *, start: Moment = None, end: Moment = None, limit: int | None = None
    ) -> AsyncRows[Tick[N]]:
        """Return trades in the total order; without `start` the newest `limit` (1,000)."""
        return self._rows("ticks", symbol, Tick.of, start, end, limit, {})

    async def latest(self, symbol: str) -> Latest[N]:
        """Return the latest trade and quote. Raises ApiError (404) for an unknown instrument."""
        response = await self._api(_requests.path_of("latest", symbol))
        return Latest.of(response.json(), self._number)

    async def overview(self, *symbols: str) -> list[Overview[N]]:
        """Return the last trade and 24-hour statistics of the named instruments, or of all."""
        response = await self._api("/api/overview", [("symbol", each) for each in symbols])
        return [Overview.of(row, self._number) for row in response.json()]

    async def symbols(self) -> list[str]:
        """Return the names of all instruments."""
        return [each.symbol for each in await self.series()]

    async def series(self) -> list[Series]:
        """Return all instruments with the times of their first and last trade."""
        response = await self._api("/api/symbols")
        return [Series.of(row, self._number) for row in response.json()]

    async def feeds(self) -> list[dict[str, Any]]:
        """Return the state of each exchange feed (`Feed` in the API)."""
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
    ) -> AsyncIterator[Pattern[N]]:
        """Yield patterns, newest first, at most `limit` (1,000 without `start`).

        `options`: timeframe, type, min_confidence, status as in the API.
        """
        return self._newest("patterns", symbol, Pattern.of, Paging(start, end, limit, options))

    def alerts(
        self,
        symbol: str | None = None,
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
    ) -> AsyncIterator[Alert[N]]:
        """Yield alerts, newest first, at most `limit` (1,000 without `start`)."""
        return self._newest("alerts", symbol, Alert.of, Paging(start, end, limit, {}))

    def stream(self, *channels: str) -> AsyncGenerator[Event[N], None]:
        """Yield live events of channels such as `candles:1m:BTC-USD` and `ticks:*`.

        First the newest of each channel (`snapshot`). A broken connection is reopened and resumes
        after the last event. Raises KandleError: a bad channel, or no free server at first.
        """
        return self._events(Feed(channels, partial(event_of, self._number)))

    def messages(self, *channels: str, **replay: Moment | float) -> AsyncGenerator[Row, None]:
        """Yield what `stream` does as the server sends it: mappings with channel, seq and data.

        `replay`: replay_from, replay_to, speed and by, as in the API.
        """
        return self._events(Feed(channels, lambda item, _: item, **replay))

    def replay(
        self, *channels: str, start: Moment, end: Moment = None, speed: float = 1.0
    ) -> AsyncGenerator[Event[N], None]:
        """Replay a stored period as live events, at `speed` times real time; ends at `end`."""
        replay = {"replay_from": start, "replay_to": end, "speed": speed}
        return self._events(Feed(channels, partial(event_of, self._number), **replay))

    async def send(self, ticks: Iterable[Mapping[str, Any]], *, key: str | None = None) -> Sent:
        """Send ticks: mappings with symbol, price, and optionally size, time, side and id.

        Returns once the pipeline has accepted them. Sending again with the same `key` counts once;
        the client retries this way if no response arrives. Raises KandleError.
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

    def _rows(
        self,
        name: str,
        symbol: str,
        of: Callable[[Row, Number[N]], T],
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, object],
    ) -> AsyncRows[T]:
        return AsyncRows(
            self._api,
            _requests.path_of(name, symbol),
            name,
            lambda row: of(row, self._number),
            lambda: Paging(start, end, limit, options),
            self._number is float,
        )

    async def _newest(
        self, name: str, symbol: str | None, of: Callable[[Row, Number[N]], T], paging: Paging
    ) -> AsyncIterator[T]:
        path = _requests.path_of(name, symbol)
        while paging.query is not None:
            page = (await self._api(path, paging.query)).json()
            paging.follow(page["next"], len(page[name]))
            for row in page[name]:
                yield of(row, self._number)

    async def _events(self, feed: Feed[T]) -> AsyncGenerator[T, None]:
        url = _requests.address(self._urls["LIVE_URL"], "LIVE_URL") + "/sse"
        while not feed.ended:
            broken: Exception | None = None
            try:
                async with self._http.stream("GET", url, **feed.request()) as response:
                    if not response.is_success:
                        await response.aread()
                    if _requests.is_away(response):
                        broken = _requests.refusal(response)
                    else:
                        feed.opened(_requests.checked(response))
                        async for text in response.aiter_text():
                            for event in feed.events(text):
                                yield event
            except self._broken as error:
                broken = _requests.unreachable(url, error)
            if not feed.ended:
                await asyncio.sleep(feed.pause_s(broken))

    async def _api(self, path: str, query: Any = None) -> httpx.Response:
        url = _requests.address(self._urls["API_URL"], "API_URL") + path
        return await self._ask(self._http.build_request("GET", url, params=query))

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        for left in range(TRIES - 1, -1, -1):
            try:
                response = await self._http.send(request)
            except self._broken as error:
                if not left:
                    raise _requests.unreachable(request.url, error) from error
                await asyncio.sleep(_requests.RETRY_S)
                continue
            if not left or not _requests.is_away(response):
                return _requests.checked(response)
            await asyncio.sleep(_requests.wait_s(response))
        raise AssertionError("unreachable")
