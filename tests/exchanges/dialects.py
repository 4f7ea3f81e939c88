"""How each exchange writes trades, over its WebSocket and over REST."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple, Protocol


class Trade(NamedTuple):
    """A trade; `buyer_made` says that the aggressor sold."""

    symbol: str
    id: int
    price: str
    size: str
    time_ms: int
    buyer_made: bool


class Minute(NamedTuple):
    """What an exchange publishes of a minute."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal
    trades: int
    bought: Decimal


def minutes(trades: Sequence[Trade]) -> list[Minute]:
    """Return the candles of trades that ascend by id, of the minutes that have some."""
    found = []
    for start, some in groupby(trades, key=lambda trade: trade.time_ms // 60_000):
        rows = [(Decimal(t.price), Decimal(t.size), t.buyer_made) for t in some]
        prices = [price for price, _, _ in rows]
        found.append(
            Minute(
                start * 60_000,
                *(prices[0], max(prices), min(prices), prices[-1]),
                sum((size for _, size, _ in rows), Decimal()),
                sum((price * size for price, size, _ in rows), Decimal()),
                len(rows),
                sum((size for _, size, sold in rows if not sold), Decimal()),
            )
        )
    return found


Released = Mapping[str, Sequence[Trade]]
"""The trades that happened so far, by symbol."""


class Dialect(Protocol):
    """One exchange's words."""

    name: str
    pushes: bool
    """Whether a client that says nothing is told of everything."""
    greeting: str
    """What is sent to a client that has connected."""
    listings: dict[str, str]
    """Symbols that are not traded: `halted`, `ended`, or `maintenance` of all of them."""
    wrong: Mapping[int, Minute]
    """Minutes (start, ms) that it publishes otherwise than their trades are."""

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        """What is sent back to a client's message."""
        ...

    def message(self, trade: Trade) -> str: ...

    def heartbeats(self, released: Released) -> list[str]: ...

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any: ...


class BinanceDialect:
    wrong: Mapping[int, Minute] = {}
    name = "binance"
    pushes = False
    greeting = ""

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        return [json.dumps({"result": None, "id": request["id"]})]

    def message(self, trade: Trade) -> str:
        data = {"e": "aggTrade", "E": trade.time_ms + 1, "s": trade.symbol, **self._row(trade)}
        return json.dumps({"stream": f"{trade.symbol.lower()}@aggTrade", "data": data})

    def heartbeats(self, released: Released) -> list[str]:
        return []

    def _minutes(self, trades: Sequence[Trade]) -> list[Minute]:
        return [self.wrong.get(each.start_ms, each) for each in minutes(trades)]

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
            found = [each for each in self._minutes(known) if first <= each.start_ms <= last]
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


BASES = ("BTC", "ETH", *(f"FEED{number}" for number in range(100)))
"""What is traded, against USDT, where ccxt asks for it."""


class CcxtBinanceDialect(BinanceDialect):
    """Binance as ccxt speaks to it: ids that count."""

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
        return super().rest(path, of_ccxt, {_joined(s): each for s, each in released.items()})

    def message(self, trade: Trade) -> str:
        of_stream = super().message(trade._replace(symbol=_joined(trade.symbol)))
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


class CcxtBybitDialect:
    """Bybit as ccxt speaks to it: ids that do not count, and REST that lists its newest trades."""

    wrong: Mapping[int, Minute] = {}
    name = "ccxt:bybit"
    pushes = False
    greeting = ""
    newest = 5_000

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        if request.get("op") == "subscribe":
            more = {"success": True, "ret_msg": "subscribe", "conn_id": "1", "op": "subscribe"}
            return [json.dumps({**more, "req_id": request.get("req_id", "")})]
        return [json.dumps({"success": True, "ret_msg": "pong", "op": "ping"})]

    def message(self, trade: Trade) -> str:
        symbol, side = _joined(trade.symbol), "Sell" if trade.buyer_made else "Buy"
        row = {"T": trade.time_ms, "s": symbol, "S": side, "v": trade.size, "p": trade.price}
        row |= {"L": "PlusTick", "i": self._id(trade), "BT": False}
        topic = f"publicTrade.{symbol}"
        return json.dumps({"topic": topic, "type": "snapshot", "ts": trade.time_ms, "data": [row]})

    def heartbeats(self, released: Released) -> list[str]:
        return []

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path == "/v5/system/status":
            return self._answer({"list": []})
        if path == "/v5/market/instruments-info":
            markets = [self._market(b) for b in BASES if self._listing(b) != "ended"]
            return self._answer({"category": "spot", "list": markets})
        known = {_joined(symbol): each for symbol, each in released.items()}.get(
            query["symbol"], []
        )
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
            "symbol": _joined(trade.symbol),
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


def _joined(symbol: str) -> str:
    return symbol.replace("/", "")


class CoinbaseDialect:
    wrong: Mapping[int, Minute] = {}
    name = "coinbase"
    pushes = False
    greeting = ""

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}

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
                    "time": _iso(trades[-1].time_ms + 500),
                }
            )
            for symbol, trades in released.items()
            if trades
        ]

    def _minutes(self, trades: Sequence[Trade]) -> list[Minute]:
        return [self.wrong.get(each.start_ms, each) for each in minutes(trades)]

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path.count("/") == 2:
            return self._product(path.rpartition("/")[2])
        _, products, symbol, what = path.split("/")
        known = released.get(symbol, [])
        if what == "candles":
            first, last = int(query["start"]) * 1000, int(query["end"]) * 1000
            assert query["granularity"] == "60"
            found = [each for each in self._minutes(known) if first <= each.start_ms <= last][-300:]
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
            "time": _iso(trade.time_ms),
        }


class KrakenDialect:
    wrong: Mapping[int, Minute] = {}
    name = "kraken"
    pushes = False
    greeting = ""

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        asked = request["params"]
        return [
            json.dumps(
                {
                    "method": "subscribe",
                    "result": {"channel": asked["channel"], "symbol": symbol},
                    "success": True,
                }
            )
            for symbol in asked["symbol"]
        ]

    def message(self, trade: Trade) -> str:
        side = "sell" if trade.buyer_made else "buy"
        element = (
            f'{{"symbol":"{trade.symbol}","side":"{side}","price":{trade.price},"qty":{trade.size},'
            f'"ord_type":"limit","trade_id":{trade.id},"timestamp":"{_iso(trade.time_ms)}"}}'
        )
        return f'{{"channel":"trade","type":"update","data":[{element}]}}'

    def heartbeats(self, released: Released) -> list[str]:
        return ['{"channel":"heartbeat"}']

    def _minutes(self, trades: Sequence[Trade]) -> list[Minute]:
        return [self.wrong.get(each.start_ms, each) for each in minutes(trades)]

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
            found = self._minutes(released[symbol])[-720:]
            klines = [self._kline(each) for each in found if each.start_ms // 1000 > since]
            last = klines[-2][0] if len(klines) > 1 else since
            return {"error": [], "result": {f"X{query['pair']}": klines, "last": last}}
        assert path == "/0/public/Trades"
        later = [each for each in released[symbol] if each.time_ms * 1_000_000 > since]
        later = later[: int(query["count"])]
        last = later[-1].time_ms * 1_000_000 if later else since
        # An answer names the pair as neither the question nor the stream does: XXBTZUSD.
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
        """What REST calls a pair."""
        return symbol.replace("BTC", "XBT").replace("/", "")

    def _row(self, trade: Trade) -> list[Any]:
        side = "s" if trade.buyer_made else "b"
        return [trade.price, trade.size, trade.time_ms / 1000, side, "l", "", trade.id]


class ScannerDialect:
    wrong: Mapping[int, Minute] = {}
    name = "scanner"
    pushes = True
    greeting = ""

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        return []

    def message(self, trade: Trade) -> str:
        scan = {
            "ticker": trade.symbol,
            "price": float(trade.price),
            "volume": 1000,
            "timestamp": _iso(trade.time_ms),
        }
        return json.dumps({"topic": f"stock:{trade.symbol}", "data": scan})

    def heartbeats(self, released: Released) -> list[str]:
        return []

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        raise AssertionError("the scanner has no REST")


class AlpacaDialect:
    """Alpaca's stocks: ids that do not count, and REST that lists all of a range by page tokens.

    `void`: what REST says in `u` of trades, by id. `page`: rows of an answer at most.
    """

    wrong: Mapping[int, Minute] = {}
    name = "alpaca"
    pushes = False
    greeting = '[{"T":"success","msg":"connected"}]'
    key = ("PK-tests", "a-secret-of-tests")
    page = 10_000

    def __init__(self) -> None:
        self.listings: dict[str, str] = {}
        self.void: dict[int, str] = {}
        self.requests: list[dict[str, Any]] = []

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        self.requests.append(request)
        if request["action"] == "auth":
            if (request["key"], request["secret"]) != self.key:
                return ['[{"T":"error","code":402,"msg":"auth failed"}]']
            return ['[{"T":"success","msg":"authenticated"}]']
        channels = {name: request.get(name, []) for name in ("trades", "quotes", "statuses")}
        of_trades = dict.fromkeys(("corrections", "cancelErrors"), channels["trades"])
        others: dict[str, list[str]] = {"bars": [], "updatedBars": [], "dailyBars": [], "lulds": []}
        return [json.dumps([{"T": "subscription", **channels, **of_trades, **others}])]

    def message(self, trade: Trade) -> str:
        return self.messages([trade])

    def messages(self, trades: Sequence[Trade]) -> str:
        """Write several trades in one message."""
        rows = (f'{{"T":"t","S":"{t.symbol}",{self._row(t)[1:]}' for t in trades)
        return f"[{','.join(rows)}]"

    def heartbeats(self, released: Released) -> list[str]:
        return []

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        if path.startswith("/v2/assets/"):
            symbol = path.rpartition("/")[2]
            listing = self.listings.get(symbol, "")
            if listing == "unknown":
                return 404, {"code": 40410000, "message": f"asset not found for {symbol}"}
            status = "inactive" if listing == "ended" else "active"
            return {"symbol": symbol, "class": "us_equity", "status": status, "tradable": True}
        assert query["feed"] == "iex"
        _, _, _, symbol, what, *rest = path.split("/")
        known = [each for each in released.get(symbol, []) if each.id not in self.void or not rest]
        if rest == ["latest"]:
            newest = [json.loads(self._row(each)) for each in known[-1:]]
            return {"symbol": symbol, "trade": newest[0] if newest else None}
        first, last = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        if what == "bars":
            assert (query["timeframe"], query["adjustment"]) == ("1Min", "raw")
            found = [self.wrong.get(each.start_ms, each) for each in minutes(known)]
            rows = [self._bar(e) for e in found if first <= _moment(e.start_ms) <= last]
        else:
            rows = [
                json.loads(self._row(each))
                for each in known
                if first <= _moment(each.time_ms) <= last
            ]
        if query.get("sort") == "desc":
            rows.reverse()
        begin = int(query.get("page_token", "0"))
        end = begin + min(int(query["limit"]), self.page)
        token = str(end) if end < len(rows) else None
        return {what: rows[begin:end] or None, "symbol": symbol, "next_page_token": token}

    def _row(self, trade: Trade) -> str:
        void = f',"u":"{self.void[trade.id]}"' if trade.id in self.void else ""
        return (
            f'{{"i":{trade.id},"x":"V","p":{trade.price},"s":{trade.size},"c":["@"],'
            f'"t":"{_iso(trade.time_ms)}","z":"C"{void}}}'
        )

    def _bar(self, each: Minute) -> dict[str, Any]:
        numbers = (*each[1:6], each.notional / each.volume)
        floats = dict(zip(("o", "h", "l", "c", "v", "vw"), map(float, numbers), strict=True))
        return {"t": _iso(each.start_ms), "n": each.trades, **floats}


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def _iso(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
