"""ccxt client of a venue: its trades, the state of its connections, and its REST.

Source: ccxt, "Manual" and "Pro Manual". Numbers stay the text sent by the venue.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from functions.exchange_bridge.rest import Rest, RestError

log = logging.getLogger(__name__)

CACHED: Final = 1_000
"""Trades that ccxt keeps per symbol."""

_LONG: Final = re.compile(r"[0-9.]{17}")
"""Numbers that may have more than the 15 digits a float holds exactly."""


class NoVenueError(Exception):
    """ccxt does not know the venue, or cannot stream its trades."""


class CcxtClient(Rest):
    """A venue: `sdk` is ccxt's own object.

    `on_trade` gets every trade of `symbols` at once and in order, `on_unreadable` a message that
    ccxt does not understand. `ended` is set, with the reason, when a connection ends.
    `heard` counts messages. `errors` are ccxt's: ExchangeError is a refusal by it or the venue.
    """

    def __init__(
        self,
        venue: str,
        symbols: Iterable[str],
        options: Mapping[str, Any],
        rest_base_url: str,
        websocket_base_url: str,
    ) -> None:
        super().__init__(f"ccxt:{venue}", rest_base_url, 0.0)
        self.venue = venue
        self.symbols = tuple(symbols)
        self.heard = 0
        self.on_trade: Callable[[dict[str, Any]], object] = lambda trade: None
        self.on_unreadable: Callable[[bytes], object] = lambda payload: None
        self.ended: asyncio.Future[str] | None = None
        self.errors: Any
        self.sdk = self._sdk(options)
        _point(self.sdk.urls, rest_base_url, websocket_base_url)

    def _sdk(self, options: Mapping[str, Any]) -> Any:
        """Return ccxt's object, whose connections report to this client."""
        try:
            pro = importlib.import_module("ccxt.pro")
            cache = importlib.import_module("ccxt.async_support.base.ws.cache").ArrayCache
        except ImportError as error:
            raise NoVenueError(f"ccxt is not installed (kandle[exchanges]): {error}") from error
        self.errors = importlib.import_module("ccxt.base.errors")
        base = getattr(pro, self.venue, None)
        if base is None or self.venue not in pro.exchanges:
            raise NoVenueError(f"ccxt has no WebSocket of {self.venue!r}")
        outer = self

        class Cache(cache):  # type: ignore[misc, valid-type]
            """ccxt appends every trade of a symbol to one of these."""

            def append(self, trade: dict[str, Any]) -> None:
                super().append(trade)
                outer.on_trade(trade)

        class Venue(base):  # type: ignore[misc, valid-type]
            """The venue."""

            def client(self, url: str) -> Any:
                client = super().client(url)
                client.handle_text_or_binary_message = lambda data: outer._read(client, data)
                return client

            def safe_trade(self, trade: dict[str, Any], market: Any = None) -> Any:
                """Skip cost and fees, which are unused, if price and size are text."""
                price, size = trade.get("price"), trade.get("amount")
                if price and size and type(price) is type(size) is str:
                    return trade
                return super().safe_trade(trade, market)

            def on_error(self, client: Any, error: Any) -> None:
                super().on_error(client, error)
                outer._end(f"{type(error).__name__}: {error}")

            def on_close(self, client: Any, code: Any) -> None:
                super().on_close(client, code)
                outer._end(f"closed by the venue, code {code}")

        self._cache = Cache
        sdk = Venue({"newUpdates": True, "aiohttp_trust_env": True, "options": dict(options)})
        sdk.number = str
        sdk.has["fetchCurrencies"] = False
        if not sdk.has.get("watchTrades"):
            raise NoVenueError(f"{self.venue} gives no trades over its WebSocket")
        fetched = sdk.options.get("fetchMarkets")
        of_spot = all(":" not in symbol for symbol in self.symbols)
        if of_spot and isinstance(fetched, dict) and "spot" in fetched.get("types", ()):
            fetched["types"] = ["spot"]
        return sdk

    def begin(self) -> asyncio.Future[str]:
        """Start a connection; return an event that is set when it ends."""
        self.ended = asyncio.get_running_loop().create_future()
        self.sdk.trades.update({symbol: self._cache(CACHED) for symbol in self.symbols})
        return self.ended

    async def hang_up(self) -> None:
        """End every WebSocket connection."""
        self.ended = None
        for client in list((self.sdk.clients or {}).values()):
            client.error = client.error or self.errors.ExchangeClosedByUser("hung up")
            await client.close()
        self.sdk.clients = {}

    @property
    def is_connected(self) -> bool:
        """Whether there are WebSocket connections, all of them open."""
        clients = list((self.sdk.clients or {}).values())
        return bool(clients) and all(each.isConnected for each in clients)

    async def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a ccxt method. Raises RestError.

        ccxt spaces its requests; after 429 or 418 none is made until Retry-After is over.
        """
        while True:
            try:
                async with self._one:
                    await self._turn()
                    result = await getattr(self.sdk, method)(*arguments, **options)
            except self.errors.BaseError as error:
                limits = (self.errors.RateLimitExceeded, self.errors.DDoSProtection)
                if not isinstance(error, limits):
                    self._count("refused")
                    is_final = isinstance(error, self.errors.ExchangeError)
                    raise RestError(self.reason(error), is_final=is_final) from error
                headers = {k.lower(): v for k, v in (self.sdk.last_response_headers or {}).items()}
                self._pause(headers, "rate limited")
                continue
            self._count("ok")
            return result

    def reason(self, error: BaseException) -> str:
        """Return a short error: ccxt's may include a whole response."""
        return f"{type(error).__name__}: {str(error)[:200]}"

    async def close(self) -> None:
        """Close the connections."""
        await self.hang_up()
        await self.sdk.close()
        await super().close()

    def _read(self, client: Any, data: str | bytes) -> None:
        """Pass a message to ccxt, its numbers as text. What ccxt cannot parse is forwarded."""
        self.heard += 1
        try:
            text = data.decode() if isinstance(data, bytes) else data
            message = text
            if text.lstrip()[:1] in ("{", "["):
                is_long = _LONG.search(text) is not None
                message = json.loads(text, parse_float=str) if is_long else orjson.loads(text)
            client.on_message_callback(client, message)
        except self.errors.BaseError as error:
            client.reject(error)
            self._end(self.reason(error))
        except Exception as error:  # noqa: BLE001 - ccxt's parsers raise whatever the message makes
            log.warning("%s: cannot parse a message: %s", self._feed, self.reason(error))
            self.on_unreadable(data.encode() if isinstance(data, str) else data)

    def _end(self, reason: str) -> None:
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(reason)


def _point(urls: dict[str, Any], rest_base_url: str, websocket_base_url: str) -> None:
    """Replace the hosts in ccxt's addresses, in place; empty: keep the venue's."""
    for name, value in urls.items():
        if isinstance(value, dict):
            _point(value, rest_base_url, websocket_base_url)
        elif isinstance(value, str):
            parts = urlsplit(value)
            base = websocket_base_url if parts.scheme in ("ws", "wss") else rest_base_url
            if base and parts.scheme:
                urls[name] = base.rstrip("/") + parts.path
