"""`python -m functions.history_query.indicator_list`: docs/indicators.md, from TA-Lib itself."""

from __future__ import annotations

import sys
from typing import Final

from shared.talib_indicators import (
    TalibIndicator,
    functions,
    outputs_of,
    parameters_of,
    title_of,
)

_HEAD: Final = """# Indicators
Made by `make reference`. `GET /api/candles/{symbol}?indicators=rsi:14,macd:12:26:9` computes them
for candles of every timeframe, session and calendar, `GET /api/bars/{symbol}` for information bars.
Parameters that are left out have their defaults; a comma in place of a colon means the same. Values
are floating-point numbers of 10 digits, null before there is one.

They do not depend on where a page begins: enough candles are read in front. What depends on where
its series begins (marked *day*: sums, and stops that follow a price, such as SAR and SuperTrend)
begins anew with the first candle of each UTC day, so it is for timeframes below a day; of bars a day
may have 20,000 before the page. `sma:20`, `ema:20`, `rsi:14`, `atr:14` (a period) and `bb:20:2`
(period and deviations; `upper`, `middle`, `lower`) are computed on distances from the first price,
so that no unit of price is too small for TA-Lib.
"""
_COLUMNS: Final = """| name with its defaults | what it is | parameters | outputs | |
|---|---|---|---|---|"""


def listed() -> str:
    """Return the page."""
    groups: dict[str, list[str]] = {}
    for function in sorted(functions()):
        group, title = title_of(function)
        defaults = parameters_of(function)
        made = TalibIndicator.parse(function)
        parameters = ", ".join(f"{name} {value:g}" for name, value in defaults.items())
        outputs = ", ".join(f"`{each}`" for each in outputs_of(function))
        row = [f"`{made.name}`", title, parameters, outputs if len(made.outputs) > 1 else ""]
        row.append("day" if made.of_day else "")
        groups.setdefault(group, []).append(f"| {' | '.join(row)} |")
    parts = [_HEAD]
    for group, rows in sorted(groups.items()):
        parts.append("\n".join([f"## {group}", _COLUMNS, *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(listed())
