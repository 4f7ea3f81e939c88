"""JSON form of a candle, the same in the history API and the live feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

from shared.market.decimals import to_text
from shared.wire.candle import Candle

_VWAP: Final = Context(prec=20)
_COLUMNS: Final = {
    "t": "start_us",
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "qv": "notional",
    "vw": "notional",
    "n": "trade_count",
    "bv": "buy_volume",
    "sv": "sell_volume",
    **{name: name for name in ("closed", "partial", "complete", "revision", "origin")},
}


def candle_of(fields: Mapping[str, Any], instrument: str, timeframe: str) -> Candle:
    """Parse the output of `candle_json`; first and last time are the start."""
    start_us = int(fields["t"]) * 1000
    times = dict.fromkeys(("start_us", "first_time_us", "last_time_us"), start_us)
    values = {name: fields[key] for key, name in _COLUMNS.items() if key != "vw"}
    return Candle.from_texts({**values, **times, "instrument": instrument, "timeframe": timeframe})


def vwap_text(notional: Decimal, volume: Decimal) -> str | None:
    """Return the volume-weighted average price, of 20 digits; None without volume."""
    return to_text(_VWAP.divide(notional, volume)) if volume else None


def candle_json(candle: Candle) -> dict[str, Any]:
    """Return a candle's JSON form: `t` in ms, prices and sizes as text."""
    shown = {key: getattr(candle, name) for key, name in _COLUMNS.items()}
    shown["t"] = candle.start_us // 1000
    shown |= {key: to_text(value) for key, value in shown.items() if isinstance(value, Decimal)}
    shown["vw"] = vwap_text(candle.notional, candle.volume)
    return shown


def candle_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return candles as `candle_json` shows each, of columns by the names of `Candle`.

    Exact numbers stand in the columns as plain texts.
    """
    shown = {key: columns[name] for key, name in _COLUMNS.items()}
    shown["t"] = [start_us // 1000 for start_us in shown["t"]]
    sums = zip(shown["qv"], shown["v"], strict=True)
    shown["vw"] = [vwap_text(Decimal(notional), Decimal(volume)) for notional, volume in sums]
    return [dict(zip(shown, values, strict=True)) for values in zip(*shown.values(), strict=True)]
