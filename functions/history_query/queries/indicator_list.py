"""List of indicators: for GET /api/indicators, and as a module for docs/indicators.md."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from shared.analysis.indicators import AnyIndicator, parse_indicators
from shared.analysis.talib_indicators import TalibIndicator, about, functions, parameters_of

_OVERLAY: Final = "Output scale same as input"
_OWN: Final = {
    "sma:20": ("Overlap Studies", "Simple Moving Average", ("period",)),
    "ema:20": ("Overlap Studies", "Exponential Moving Average", ("period",)),
    "bb:20:2": ("Overlap Studies", "Bollinger Bands", ("period", "deviations")),
    "rsi:14": ("Momentum Indicators", "Relative Strength Index", ("period",)),
    "atr:14": ("Volatility Indicators", "Average True Range", ("period",)),
}
_HEAD: Final = """# Indicators
Made by `make reference`. `GET /api/candles/{symbol}?indicators=rsi:14,macd:12:26:9` computes them
for candles of every timeframe, session and calendar, `GET /api/bars/{symbol}` for information bars.
Parameters that are left out have their defaults; a comma in place of a colon means the same. Values
are floating-point numbers of 10 digits, null before there is one.

They do not depend on where a page begins: enough candles are read in front. What depends on where
its series begins (marked *day*: sums, and stops that follow a price, such as SAR and SuperTrend)
begins anew with the first candle of each UTC day, so it is for timeframes below a day; a day may
have 20,000 bars before the page. `sma:20`, `ema:20`, `rsi:14`, `atr:14` (a period) and `bb:20:2`
(period and deviations; `upper`, `middle`, `lower`) are computed on distances from the first price,
so that no unit of price is too small for TA-Lib.

Where nothing moved in the period an oscillator is in its middle: 50 for RSI, the stochastics, KDJ,
MFI and the Ultimate Oscillator, -50 for Williams' %R. VWAP is null until the day has volume, the
Efficiency Ratio (`er`) while no close moves. A percentage of a price at zero or below would have
the wrong sign: ROC, ROCP, ROCR, ROCR100, PPO and NATR are null there.
"""
_COLUMNS: Final = """| name with its defaults | what it is | parameters | outputs | |
|---|---|---|---|---|"""


@dataclass(frozen=True)
class Entry:
    """An indicator with its defaults. `columns`: the names of its values in a candle.

    `overlay`: its values are prices, drawn over the candles.
    """

    name: str
    title: str
    group: str
    parameters: dict[str, float]
    columns: tuple[str, ...]
    overlay: bool
    of_day: bool = False

    def json(self) -> dict[str, Any]:
        """Return the API's JSON form."""
        labels = {"name": self.name, "title": self.title, "group": self.group}
        outputs = {"columns": list(self.columns), "overlay": self.overlay}
        return {**labels, "parameters": self.parameters, **outputs}


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Return all indicators by their names."""
    result = [_of_talib(function) for function in functions()]
    for text, (group, title, names) in _OWN.items():
        (indicator,) = parse_indicators(text)
        numbers = zip(names, text.split(":")[1:], strict=True)
        parameters = {name: int(x) if name == "period" else float(x) for name, x in numbers}
        result.append(_entry(indicator, title, group, parameters, group == "Overlap Studies"))
    return tuple(sorted(result, key=lambda each: each.name))


def _of_talib(function: str) -> Entry:
    indicator = TalibIndicator.parse(function)
    info = about(function)
    is_overlay = _OVERLAY in (info["function_flags"] or ())
    return _entry(
        indicator, info["display_name"], info["group"], parameters_of(function), is_overlay
    )


def _entry(
    indicator: AnyIndicator, title: str, group: str, parameters: dict[str, float], is_overlay: bool
) -> Entry:
    outputs = (indicator.columns, is_overlay, indicator.of_day)
    return Entry(indicator.name, title, group, parameters, *outputs)


def markdown() -> str:
    """Return docs/indicators.md."""
    groups: dict[str, list[str]] = {}
    for each in entries():
        parameters = ", ".join(f"{name} {value:g}" for name, value in each.parameters.items())
        several = each.columns if len(each.columns) > 1 else ()
        outputs = ", ".join(f"`{column.rpartition(':')[2]}`" for column in several)
        row = [f"`{each.name}`", each.title, parameters, outputs]
        row.append("day" if each.of_day else "")
        groups.setdefault(each.group, []).append(f"| {' | '.join(row)} |")
    parts = [_HEAD]
    for group, rows in sorted(groups.items()):
        parts.append("\n".join([f"## {group}", _COLUMNS, *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(markdown())
