"""Alpaca's stock stream and its history over REST."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.exchanges.dialects import Dialect, Minute, Released, Trade, iso, minutes, moment


class AlpacaDialect(Dialect):
    """Alpaca's stocks: ids without order, and REST that lists a range by page tokens.

    `void`: REST's `u` of trades, by id. `page`: maximum rows of a response.
    """

    name = "alpaca"
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
            rows = [self._bar(e) for e in found if first <= moment(e.start_ms) <= last]
        else:
            rows = [
                json.loads(self._row(each))
                for each in known
                if first <= moment(each.time_ms) <= last
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
            f'"t":"{iso(trade.time_ms)}","z":"C"{void}}}'
        )

    def _bar(self, each: Minute) -> dict[str, Any]:
        numbers = (*each[1:6], each.notional / each.volume)
        floats = dict(zip(("o", "h", "l", "c", "v", "vw"), map(float, numbers), strict=True))
        return {"t": iso(each.start_ms), "n": each.trades, **floats}
