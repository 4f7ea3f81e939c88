"""Kraken's second WebSocket API, and its REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.exchanges.dialects import Dialect, Minute, Released, Trade, iso


class KrakenDialect(Dialect):
    name = "kraken"

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        asked = request["params"]
        confirmed = [
            json.dumps(
                {
                    "method": "subscribe",
                    "result": {"channel": asked["channel"], "symbol": symbol},
                    "success": True,
                }
            )
            for symbol in asked["symbol"]
            if not symbol.startswith("BAD")
        ]
        confirmed += [
            json.dumps(
                {
                    "error": f"Currency pair not supported {symbol}",
                    "method": "subscribe",
                    "success": False,
                    "symbol": symbol,
                }
            )
            for symbol in asked["symbol"]
            if symbol.startswith("BAD")
        ]
        if asked["channel"] != "trade" or not asked["snapshot"]:
            return confirmed
        newest = [released[each][-50:] for each in asked["symbol"] if released.get(each)]
        return [*confirmed, *(self._of("snapshot", each) for each in newest)]

    def message(self, trade: Trade) -> str:
        return self._of("update", [trade])

    def _of(self, type_: str, trades: Sequence[Trade]) -> str:
        elements = ",".join(
            f'{{"symbol":"{each.symbol}","side":"{"sell" if each.buyer_made else "buy"}",'
            f'"price":{each.price},"qty":{each.size},"ord_type":"limit","trade_id":{each.id},'
            f'"timestamp":"{iso(each.time_ms)}"}}'
            for each in trades
        )
        return f'{{"channel":"trade","type":"{type_}","data":[{elements}]}}'

    def heartbeats(self, released: Released) -> list[str]:
        return ['{"channel":"heartbeat"}']

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path == "/0/public/SystemStatus":
            is_closed = "maintenance" in self.listings.values()
            return {"error": [], "result": {"status": "maintenance" if is_closed else "online"}}
        if path == "/0/public/AssetPairs":
            return self._pair(query["pair"])
        since = int(query["since"])
        symbol = next((each for each in released if self.rest_pair(each) == query["pair"]), "")
        if not symbol:
            return {"error": ["EQuery:Unknown asset pair"]}
        if path == "/0/public/OHLC":
            assert query["interval"] == "1"
            found = self.minutes(released[symbol])[-720:]
            klines = [self._kline(each) for each in found if each.start_ms // 1000 > since]
            last = klines[-2][0] if len(klines) > 1 else since
            return {"error": [], "result": {f"X{query['pair']}": klines, "last": last}}
        assert path == "/0/public/Trades"
        later = [each for each in released[symbol] if each.time_ms * 1_000_000 > since]
        later = later[: int(query["count"])]
        last = later[-1].time_ms * 1_000_000 if later else since
        # a response has a third name of the pair: XXBTZUSD
        rows = [self._row(each) for each in later]
        return {"error": [], "result": {f"X{query['pair']}": rows, "last": str(last)}}

    def _kline(self, each: Minute) -> list[Any]:
        vwap = (each.notional / each.volume).quantize(Decimal("0.1"))
        texts = [f"{value:f}" for value in (*each[1:5], vwap, each.volume)]
        return [each.start_ms // 1000, *texts, each.trades]

    def _pair(self, pair: str) -> dict[str, Any]:
        listings = {self.rest_pair(symbol): each for symbol, each in self.listings.items()}
        if listings.get(pair) == "ended":
            return {"error": ["EQuery:Unknown asset pair"]}
        status = "cancel_only" if listings.get(pair) == "halted" else "online"
        return {"error": [], "result": {f"X{pair}": {"status": status}}}

    def rest_pair(self, symbol: str) -> str:
        """REST's name of a pair."""
        return symbol.replace("BTC", "XBT").replace("/", "")

    def _row(self, trade: Trade) -> list[Any]:
        side = "s" if trade.buyer_made else "b"
        return [trade.price, trade.size, trade.time_ms / 1000, side, "l", "", trade.id]
