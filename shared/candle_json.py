"""A candle as JSON shows it: the same in the history API, the live feed and whatever else."""

from __future__ import annotations

from decimal import Context
from typing import Any, Final

from shared.candle import Candle
from shared.decimals import to_text

_VWAP: Final = Context(prec=20)


def candle_json(candle: Candle) -> dict[str, Any]:
    """Return a candle as the API shows it: `t` ms, prices and sizes as decimal texts."""
    vwap = _VWAP.divide(candle.notional, candle.volume) if candle.volume else None
    return {
        "t": candle.start_us // 1000,
        "o": to_text(candle.open),
        "h": to_text(candle.high),
        "l": to_text(candle.low),
        "c": to_text(candle.close),
        "v": to_text(candle.volume),
        "vw": None if vwap is None else to_text(vwap),
        "n": candle.trade_count,
        "bv": to_text(candle.buy_volume),
        "sv": to_text(candle.sell_volume),
        "closed": candle.closed,
        "partial": candle.partial,
        "complete": candle.complete,
        "revision": candle.revision,
    }
