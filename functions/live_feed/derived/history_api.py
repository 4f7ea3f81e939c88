"""Client of the history API: the newest values, and pieces of longer candles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from functions.live_feed.fanout import Message, candle_message, tick_message
from shared.errors import TransientError
from shared.realtime.leases import ALL
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_of

_TIMEOUT_S: Final = 10.0
_AWAY: Final = (502, 503, 504)
_NEWEST: Final = 500
"""Indicator values that are re-read; earlier changes are not noticed."""


class NoAnswerError(TransientError):
    """The read takes too long, or the history API or a store behind it is away."""


class AwayError(NoAnswerError):
    """Nothing accepts connections at the history API's address."""


class HistoryApi:
    """Client of the history API. Every method raises TransientError while it is away.

    `token`: one of API_TOKENS, or empty.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client: httpx.AsyncClient | None = None

    @property
    def is_configured(self) -> bool:
        """Whether an address is configured."""
        return bool(self._url)

    async def present(self, names: Sequence[str], base: str) -> list[Message]:
        """Return the last trade and newest base candle of instruments, or of all with `*`."""
        query = {"symbols": "all"} if ALL in names else {"symbol": names}
        overviews = await self._get("/api/overview", query) or []
        return [message for each in overviews for message in _present(each, base)]

    async def candles(
        self, symbol: str, timeframe: str, from_us: int, to_us: int | None = None
    ) -> list[Candle]:
        """Return the candles with starts in [from_us, to_us), ascending."""
        to_ms = None if to_us is None else to_us // 1000
        query = {"timeframe": timeframe, "from": from_us // 1000, "to": to_ms, "limit": 10_000}
        rows = await self._candles(symbol, query)
        return [candle_of(each, symbol, timeframe) for each in rows]

    async def bars(
        self, symbol: str, type_: str, from_us: int, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of bars from `from_us` on, ascending, and a cursor."""
        query = {"type": type_, "from": from_us // 1000, "limit": limit, "cursor": cursor}
        body = await self._get(f"/api/bars/{quote(symbol)}", query)
        return (body["bars"], body["next"]) if body else ([], None)

    async def indicator(
        self, symbol: str, timeframe: str, name: str, from_us: int | None
    ) -> list[dict[str, Any]]:
        """Return up to 500 candles with an indicator: from `from_us` on, or the newest one."""
        query: dict[str, Any] = {"timeframe": timeframe, "indicators": name}
        if from_us is None:
            return await self._candles(symbol, {**query, "limit": 1})
        query["limit"] = _NEWEST
        rows = await self._candles(symbol, {**query, "from": from_us // 1000})
        return rows if len(rows) < _NEWEST else await self._candles(symbol, query)

    async def newest(self, symbol: str, timeframe: str) -> Candle | None:
        """Return the newest candle."""
        rows = await self._candles(symbol, {"timeframe": timeframe, "limit": 1})
        return candle_of(rows[0], symbol, timeframe) if rows else None

    async def ticks(
        self, symbol: str, from_us: int, to_us: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None] | None:
        """Return a page of trades in [from_us, to_us) in the total order, and a cursor.

        The bounds are widened to whole milliseconds. None: the symbol is unknown.
        """
        query = {**_range_ms(from_us, to_us), "cursor": cursor}
        body = await self._get(f"/api/ticks/{quote(symbol)}", query)
        return None if body is None else (body["ticks"], body["next"])

    async def patterns(self, symbol: str, from_us: int, to_us: int) -> list[dict[str, Any]]:
        """Return all valid patterns that became known in [from_us, to_us), newest first."""
        query: dict[str, Any] = _range_ms(from_us, to_us)
        patterns: list[dict[str, Any]] = []
        while (body := await self._get(f"/api/patterns/{quote(symbol)}", query)) is not None:
            patterns += body["patterns"]
            if body["next"] is None:
                break
            query["cursor"] = body["next"]
        return patterns

    async def _candles(self, symbol: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        body = await self._get(f"/api/candles/{quote(symbol)}", query)
        return body["candles"] if body else []

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
            given = {name: each for name, each in query.items() if each is not None}
            response = await self._client.get(path, params=given)
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            return response.raise_for_status().json()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            problem = NoAnswerError if status in _AWAY else TransientError
            raise problem(f"the history API answered {status} to {path}") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AwayError(f"the history API is away: {error!r}") from error
        except httpx.TransportError as error:
            raise NoAnswerError(f"the history API does not answer: {error!r}") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise TransientError(f"the history API is away: {error!r}") from error


def _range_ms(from_us: int, to_us: int) -> dict[str, int]:
    return {"from": from_us // 1000, "to": -(-to_us // 1000), "limit": 1_000}


def _present(overview: dict[str, Any], base: str) -> list[Message]:
    symbol, received_us = overview["symbol"], (overview["received"] or 0) * 1000
    result = []
    if (price := overview["price"]) is not None:
        time_us = overview["t"] * 1000
        result.append(tick_message(symbol, price, overview["size"], time_us, received_us))
    if overview["candle"] is not None:
        result.append(candle_message(candle_of(overview["candle"], symbol, base), received_us))
    return result
