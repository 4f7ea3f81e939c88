"""A client of the history API: pages followed, exact decimals, frames where wanted.

    from kandle.client import Kandle

    with Kandle("http://127.0.0.1:8080") as kandle:
        for candle in kandle.candles("BTC-USD", "1m", start="-24h"):
            print(candle.time, candle.close)
        frame = kandle.candles_frame("BTC-USD", "1h", start="2026-01-01")  # Polars; .to_pandas()

`AsyncKandle` is the same with `async with`, `async for` and `await`. A time is an aware datetime,
or what the API takes: milliseconds since 1970, ISO 8601, or a time ago such as `-24h`. Errors of
the API are KandleError; those of the connection httpx.HTTPError. 503 is asked again, as it says.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx

from kandle._flow_rows import Bar, Flow, Profile
from kandle._paging import TRIES, Moment, Paging, checked, text_of, wait_s
from kandle._rows import Candle, KandleError, Tick, Trade

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "AsyncKandle",
    "Bar",
    "Candle",
    "Flow",
    "Kandle",
    "KandleError",
    "Profile",
    "Tick",
    "Trade",
]

TIMEOUT_S: Final = 30.0
_AWAY: Final = 503


class Kandle:
    """A connection to the history API at `url`. Close it, or use it in a `with`."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s)

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
        """Close the connection."""
        self._http.close()

    def candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: str,
    ) -> Iterator[Candle]:
        """Yield candles, ascending; without `start` the newest `limit` (by default 1,000).

        `options`: fill, session, calendar, tz, adjusted, indicators, as_of as the API takes them.
        `as_of`: only ticks received by then count: a backtest sees what was known.
        """
        options = {"timeframe": timeframe, **options}
        for row in self._rows(_candles(symbol), "candles", start, end, limit, options):
            yield Candle.of(row)

    def ticks(
        self, symbol: str, *, start: Moment = None, end: Moment = None, limit: int | None = None
    ) -> Iterator[Tick]:
        """Yield trades in the total order; without `start` the newest `limit` (1,000)."""
        for row in self._rows(_ticks(symbol), "ticks", start, end, limit, {}):
            yield Tick.of(row)

    def candles_frame(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: str,
    ) -> pl.DataFrame:
        """Return candles as a Polars frame, decimals exact. Needs polars; to_pandas() from there.

        Read as Arrow, page by page: no object a row.
        """
        options = {"timeframe": timeframe, **options}
        return self._frame(_candles(symbol), start, end, limit, options)

    def ticks_frame(
        self, symbol: str, *, start: Moment = None, end: Moment = None, limit: int | None = None
    ) -> pl.DataFrame:
        """Return trades as a Polars frame, as `candles_frame`."""
        return self._frame(_ticks(symbol), start, end, limit, {})

    def bars(
        self,
        symbol: str,
        type: str,  # noqa: A002 - the API's name
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: str,
    ) -> Iterator[Bar]:
        """Yield information bars such as `volume:1000`, ascending, paged as `candles`.

        `options`: tz, session, calendar: whose trading days begin them anew.
        """
        options = {"type": type, **options}
        for row in self._rows(f"/api/bars/{quote(symbol)}", "bars", start, end, limit, options):
            yield Bar.of(row)

    def flow(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        anchor: Moment = "day",
        **options: str,
    ) -> Iterator[Flow]:
        """Yield delta, cumulative delta and VWAP since the anchor of each candle, ascending."""
        options = {"timeframe": timeframe, "anchor": text_of(anchor or "day"), **options}
        for row in self._rows(f"/api/flow/{quote(symbol)}", "flow", start, end, limit, options):
            yield Flow.of(row)

    def profile(
        self, symbol: str, *, start: Moment = None, end: Moment = None, **options: str
    ) -> Profile:
        """Return volume by price, by default of 24 hours. `options`: step, value_area, tz."""
        bounds = {"from": start, "to": end}
        query = {name: text_of(each) for name, each in bounds.items() if each is not None}
        return Profile.of(self._get(f"/api/profile/{quote(symbol)}", {**query, **options}).json())

    def latest(self, symbol: str) -> Trade:
        """Return the latest trade. Raises KandleError (404) for what was never seen."""
        return Trade.of(self._get(f"/api/latest/{quote(symbol)}", {}).json())

    def symbols(self) -> list[str]:
        """Return the names of all instruments."""
        return [row["symbol"] for row in self._get("/api/symbols", {}).json()]

    def _rows(
        self,
        path: str,
        name: str,
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, str],
    ) -> Iterator[dict[str, Any]]:
        """Yield rows. Pages that go backwards are put in order: `limit` bounds them."""
        answers = self._pages(path, start, end, limit, options, name)
        for answer in reversed(list(answers)) if start is None else answers:
            yield from answer.json()[name]

    def _frame(
        self,
        path: str,
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, str],
    ) -> pl.DataFrame:
        import polars as pl

        options = {**options, "format": "arrow"}
        frames = [
            pl.read_ipc_stream(io.BytesIO(answer.content))
            for answer in self._pages(path, start, end, limit, options, None)
        ]
        if start is None:
            frames.reverse()
        there = [frame for frame in frames if frame.width]
        return pl.concat(there, how="vertical_relaxed") if there else pl.DataFrame()

    def _pages(
        self,
        path: str,
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, str],
        name: str | None,
    ) -> Iterator[httpx.Response]:
        paging = Paging(start, end, limit, options)
        while paging.query is not None:
            answer = self._get(path, paging.query)
            yield answer
            paging.next(answer, name)

    def _get(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        for left in range(TRIES - 1, -1, -1):
            answer = self._http.get(path, params=dict(query))
            if answer.status_code != _AWAY or not left:
                return checked(answer)
            time.sleep(wait_s(answer))
        raise AssertionError("unreachable")


class AsyncKandle:
    """As Kandle, for asyncio."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s)

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
        """Close the connection."""
        await self._http.aclose()

    async def candles(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: str,
    ) -> AsyncIterator[Candle]:
        """Yield candles, as Kandle.candles."""
        options = {"timeframe": timeframe, **options}
        async for row in self._rows(_candles(symbol), "candles", start, end, limit, options):
            yield Candle.of(row)

    async def ticks(
        self, symbol: str, *, start: Moment = None, end: Moment = None, limit: int | None = None
    ) -> AsyncIterator[Tick]:
        """Yield trades, as Kandle.ticks."""
        async for row in self._rows(_ticks(symbol), "ticks", start, end, limit, {}):
            yield Tick.of(row)

    async def bars(
        self,
        symbol: str,
        type: str,  # noqa: A002 - the API's name
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        **options: str,
    ) -> AsyncIterator[Bar]:
        """Yield information bars, as Kandle.bars."""
        options = {"type": type, **options}
        async for row in self._rows(
            f"/api/bars/{quote(symbol)}", "bars", start, end, limit, options
        ):
            yield Bar.of(row)

    async def flow(
        self,
        symbol: str,
        timeframe: str = "1m",
        *,
        start: Moment = None,
        end: Moment = None,
        limit: int | None = None,
        anchor: Moment = "day",
        **options: str,
    ) -> AsyncIterator[Flow]:
        """Yield order flow, as Kandle.flow."""
        options = {"timeframe": timeframe, "anchor": text_of(anchor or "day"), **options}
        async for row in self._rows(
            f"/api/flow/{quote(symbol)}", "flow", start, end, limit, options
        ):
            yield Flow.of(row)

    async def profile(
        self, symbol: str, *, start: Moment = None, end: Moment = None, **options: str
    ) -> Profile:
        """Return volume by price, as Kandle.profile."""
        bounds = {"from": start, "to": end}
        query = {name: text_of(each) for name, each in bounds.items() if each is not None}
        answer = await self._get(f"/api/profile/{quote(symbol)}", {**query, **options})
        return Profile.of(answer.json())

    async def latest(self, symbol: str) -> Trade:
        """Return the latest trade, as Kandle.latest."""
        return Trade.of((await self._get(f"/api/latest/{quote(symbol)}", {})).json())

    async def symbols(self) -> list[str]:
        """Return the names of all instruments."""
        return [row["symbol"] for row in (await self._get("/api/symbols", {})).json()]

    async def _rows(
        self,
        path: str,
        name: str,
        start: Moment,
        end: Moment,
        limit: int | None,
        options: Mapping[str, str],
    ) -> AsyncIterator[dict[str, Any]]:
        paging = Paging(start, end, limit, options)
        backwards: list[list[dict[str, Any]]] = []
        while paging.query is not None:
            answer = await self._get(path, paging.query)
            page = answer.json()[name]
            paging.next(answer, name)
            if start is None:
                backwards.append(page)
                continue
            for row in page:
                yield row
        for page in reversed(backwards):
            for row in page:
                yield row

    async def _get(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        for left in range(TRIES - 1, -1, -1):
            answer = await self._http.get(path, params=dict(query))
            if answer.status_code != _AWAY or not left:
                return checked(answer)
            await asyncio.sleep(wait_s(answer))
        raise AssertionError("unreachable")


def _candles(symbol: str) -> str:
    return f"/api/candles/{quote(symbol)}"


def _ticks(symbol: str) -> str:
    return f"/api/ticks/{quote(symbol)}"
