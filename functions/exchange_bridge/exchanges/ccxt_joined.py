"""OKX by ccxt: a message joins the trades of an order; REST lists each, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec

from functions.exchange_bridge.exchange import Fetched, Trade
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue, PayloadMessage, TradePart
from functions.exchange_bridge.rest import RestError

HISTORY_PAGE: Final = 100
"""Trades per page with a backward cursor."""

Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class _Info(msgspec.Struct, frozen=True, gc=False):
    """Number of trades that a message joins, up to its id."""

    count: Count = 1


class _Trade(TradePart, gc=False):
    info: _Info = _Info()


class _Message(PayloadMessage, gc=False):
    trade: _Trade | None = None


class JoinedVenue(CcxtVenue):
    """A venue whose messages cover `count` trades up to their id; ids are contiguous."""

    joins = True
    decoder = msgspec.json.Decoder(_Message, strict=False)

    def _count(self, trade: TradePart) -> int:
        assert isinstance(trade, _Trade)
        return trade.info.count

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield pages from the last id back to the first one, by a cursor that is an id."""
        cursor, reaches = last.id + 2, 0  # the id after the last: the listing is up to date to here
        while True:
            rows = await self._page_before(symbol, after=str(cursor))
            if not rows or int(rows[0]["id"]) >= cursor:
                reason = f"{self.name} lists no trade of {symbol} before id {cursor}"
                raise RestError(reason, is_final=True)
            cursor, reaches = int(rows[0]["id"]), max(reaches, int(rows[-1]["id"]))
            in_range = [row for row in rows if first.id <= int(row["id"]) <= last.id]
            yield Fetched(
                [self.trade_payload(row, "fetch_trades") for row in in_range],
                [Trade(symbol, int(row["id"]), row["timestamp"] * 1000) for row in in_range],
                min(reaches, last.id) if cursor <= first.id else first.id - 1,
            )
            if cursor <= first.id:
                return

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Return the last trade before a time, by a cursor that is a time."""
        rows = await self._page_before(symbol, after=str(-(-time_us // 1000)), type="2")
        newest = await self.newest(symbol)
        if not rows or newest is None or newest.id == int(rows[-1]["id"]):
            return None
        return Trade(symbol, int(rows[-1]["id"]), time_us)

    async def _page_before(self, symbol: str, **cursor: str) -> list[dict[str, Any]]:
        """Return a page of trades before a cursor, by ascending ids."""
        page = {"method": "publicGetMarketHistoryTrades", **cursor}
        rows = await self.client.ask("fetch_trades", symbol, None, HISTORY_PAGE, page)
        return sorted(rows, key=lambda row: int(row["id"]))
