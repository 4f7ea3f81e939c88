"""Facts about venues that ccxt lacks: contiguous trade ids, and how gaps are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Traits:
    """`contiguous`: ids count a symbol's trades, REST lists them all. `options`: for ccxt."""

    contiguous: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


_AGGREGATES: Final = Traits(
    contiguous=True,
    options={
        "watchTrades": {"name": "aggTrade"},
        "watchTradesForSymbols": {"name": "aggTrade"},
    },
)
"""Binance's REST lists aggregated trades: so must the WebSocket."""

JOINED: Final = frozenset({"okx", "okxus", "myokx"})
"""OKX's channel `trades` joins the trades of one order under the id of the last."""

TRAITS: Final[Mapping[str, Traits]] = {
    "binance": _AGGREGATES,
    "binanceus": _AGGREGATES,
    "binanceusdm": _AGGREGATES,
    "binancecoinm": _AGGREGATES,
    "kraken": Traits(contiguous=True),
    **dict.fromkeys(JOINED, Traits(contiguous=True)),
}
"""A venue that is not listed has gaps by time, filled from REST."""

UNKNOWN: Final = Traits()
