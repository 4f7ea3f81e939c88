"""Connection to a venue by ccxt: subscribe, supervise, and end when any part ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.exchange_bridge.connections.connection import (
    Connection,
    NotSubscribedError,
    StalledError,
)
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.05


@dataclass
class CcxtConnection(Connection):
    """A connection by ccxt, which may open several WebSockets."""

    exchange: CcxtVenue

    async def run(self) -> None:
        """Let ccxt connect and subscribe; forward messages until any part ends."""
        client = self.exchange.client
        client.on_trade = self._on_trade
        client.on_unreadable = self.take
        self._before = self.exchange.without_ids.copy()
        self.connected()
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
        newest_ms = self._before.get(trade.get("symbol") or "", -1)
        if trade.get("id") is None and (trade.get("timestamp") or 0) <= newest_ms:
            return  # sent again, at the begin of a connection
        self.take(self.exchange.trade_payload(trade))

    def _trade_methods(self) -> list[tuple[str, Any]]:
        """Return the watch calls: one for all symbols if the venue supports that."""
        if self.exchange.client.sdk.has.get("watchTradesForSymbols"):
            return [("watch_trades_for_symbols", list(self.exchange.symbols))]
        return [("watch_trades", symbol) for symbol in self.exchange.symbols]

    def _watch_quotes(self, group: asyncio.TaskGroup) -> None:
        has, symbols = self.exchange.client.sdk.has, self.exchange.symbols
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
                log.warning("%s: no quotes: %s", self.exchange.name, error)
                return
            tickers = response.values() if "symbol" not in response else [response]
            for ticker in tickers:
                payload = self.exchange.quote_payload(ticker)
                if payload is not None:
                    self.take(payload)

    async def _call(self, method: str, symbols: Sequence[str] | str) -> Any:
        client = self.exchange.client
        try:
            return await getattr(client.sdk, method)(symbols)
        except client.errors.ExchangeError as error:
            raise NotSubscribedError(client.reason(error)) from error
        except client.errors.BaseError as error:
            raise OSError(client.reason(error)) from error

    async def _confirm(self) -> None:
        """Wait for the venue's first message: ccxt does not report confirmed subscriptions."""
        client, heard = self.exchange.client, self.exchange.client.heard
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self.timeouts.connect_s
        while not (client.is_connected and client.heard > heard):
            if loop.time() > until_s:
                if client.is_connected:  # the venue does not respond
                    break
                raise NotSubscribedError(f"no connection within {self.timeouts.connect_s:g} s")
            await asyncio.sleep(_LOOK_S)
        self.subscribed.set()
        await self.is_behind()  # trades before this connection are fetched right away

    async def _watch_silence(self) -> None:
        """Detect a dead feed: ccxt's pings do not prove that trades would arrive."""
        heard = -1
        while True:
            await asyncio.sleep(self.timeouts.stall_s)
            if heard == self.exchange.client.heard and await self.is_behind():
                raise StalledError(
                    f"no message for {self.timeouts.stall_s:g} s, but the venue lists newer trades"
                )
            heard = self.exchange.client.heard
