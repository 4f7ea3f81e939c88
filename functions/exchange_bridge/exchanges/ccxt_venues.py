"""Facts about venues that ccxt lacks: contiguous trade ids, and how gaps are filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

JOINED: Final = ("okx", "okxus", "myokx")
"""OKX's channel `trades` joins the trades of one order under the id of the last."""

_AGGREGATES: Final = {
    each: {"name": "aggTrade"} for each in ("watchTrades", "watchTradesForSymbols")
}
"""Binance's REST lists aggregated trades: so must the WebSocket."""

CONTIGUOUS: Final[Mapping[str, Mapping[str, Any]]] = {
    **dict.fromkeys(("binance", "binanceus", "binanceusdm", "binancecoinm"), _AGGREGATES),
    **{venue: {} for venue in ("kraken", *JOINED)},
}
"""Venues whose ids count a symbol's trades, all listed by REST, with options for ccxt.

Others have gaps by time, filled from REST.
"""
