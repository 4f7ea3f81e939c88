"""The stock scanner's JSON, pushed to each client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.exchanges.dialects import Dialect, Released, Trade, iso


class ScannerDialect(Dialect):
    name = "scanner"
    pushes = True

    def answers(self, request: dict[str, Any], released: Released) -> list[str]:
        return []

    def message(self, trade: Trade) -> str:
        scan = {
            "ticker": trade.symbol,
            "price": float(trade.price),
            "volume": 1000,
            "timestamp": iso(trade.time_ms),
        }
        return json.dumps({"topic": f"stock:{trade.symbol}", "data": scan})

    def rest(self, path: str, query: Mapping[str, str], released: Released) -> Any:
        raise AssertionError("the scanner has no REST")
