"""Binance: its own interface, and the one that ccxt uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.exchanges.dialects import BASES, Dialect, Minute, Released, Trade, joined


class BinanceDialect(Dialect):
    name = "binance"

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        return [json.dumps({"result": None, "id": request["id"]})]

    def message(self, trade: Trade) -> str:
        data = {"e": "aggTrade", "E": trade.time_ms + 1, "s": trade.symbol, **self._row(trade)}
        return json.dumps({"stream": f"{trade.symbol.lower()}@aggTrade", "data": data})

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path == "/api/v3/exchangeInfo":
            listing = self.listings.get(query["symbol"], "")
            if listing == "ended":
                return 400, {"code": -1121, "msg": "Invalid symbol."}
            status = "BREAK" if listing else "TRADING"
            return {"symbols": [{"symbol": query["symbol"], "status": status}]}
        known = released.get(query["symbol"], [])
        count = int(query["limit"])
        if path == "/api/v3/klines":
            first, last = int(query["startTime"]), int(query["endTime"])
            assert query["interval"] == "1m"
            found = [each for each in self.minutes(known) if first <= each.start_ms <= last]
            return [self._kline(each) for each in found[:count]]
        assert path == "/api/v3/aggTrades"
        if "startTime" in query:
            since = int(query["startTime"])
            return [self._row(each) for each in known if each.time_ms >= since][:count]
        if "fromId" not in query:
            return [self._row(each) for each in known[-count:]]
        return [self._row(each) for each in known if each.id >= int(query["fromId"])][:count]

    def _kline(self, each: Minute) -> list[Any]:
        prices = [f"{price:f}" for price in each[1:5]]
        return [
            *(each.start_ms, *prices, f"{each.volume:f}", each.start_ms + 59_999),
            *(f"{each.notional:f}", each.trades, f"{each.bought:f}", "0", "0"),
        ]

    def _row(self, trade: Trade) -> dict[str, Any]:
        return {
            "a": trade.id,
            "p": trade.price,
            "q": trade.size,
            "f": trade.id,
            "l": trade.id,
            "T": trade.time_ms,
            "m": trade.buyer_made,
            "M": True,
        }


class CcxtBinanceDialect(BinanceDialect):
    """Binance's interface for ccxt: contiguous ids."""

    name = "ccxt:binance"

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path == "/sapi/v1/system/status":
            is_closed = "maintenance" in self.listings.values()
            return {
                "status": int(is_closed),
                "msg": "system maintenance" if is_closed else "normal",
            }
        if path == "/api/v3/exchangeInfo":
            listed = [self._market(b) for b in BASES if self._listing(b) != "ended"]
            return {"timezone": "UTC", "symbols": listed}
        more = {"limit": "500", "endTime": "9" * 13}
        of_ccxt = {**more, **query}
        return super().rest(path, of_ccxt, {joined(s): each for s, each in released.items()})

    def message(self, trade: Trade) -> str:
        of_stream = super().message(trade._replace(symbol=joined(trade.symbol)))
        return json.dumps(json.loads(of_stream)["data"])

    def _listing(self, base: str) -> str:
        return self.listings.get(f"{base}/USDT", "")

    def _market(self, base: str) -> dict[str, Any]:
        return {
            "symbol": f"{base}USDT",
            "status": "BREAK" if self._listing(base) else "TRADING",
            "baseAsset": base,
            "quoteAsset": "USDT",
            "isSpotTradingAllowed": True,
            "permissionSets": [["SPOT"]],
            "filters": [],
        }
