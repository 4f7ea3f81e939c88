"""Bybit's interface for ccxt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.exchanges.dialects import BASES, Dialect, Minute, Released, Trade, joined, minutes


class CcxtBybitDialect(Dialect):
    """Bybit's interface for ccxt: ids without order, and REST with the newest trades only."""

    name = "ccxt:bybit"
    newest = 5_000

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        if request.get("op") == "subscribe":
            more = {"success": True, "ret_msg": "subscribe", "conn_id": "1", "op": "subscribe"}
            return [json.dumps({**more, "req_id": request.get("req_id", "")})]
        return [json.dumps({"success": True, "ret_msg": "pong", "op": "ping"})]

    def message(self, trade: Trade) -> str:
        symbol, side = joined(trade.symbol), "Sell" if trade.buyer_made else "Buy"
        row = {"T": trade.time_ms, "s": symbol, "S": side, "v": trade.size, "p": trade.price}
        row |= {"L": "PlusTick", "i": self._id(trade), "BT": False}
        topic = f"publicTrade.{symbol}"
        return json.dumps({"topic": topic, "type": "snapshot", "ts": trade.time_ms, "data": [row]})

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path == "/v5/system/status":
            return self._answer({"list": []})
        if path == "/v5/market/instruments-info":
            markets = [self._market(b) for b in BASES if self._listing(b) != "ended"]
            return self._answer({"category": "spot", "list": markets})
        known = {joined(symbol): each for symbol, each in released.items()}.get(query["symbol"], [])
        if path == "/v5/market/recent-trade":
            rows = [self._row(each) for each in known[-self.newest :][::-1]]
            return self._answer({"category": "spot", "list": rows})
        assert (path, query["interval"]) == ("/v5/market/kline", "1")
        start = int(query["start"])
        found = [self.wrong.get(each.start_ms, each) for each in minutes(known)]
        some = [each for each in found if each.start_ms >= start][: int(query["limit"])]
        return self._answer({"category": "spot", "list": [self._kline(e) for e in some[::-1]]})

    def _answer(self, result: dict[str, Any]) -> dict[str, Any]:
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1}

    def _listing(self, base: str) -> str:
        return self.listings.get(f"{base}/USDT", "")

    def _market(self, base: str) -> dict[str, Any]:
        return {
            "symbol": f"{base}USDT",
            "baseCoin": base,
            "quoteCoin": "USDT",
            "status": "Closed" if self._listing(base) else "Trading",
            "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.00000001"},
            "priceFilter": {"tickSize": "0.01"},
        }

    def _row(self, trade: Trade) -> dict[str, Any]:
        return {
            "execId": self._id(trade),
            "symbol": joined(trade.symbol),
            "price": trade.price,
            "size": trade.size,
            "side": "Sell" if trade.buyer_made else "Buy",
            "time": str(trade.time_ms),
            "isBlockTrade": False,
        }

    def _kline(self, each: Minute) -> list[str]:
        numbers = (*each[1:6], each.notional)
        return [str(each.start_ms), *(f"{number:f}" for number in numbers)]

    def _id(self, trade: Trade) -> str:
        return f"20f43950-d8dd-5b31-9112-{trade.id:012d}"
