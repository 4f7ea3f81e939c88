"""What is known of venues that ccxt does not say: whose trade ids count, and what fills a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Traits:
    """`contiguous`: trade ids count the trades of a symbol, and REST lists them from any time on.

    `fills`: trades over REST are those of the WebSocket. `options`: for ccxt.
    """

    contiguous: bool = False
    fills: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


_AGGREGATES: Final = Traits(
    contiguous=True,
    options={
        "watchTrades": {"name": "aggTrade"},
        "watchTradesForSymbols": {"name": "aggTrade"},
    },
)
"""Binance's REST lists aggregated trades: so must the WebSocket."""

TRAITS: Final[Mapping[str, Traits]] = {
    "binance": _AGGREGATES,
    "binanceus": _AGGREGATES,
    "binanceusdm": _AGGREGATES,
    "binancecoinm": _AGGREGATES,
    "kraken": Traits(contiguous=True),
    # Its WebSocket joins the trades of one order under the id of the last; REST lists each.
    "okx": Traits(fills=False),
    "okxus": Traits(fills=False),
    "myokx": Traits(fills=False),
}
"""A venue that is not here has gaps by time, which trades over REST fill."""

UNKNOWN: Final = Traits()
