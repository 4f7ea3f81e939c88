"""OKX's interface for ccxt: a message joins trades of one order, REST lists each by a cursor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.exchanges.dialects import BASES, Dialect, Released, Trade


class CcxtOkxDialect(Dialect):
    """OKX's interface for ccxt. `oldest`: the first id that REST still lists."""

    name = "ccxt:okx"
    page = 100
    oldest = 0

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        if request.get("op") != "subscribe":
            return []
        return [
            json.dumps({"event": "subscribe", "arg": each, "connId": "1"})
            for each in request["args"]
        ]

    def message(self, trade: Trade) -> str:
        return self.joined([trade])

    def joined(self, trades: Sequence[Trade]) -> str:
        """Write the trades of one order as one, with the last trade's id."""
        last = trades[-1]
        row = {**self._row(last), "count": str(len(trades))}
        row["sz"] = f"{sum(float(each.size) for each in trades):g}"
        arg = {"channel": "trades", "instId": row["instId"]}
        return json.dumps({"arg": arg, "data": [row]})

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path == "/api/v5/system/status":
            return self._answer([])
        if path == "/api/v5/public/instruments":
            markets = [self._market(b) for b in BASES if self._listing(b) != "ended"]
            return self._answer(markets if query["instType"] == "SPOT" else [])
        known = {_id(symbol): each for symbol, each in released.items()}.get(query["instId"], [])
        if path == "/api/v5/market/trades":
            return self._answer([self._row(each) for each in known[-100:][::-1]])
        assert path == "/api/v5/market/history-trades"
        before = int(query["after"])
        by_time = query.get("type") == "2"
        some = [
            each
            for each in known
            if each.id >= self.oldest and (each.time_ms if by_time else each.id) < before
        ]
        limit = min(int(query.get("limit", "100")), self.page)
        return self._answer([self._row(each) for each in some[-limit:][::-1]])

    def _answer(self, data: list[Any]) -> dict[str, Any]:
        return {"code": "0", "msg": "", "data": data}

    def _listing(self, base: str) -> str:
        return self.listings.get(f"{base}/USDT", "")

    def _market(self, base: str) -> dict[str, Any]:
        return {
            "instId": f"{base}-USDT",
            "instType": "SPOT",
            "baseCcy": base,
            "quoteCcy": "USDT",
            "lotSz": "0.00000001",
            "minSz": "0.00001",
            "tickSz": "0.01",
            "state": "suspend" if self._listing(base) else "live",
        }

    def _row(self, trade: Trade) -> dict[str, Any]:
        return {
            "instId": _id(trade.symbol),
            "tradeId": str(trade.id),
            "px": trade.price,
            "sz": trade.size,
            "side": "sell" if trade.buyer_made else "buy",
            "ts": str(trade.time_ms),
        }


def _id(symbol: str) -> str:
    return symbol.replace("/", "-")
