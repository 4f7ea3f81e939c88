"""Client of the history API: the newest values, and pieces of longer candles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx

from functions.live_feed.fanout import Message, candle_message, tick_message
from shared.errors import TransientError
from shared.realtime.leases import ALL
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_of

_TIMEOUT_S: Final = 10.0
_NAMES_A_REQUEST: Final = 200
_NEWEST: Final = 500
"""Indicator values that are re-read; earlier changes are not noticed."""
READS_PER_S: Final = 40
_READS_AT_ONCE: Final = 8


class HistoryApi:
    """Client of the history API. Every method raises TransientError while it is away.

    `token`: one of API_TOKENS, or empty. `reads_per_s`: rate at which the channels of all watchers
    are re-read.
    """

    def __init__(self, url: str, token: str = "", reads_per_s: int = READS_PER_S) -> None:
        self._url = url
        self._between_s = 1 / reads_per_s
        self._next_s = 0.0
        self._places = asyncio.Semaphore(_READS_AT_ONCE)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client: httpx.AsyncClient | None = None

    @property
    def is_configured(self) -> bool:
        """Whether an address is configured."""
        return bool(self._url)

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Wait for the turn of a background read, first come, first served.

        Changes that arrive meanwhile are covered by the same read; so the more channels are
        followed, the less often each is read.
        """
        async with self._places:
            now_s = asyncio.get_running_loop().time()
            self._next_s = max(self._next_s, now_s) + self._between_s
            await asyncio.sleep(self._next_s - self._between_s - now_s)
            yield

    async def present(self, names: Iterable[str], base: str) -> list[Message]:
        """Return the last trade and newest base candle of instruments, or of all with `*`."""
        ordered = sorted(names)
        chunks = [
            ordered[n : n + _NAMES_A_REQUEST] for n in range(0, len(ordered), _NAMES_A_REQUEST)
        ]
        if ALL in ordered:
            chunks = [[]]
        result: list[Message] = []
        for chunk in chunks:
            query = {"symbol": chunk} if chunk else {"symbols": "all"}
            for each in await self._get("/api/overview", query):
                result += _present(each, base)
        return result

    async def candles(
        self, symbol: str, timeframe: str, from_us: int, to_us: int | None = None
    ) -> list[Candle]:
        """Return the candles with starts in [from_us, to_us), ascending."""
        query: dict[str, Any] = {"timeframe": timeframe, "from": from_us // 1000, "limit": 10_000}
        if to_us is not None:
            query["to"] = to_us // 1000
        body = await self._get(f"/api/candles/{quote(symbol)}", query)
        return [candle_of(each, symbol, timeframe) for each in body["candles"]] if body else []

    async def bars(
        self, symbol: str, type_: str, from_us: int, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of bars from `from_us` on, ascending, and a cursor."""
        query: dict[str, Any] = {"type": type_, "from": from_us // 1000, "limit": limit}
        if cursor is not None:
            query["cursor"] = cursor
        body = await self._get(f"/api/bars/{quote(symbol)}", query)
        return (body["bars"], body["next"]) if body else ([], None)

    async def indicator(
        self, symbol: str, timeframe: str, name: str, from_us: int | None
    ) -> list[dict[str, Any]]:
        """Return candles with an indicator from `from_us` on, or the newest; ascending.

        At most the newest 500.
        """
        query: dict[str, Any] = {"timeframe": timeframe, "indicators": name, "limit": 1}
        if from_us is not None:
            query |= {"from": from_us // 1000, "limit": _NEWEST}
        path = f"/api/candles/{quote(symbol)}"
        body = await self._get(path, query)
        if body and len(body["candles"]) == _NEWEST:
            del query["from"]
            body = await self._get(path, query)
        return body["candles"] if body else []

    async def newest(self, symbol: str, timeframe: str) -> Candle | None:
        """Return the newest candle."""
        query = {"timeframe": timeframe, "limit": 1}
        body = await self._get(f"/api/candles/{quote(symbol)}", query)
        candles = body["candles"] if body else []
        return candle_of(candles[0], symbol, timeframe) if candles else None

    async def ticks(
        self, symbol: str, from_us: int, to_us: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None] | None:
        """Return a page of trades in [from_us, to_us) in the total order, and a cursor.

        The bounds are widened to whole milliseconds. None: the symbol is unknown.
        """
        query: dict[str, Any] = {"from": from_us // 1000, "to": -(-to_us // 1000), "limit": 1_000}
        if cursor is not None:
            query["cursor"] = cursor
        body = await self._get(f"/api/ticks/{quote(symbol)}", query)
        return None if body is None else (body["ticks"], body["next"])

    async def patterns(self, symbol: str, from_us: int, to_us: int) -> list[dict[str, Any]]:
        """Return all valid patterns that became known in [from_us, to_us), newest first."""
        query: dict[str, Any] = {"from": from_us // 1000, "to": -(-to_us // 1000), "limit": 1_000}
        patterns: list[dict[str, Any]] = []
        while (body := await self._get(f"/api/patterns/{quote(symbol)}", query)) is not None:
            patterns += body["patterns"]
            if body["next"] is None:
                break
            query["cursor"] = body["next"]
        return patterns

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _get(self, path: str, query: dict[str, Any]) -> Any:
        if not self._url:
            return None
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._url, headers=self._headers, timeout=_TIMEOUT_S, trust_env=False
            )
        try:
            response = await self._client.get(path, params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"the history API is away: {error!r}") from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if not response.is_success:
            raise TransientError(f"the history API answered {response.status_code} to {path}")
        return response.json()


def _present(overview: dict[str, Any], base: str) -> list[Message]:
    symbol, received_us = overview["symbol"], (overview["received"] or 0) * 1000
    result = []
    if (price := overview["price"]) is not None:
        time_us = overview["t"] * 1000
        result.append(tick_message(symbol, price, overview["size"], time_us, received_us))
    if overview["candle"] is not None:
        result.append(candle_message(candle_of(overview["candle"], symbol, base), received_us))
    return result
