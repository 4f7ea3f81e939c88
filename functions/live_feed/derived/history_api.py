"""Client of the history API: the newest values, and pieces of longer candles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx

from functions.live_feed.fanout import Message
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.realtime.leases import ALL
from shared.schema import live_pb2
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_of

_TIMEOUT_S: Final = 10.0
_NAMES_A_REQUEST: Final = 200
_NEWEST: Final = 500
"""How many values of an indicator are read again; what changed before them is not."""
READS_PER_S: Final = 40
_READS_AT_ONCE: Final = 8


class HistoryApi:
    """Answers of the history API. Every method raises TransientError while it is away.

    `token`: one of API_TOKENS, or nothing. `reads_per_s`: how often the channels of all watchers
    are read again.
    """

    def __init__(self, url: str, token: str = "", reads_per_s: int = READS_PER_S) -> None:
        self._url = url
        self._between_s = 1 / reads_per_s
        self._next_s = 0.0
        self._places = asyncio.Semaphore(_READS_AT_ONCE)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client: httpx.AsyncClient | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is an address to ask."""
        return bool(self._url)

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Wait for the turn of a read that nobody asked for, first come first served.

        What changes meanwhile is read by the same one; so the more channels are followed, the less
        often each is read.
        """
        async with self._places:
            now_s = asyncio.get_running_loop().time()
            self._next_s = max(self._next_s, now_s) + self._between_s
            await asyncio.sleep(self._next_s - self._between_s - now_s)
            yield

    async def present(self, names: Iterable[str], base: str) -> list[Message]:
        """Return the last trade and the newest base candle of instruments, or of all by `*`."""
        every = sorted(names)
        asked = [every[n : n + _NAMES_A_REQUEST] for n in range(0, len(every), _NAMES_A_REQUEST)]
        if ALL in every:
            asked = [[]]
        found: list[Message] = []
        for some in asked:
            chosen = {"symbol": some} if some else {"symbols": "all"}
            for each in await self._get("/api/overview", chosen):
                found += _present(each, base)
        return found

    async def candles(
        self, symbol: str, timeframe: str, from_us: int, to_us: int | None = None
    ) -> list[Candle]:
        """Return the candles that start in [from_us, to_us), ascending."""
        asked: dict[str, Any] = {"timeframe": timeframe, "from": from_us // 1000, "limit": 10_000}
        if to_us is not None:
            asked["to"] = to_us // 1000
        answer = await self._get(f"/api/candles/{quote(symbol)}", asked)
        return [candle_of(each, symbol, timeframe) for each in answer["candles"]] if answer else []

    async def bars(
        self, symbol: str, type_: str, from_us: int, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of bars that begin at `from_us` or later, ascending, and a cursor."""
        asked: dict[str, Any] = {"type": type_, "from": from_us // 1000, "limit": limit}
        if cursor is not None:
            asked["cursor"] = cursor
        answer = await self._get(f"/api/bars/{quote(symbol)}", asked)
        return (answer["bars"], answer["next"]) if answer else ([], None)

    async def indicator(
        self, symbol: str, timeframe: str, name: str, from_us: int | None
    ) -> list[dict[str, Any]]:
        """Return the candles from `from_us` on, or the newest, with an indicator; ascending.

        The newest 500 where there are more.
        """
        asked: dict[str, Any] = {"timeframe": timeframe, "indicators": name, "limit": 1}
        if from_us is not None:
            asked |= {"from": from_us // 1000, "limit": _NEWEST}
        path = f"/api/candles/{quote(symbol)}"
        answer = await self._get(path, asked)
        if answer and len(answer["candles"]) == _NEWEST:
            del asked["from"]
            answer = await self._get(path, asked)
        return answer["candles"] if answer else []

    async def newest(self, symbol: str, timeframe: str) -> Candle | None:
        """Return the newest candle."""
        asked = {"timeframe": timeframe, "limit": 1}
        answer = await self._get(f"/api/candles/{quote(symbol)}", asked)
        candles = answer["candles"] if answer else []
        return candle_of(candles[0], symbol, timeframe) if candles else None

    async def ticks(
        self, symbol: str, from_us: int, to_us: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None] | None:
        """Return a page of trades in [from_us, to_us), ascending in the total order, and a cursor.

        The bounds are widened to whole milliseconds. None: nothing of the symbol was ever seen.
        """
        asked: dict[str, Any] = {"from": from_us // 1000, "to": -(-to_us // 1000), "limit": 1_000}
        if cursor is not None:
            asked["cursor"] = cursor
        answer = await self._get(f"/api/ticks/{quote(symbol)}", asked)
        return None if answer is None else (answer["ticks"], answer["next"])

    async def patterns(self, symbol: str, from_us: int, to_us: int) -> list[dict[str, Any]]:
        """Return all patterns that hold and became known in [from_us, to_us), the newest first."""
        asked: dict[str, Any] = {"from": from_us // 1000, "to": -(-to_us // 1000), "limit": 1_000}
        found: list[dict[str, Any]] = []
        while (answer := await self._get(f"/api/patterns/{quote(symbol)}", asked)) is not None:
            found += answer["patterns"]
            if answer["next"] is None:
                break
            asked["cursor"] = answer["next"]
        return found

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
            answer = await self._client.get(path, params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"the history API is away: {error!r}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            raise TransientError(f"the history API answered {answer.status_code} to {path}")
        return answer.json()


def _present(shown: dict[str, Any], base: str) -> list[Message]:
    symbol, received_us = shown["symbol"], (shown["received"] or 0) * 1000
    found = []
    if shown["price"] is not None:
        tick = live_pb2.LiveTick(
            symbol=symbol,
            price=float(shown["price"]),
            timestamp=shown["t"],
            size=shown["size"],
            exact_price=shown["price"],
            time_us=shown["t"] * 1000,
            receive_time_us=received_us,
        )
        subject = live.ticks_subject(symbol)
        found.append(Message(subject, tick.SerializeToString(), received_us))
    if shown["candle"] is not None:
        candle = candle_of(shown["candle"], symbol, base).to_message()
        subject = live.candles_subject(base, symbol)
        found.append(Message(subject, candle.SerializeToString(), received_us))
    return found
