"""Connection to a venue by ccxt: subscribe, supervise, and end when any part ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from functions.exchange_bridge.connections.connection import (
    NotSubscribedError,
    StalledError,
    Timeouts,
)
from functions.exchange_bridge.exchange import Message
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.05


class CcxtConnection:
    """A connection with the interface of `Connection`; ccxt may open several WebSockets."""

    def __init__(
        self,
        venue: CcxtVenue,
        timeouts: Timeouts,
        take: Callable[..., Message],
        is_behind: Callable[[], Awaitable[bool]],
        connected: Callable[[], None],
    ) -> None:
        self._venue = venue
        self._timeouts = timeouts
        self._take = take
        self._is_behind = is_behind
        self._connected = connected
        self.subscribed = asyncio.Event()

    async def run(self) -> None:
        """Subscribe and forward messages; end only with an exception that gives the reason.

        OSError, NotSubscribedError, StalledError.
        """
        client = self._venue.client
        client.on_trade = self._on_trade
        client.on_unreadable = self._take
        self._connected()
        ended = client.begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until(ended))
                for method, symbols in self._trade_methods():
                    group.create_task(self._watch(method, symbols))
                self._watch_quotes(group)
                group.create_task(self._confirm())
                group.create_task(self._watch_silence())
        finally:
            client.on_trade = lambda trade: None
            client.on_unreadable = lambda payload: None
            await client.hang_up()

    def _on_trade(self, trade: dict[str, Any]) -> None:
        self._take(self._venue.trade_payload(trade), self._venue.message_of(trade))

    def _trade_methods(self) -> list[tuple[str, Any]]:
        """Return the watch calls: one for all symbols if the venue supports that."""
        if self._venue.client.sdk.has.get("watchTradesForSymbols"):
            return [("watch_trades_for_symbols", list(self._venue.symbols))]
        return [("watch_trades", symbol) for symbol in self._venue.symbols]

    def _watch_quotes(self, group: asyncio.TaskGroup) -> None:
        has, symbols = self._venue.client.sdk.has, self._venue.symbols
        for name, method in (
            ("watchBidsAsks", "watch_bids_asks"),
            ("watchTickers", "watch_tickers"),
        ):
            if has.get(name):
                group.create_task(self._quotes(method, list(symbols)))
                return
        if has.get("watchTicker"):
            for symbol in symbols:
                group.create_task(self._quotes("watch_ticker", symbol))

    async def _until(self, ended: asyncio.Future[str]) -> None:
        raise OSError(await ended)

    async def _watch(self, method: str, symbols: Sequence[str] | str) -> None:
        """Run a ccxt watch call; trades arrive by `on_trade`, whatever it returns."""
        while True:
            await self._call(method, symbols)

    async def _quotes(self, method: str, symbols: Sequence[str] | str) -> None:
        while True:
            try:
                response = await self._call(method, symbols)
            except NotSubscribedError as error:
                log.warning("%s: no quotes: %s", self._venue.name, error)
                return
            tickers = response.values() if "symbol" not in response else [response]
            for ticker in tickers:
                payload = self._venue.quote_payload(ticker)
                if payload is not None:
                    self._take(payload)

    async def _call(self, method: str, symbols: Sequence[str] | str) -> Any:
        client = self._venue.client
        try:
            return await getattr(client.sdk, method)(symbols)
        except Exception as error:
            if client.is_refusal(error):
                raise NotSubscribedError(client.reason(error)) from error
            if client.is_of_ccxt(error):
                raise OSError(client.reason(error)) from error
            raise

    async def _confirm(self) -> None:
        """Wait for the venue's first message: ccxt does not report confirmed subscriptions."""
        client, heard = self._venue.client, self._venue.client.heard
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._timeouts.connect_s
        while not (client.is_connected and client.heard > heard):
            if loop.time() > until_s:
                if client.is_connected:  # the venue does not respond
                    break
                raise NotSubscribedError(f"no connection within {self._timeouts.connect_s:g} s")
            await asyncio.sleep(_LOOK_S)
        self.subscribed.set()
        if not self._venue.contiguous:
            await self._is_behind()  # trades before this connection are fetched right away

    async def _watch_silence(self) -> None:
        """Detect a dead feed: ccxt's pings do not prove that trades would arrive."""
        heard = -1
        while True:
            await asyncio.sleep(self._timeouts.stall_s)
            if heard == self._venue.client.heard and await self._is_behind():
                raise StalledError(
                    f"no message for {self._timeouts.stall_s:g} s, but the venue lists newer trades"
                )
            heard = self._venue.client.heard
