"""Coinbase Exchange: matches, and heartbeats with the last trade id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.exchanges.dialects import Dialect, Minute, Released, Trade, iso


class CoinbaseDialect(Dialect):
    name = "coinbase"

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        products = request["product_ids"]
        if unknown := [each for each in products if each.startswith("BAD")]:
            reason = f"{unknown[0]} is not a valid product"
            return [
                json.dumps({"type": "error", "message": "Failed to subscribe", "reason": reason})
            ]
        channels = [{"name": name, "product_ids": products} for name in request["channels"]]
        last = [
            self._match(released[each][-1], "last_match") for each in products if released.get(each)
        ]
        return [*last, json.dumps({"type": "subscriptions", "channels": channels})]

    def message(self, trade: Trade) -> str:
        return self._match(trade, "match")

    def heartbeats(self, released: Released) -> list[str]:
        return [
            json.dumps(
                {
                    "type": "heartbeat",
                    "sequence": 3 * trades[-1].id,
                    "last_trade_id": trades[-1].id,
                    "product_id": symbol,
                    "time": iso(trades[-1].time_ms + 500),
                }
            )
            for symbol, trades in released.items()
            if trades
        ]

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path.count("/") == 2:
            return self._product(path.rpartition("/")[2])
        _, products, symbol, what = path.split("/")
        known = released.get(symbol, [])
        if what == "candles":
            first, last = int(query["start"]) * 1000, int(query["end"]) * 1000
            assert query["granularity"] == "60"
            found = [each for each in self.minutes(known) if first <= each.start_ms <= last][-300:]
            return [self._kline(each) for each in found[::-1]]
        assert (products, what) == ("products", "trades")
        older = [each for each in known if each.id < int(query.get("after", 2**62))]
        return [self._row(each) for each in older[::-1][: int(query["limit"])]]

    def _kline(self, each: Minute) -> list[Any]:
        numbers = (each.low, each.high, each.open, each.close, each.volume)
        return [each.start_ms // 1000, *map(float, numbers)]

    def _product(self, symbol: str) -> Any:
        listing = self.listings.get(symbol, "")
        if listing == "ended":
            return 404, {"message": "NotFound"}
        return {"id": symbol, "status": "online", "trading_disabled": bool(listing)}

    def _match(self, trade: Trade, kind: str) -> str:
        more = {"type": kind, "product_id": trade.symbol, "sequence": 3 * trade.id}
        return json.dumps({**more, **self._row(trade)})

    def _row(self, trade: Trade) -> dict[str, Any]:
        return {
            "trade_id": trade.id,
            "side": "buy" if trade.buyer_made else "sell",
            "size": trade.size,
            "price": trade.price,
            "time": iso(trade.time_ms),
        }
